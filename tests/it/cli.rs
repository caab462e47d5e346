//! The binary as a user sees it: exit codes, messages, reports, overrides.

use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// A folder with a job file and its list, and the binary with a clean environment.
pub(crate) struct Bed {
    dir: tempfile::TempDir,
}

pub(crate) const CLEVERTAP: &str = "\
source: { path: list.csv }
map: { identity: id }
destination:
  platform: clevertap
  region: in1
  account_id: { env: CT_ACCOUNT }
  passcode: { env: CT_PASSCODE }
  segment: VIP
  creator: etl
  email: admin@example.com
";

impl Bed {
    pub(crate) fn new(job: &str, list: impl AsRef<[u8]>) -> Bed {
        let bed = Bed { dir: tempfile::tempdir().unwrap() };
        std::fs::write(bed.path("job.yaml"), job).unwrap();
        std::fs::write(bed.path("list.csv"), list).unwrap();
        bed
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_listferry"));
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("LISTFERRY_") || name.starts_with("CT_"))
        {
            command.env_remove(name);
        }
        command.current_dir(self.dir.path()).env("LISTFERRY_STATE_DIR", self.path("state")).args(arguments);
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// Runs with `--output json`; returns the exit code and the object.
    pub(crate) fn json(&self, arguments: &[&str]) -> (i32, Value) {
        let mut arguments = arguments.to_vec();
        arguments.extend(["--output", "json"]);
        let output = self.run(&arguments);
        let text = String::from_utf8(output.stdout).unwrap();
        let object: Value = serde_json::from_str(&text).unwrap_or_else(|error| {
            panic!("{error}: {text:?}, stderr {}", String::from_utf8_lossy(&output.stderr));
        });
        crate::report_schema::validate(&object);
        (output.status.code().unwrap(), object)
    }

    /// Returns the exit code and the converted list.
    pub(crate) fn convert(&self, more: &[&str]) -> (i32, Vec<u8>) {
        let mut arguments = vec!["convert", "job.yaml", "-q"];
        arguments.extend(more);
        let output = self.run(&arguments);
        (output.status.code().unwrap(), output.stdout)
    }
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn message(object: &Value) -> String {
    format!(
        "{} / {}",
        object["error"]["message"].as_str().unwrap_or(""),
        object["error"]["hint"].as_str().unwrap_or("")
    )
}

const LIST: &str = "id,email,name\n1,a@example.com,Ann\n2,B@Example.com,Bo\n3,c@example.com,\"Cy, Dee\"\n";

#[test]
fn a_check_reports_with_the_keys_of_the_contract() {
    let bed = Bed::new(CLEVERTAP, LIST);
    let (code, report) = bed.json(&["check", "job.yaml"]);
    assert_eq!(code, 0, "{report}");
    let keys: Vec<_> = report.as_object().unwrap().keys().map(String::as_str).collect();
    let contract = "run_id command platform status exit_code job job_file started_at ended_at version sandbox continued unchanged open records reject_reasons bytes digest parts platform_result \
                    rejects_file error errors warnings seconds peak_rss_bytes";
    assert_eq!(keys, contract.split_whitespace().collect::<Vec<_>>());
    assert_eq!(report["command"], "check");
    assert_eq!(report["platform"], "clevertap");
    assert_eq!(report["status"], "done");
    assert_eq!(
        report["records"],
        serde_json::json!({"read": 3, "written": 3, "filtered": 0, "rejected": 0, "failed": null, "ignored": null, "unaccounted": null})
    );
    assert_eq!(report["bytes"]["source"], LIST.len());
    assert_eq!(report["bytes"]["body"], "Type,Identity\ni,1\ni,2\ni,3\n".len());
    assert!(report["digest"].as_str().unwrap().starts_with("crc64nvme:"));
    assert_eq!(bed.json(&["run", "--dry-run", "job.yaml"]).1["command"], "check");
}

#[test]
fn convert_writes_data_to_stdout_and_the_report_to_stderr() {
    let bed = Bed::new(CLEVERTAP, LIST);
    let output = bed.run(&["convert", "job.yaml"]);
    assert_eq!(output.stdout, b"Type,Identity\ni,1\ni,2\ni,3\n");
    assert!(stderr(&output).contains("3 read = 3 written"), "{}", stderr(&output));
    let output = bed.run(&["convert", "job.yaml", "-o", "out.csv"]);
    assert_eq!(std::fs::read(bed.path("out.csv")).unwrap(), b"Type,Identity\ni,1\ni,2\ni,3\n");
    assert!(String::from_utf8_lossy(&output.stdout).contains("convert clevertap: done"));
    let digest = |arguments: &[&str]| bed.json(arguments).1["digest"].clone();
    assert_eq!(digest(&["convert", "job.yaml", "-o", "out.csv"]), digest(&["check", "job.yaml"]));
}

#[test]
fn a_failed_convert_leaves_the_old_file_and_no_other() {
    let bed = Bed::new(CLEVERTAP, "id\n1\n\"2\"x\n");
    std::fs::write(bed.path("out.csv"), "old").unwrap();
    assert_eq!(bed.run(&["convert", "job.yaml", "-o", "out.csv"]).status.code(), Some(10));
    assert_eq!(std::fs::read(bed.path("out.csv")).unwrap(), b"old");
    let names: Vec<_> = std::fs::read_dir(bed.dir.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert!(!names.iter().any(|name| name.to_string_lossy().ends_with(".part")), "{names:?}");
}

#[test]
fn an_unknown_key_names_the_one_that_was_meant() {
    let bed = Bed::new(&CLEVERTAP.replace("segment: VIP", "segmant: VIP"), LIST);
    let output = bed.run(&["check", "job.yaml"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        stderr(&output).contains("destination.segmant") && stderr(&output).contains("segment"),
        "{}",
        stderr(&output)
    );
    let bed = Bed::new(&format!("segment: VIP\n{CLEVERTAP}"), LIST);
    let (code, report) = bed.json(&["check", "job.yaml"]);
    assert_eq!(code, 2);
    assert!(message(&report).contains("destination.segment"), "{report}");
    assert_eq!(report["error"]["kind"], "usage");
}

#[test]
fn flags_beat_variables_beat_the_job_file() {
    let bed = Bed::new(&format!("name: from-file\nrejects: {{ max: 0 }}\n{CLEVERTAP}"), "id\n1\n\"2\"x\n");
    assert_eq!(bed.json(&["check", "job.yaml"]).0, 10);
    let mut command = bed.command(&["check", "job.yaml"]);
    assert_eq!(command.env("LISTFERRY_SET", "rejects.max=1").output().unwrap().status.code(), Some(0));
    let mut command = bed.command(&["check", "job.yaml", "--set", "rejects.max=0"]);
    assert_eq!(command.env("LISTFERRY_SET", "rejects.max=1").output().unwrap().status.code(), Some(10));
    let mut command = bed.command(&["check", "job.yaml", "--set", "rejects.max=1"]);
    let output = command.env("LISTFERRY_OUTPUT", "json").output().unwrap();
    assert_eq!(serde_json::from_slice::<Value>(&output.stdout).unwrap()["records"]["rejected"], 1);
    let mut command = bed.command(&["check", "job.yaml", "--set", "rejects.max=1", "--output", "text"]);
    let output = command.env("LISTFERRY_OUTPUT", "json").output().unwrap();
    assert!(String::from_utf8_lossy(&output.stdout).starts_with("check clevertap: done"));
}

#[test]
fn wrong_flags_are_exit_2_and_an_object_where_json_was_asked_for() {
    let bed = Bed::new(CLEVERTAP, LIST);
    assert_eq!(bed.run(&["chekc", "job.yaml"]).status.code(), Some(2));
    let (code, report) = bed.json(&["check", "--nope", "job.yaml"]);
    assert_eq!((code, report["exit_code"].as_i64()), (2, Some(2)));
    assert_eq!(bed.json(&["check", "gone.yaml"]).0, 2);
    assert_eq!(bed.run(&["--help"]).status.code(), Some(0));
    assert_eq!(bed.run(&["check", "job.yaml", "--set", "destination.platform=clevertop"]).status.code(), Some(2));
}

#[test]
fn a_missing_secret_is_named_before_the_source_is_read() {
    let bed = Bed::new(CLEVERTAP, "no header that fits\n");
    let (code, report) = bed.json(&["run", "job.yaml"]);
    assert_eq!(code, 2);
    assert!(message(&report).contains("CT_ACCOUNT"), "{report}");
    assert!(!bed.path("state").join("rejects").exists());
}

#[test]
fn secrets_never_show() {
    let job = CLEVERTAP.replace("{ env: CT_PASSCODE }", "canary-passcode-1");
    let bed = Bed::new(&job, LIST);
    for arguments in [&["check", "job.yaml", "-vvv"][..], &["run", "job.yaml", "-vvv"], &["runs"], &["schema"]] {
        let output = bed.command(arguments).env("CT_ACCOUNT", "canary-account-2").arg("--set=wait=0").output().unwrap();
        let all = format!("{}{}", String::from_utf8_lossy(&output.stdout), stderr(&output));
        assert!(!all.contains("canary"), "{arguments:?}: {all}");
    }
}

#[test]
fn a_closed_stdout_is_no_panic() {
    let list: String = std::iter::once("id\n".to_owned()).chain((0..400_000).map(|i| format!("{i}\n"))).collect();
    let bed = Bed::new(CLEVERTAP, list);
    for arguments in [&["convert", "job.yaml"][..], &["preview", "job.yaml", "-n", "20000"], &["check", "job.yaml"]] {
        let mut child = bed.command(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        assert!(output.status.code().is_some_and(|code| code < 3), "{arguments:?}: {:?}", output.status);
        assert!(!stderr(&output).contains("panicked"), "{}", stderr(&output));
    }
}

#[test]
fn stdin_is_a_source() {
    let bed = Bed::new(CLEVERTAP, "");
    let mut child = bed
        .command(&["convert", "job.yaml", "-q", "--set", "source.path=-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), b"id\n7\n8\n").unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), &output.stdout[..]), (Some(0), &b"Type,Identity\ni,7\ni,8\n"[..]));
}

#[test]
fn check_needs_no_writable_state() {
    let bed = Bed::new(CLEVERTAP, "id\n1\n\"2\"x\n");
    for arguments in [&["check", "job.yaml"][..], &["convert", "job.yaml"], &["preview", "job.yaml"]] {
        let output = bed.command(arguments).env("LISTFERRY_STATE_DIR", "/proc/nowhere").output().unwrap();
        let wanted = if arguments[0] == "preview" { 0 } else { 10 };
        assert_eq!(output.status.code(), Some(wanted), "{}", stderr(&output));
    }
}

/// Convert, check and preview of every platform against small lists.
#[test]
fn every_platform_converts() {
    let jobs = [
        (
            "map: { customer_id: id, changes: [ { op: assign, attr: n, column: name }, { op: increment, attr: v, column: v, type: integer }, { op: delete, attr: x } ] }\n\
             destination: { platform: localytics-profiles, org_id: 60, api_key: { env: K }, api_secret: { env: S } }",
            "{\"customer_id\":\"1\",\"changes\":[{\"op\":\"assign\",\"attr\":\"n\",\"value\":\"Ann\"},{\"op\":\"increment\",\"attr\":\"v\",\"value\":5},{\"op\":\"delete\",\"attr\":\"x\"}]}\n",
        ),
        (
            "map: { customer_id: id }\n\
             destination: { platform: localytics-audience, app_id: a, audience_name: n, api_key: { env: K }, api_secret: { env: S } }",
            "{\"customer_id\":\"1\"}\n",
        ),
        (
            "map: { operation: { value: UPDATE }, user_account_id: id, segment_id: { value: \"42\" }, expiration_duration: { value: 0 } }\n\
             destination: { platform: mediarithmics, datamart_id: \"1\", token: { env: T }, import_name: x }",
            "{\"operation\":\"UPDATE\",\"user_account_id\":\"1\",\"segment_id\":\"42\",\"expiration_duration\":0}\n",
        ),
        (
            "map: { operation: { value: UPDATE }, user_account_id: id, segment_id: { value: \"42\" }, expiration_duration: { value: 0 } }\n\
             destination: { platform: mediarithmics, datamart_id: \"1\", token: { env: T }, import_name: x, mime_type: csv }",
            "operation,user_account_id,segment_id,expiration_duration\nUPDATE,1,42,0\n",
        ),
        (
            "map: { id: { column: email, apply: [trim, lower] }, firstname: name }\n\
             destination: { platform: yesmail, list: l, api_user: { env: U }, api_key: { env: K }, host: { serve: { listen: \"127.0.0.1:0\", public_url: auto } } }",
            "id\tfirstname\na@example.com\tAnn\n",
        ),
    ];
    for (job, wanted) in jobs {
        let bed =
            Bed::new(&format!("source: {{ path: list.csv }}\n{job}\n"), "id,email,name,v\n1,A@Example.com ,Ann,+5\n");
        let (code, bytes) = bed.convert(&[]);
        assert_eq!((code, String::from_utf8_lossy(&bytes).as_ref()), (0, wanted), "{job}");
        let (code, report) = bed.json(&["check", "job.yaml"]);
        assert_eq!((code, report["bytes"]["body"].as_u64()), (0, Some(wanted.len() as u64)), "{report}");
        let (code, preview) = bed.json(&["preview", "job.yaml", "-n", "1"]);
        let last = wanted.lines().last().unwrap();
        assert_eq!((code, preview["rows"][0]["output"].as_str()), (0, Some(last)), "{preview}");
        assert_eq!(preview["rows"][0]["columns"]["name"], "Ann");
    }
}

// Failures of a source (S) and of mapping and accounting (P), with the ids of docs/CONTRACT.md.

/// Returns the exit code, the report and the reject file of a check.
fn check(bed: &Bed, more: &[&str]) -> (i32, Value, String) {
    let mut arguments = vec!["check", "job.yaml", "--set", "rejects.file=rejects.csv"];
    arguments.extend(more);
    let (code, report) = bed.json(&arguments);
    let rejects = std::fs::read(bed.path("rejects.csv")).unwrap_or_default();
    (code, report, String::from_utf8_lossy(&rejects).into_owned())
}

#[test]
fn s07_a_byte_order_mark_is_removed_at_the_start_only() {
    let (code, bytes) = Bed::new(CLEVERTAP, "\u{feff}id,x\n\u{feff}1,2\n").convert(&[]);
    assert_eq!((code, String::from_utf8_lossy(&bytes).as_ref()), (0, "Type,Identity\ni,\u{feff}1\n"));
}

#[test]
fn s08_utf_16_is_named() {
    for list in [&b"i\0d\0\n\x001\0\n\0"[..], b"\0i\0d\0\n\x001\0\n", b"\xff\xfe\0\0i\0\0\0d\0\0\0\n\0\0\x001\0\0\0"] {
        let (code, report) = Bed::new(CLEVERTAP, list).json(&["check", "job.yaml"]);
        assert_eq!(code, 10, "{report}");
        assert!(message(&report).contains("UTF-"), "{report}");
    }
}

#[test]
fn s09_invalid_utf_8_rejects_the_row_with_its_position() {
    let mut list = b"id,other\n".to_vec();
    let mut at = 0;
    for i in 1..=100_000 {
        if i == 70_000 {
            at = list.len();
            list.extend(b"a\xffb,x\n");
        } else {
            list.extend(format!("{i},\"two\nlines\"\n").bytes());
        }
    }
    for threads in ["1", "4"] {
        let bed = Bed::new(CLEVERTAP, &list);
        let (code, report, rejects) = check(&bed, &["--threads", threads]);
        assert_eq!((code, report["records"]["rejected"].as_u64()), (10, Some(1)));
        let wanted = format!("70000,{},{at},,id,invalid_utf8", 2 + 69_999 * 2);
        assert!(rejects.contains(&wanted), "{wanted} is not in {rejects}");
    }
    let bed = Bed::new(CLEVERTAP, "id,other\n1,a\n");
    std::fs::write(bed.path("list.csv"), b"id,other\n1,\xff\n").unwrap();
    assert_eq!(check(&bed, &[]).0, 0, "only the columns that are used are validated");
}

#[test]
fn s10_nul_rejects_the_row() {
    let (code, report, rejects) = check(&Bed::new(CLEVERTAP, "id\na\0b\nc\n"), &["--set", "rejects.max=1"]);
    assert_eq!((code, report["records"]["written"].as_u64()), (0, Some(1)), "{report}");
    assert!(rejects.contains(",nul,"), "{rejects}");
}

#[test]
fn s11_line_ends_do_not_matter() {
    let lines = ["id,x", "1,a", "", "2,b"];
    let wanted = Bed::new(CLEVERTAP, lines.join("\n") + "\n").convert(&[]);
    assert_eq!(wanted, (0, b"Type,Identity\ni,1\ni,2\n".to_vec()));
    for list in [lines.join("\r\n"), lines.join("\r"), lines.join("\n"), "id,x\r\n1,a\r\r\n2,b\n".to_owned()] {
        assert_eq!(Bed::new(CLEVERTAP, &list).convert(&[]), wanted, "{list:?}");
    }
}

#[test]
fn s12_a_quote_that_never_closes_is_named_by_its_line() {
    let mut list = String::from("id,x\n");
    for i in 1..9 {
        list += &format!("{i},y\n");
    }
    list += "9,\"open\n";
    list += &"10,y\n".repeat(50_000);
    let bed = Bed::new(CLEVERTAP, list);
    let (code, report) = bed.json(&["check", "job.yaml", "--set", "rejects.max=1000000"]);
    assert_eq!(code, 10);
    assert!(message(&report).contains("line 10"), "{report}");
    let (code, report) = bed.json(&["check", "job.yaml", "--set", "source.max_record_bytes=1KiB"]);
    assert_eq!(code, 10);
    assert!(message(&report).contains("line 10"), "{report}");
}

#[test]
fn s13_bytes_after_a_closing_quote_reject_the_row_stray_quotes_are_text() {
    let (code, report, rejects) = check(&Bed::new(CLEVERTAP, "id,x\n\"1\"z,a\n2\"3,b\n"), &["--set", "rejects.max=1"]);
    assert_eq!((code, report["records"]["written"].as_u64()), (0, Some(1)), "{report}");
    assert!(rejects.ends_with("\"\"\"1\"\"z,a\"\n"), "{rejects}");
    let (_, bytes) = Bed::new(CLEVERTAP, "id,x\n2\"3,b\n").convert(&[]);
    assert_eq!(bytes, b"Type,Identity\ni,\"2\"\"3\"\n");
}

#[test]
fn s14_ragged_rows_are_rejected_and_the_next_is_not() {
    for list in ["id,x\n1\n2,b\n3,c\n", "id,x\n2,b\n1,a,z\n3,c\n", "id,x\n2,b\n3,c\n1"] {
        let (code, report, _) = check(&Bed::new(CLEVERTAP, list), &["--set", "rejects.max=1"]);
        assert_eq!(code, 0);
        assert_eq!(
            report["records"],
            serde_json::json!({"read": 3, "written": 2, "filtered": 0, "rejected": 1, "failed": null, "ignored": null, "unaccounted": null}),
            "{list:?}"
        );
    }
}

#[test]
fn s15_a_name_that_is_there_twice_is_an_error_where_it_is_used() {
    assert_eq!(Bed::new(CLEVERTAP, "id,id,x\n1,2,3\n").json(&["check", "job.yaml"]).0, 2);
    assert_eq!(Bed::new(CLEVERTAP, "id,x,x\n1,2,3\n").json(&["check", "job.yaml"]).0, 0);
}

#[test]
fn s16_a_giant_record_ends_the_run() {
    let list = format!("id,x\n1,{}\n2,b\n", "y".repeat(100_000));
    let (code, report) =
        Bed::new(CLEVERTAP, &list).json(&["check", "job.yaml", "--set", "source.max_record_bytes=64KiB"]);
    assert_eq!(code, 10, "{report}");
    assert!(message(&report).contains("max_record_bytes"), "{report}");
    assert_eq!(Bed::new(CLEVERTAP, &list).json(&["check", "job.yaml"]).0, 0);
}

#[test]
fn s17_nothing_to_send_is_exit_10_unless_allowed() {
    for (list, allowed) in [("", 10), ("\u{feff}", 10), ("id\n", 0)] {
        let bed = Bed::new(CLEVERTAP, list);
        let (code, report) = bed.json(&["check", "job.yaml"]);
        assert_eq!((code, report["status"].as_str()), (10, Some("rejected")), "{list:?}");
        assert_eq!(bed.json(&["check", "job.yaml", "--set", "allow_empty=true"]).0, allowed, "{list:?}");
    }
}

#[test]
fn s22_an_unreadable_source_is_a_local_fault() {
    let bed = Bed::new(CLEVERTAP, LIST);
    assert_eq!(bed.json(&["check", "job.yaml", "--set", "source.path=gone.csv"]).0, 1);
    assert_eq!(bed.json(&["check", "job.yaml", "--set", "source.path=gone-*.csv"]).0, 1);
    assert_eq!(bed.json(&["check", "job.yaml", "--set", "source.path=."]).0, 1);
}

#[test]
fn p01_a_missing_column_is_exit_2_and_suggests_the_nearest() {
    let (code, report) = Bed::new(CLEVERTAP, "ids,x\n1,2\n").json(&["check", "job.yaml"]);
    assert_eq!(code, 2);
    assert!(message(&report).contains("ids"), "{report}");
}

#[test]
fn p02_a_value_that_cannot_be_cast_is_in_the_reject_file_only() {
    let job = "source: { path: list.csv }\n\
               map: { customer_id: id, changes: [ { op: assign, attr: v, column: v, type: integer } ] }\n\
               destination: { platform: localytics-profiles, org_id: 60, api_key: { env: K }, api_secret: { env: S } }\n";
    let bed = Bed::new(job, "id,v\n1,12\n2,secretive\n");
    let (code, report, rejects) = check(&bed, &[]);
    assert_eq!(code, 10);
    assert!(!report.to_string().contains("secretive"), "{report}");
    assert!(rejects.contains("2,secretive,local,"), "{rejects}");
    let (_, report, _) = check(&bed, &["--show-values"]);
    assert!(report.to_string().contains("secretive"), "{report}");
}

#[test]
fn p03_a_required_field_that_is_empty_rejects_the_row() {
    let (code, report, rejects) = check(&Bed::new(CLEVERTAP, "id,x\n,a\n2,b\n"), &["--set", "rejects.max=1"]);
    assert_eq!((code, report["reject_reasons"]["empty"].as_u64()), (0, Some(1)), "{report} {rejects}");
}

#[test]
fn p04_duplicates_stay_in_order() {
    assert_eq!(Bed::new(CLEVERTAP, "id\n2\n1\n2\n").convert(&[]).1, b"Type,Identity\ni,2\ni,1\ni,2\n");
}

#[test]
fn p06_two_passes_give_the_same_digest() {
    let bed = Bed::new(CLEVERTAP, LIST);
    assert_eq!(bed.json(&["check", "job.yaml"]).1["digest"], bed.json(&["check", "job.yaml"]).1["digest"]);
}

#[test]
fn p07_the_limit_of_rejects_is_exact() {
    let bed = Bed::new(CLEVERTAP, "id,x\n1,a\n,b\n3,c\n,d\n");
    for (sets, wanted) in [
        (&["rejects.max=2"][..], 0),
        (&["rejects.max=1"], 10),
        (&["rejects.max_percent=50"], 0),
        (&["rejects.max_percent=49.9"], 10),
        (&["rejects.max=1", "rejects.max_percent=50"], 10),
        (&["rejects.max=2", "rejects.max_percent=49"], 10),
    ] {
        let arguments: Vec<&str> = sets.iter().flat_map(|set| ["--set", set]).collect();
        let (code, report, rejects) = check(&bed, &arguments);
        assert_eq!(code, wanted, "{sets:?}: {report}");
        assert_eq!(rejects.lines().count(), 3, "complete whatever the limit");
    }
    let filtered = "where: [ { column: x, in: [a, b] } ]\n";
    let bed = Bed::new(&format!("{filtered}{CLEVERTAP}"), "id,x\n1,a\n,b\n3,c\n4,d\n");
    assert_eq!(check(&bed, &["--set", "rejects.max_percent=49"]).0, 10, "filtered rows do not count");
}

#[test]
fn p08_quotes_separators_and_line_ends_come_out_as_they_went_in() {
    let list = "id\n\"a,b\"\n\"c\"\"d\"\n\"e;f|g\"\n";
    assert_eq!(Bed::new(CLEVERTAP, list).convert(&[]).1, b"Type,Identity\ni,\"a,b\"\ni,\"c\"\"d\"\ni,e;f|g\n");
}

#[test]
fn p09_formulas_pass_unchanged() {
    assert_eq!(Bed::new(CLEVERTAP, "id\n=1+1\n@x\n-2\n").convert(&[]).1, b"Type,Identity\ni,=1+1\ni,@x\ni,-2\n");
}

#[test]
fn p10_every_record_is_accounted_for() {
    let job = format!("where: [ {{ column: x, not_equals: skip }} ]\n{CLEVERTAP}");
    let (code, report, rejects) =
        check(&Bed::new(&job, "id,x\n1,a\n2,skip\n,b\n4\n5,e\n"), &["--set", "rejects.max=2"]);
    assert_eq!(code, 0, "{report}");
    assert_eq!(
        report["records"],
        serde_json::json!({"read": 5, "written": 2, "filtered": 1, "rejected": 2, "failed": null, "ignored": null, "unaccounted": null})
    );
    assert_eq!(rejects.lines().count(), 3);
}

#[test]
fn guards_against_half_an_export() {
    let bed = Bed::new(CLEVERTAP, LIST);
    for (set, wanted) in [
        ("source.expect.min_records=3", 0),
        ("source.expect.min_records=4", 10),
        ("source.expect.max_records=3", 0),
        ("source.expect.max_records=2", 10),
        ("source.expect.sha256=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", 10),
        ("source.expect.sha256=short", 2),
    ] {
        assert_eq!(bed.json(&["check", "job.yaml", "--set", set]).0, wanted, "{set}");
    }
}

#[test]
fn later_origins_are_said_to_be_later() {
    let bed = Bed::new(CLEVERTAP, LIST);
    let (code, report) = bed.json(&["check", "job.yaml", "--set", "source.path=sftp://h/k.csv"]);
    assert_eq!(code, 2);
    assert!(message(&report).contains("yet"), "{report}");
}

#[test]
fn files_of_other_programs_are_refused_by_their_name() {
    let bed = Bed::new(CLEVERTAP, LIST);
    for ending in ["xls", "xlsb", "ods", "avro", "xls.gz"] {
        let (code, report) = bed.json(&["check", "job.yaml", "--set", &format!("source.path=x.{ending}")]);
        assert_eq!(code, 2, "{ending}");
        let name = ending.trim_end_matches(".gz");
        assert!(message(&report).contains(&format!("{name} is not supported")), "{report}");
        assert!(report["error"]["hint"].as_str().unwrap().contains("CSV"), "{report}");
    }
}

#[test]
fn a_reject_file_is_private_and_nothing_else_is_overwritten() {
    let bed = Bed::new(CLEVERTAP, "id\n1\n\"2\"x\n");
    assert_eq!(bed.json(&["check", "job.yaml", "--set", "rejects.file=list.csv"]).0, 2);
    assert!(Path::new(&bed.path("list.csv")).exists());
    let (_, report, _) = check(&bed, &[]);
    assert!(report["rejects_file"].as_str().unwrap().ends_with("rejects.csv"));
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(std::fs::metadata(bed.path("rejects.csv")).unwrap().permissions().mode() & 0o777, 0o600);
    }
}

#[cfg(target_os = "linux")]
#[test]
fn j15_a_full_disk_is_a_local_fault_and_devices_are_not_replaced() {
    let list: String = std::iter::once("id,x\n".to_owned()).chain((0..50_000).map(|i| format!("{i}\n"))).collect();
    let bed = Bed::new(CLEVERTAP, list);
    let (code, report) = bed.json(&["check", "job.yaml", "--set", "rejects.file=/dev/full"]);
    assert_eq!(code, 1, "{report}");
    let bed = Bed::new(CLEVERTAP, LIST);
    assert_eq!(bed.run(&["convert", "job.yaml", "-o", "/dev/full"]).status.code(), Some(1));
    assert_eq!(bed.run(&["convert", "job.yaml", "-o", "/dev/null"]).status.code(), Some(0));
    assert!(!std::fs::metadata("/dev/null").unwrap().is_file());
    std::os::unix::fs::symlink("real.csv", bed.path("link.csv")).unwrap();
    std::fs::write(bed.path("real.csv"), "old").unwrap();
    assert_eq!(bed.run(&["convert", "job.yaml", "-o", "link.csv"]).status.code(), Some(0));
    assert!(std::fs::symlink_metadata(bed.path("link.csv")).unwrap().is_symlink());
    assert!(std::fs::read(bed.path("real.csv")).unwrap().starts_with(b"Type,Identity"));
}

#[test]
fn a_default_that_can_never_be_written_is_a_mistake_in_the_job_file() {
    let job = "\
source: { path: list.csv }
map: { customer_id: id, changes: [{ op: assign, attr: visits, column: name, type: integer, default: DEFAULT }] }
destination: { platform: localytics-profiles, org_id: 60, api_key: { env: CT_K }, api_secret: { env: CT_S } }
";
    // no row needs the default here, but it is validated all the same
    for (default, want) in [("none", 2), ("99999999999999999999", 2), ("0", 0), ("\"\"", 0)] {
        let bed = Bed::new(&job.replace("DEFAULT", default), "id,name\n1,7\n");
        let (code, report) = bed.json(&["check", "job.yaml"]);
        assert_eq!(code, want, "{default}: {report}");
        let said = message(&report);
        assert!(want == 0 || (said.contains("map.changes[0]") && said.contains("default")), "{said}");
    }
    // a list of allowed words is named in the message
    let job = CLEVERTAP.replace("identity: id", "identity: id, type: { column: name, default: x }");
    let (code, report) = Bed::new(&job, "id,name\n1,g\n").json(&["check", "job.yaml"]);
    assert!(code == 2 && message(&report).contains("map.type: the default") && message(&report).contains("i, g"));
    // a separator that is being tried is not a reason to reject: the next one is tried
    let job = "\
source: { path: list.csv }
map: { id: id, name: { column: name, default: \"a\\tb|c;d,e\" } }
destination: { platform: yesmail, list: l, api_user: { env: CT_U }, api_key: { env: CT_K },
  host: { put: { url: { env: P }, fetch_url: \"https://h/l\" } } }
";
    let bed = Bed::new(job, "id,name\n1,x\n2,\n");
    assert_eq!(bed.convert(&[]), (0, b"id,name\n1,x\n2,\"a\tb|c;d,e\"\n".to_vec()));
    let never = ["--set", "destination.quoting=never", "--set", "destination.separator=,"];
    assert_eq!(bed.convert(&never).0, 2);
}
