//! Kills the process at each point of each request and runs the same job again: the ledger is that of an unbroken run,
//! or the run reports that it does not know (21) and does nothing.

use crate::scripted::{self, Does, Point, Seen, Vendor, clevertap, fits};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};

type Script = Box<dyn Fn(&Seen, usize, &str) -> Does + Send + Sync>;

/// A job, its vendor, and the call that must never be made twice.
struct Case {
    name: &'static str,
    destination: &'static str,
    map: &'static str,
    vendor: fn() -> Script,
    /// The call with the body: its path, or method and path.
    body: &'static str,
    /// The call that must never be made twice.
    creates: &'static str,
}

const CASES: &[Case] = &[
    Case {
        name: "clevertap",
        destination: "platform: clevertap, base_url: BASE, account_id: { env: KEY }, passcode: { env: KEY }, segment: VIP, \
                      creator: Jane, email: jane@example.com",
        map: "identity: id",
        vendor: || Box::new(clevertap::answer),
        body: clevertap::PUT,
        creates: clevertap::COMPLETED,
    },
    Case {
        name: "yesmail",
        destination: "platform: yesmail, base_url: BASE, list: members, api_user: { env: KEY }, api_key: { env: KEY }, \
                      host: { put: { url: { env: PUT_URL }, fetch_url: BASE/store/list.csv } }",
        map: "id: id, name: name",
        vendor: || Box::new(yesmail),
        body: "/store/",
        creates: "POST /v2/target-lists",
    },
    Case {
        name: "localytics-profiles",
        destination: "platform: localytics-profiles, base_url: BASE, org_id: 60, api_key: { env: KEY }, \
                      api_secret: { env: KEY }",
        map: "customer_id: id, changes: [{ op: increment, attr: visits, value: 1 }]",
        vendor: || Box::new(scripted::localytics()),
        body: "/v1/imports/profiles/upload",
        creates: "/v1/imports/profiles/upload",
    },
    Case {
        name: "localytics-audience",
        destination: "platform: localytics-audience, base_url: BASE, app_id: a, audience_name: n, api_key: { env: KEY }, \
                      api_secret: { env: KEY }",
        map: "customer_id: id",
        vendor: || Box::new(scripted::localytics()),
        body: "POST /v1/imports/audiences/list/",
        creates: "POST /v1/imports/audiences/list/",
    },
    Case {
        name: "mediarithmics",
        destination: "platform: mediarithmics, base_url: BASE, datamart_id: 1234, token: { env: KEY }, import_name: n",
        map: "operation: { value: UPDATE }, user_account_id: id, segment_id: { value: 42 }, \
              expiration_duration: { value: 0 }",
        vendor: || Box::new(scripted::mediarithmics()),
        body: "POST /v1/datamarts/1234/document_imports/77/executions",
        creates: "POST /v1/datamarts/1234/document_imports/77/executions",
    },
];

fn yesmail(seen: &Seen, _: usize, _: &str) -> Does {
    if seen.line.starts_with("PUT") {
        return Does::Answer(200, String::new());
    }
    if seen.line.starts_with("POST") {
        let ticket = r#"{"id": "t-1", "state": "retrying"}"#;
        return Does::Answer(202, ticket.to_owned());
    }
    Does::Answer(200, r#"{"id": "t-1", "state": "completed"}"#.to_owned())
}

pub(crate) const ROWS: usize = 40_000;

/// The list is large enough that half of the body is a moment of its own.
fn write_job(dir: &Path, case: &Case, base: &str) {
    let mut list = String::from("id,name\n");
    for row in 0..ROWS {
        list.push_str(&format!("user-{row:08},Name of number {row}\n"));
    }
    std::fs::write(dir.join("list.csv"), list).unwrap();
    let destination = case.destination.replace("BASE", &format!("\"{base}\"")).replace("\"/store", "/store");
    let job = format!("source: {{ path: list.csv }}\nmap: {{ {} }}\ndestination: {{ {destination} }}\n", case.map);
    let job = job.replace(&format!("\"{base}/store/list.csv"), &format!("\"{base}/store/list.csv\""));
    std::fs::write(dir.join("job.yaml"), job).unwrap();
}

pub(crate) fn listferry(dir: &Path, base: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_listferry"));
    command.args(arguments).current_dir(dir).env_clear();
    command.env("LISTFERRY_STATE_DIR", dir.join("state")).env("KEY", "se-cret-key").env("LISTFERRY_OUTPUT", "json");
    command.env("PUT_URL", format!("{base}/store/list.csv?X-Amz-Signature=se-cret-5167ec2e7"));
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Runs a command to its end; returns the exit code and both outputs.
pub(crate) async fn ends(mut command: Command) -> (i32, String) {
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text).into_owned();
    crate::report_schema::validate_lines(&text);
    (output.status.code().unwrap_or(-1), text)
}

/// Returns the request lines of an unbroken run.
async fn unbroken(case: &Case) -> Vec<String> {
    let dir = tempfile::tempdir().unwrap();
    let vendor = Vendor::start((case.vendor)(), Arc::new(|_, _| true)).await;
    write_job(dir.path(), case, &vendor.base);
    let (code, output) = ends(listferry(dir.path(), &vendor.base, &["run", "job.yaml"])).await;
    assert_eq!(code, 0, "{}: {output}", case.name);
    assert_eq!((vendor.of(case.body).len(), vendor.of(case.creates).len()), (1, 1), "{}", case.name);
    vendor.seen.lock().unwrap().iter().map(|seen| seen.line.clone()).collect()
}

/// Kills the run when request `at` has reached `point`, runs the job again, and checks the ledger.
async fn killed(case: &Case, lines: &[String], at: usize, point: Point) {
    let line = lines[at].as_str();
    let here = format!("{}, request {at}, {point:?}", case.name);
    let dir = tempfile::tempdir().unwrap();
    let child: Arc<Mutex<Option<std::process::Child>>> = Arc::default();
    let victim = Arc::clone(&child);
    let watch = move |index, now| {
        if (index, now) == (at, point) {
            // the child exists, since it has sent this request
            if let Some(mut child) = victim.lock().unwrap().take() {
                child.kill().unwrap();
                child.wait().unwrap();
                return false;
            }
        }
        true
    };
    let vendor = Vendor::start((case.vendor)(), Arc::new(watch)).await;
    write_job(dir.path(), case, &vendor.base);
    {
        let mut slot = child.lock().unwrap();
        *slot = Some(listferry(dir.path(), &vendor.base, &["run", "job.yaml"]).spawn().unwrap());
    }
    for _ in 0..600 {
        let over = child.lock().unwrap().as_mut().is_none_or(|child| child.try_wait().unwrap().is_some());
        if over {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    let survived = child.lock().unwrap().take();
    if let Some(mut child) = survived {
        // this run has no such moment: a body in one piece has no half
        let _ = child.kill();
        assert!(child.wait().unwrap().success() && point == Point::Half, "{here}: never came to that point");
        return;
    }
    if point == Point::Answered {
        // requests sent before the kill are still to arrive
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    let before = vendor.seen.lock().unwrap().len();
    let created = vendor.of(case.creates).len();
    // after its last answer the run may have ended for good, and `run` then rightly starts a new one
    let last = point == Point::Answered && at + 1 == lines.len();
    let command: &[&str] = if last { &["resume", "last"] } else { &["run", "job.yaml"] };
    let (code, output) = ends(listferry(dir.path(), &vendor.base, command)).await;
    match code {
        0 => assert_eq!(vendor.of(case.creates).len(), 1, "{here}: {output}"),
        21 => {
            let sent = |vendor: &Vendor| {
                let seen = vendor.seen.lock().unwrap();
                seen[before..].iter().filter(|seen| !seen.line.starts_with("GET")).count()
            };
            assert_eq!(sent(&vendor), 0, "{here}: in doubt it only asks: {output}");
            // after this answer the run may have started the next call
            let next = lines.get(at + 1).filter(|_| point == Point::Answered);
            let doubtful = fits(line, case.creates) || next.is_some_and(|next| fits(next, case.creates));
            assert!(doubtful, "{here}: doubt about a call that can be repeated: {output}");
            let (again, output) = ends(listferry(dir.path(), &vendor.base, &["resume", "last"])).await;
            assert_eq!((again, sent(&vendor)), (21, 0), "{here}: {output}");
            let assume = ["resume", "last", "--assume", "done"];
            let (again, output) = ends(listferry(dir.path(), &vendor.base, &assume)).await;
            assert_eq!(vendor.of(case.creates).len(), created, "{here}: {output}");
            assert!(matches!(again, 0 | 11 | 22), "{here}: {again} {output}");
        }
        other => panic!("{here}: {other} {output}"),
    }
    let bodies = vendor.of(case.body);
    let whole = bodies.iter().all(|seen| seen.body == bodies[0].body);
    // in doubt about the call with the body itself, which may never have arrived completely
    let least = usize::from(!(code == 21 && fits(line, case.body)));
    assert!(whole && (least..=2).contains(&bodies.len()), "{here}: {} bodies", bodies.len());
    let unknown = fits(line, case.body);
    assert!(bodies.len() == 1 || unknown, "{here}: sent again after it had been confirmed");
    for secret in ["se-cret", "X-Amz-Signature"] {
        assert!(!output.contains(secret), "{here}: {output}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_killed_anywhere_repeats_no_creation() {
    for case in CASES {
        let lines = unbroken(case).await;
        assert!(lines.len() >= 2, "{}", case.name);
        for at in 0..lines.len() {
            for point in [Point::Head, Point::Half, Point::Whole, Point::Answered] {
                killed(case, &lines, at, point).await;
            }
        }
    }
}

/// Once a platform has accepted everything, its verdict needs no source, so an overwritten source must not end the run
/// without it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_killed_while_it_waits_for_the_verdict_gets_it_without_the_source() {
    for case in CASES.iter().filter(|case| case.name != "clevertap") {
        let at = unbroken(case).await.len() - 1;
        for gone in [false, true] {
            let dir = tempfile::tempdir().unwrap();
            let child: Arc<Mutex<Option<std::process::Child>>> = Arc::default();
            let victim = Arc::clone(&child);
            let watch = move |index, point| {
                if (index, point) != (at, Point::Whole) {
                    return true;
                }
                let mut child = victim.lock().unwrap().take().unwrap();
                child.kill().unwrap();
                child.wait().unwrap();
                false
            };
            let vendor = Vendor::start((case.vendor)(), Arc::new(watch)).await;
            write_job(dir.path(), case, &vendor.base);
            *child.lock().unwrap() = Some(listferry(dir.path(), &vendor.base, &["run", "job.yaml"]).spawn().unwrap());
            for _ in 0..600 {
                if child.lock().unwrap().is_none() {
                    break;
                }
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            }
            let (_, listed) = ends(listferry(dir.path(), &vendor.base, &["runs", "last"])).await;
            let listed: serde_json::Value = serde_json::from_str(&listed).unwrap();
            let known = |at| listed.pointer(at).or(listed.pointer(&format!("/0{at}"))).unwrap_or(&listed);
            assert_eq!(known("/records/written"), ROWS, "{}: {listed}", case.name);
            assert_eq!((known("/parts/0/records"), known("/parts/0/attempts")), (&ROWS.into(), &1.into()), "{listed}");
            let list = dir.path().join("list.csv");
            match gone {
                true => std::fs::remove_file(&list).unwrap(),
                false => std::fs::write(&list, "id,name\nanother,list\n").unwrap(),
            }
            let (code, output) = ends(listferry(dir.path(), &vendor.base, &["resume", "last", "-q"])).await;
            assert_eq!(code, 0, "{}: {output}", case.name);
            let report: serde_json::Value = serde_json::from_str(output.lines().next().unwrap()).unwrap();
            assert_eq!(report["records"]["written"], ROWS, "{}: {report}", case.name);
            assert_eq!(report["parts"][0]["records"], ROWS, "{}: {report}", case.name);
            assert_eq!((vendor.of(case.body).len(), vendor.of(case.creates).len()), (1, 1), "{}", case.name);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_process_of_the_same_job_ends_with_3() {
    let case = &CASES[0];
    let dir = Arc::new(tempfile::tempdir().unwrap());
    let second: Arc<Mutex<Option<(i32, String)>>> = Arc::default();
    let (inside, result) = (Arc::clone(&dir), Arc::clone(&second));
    let watch = move |index, point| {
        if (index, point) == (1, Point::Whole) {
            // the first process is waiting for this answer
            let output = listferry(inside.path(), "http://127.0.0.1:1", &["run", "job.yaml"]).output().unwrap();
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            *result.lock().unwrap() = Some((output.status.code().unwrap_or(-1), text));
        }
        true
    };
    let vendor = Vendor::start((case.vendor)(), Arc::new(watch)).await;
    write_job(dir.path(), case, &vendor.base);
    let (code, output) = ends(listferry(dir.path(), &vendor.base, &["run", "job.yaml"])).await;
    assert_eq!(code, 0, "{output}");
    let (code, output) = second.lock().unwrap().take().unwrap();
    assert!(code == 3 && output.contains("running already"), "{code} {output}");
    assert_eq!(vendor.seen.lock().unwrap().len(), 3, "the second process sent nothing");
}
