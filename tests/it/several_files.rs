//! Lists of several files: a record is reported with its own file and position, for every platform and command.

use super::cli::Bed;
use serde_json::Value;

const CLEVERTAP: &str = "map: { identity: id }\ndestination: { platform: clevertap, region: in1, account_id: a, \
                         passcode: p, segment: s, creator: c, email: e@example.com }\n";
const AUDIENCE: &str = "map: { customer_id: id }\ndestination: { platform: localytics-audience, app_id: a, \
                        audience_name: n, api_key: k, api_secret: s }\n";
const PROFILES: &str = "map: { customer_id: id, changes: [{ op: assign, attr: note, column: note }] }\ndestination: { \
                        platform: localytics-profiles, org_id: 1, api_key: k, api_secret: s, max_part_bytes: 60KB }\n";
const MEDIARITHMICS: &str = "map: { operation: { value: UPDATE }, compartment_id: { value: '1' }, user_account_id: id, \
                             segment_id: { value: '2' }, expiration_duration: { value: 0 } }\ndestination: { platform: \
                             mediarithmics, datamart_id: 1, token: t, import_name: n, mime_type: ndjson, \
                             max_part_bytes: 150KB }\n";
const YESMAIL: &str = "map: { id: id, note: note }\ndestination: { platform: yesmail, list: l, api_user: u, api_key: k, \
                       host: { put: { url: 'https://x.example/p', fetch_url: 'https://x.example/z' } } }\n";

/// A folder with a job over `g/*.csv`: 10 rows, then 5,000 of which every 1,000th is invalid.
fn bed(destination: &str) -> Bed {
    let bed = Bed::new(
        &format!("source: {{ path: 'g/*.csv' }}\nrejects: {{ max: 100, max_remote: 100 }}\n{destination}"),
        "",
    );
    std::fs::create_dir(bed.path("g")).unwrap();
    let first: String = (1..=10).map(|n| format!("first{n},\"two\nlines\"\n")).collect();
    std::fs::write(bed.path("g/1.csv"), format!("id,note\n{first}")).unwrap();
    let second: String = (1..=5000)
        .map(|n| if n % 1000 == 0 { ",an id is missing here\n".to_owned() } else { format!("second{n},x\n") })
        .collect();
    std::fs::write(bed.path("g/2.csv"), format!("id,note\n{second}")).unwrap();
    bed
}

/// Returns file, record, line and stage of each row of a reject file.
fn places(path: &std::path::Path) -> Vec<(String, u64, u64, String)> {
    let mut reader = csv::Reader::from_path(path).unwrap();
    let header = reader.headers().unwrap().clone();
    let column = |name: &str| header.iter().position(|column| column == name).unwrap();
    let (stage, file, record, line) = (column("_stage"), column("_file"), column("_record"), column("_line"));
    let number = |text: &str| text.parse::<u64>().unwrap();
    reader
        .records()
        .map(|row| {
            let row = row.unwrap();
            let name = row[file].rsplit('/').next().unwrap().to_owned();
            (name, number(&row[record]), number(&row[line]), row[stage].to_owned())
        })
        .collect()
}

fn invalid() -> Vec<(String, u64, u64, String)> {
    (1..=5).map(|n| ("2.csv".to_owned(), 1000 * n, 1000 * n + 1, "local".to_owned())).collect()
}

#[test]
fn rejected_rows_of_a_second_file_bear_its_name_and_lines() {
    for destination in [CLEVERTAP, AUDIENCE, PROFILES, MEDIARITHMICS, YESMAIL] {
        let bed = bed(destination);
        for threads in ["1", "4"] {
            for command in ["check", "convert"] {
                let sets = ["--set", "rejects.file=rejects.csv", "--threads", threads, "-q"];
                let output = bed.run(&[&[command, "job.yaml"][..], &sets].concat());
                assert!(output.status.success(), "{destination}: {}", String::from_utf8_lossy(&output.stderr));
                assert_eq!(places(&bed.path("rejects.csv")), invalid(), "{command} with {threads}: {destination}");
            }
        }
        let (_, shown) = bed.json(&["preview", "job.yaml", "-n", "1015"]);
        let rows = shown["rows"].as_array().unwrap();
        let place = |row: &Value| {
            let file = row["file"].as_str().unwrap().rsplit('/').next().unwrap().to_owned();
            (file, row["record"].as_u64().unwrap(), row["line"].as_u64().unwrap())
        };
        assert_eq!(place(&rows[9]), ("1.csv".to_owned(), 10, 20), "{destination}");
        assert_eq!(place(&rows[10]), ("2.csv".to_owned(), 1, 2), "{destination}");
        assert_eq!(place(&rows[1009]), ("2.csv".to_owned(), 1000, 1001), "{destination}");
        assert!(rows[1009]["rejected"].is_object(), "{destination}: {}", rows[1009]);
    }
}

#[test]
fn rows_that_a_platform_names_are_found_in_their_own_file() {
    // the 12th and the 3,000th row that are sent: rows 2 and 2,992 of the second file, whose rows 1,000 and 2,000 are not
    let wanted = [("2.csv", 2, 3), ("2.csv", 2992, 2993)];
    let cases = [(PROFILES, "null", &["11", "2999"][..]), (MEDIARITHMICS, "null", &["11", "2999"])];
    for (destination, part, indexes) in cases {
        let bed = bed(destination);
        let faults: Vec<String> = indexes.iter().map(|index| format!("reject-row={index}")).collect();
        for threads in ["1", "3"] {
            let part = format!("destination.max_part_bytes={part}");
            let mut arguments = vec!["run", "job.yaml", "--sandbox", "--threads", threads, "--set", &part];
            arguments.extend(["--set", "rejects.file=rejects.csv"]);
            faults.iter().for_each(|fault| arguments.extend(["--fault", fault]));
            let output = bed.run(&arguments);
            assert!(output.status.success(), "{destination}: {}", String::from_utf8_lossy(&output.stderr));
            let named: Vec<_> =
                places(&bed.path("rejects.csv")).into_iter().filter(|(.., stage)| stage == "platform").collect();
            let named: Vec<_> = named.iter().map(|(file, record, line, _)| (file.as_str(), *record, *line)).collect();
            assert_eq!(named, wanted, "{threads} threads: {destination}");
        }
    }
}

/// Rows in a file of proc that reports a size of 0: the command line of a process.
#[cfg(target_os = "linux")]
struct Sizeless(std::process::Child);

#[cfg(target_os = "linux")]
impl Sizeless {
    fn new(rows: &str) -> Sizeless {
        use std::os::unix::process::CommandExt as _;
        let mut shell = std::process::Command::new("sh");
        Sizeless(shell.arg0(rows).stdin(std::process::Stdio::piped()).spawn().unwrap())
    }

    fn path(&self) -> String {
        format!("/proc/{}/cmdline", self.0.id())
    }
}

#[cfg(target_os = "linux")]
impl Drop for Sizeless {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_file_that_reports_no_size_is_read_alone_and_in_a_glob() {
    // a NUL follows the last cell
    let proc = Sizeless::new("id,note\n7,x\n8,y");
    assert_eq!(std::fs::metadata(proc.path()).unwrap().len(), 0);
    let bed = Bed::new(&format!("source: {{ path: 'g/*.csv' }}\n{PROFILES}").replace("60KB", "null"), "");
    std::fs::create_dir(bed.path("g")).unwrap();
    std::fs::write(bed.path("g/1.csv"), "id,note\n1,a\n").unwrap();
    std::os::unix::fs::symlink(proc.path(), bed.path("g/2.csv")).unwrap();
    std::fs::write(bed.path("g/3.csv"), "id,note\n9,z\n").unwrap();
    std::fs::write(bed.path("g/4.csv"), "id,note\n").unwrap();
    let map = "map={ customer_id: id, changes: [ { op: assign, attr: a, value: b } ] }";
    let alone = format!("source.path={}", proc.path());
    for (sets, ids) in
        [(vec!["--set", map], &["1", "7", "8", "9"][..]), (vec!["--set", map, "--set", &alone], &["7", "8"])]
    {
        for threads in ["1", "3"] {
            let sets = [&sets[..], &["--threads", threads]].concat();
            let (code, out) = bed.convert(&sets);
            let lines: String = ids
                .iter()
                .map(|id| format!("{{\"customer_id\":\"{id}\",\"changes\":[{{\"op\":\"assign\",\"attr\":\"a\",\"value\":\"b\"}}]}}\n"))
                .collect();
            assert_eq!((code, String::from_utf8(out).unwrap()), (0, lines));
            for command in [&["check", "job.yaml"][..], &["run", "job.yaml", "--sandbox"]] {
                let (code, report) = bed.json(&[command, &sets].concat());
                assert_eq!((code, &report["records"]["written"]), (0, &Value::from(ids.len())), "{command:?}");
            }
        }
    }
    let left = std::fs::read_dir(bed.path("state/spool")).map_or(0, Iterator::count);
    assert_eq!(left, 0, "copies are removed");
}

#[cfg(unix)]
#[test]
fn many_more_files_than_may_be_open_are_one_list() {
    let bed = Bed::new(&format!("source: {{ path: 'g/*' }}\n{CLEVERTAP}"), "");
    std::fs::create_dir(bed.path("g")).unwrap();
    for n in 0..1500 {
        std::fs::write(bed.path(&format!("g/{n:05}.csv")), format!("id\n{n}\n")).unwrap();
    }
    for arguments in ["check job.yaml --threads 8", "run job.yaml --sandbox --threads 4", "convert job.yaml -o out.csv"]
    {
        let mut command = std::process::Command::new("sh");
        let script = format!("ulimit -n 64; exec {} {arguments} --output json", env!("CARGO_BIN_EXE_listferry"));
        command.args(["-c", &script]).current_dir(bed.path("")).env("LISTFERRY_STATE_DIR", bed.path("state"));
        let output = command.output().unwrap();
        let report: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
        assert_eq!(output.status.code(), Some(0), "{arguments}: {}", report["error"]);
        assert_eq!(report["records"]["written"], 1500, "{arguments}");
    }
}

/// A job in a folder whose name is not UTF-8, over files one of which has such a name.
#[cfg(target_os = "linux")]
#[test]
fn names_that_are_not_utf8_are_names() {
    use std::os::unix::ffi::OsStrExt as _;
    let bed = Bed::new("", "");
    let folder = bed.path("").join(std::ffi::OsStr::from_bytes(b"k\xE4se [1]"));
    std::fs::create_dir(&folder).unwrap();
    let job = format!("source: {{ path: '*.csv' }}\nrejects: {{ file: rejects.out, max: 9 }}\n{CLEVERTAP}");
    std::fs::write(folder.join("job.yaml"), job).unwrap();
    std::fs::write(folder.join("a.csv"), "id,n\n1,2\n").unwrap();
    std::fs::write(folder.join(std::ffi::OsStr::from_bytes(b"b\xFF.csv")), "id,n\n2,2\n,3\n").unwrap();
    std::fs::write(folder.join(std::ffi::OsStr::from_bytes(b"b\xFE.txt")), "not of the list").unwrap();
    let job = folder.join("job.yaml");
    for arguments in [&["check"][..], &["convert"], &["run", "--sandbox"], &["preview"]] {
        let mut command = bed.command(&arguments[..1]);
        let output = command.arg(&job).args(&arguments[1..]).output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {stderr}");
    }
    assert_eq!(places(&folder.join("rejects.out")), [("b\u{FFFD}.csv".to_owned(), 2, 3, "local".to_owned())]);
    // a run that failed is found and resumed by its id
    let run = |arguments: &[&str]| {
        let mut command = bed.command(arguments);
        command.args(["--set", "destination.base_url=http://127.0.0.1:1", "--set", "upload.attempts=1"]);
        command
    };
    assert_eq!(run(&["run"]).arg(&job).output().unwrap().status.code(), Some(20));
    let output = bed.run(&["resume", "last", "--output", "json"]);
    let report: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
    assert_eq!(output.status.code(), Some(20), "{}", report["error"]);
}
