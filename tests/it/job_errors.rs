//! Faults of a job file: each with its place, all of them at once, no secret in any. `tests/it/job_errors.yaml` has
//! the wrong job files; `›` precedes each place that must be reported. `job_errors.txt` is what the user reads; rewrite
//! it with `UPDATE_JOB_ERRORS=1` and read the difference.

use listferry::job::Job;
use std::fmt::Write;
use std::path::Path;

const CASES: &str = include_str!("job_errors.yaml");
const MARK: char = '›';
/// Occurs only as the value of secrets.
const SECRET: &str = "hunter2";

/// Returns the text without marks, and line and character of each mark, from 1.
fn unmarked(text: &str) -> (String, Vec<(u64, u64)>) {
    let mut places = Vec::new();
    let lines = text.lines().enumerate().map(|(i, line)| {
        let mut plain = String::new();
        for c in line.chars() {
            match c {
                MARK => places.push((i as u64 + 1, plain.chars().count() as u64 + 1)),
                c => plain.push(c),
            }
        }
        plain
    });
    let text = lines.collect::<Vec<_>>().join("\n");
    (text, places)
}

/// Returns what `check` says, and the places it names.
fn errors(text: &str, folder: &Path) -> (String, Vec<(u64, u64)>) {
    let file = folder.join("job.yaml");
    std::fs::write(&file, text).expect("written");
    let error = match Job::open(&file) {
        Ok(job) => job.check(&crate::job_file::env_in(folder)).into_result().expect_err(text),
        Err(error) => error,
    };
    let (mut said, mut places) = (String::new(), Vec::new());
    for error in error.all() {
        let shown = error.to_string().replace(&format!("{}/", folder.display()), "");
        let _ = writeln!(said, "error: {shown}");
        for line in error.excerpt().unwrap_or_default().lines() {
            let _ = writeln!(said, "  {line}");
        }
        if let Some(hint) = error.hint() {
            let _ = writeln!(said, "  hint: {hint}");
        }
        places.extend(error.place().line.zip(error.place().character));
    }
    (said, places)
}

const CLEVERTAP: &str = "map: { identity: customer_id }\ndestination: { platform: clevertap, region: in1, account_id: { env: A }, \
                         passcode: PASS, segment: s, creator: c, email: a@b.example }\n";
const YESMAIL: &str = "source: { path: people.csv }\nmap: { id: customer_id }\ndestination: { platform: yesmail, list: l, \
                       api_user: { env: A }, api_key: { env: A }, host: { put: { url: 'https://h.example/x', fetch_url: \
                       'https://h.example/x', headers: HEADERS } } }\n";

/// Only values of keys of the right type were hidden in the line that is shown.
#[test]
fn a_secret_in_a_wrong_place_is_not_shown() {
    let dir = tempfile::tempdir().expect("a folder");
    std::fs::write(dir.path().join("people.csv"), "customer_id\n1\n").expect("written");
    let with_source = |source: &str| format!("source: {source}\n{}", CLEVERTAP.replace("PASS", "{ env: P }"));
    let with_passcode = |pass: &str| format!("source: {{ path: people.csv }}\n{}", CLEVERTAP.replace("PASS", pass));
    let with_destination = |destination: &str| {
        format!("source: {{ path: people.csv }}\nmap: {{ identity: customer_id }}\ndestination: {destination}\n")
    };
    let url = "{ path: 'http://127.0.0.1:9/l.csv', ";
    let mut cases: Vec<String> = Vec::new();
    for headers in ["\"Bearer hunter2\"", "[\"Bearer hunter2\"]", "{ \"Bearer: hunter2\": }", "hunter2"] {
        cases.push(with_source(&format!("{url}http: {{ headers: {headers} }} }}")));
        cases.push(YESMAIL.replace("HEADERS", headers));
    }
    for section in
        ["http: \"u:hunter2\"", "http: hunter2", "store: \"AKIA:hunter2\"", "store: [ { secret_access_key: hunter2 } ]"]
    {
        cases.push(with_source(&format!("{url}{section} }}")));
    }
    cases.push(with_source("{ apsis: \"client_secret=hunter2\" }"));
    for path in
        ["http:/u:hunter2@127.0.0.1:9/l.csv", "//u:hunter2@127.0.0.1/l.csv", "http://u:hunter2/@127.0.0.1:9/l.csv"]
    {
        cases.push(with_source(&format!("{{ path: \"{path}\" }}")));
    }
    for pass in ["{hunter2}", "{ hunter2: x }", "[hunter2]", "{ env: A, hunter2: x }"] {
        cases.push(with_passcode(pass));
    }
    cases.push(with_destination("[ { platform: clevertap, passcode: hunter2 } ]"));
    cases.push(with_destination("\"clevertap passcode=hunter2\""));
    cases.push(with_passcode("{ env: P }, \"passcode: hunter2\": "));
    cases.push(with_passcode("{ env: P }, base_url: \"user:hunter2@proxy.example:8080\""));
    cases.push(format!("wiat: 5m # password is hunter2\n{}", with_passcode("{ env: P }")));
    for case in cases {
        let (said, _) = errors(&case, dir.path());
        assert!(!said.contains(SECRET) && !said.is_empty(), "{case}\n{said}");
    }
}

/// The caret was some cells away from a character of double width.
#[test]
fn the_caret_is_below_its_character_whatever_its_width() {
    let dir = tempfile::tempdir().expect("a folder");
    for (text, wide) in [("日本語", 6), ("e\u{301}e\u{301}", 2), ("abc", 3)] {
        let job = format!("source: {{ path: people.csv }}\nwhere: [ {{ equals: \"{text}\", eqals: 1 }} ]\n");
        let (said, _) = errors(&job, dir.path());
        let caret = said.lines().find_map(|line| line.trim_start().strip_prefix("| ")?.find('^')).expect("a caret");
        assert_eq!(caret, "where: [ { equals: \"\", ".len() + wide, "{said}");
    }
}

#[test]
fn wrong_job_files_are_explained_with_every_place() {
    let dir = tempfile::tempdir().expect("a folder");
    std::fs::write(dir.path().join("people.csv"), "customer_id,email,plan,plan\n1,a@example.com,vip,x\n")
        .expect("written");
    let (mut whole, mut wrong) = (String::new(), String::new());
    for case in CASES.split("---\n").skip(1) {
        let (text, want) = unmarked(case);
        let (said, places) = errors(&text, dir.path());
        if places != want {
            let _ = write!(wrong, "{text}\n{said}{places:?} instead of {want:?}\n\n");
        }
        assert!(!said.contains(SECRET), "{said}");
        let _ = writeln!(whole, "{said}---");
    }
    assert!(wrong.is_empty(), "{wrong}");
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/job_errors.txt");
    if std::env::var_os("UPDATE_JOB_ERRORS").is_some() {
        std::fs::write(&golden, &whole).expect("written");
    }
    let stored = std::fs::read_to_string(&golden).expect("job_errors.txt");
    for (said, stored) in whole.split("---\n").zip(stored.split("---\n")) {
        assert_eq!(said, stored);
    }
    assert_eq!(whole.len(), stored.len());
}
