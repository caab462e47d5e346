//! Reject files of a run that is continued although its source has changed: nothing that was in them is lost.

use crate::scripted::{Does, Seen};
use crate::taken_up::{Bed, PROFILES, profiles};
use serde_json::Value;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

const SEGMENT: &str = "map: { operation: { value: UPDATE }, user_account_id: id, segment_id: { value: \
                       42 }, expiration_duration: { value: 0 } }\nrejects: { max: 9 }\ndestination: { platform: mediarithmics, \
                       base_url: \"BASE\", datamart_id: 1234, token: { env: KEY }, import_name: spring }\n";

/// The first list: one of its rows is refused locally, and the first one by the platform.
const FIRST: &str = "id,name\nann,x\n,first list\nbob,x\n";
/// The list that replaces it.
const SECOND: &str = "id,name\ncid,x\n,second list\ndan,x\neve,x\n";

/// mediarithmics, which has no verdict until `over` is set, and then one failed row.
fn mediarithmics(over: Arc<AtomicBool>) -> impl Fn(&Seen, usize, &str) -> Does + Send + Sync + 'static {
    move |seen: &Seen, _: usize, _: &str| {
        let said = match (seen.line.starts_with("POST"), over.load(Ordering::Relaxed)) {
            (true, _) if seen.path().ends_with("/document_imports") => r#"{"status":"ok","data":{"id":"77"}}"#,
            (true, _) => r#"{"status":"ok","data":{"id":"5"}}"#,
            _ if seen.path().starts_with("/v1/data_file") => r#"{"line":0,"error":"no such user"}"#,
            (_, false) => r#"{"status":"ok","total":1,"data":[{"id":"5","status":"RUNNING"}]}"#,
            (_, true) => {
                r#"{"status":"ok","total":1,"data":[{"id":"5","status":"SUCCEEDED","result":{"total_success":1,
                   "total_failure":1,"error_file_uri":"mics://errors"}}]}"#
            }
        };
        Does::Answer(200, said.to_owned())
    }
}

async fn waiting(arguments: &[&str]) -> (Bed, Value) {
    let over = Arc::new(AtomicBool::new(false));
    let bed = Bed::new(SEGMENT, 1, mediarithmics(Arc::clone(&over))).await;
    bed.write(FIRST);
    let (code, first) = bed.go(&[&["run", "job.yaml", "--set", "wait=1s"], arguments].concat()).await;
    assert_eq!((code, &first["records"]["rejected"]), (22, &1.into()), "{first}");
    over.store(true, Ordering::Relaxed);
    bed.write(SECOND);
    (bed, first)
}

impl Bed {
    fn write(&self, list: &str) {
        std::fs::write(self.dir.path().join("list.csv"), list).unwrap();
    }

    async fn rejects(&self, run: &Value) -> String {
        let command = crate::kill::listferry(self.dir.path(), &self.vendor.base, &["rejects", run.as_str().unwrap()]);
        crate::kill::ends(command).await.1
    }
}

/// The first row as the user wrote it, and the second as the platform named it.
fn has_both(rejects: &str) -> bool {
    let rows: Vec<&str> = rejects.lines().skip(1).collect();
    let local = |row: &&str| row.starts_with(",first list,local,");
    let named = |row: &&str| row.contains(",platform,") && row.contains("output record 1: no such user");
    rows.len() == 2
        && rows.iter().filter(|row| local(row)).count() == 1
        && rows.iter().filter(|row| named(row)).count() == 1
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_verdict_with_rows_is_reported_under_its_key_whatever_the_source() {
    for gone in [false, true] {
        let (bed, first) = waiting(&["--once", "today"]).await;
        if gone {
            std::fs::remove_file(bed.dir.path().join("list.csv")).unwrap();
        }
        let before = bed.vendor.seen.lock().unwrap().iter().filter(|seen| seen.line.starts_with("POST")).count();
        let (code, report) = bed.go(&["run", "job.yaml", "--once", "today"]).await;
        assert_eq!((code, &report["continued"]), (11, &true.into()), "gone: {gone}: {report}");
        assert_eq!((&report["run_id"], &report["open"]), (&first["run_id"], &false.into()), "{report}");
        assert_eq!((&report["records"]["written"], &report["records"]["failed"]), (&2.into(), &1.into()), "{report}");
        let rejects = bed.rejects(&first["run_id"]).await;
        assert!(has_both(&rejects), "{rejects}");
        let after = bed.vendor.seen.lock().unwrap().iter().filter(|seen| seen.line.starts_with("POST")).count();
        assert_eq!(before, after, "nothing was sent again");
        // the report of the key from now on
        let (code, again) = bed.go(&["run", "job.yaml", "--once", "today"]).await;
        assert_eq!((code, &again["run_id"]), (11, &first["run_id"]), "{again}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_of_the_platform_do_not_replace_those_that_were_rejected_before() {
    let (bed, first) = waiting(&[]).await;
    let (_, report) = bed.go(&["run", "job.yaml"]).await;
    assert_ne!(report["run_id"], first["run_id"], "{report}");
    let rejects = bed.rejects(&first["run_id"]).await;
    assert!(has_both(&rejects), "{rejects}");
    assert!(bed.rejects(&report["run_id"]).await.contains(",second list,local,"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_that_is_resumed_with_another_source_keeps_its_reject_file() {
    let fails = |nth| (nth == 1).then(|| Does::Answer(503, String::new()));
    let job = format!("{PROFILES}rejects: {{ max: 9, file: bad.csv }}\n");
    let bed = Bed::new(&job, 1, profiles(fails)).await;
    let rows = |from: usize| (from..from + 600).map(|n| format!("user-{n:06},x\n")).collect::<String>();
    bed.write(&format!("id,name\n,first list\n{}", rows(0)));
    let (code, first) = bed.go(&["run", "job.yaml"]).await;
    assert_eq!((code, &first["status"]), (20, &"partial".into()), "{first}");
    bed.write(&format!("id,name\n,second list\n{}", rows(7)));
    let (code, report) = bed.go(&["resume", "last"]).await;
    assert_eq!((code, &report["error"]["kind"]), (10, &"source_changed".into()), "{report}");
    let copy = || std::fs::read_to_string(bed.dir.path().join("bad.csv")).unwrap();
    for rejects in [bed.rejects(&first["run_id"]).await, copy()] {
        assert!(rejects.contains(",first list,") && !rejects.contains(",second list,"), "{rejects}");
    }
    bed.write(&format!("id,name\n,first list\n{}", rows(0)));
    let (code, report) = bed.go(&["resume", "last"]).await;
    assert_eq!(code, 0, "{report}");
    for rejects in [bed.rejects(&first["run_id"]).await, copy()] {
        assert!(rejects.contains(",first list,") && rejects.lines().count() == 2, "{rejects}");
    }
    let left = std::fs::read_dir(bed.dir.path().join("state/rejects")).unwrap();
    let left: Vec<_> = left.map(|entry| entry.unwrap().file_name()).collect();
    assert!(left.iter().all(|name| !name.to_string_lossy().contains("again")), "{left:?}");
}
