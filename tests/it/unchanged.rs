//! `if_unchanged: skip`, and `expect.max_age`.

use super::cli::{Bed, CLEVERTAP};
use super::cli_runs::{Served, run};
use serde_json::Value;
use std::time::{Duration, SystemTime};

const SKIP: &str = "if_unchanged: skip\n";

fn bed(served: &Served, more: &str) -> Bed {
    let job = CLEVERTAP.replace("segment: VIP", "segment: VIP\n  replace: true");
    Bed::new(&format!("{job}  base_url: {}\nupload: {{ attempts: 1 }}\n{more}", served.url()), "id,x\n1,a\n2,b\n")
}

fn puts(served: &Served) -> usize {
    served.received().iter().filter(|entry| entry["method"] == "PUT").count()
}

fn is_unchanged(report: &Value) -> bool {
    assert_eq!((report["exit_code"].as_u64(), report["status"].as_str()), (Some(0), Some("done")), "{report}");
    report["unchanged"].as_bool().unwrap()
}

#[test]
fn a_list_that_was_sent_is_not_sent_again() {
    let served = Served::new(&[]);
    let bed = bed(&served, SKIP);
    assert!(!is_unchanged(&run(&bed, &["run", "job.yaml"]).1), "the first is sent");
    // the same bytes in a new file, and once more after a run that was skipped
    for _ in 0..2 {
        std::fs::write(bed.path("list.csv"), "id,x\n1,c\n2,d\n").unwrap();
        let (_, report) = run(&bed, &["run", "job.yaml"]);
        assert!(is_unchanged(&report) && !report["open"].as_bool().unwrap(), "{report}");
        assert_eq!((&report["records"]["written"], puts(&served)), (&2.into(), 1));
        assert_eq!(run(&bed, &["runs", "last"]).1["unchanged"], true);
    }
    let text = bed.command(&["run", "job.yaml"]).env("CT_ACCOUNT", "acc").env("CT_PASSCODE", "pass").output().unwrap();
    let said = String::from_utf8(text.stderr).unwrap();
    assert!(said.contains("the list is the one that run "), "{said}");
    let before = served.received().len();
    // other rows, another target, another map: sent
    std::fs::write(bed.path("list.csv"), "id,x\n1,a\n3,b\n").unwrap();
    assert!(!is_unchanged(&run(&bed, &["run", "job.yaml"]).1));
    assert!(is_unchanged(&run(&bed, &["run", "job.yaml"]).1));
    assert!(!is_unchanged(&run(&bed, &["run", "job.yaml", "--set", "destination.segment=Other"]).1));
    assert!(!is_unchanged(&run(&bed, &["run", "job.yaml", "--set", "destination.creator=me"]).1));
    assert!(served.received().len() > before);
    assert_eq!(puts(&served), 4);
}

#[test]
fn by_default_a_list_is_sent_each_time() {
    let served = Served::new(&[]);
    let bed = bed(&served, "");
    for n in 1..3 {
        assert!(!is_unchanged(&run(&bed, &["run", "job.yaml"]).1));
        assert_eq!(puts(&served), n);
    }
}

#[test]
fn a_later_run_that_had_an_effect_makes_the_list_be_sent() {
    let served = Served::new(&[]);
    let bed = bed(&served, SKIP);
    assert!(!is_unchanged(&run(&bed, &["run", "job.yaml"]).1));
    // another list under the same name
    std::fs::write(bed.path("other.csv"), "id,x\n9,a\n").unwrap();
    assert!(!is_unchanged(&run(&bed, &["run", "job.yaml", "--set", "source.path=other.csv"]).1));
    assert!(!is_unchanged(&run(&bed, &["run", "job.yaml"]).1), "the segment has the other list");
    // another job with the same target
    let job = std::fs::read_to_string(bed.path("job.yaml")).unwrap();
    std::fs::write(bed.path("second.yaml"), job.replace("list.csv", "other.csv")).unwrap();
    assert!(is_unchanged(&run(&bed, &["run", "job.yaml"]).1));
    assert!(!is_unchanged(&run(&bed, &["run", "second.yaml"]).1));
    assert!(!is_unchanged(&run(&bed, &["run", "job.yaml"]).1), "the segment has the list of the second job");
    // a run that sent nothing has no effect
    std::fs::write(bed.path("empty.csv"), "id,x\n").unwrap();
    assert_eq!(run(&bed, &["run", "job.yaml", "--set", "source.path=empty.csv"]).0, 10);
    assert!(is_unchanged(&run(&bed, &["run", "job.yaml"]).1));
    // the day in a name is part of the target
    let dated = ["run", "job.yaml", "--set", "destination.segment=VIP {date}"];
    assert!(!is_unchanged(&run(&bed, &dated).1));
    assert!(is_unchanged(&run(&bed, &dated).1));
}

#[test]
fn a_run_that_is_not_done_counts_as_no_list() {
    let served = Served::new(&["completed-503"]);
    let bed = bed(&served, SKIP);
    assert_eq!(run(&bed, &["run", "job.yaml"]).0, 20);
    let (_, report) = run(&bed, &["run", "job.yaml"]);
    assert!(!is_unchanged(&report) && report["continued"].as_bool().unwrap(), "{report}");
    assert!(is_unchanged(&run(&bed, &["run", "job.yaml"]).1));
}

#[test]
fn a_file_older_than_max_age_is_refused() {
    let served = Served::new(&[]);
    let bed = bed(&served, "");
    let aged = |seconds: u64| {
        let file = std::fs::File::options().write(true).open(bed.path("list.csv")).unwrap();
        file.set_modified(SystemTime::now() - Duration::from_secs(seconds)).unwrap();
    };
    let day = ["--set", "source.expect.max_age=24h"];
    let check = |command: &str, more: &[&str]| {
        let (code, report) = bed.json(&[&[command, "job.yaml"], more].concat());
        (code, report["error"]["message"].as_str().unwrap_or_default().to_owned())
    };
    aged(3600);
    assert_eq!(check("check", &day).0, 0);
    aged(90_000);
    let (code, said) = check("check", &day);
    assert!(code == 10 && said.contains("list.csv was changed 9000") && said.ends_with("max_age is 86400 s"), "{said}");
    let out = bed.path("out.csv");
    assert_eq!(check("convert", &[&day[..], &["-o", out.to_str().unwrap()]].concat()).0, 10);
    let (code, report) = run(&bed, &["run", "job.yaml", day[0], day[1]]);
    assert_eq!((code, served.received().len()), (10, 0), "{report}");
    // of several files the oldest counts
    std::fs::write(bed.path("list2.csv"), "id,x\n1,a\n").unwrap();
    let several = [day[0], day[1], "--set", "source.path=list*.csv"];
    assert_eq!(check("check", &several).0, 10);
    aged(10);
    assert_eq!(check("check", &several).0, 0);
    // a stream has no age
    let output = bed.command(&["check", "job.yaml", day[0], day[1], "--set", "source.path=-"]);
    let mut output = output;
    let output = output.stdin(std::process::Stdio::null()).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{}", String::from_utf8_lossy(&output.stderr));
}
