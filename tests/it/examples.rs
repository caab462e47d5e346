//! `listferry test`: the examples that a job file carries.

use super::cli::{Bed, CLEVERTAP};
use super::job_file::{AUDIENCE, MEDIARITHMICS, PROFILES, YESMAIL, env_in};
use listferry::Kind;
use listferry::job::{ExampleResult, Job, REJECT_CODES};
use serde_json::Value;

/// Returns the results of the tests of a job; `further` is the job file without `destination`.
fn results(destination: &str, further: &str) -> Result<Vec<ExampleResult>, listferry::Error> {
    let dir = tempfile::tempdir().unwrap();
    let source = if further.contains("source:") { "" } else { "source: { path: gone.csv }\n" };
    let text = format!("{source}destination: {{ {destination} }}\n{further}\n");
    Job::read(&text, dir.path(), &[])?.test(&env_in(dir.path()))
}

/// Returns what became of the rows of the only test.
fn got(destination: &str, further: &str) -> Vec<String> {
    let results = results(destination, further).unwrap();
    assert_eq!(results.len(), 1, "{further}");
    results[0].got.clone()
}

#[test]
fn rows_become_what_a_run_would_send_on_every_platform() {
    let id = "map: { customer_id: { column: id, apply: trim } }\n";
    for rows in [
        "rows: [{ id: ' a' }, { id: 007 }, { id: 1.10 }, { id: true }, { id: 'q\"q, x' }]",
        "columns: [id], rows: [[' a'], [007], [1.10], [true], ['q\"q, x']]",
    ] {
        let want = [
            r#"{"customer_id":"a"}"#,
            r#"{"customer_id":"007"}"#,
            r#"{"customer_id":"1.10"}"#,
            r#"{"customer_id":"true"}"#,
            r#"{"customer_id":"q\"q, x"}"#,
        ];
        let out: String = want.iter().map(|line| format!("'{line}', ")).collect();
        let tests = format!("{id}tests: [{{ {rows}, out: [{out}] }}]");
        for source in ["path: gone.csv", "path: gone.ndjson", "path: gone.parquet", "path: gone, format: arrow"] {
            let all = results(AUDIENCE, &format!("source: {{ {source} }}\n{tests}")).unwrap();
            assert!(all[0].passed() && all[0].diff().lines().all(|line| line.starts_with("    ")), "{}", all[0].diff());
        }
    }
    let row = "rows: [{ id: 17, n: 5, mail: a@example.com }]";
    let changes = "map: { customer_id: id, changes: [{ op: increment, attr: a, column: n, type: integer }] }";
    assert_eq!(
        got(PROFILES, &format!("{changes}\ntests: [{{ {row}, out: [x] }}]")),
        [r#"{"customer_id":"17","changes":[{"op":"increment","attr":"a","value":5}]}"#]
    );
    let commands = "map: { operation: { value: UPDATE }, segment_id: { value: 4 }, user_account_id: id, \
                    expiration_duration: { column: n, type: integer } }";
    assert_eq!(
        got(MEDIARITHMICS, &format!("{commands}\ntests: [{{ {row}, out: [x] }}]")),
        [r#"{"operation":"UPDATE","user_account_id":"17","segment_id":"4","expiration_duration":5}"#]
    );
    let list = "map: { id: mail, number: n }";
    assert_eq!(got(YESMAIL, &format!("{list}\ntests: [{{ {row}, out: [x] }}]")), ["a@example.com,5"]);
    let auto = YESMAIL.replace("separator: ','", "separator: auto");
    assert_eq!(got(&auto, &format!("{list}\ntests: [{{ {row}, out: [x] }}]")), ["a@example.com\t5"]);
}

#[test]
fn lists_objects_and_missing_keys_are_those_of_the_format() {
    let nested = "source: { path: gone.ndjson }\nmap: { customer_id: /who/id, changes: [\
                  { op: set-add, attr: tags, column: tags }, { op: assign, attr: city, column: city, empty: delete }] }";
    let tests = "tests: [{ rows: [{ who: { id: 9 }, tags: [a, 1.10], city: '' }, { who: { id: 8 }, tags: [] , city: B }, \
                 { who: { id: 7 }, tags: null }], out: [x] }]";
    assert_eq!(
        got(PROFILES, &format!("{nested}\n{tests}")),
        [
            r#"{"customer_id":"9","changes":[{"op":"set-add","attr":"tags","value":["a","1.10"]},{"op":"delete","attr":"city"}]}"#,
            r#"{"customer_id":"8","changes":[{"op":"assign","attr":"city","value":"B"}]}"#,
            "filtered",
        ]
    );
    let flat = "map: { customer_id: id }\ntests: [{ rows: [{ id: x }, { id: [a] }], out: [x] }]";
    let error = results(AUDIENCE, flat).unwrap_err();
    assert_eq!((error.kind(), error.place().line), (Kind::Usage, Some(4)), "{error}");
    assert!(error.message().starts_with("tests[0].rows[1].id: a list or mapping"), "{error}");
}

#[test]
fn rejected_and_filtered_rows_are_expected_by_name() {
    let job = "map: { customer_id: { column: id, type: integer } }\nwhere: [{ column: active, equals: 'yes' }]\n";
    let tests = "tests:\n\
                 - { rows: [{ active: 'yes' }, { id: '', active: 'yes' }], rejected: empty }\n\
                 - { rows: [{ id: 12x, active: 'yes' }], rejected: not_an_integer }\n\
                 - { rows: [{ id: 1, active: 'no' }, { id: 2 }], filtered: true }\n\
                 - { rows: [{ id: 12x, active: 'yes' }], rejected: empty }\n\
                 - { rows: [{ id: 1, active: 'yes' }, { id: 2, active: 'no' }], out: ['{\"customer_id\":\"1\"}'] }\n";
    let results = results(AUDIENCE, &format!("{job}{tests}")).unwrap();
    let passed: Vec<bool> = results.iter().map(ExampleResult::passed).collect();
    assert_eq!(passed, [true, true, true, false, false]);
    let lines: Vec<_> = results.iter().map(|result| result.line).collect();
    assert_eq!(lines, [6, 7, 8, 9, 10].map(Some));
    let diff = results[3].diff();
    assert!(diff.starts_with("  - rejected: empty\n  + rejected: not_an_integer\n    row 1: "), "{diff}");
    assert_eq!(results[4].diff(), "    {\"customer_id\":\"1\"}\n  + filtered\n", "a row must not vanish");
}

#[test]
fn wrong_tests_are_found_with_their_place() {
    let job = "map: { customer_id: id }\n";
    for (test, said) in [
        ("tests: 5", "tests must be a list"),
        ("tests: [5]", "tests[0] must be a mapping"),
        ("tests: [{ out: [x] }]", "tests[0].rows must be a list of rows"),
        ("tests: [{ rows: [], out: [x] }]", "tests[0].rows is empty"),
        ("tests: [{ rows: [5], out: [x] }]", "tests[0].rows[0] must be a mapping"),
        ("tests: [{ rows: [[5]], out: [x] }]", "tests[0].rows[0] must be a mapping"),
        ("tests: [{ columns: [id], rows: [{ id: 5 }], out: [x] }]", "tests[0].rows[0] must be a list"),
        ("tests: [{ columns: [id, x], rows: [[5]], out: [x] }]", "tests[0].rows[0] has 1 values for 2 columns"),
        ("tests: [{ columns: [id, id], rows: [[5, 6]], out: [x] }]", "tests[0].columns has \"id\" twice"),
        ("tests: [{ rows: [{ id: 5 }] }]", "tests[0]: exactly one of out, rejected and filtered"),
        ("tests: [{ rows: [{ id: 5 }], out: [x], filtered: true }]", "tests[0]: exactly one of out, rejected"),
        ("tests: [{ rows: [{ id: 5 }], out: x }]", "tests[0].out must be a list of lines"),
        ("tests: [{ rows: [{ id: 5 }], filtered: false }]", "tests[0].filtered can only be true"),
        ("tests: [{ rows: [{ id: 5 }], rejected: emtpy }]", "tests[0].rejected: there is no code \"emtpy\""),
        ("tests: [{ rows: [{ id: 5 }], outs: [x] }]", "unknown key \"tests[0].outs\""),
    ] {
        let error = results(AUDIENCE, &format!("{job}{test}")).unwrap_err();
        assert!(error.kind() == Kind::Usage && error.message().starts_with(said), "{said}: {error}");
        assert_eq!((error.place().line, error.excerpt().is_some()), (Some(4), true), "{test}");
        assert!(error.hint().is_some(), "{test}");
    }
    let error =
        results(AUDIENCE, "map: { customer_id: id }\ntests: [{ rows: [{ id: 5 }], rejected: emtpy }]").unwrap_err();
    assert_eq!(error.hint(), Some("did you mean \"empty\"?"));
    // the tests are examples, not settings
    let text = "map: { customer_id: id }\ntests: [{ rows: [{ id: '${x}' }], out: ['{\"customer_id\":\"${x}\"}'] }]";
    assert!(results(AUDIENCE, text).unwrap()[0].passed());
}

#[test]
fn the_command_prints_a_diff_and_ends_with_10() {
    let tests = "tests:\n  - { rows: [{ id: 1 }], out: ['i,1'] }\n  - { rows: [{ id: 2 }], out: ['i,3'] }\n";
    let bed = Bed::new(&format!("{CLEVERTAP}{tests}"), "");
    // neither source nor secrets nor a state directory
    std::fs::remove_file(bed.path("list.csv")).unwrap();
    std::fs::write(bed.path("state"), "").unwrap();
    let output = bed.run(&["test", "job.yaml"]);
    assert_eq!(output.status.code(), Some(10));
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(text, "job.yaml:13: tests[1] failed\n  - i,3\n  + i,2\njob.yaml: 1 of 2 tests failed\n");
    let errors = String::from_utf8(output.stderr).unwrap();
    assert!(errors.starts_with("error: 1 of 2 tests failed\n"), "{errors}");
    let output = bed.run(&["test", "job.yaml", "--output", "json"]);
    let object: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        (output.status.code(), object["exit_code"].as_u64(), object["status"].as_str()),
        (Some(10), Some(10), Some("rejected"))
    );
    let second = &object["jobs"][0]["tests"][1];
    assert_eq!(
        (second["passed"].as_bool(), &second["expected"][0], &second["got"][0]),
        (Some(false), &"i,3".into(), &"i,2".into())
    );

    // without arguments: the job files of the directory that have tests
    std::fs::write(bed.path("good.yml"), format!("{CLEVERTAP}{}", tests.replace("i,3", "i,2"))).unwrap();
    std::fs::write(bed.path("plain.yaml"), CLEVERTAP).unwrap();
    std::fs::write(bed.path("other.yaml"), "tests: [1]\nservices: {}\n").unwrap();
    let text = String::from_utf8(bed.run(&["test"]).stdout).unwrap();
    assert!(text.starts_with("good.yml: 2 tests passed\njob.yaml:13: "), "{text}");
    let output = bed.run(&["test", "good.yml", "plain.yaml"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!((output.status.code(), &*text), (Some(0), "good.yml: 2 tests passed\nplain.yaml: no tests\n"));
    let empty = Bed::new(CLEVERTAP, "");
    assert_eq!(empty.run(&["test"]).status.code(), Some(2));
    // tests do not make another run of a job
    let set = bed.run(&["test", "good.yml", "--set", "map.identity={ value: x }"]);
    assert_eq!(set.status.code(), Some(10));
}

#[test]
fn every_code_can_be_expected() {
    assert!(REJECT_CODES.is_sorted() && REJECT_CODES.len() > 30);
    for code in REJECT_CODES {
        let text = format!("map: {{ customer_id: id }}\ntests: [{{ rows: [{{ id: 5 }}], rejected: {code} }}]");
        assert_eq!(results(AUDIENCE, &text).unwrap()[0].expected, [format!("rejected: {code}")]);
    }
}

#[test]
fn the_example_of_the_documents_passes() {
    let page = std::fs::read_to_string(std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/TESTS.md")).unwrap();
    let job = page.split("```yaml\n").nth(1).unwrap().split("```").next().unwrap();
    let bed = Bed::new(job, "");
    let output = bed.run(&["test", "job.yaml"]);
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "job.yaml: 3 tests passed\n");
    // a run of the job finds the same
    std::fs::write(bed.path("customers.csv"), "customer_id,consent\n 17,yes\n18,no\n19,\n").unwrap();
    let output = bed.run(&["convert", "job.yaml"]);
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "Type,Identity\ni,17\n");
}

#[cfg(unix)]
#[test]
fn a_secret_comes_from_a_command_and_is_shown_nowhere() {
    let served = super::cli_runs::Served::new(&[]);
    let job = CLEVERTAP
        .replace("{ env: CT_ACCOUNT }", "{ command: [printf, hunter2] }")
        .replace("{ env: CT_PASSCODE }", "{ command: [./secret.sh, pass, 7] }");
    let bed = Bed::new(&format!("{job}  base_url: {}\nupload: {{ attempts: 1 }}\n", served.url()), "id\n1\n");
    let script = |text: &str| {
        std::fs::write(bed.path("secret.sh"), format!("#!/bin/sh\necho x >> runs\n{text}\n")).unwrap();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o700);
        std::fs::set_permissions(bed.path("secret.sh"), mode).unwrap();
    };
    script("echo \"$1$2\"");
    let (code, report) = bed.json(&["check", "job.yaml"]);
    assert_eq!((code, bed.path("runs").exists()), (0, false), "a check needs no secrets: {report}");
    let (code, report) = bed.json(&["run", "job.yaml"]);
    assert_eq!((code, report["status"].as_str()), (0, Some("done")), "{report}");
    assert_eq!(std::fs::read_to_string(bed.path("runs")).unwrap(), "x\n", "it runs once");
    script("echo hunter3; echo hunter3 >&2; exit 4");
    let output = bed.run(&["run", "job.yaml"]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("destination.passcode: the command ./secret.sh failed: exit code 4"), "{said}");
    assert!(!said.contains("hunter") && !String::from_utf8_lossy(&output.stdout).contains("hunter"), "{said}");
}
