//! Files that commands read and write: none of the user's is lost, and none of ours is left.

use super::cli::{Bed, CLEVERTAP};
use serde_json::Value;
use std::process::Stdio;

/// Two rows, one of which is rejected, which is allowed.
const LIST: &str = "id,n\n1,2\n,3\n";
/// A job whose platform is not reachable, so that nothing is contacted.
fn job() -> String {
    format!("{CLEVERTAP}  base_url: http://127.0.0.1:1\n")
}

const REJECTS: [&str; 4] = ["--set", "rejects.max=5", "--set", "rejects.file=rejects.csv"];

fn with<'a>(arguments: &[&'a str], more: &[&'a str]) -> Vec<&'a str> {
    [arguments, more].concat()
}

/// Returns the exit code and the output of a run with made-up secrets.
fn said(bed: &Bed, arguments: &[&str], stdin: Stdio) -> (i32, String) {
    let mut command = bed.command(arguments);
    let output = command.env("CT_ACCOUNT", "a").env("CT_PASSCODE", "p").stdin(stdin).output().unwrap();
    let text = [output.stderr, output.stdout].concat();
    (output.status.code().unwrap(), String::from_utf8_lossy(&text).into_owned())
}

#[test]
fn corrected_rejects_are_a_source_that_stays() {
    let bed = Bed::new(&job(), LIST);
    assert_eq!(bed.convert(&REJECTS).0, 0);
    let corrected = std::fs::read_to_string(bed.path("rejects.csv")).unwrap().replace("\n,3,", "\n7,3,");
    std::fs::write(bed.path("rejects.csv"), &corrected).unwrap();
    #[cfg(unix)]
    std::os::unix::fs::symlink("rejects.csv", bed.path("link.csv")).unwrap();
    let sources: &[&str] = if cfg!(unix) { &["rejects.csv", "link.csv", "-"] } else { &["rejects.csv"] };
    for source in sources {
        for command in ["convert", "check", "run"] {
            let path = format!("source.path={source}");
            let arguments = with(&[command, "job.yaml", "--set", &path], &REJECTS);
            let stdin = std::fs::File::open(bed.path("rejects.csv")).unwrap();
            let (code, said) = said(&bed, &arguments, stdin.into());
            assert_eq!(code, 2, "{arguments:?}: {said}");
            assert!(said.contains("is the source itself"), "{arguments:?}: {said}");
            let now = std::fs::read_to_string(bed.path("rejects.csv")).unwrap();
            assert_eq!(now, corrected, "{arguments:?}");
        }
    }
    let elsewhere = ["--set", "source.path=rejects.csv", "--set", "rejects.file=again.csv"];
    assert_eq!(bed.convert(&elsewhere), (0, b"Type,Identity\ni,7\n".to_vec()));
}

#[test]
fn a_reject_file_among_the_sources_is_named() {
    let job = job().replace("list.csv", "\"g/*.csv\"");
    let bed = Bed::new(&job, "");
    std::fs::create_dir(bed.path("g")).unwrap();
    std::fs::write(bed.path("g/list.csv"), LIST).unwrap();
    let rejects = ["--set", "rejects.max=5", "--set", "rejects.file=g/rejects.csv"];
    assert_eq!(bed.convert(&rejects).0, 0);
    for command in ["convert", "check", "run"] {
        let (code, said) = said(&bed, &with(&[command, "job.yaml"], &rejects), Stdio::null());
        assert_eq!(code, 2, "{said}");
        assert!(said.contains("g/rejects.csv is among the files of source.path"), "{said}");
    }
    assert!(bed.path("g/rejects.csv").exists());
}

#[test]
fn convert_does_not_replace_what_it_reads() {
    let bed = Bed::new(&job(), LIST);
    let kept = [bed.path("list.csv"), bed.path("job.yaml")].map(|path| (std::fs::read(&path).unwrap(), path));
    for target in ["list.csv", "job.yaml", "../{}/list.csv", "rejects.csv"] {
        let folder = bed.path("").canonicalize().unwrap().file_name().unwrap().to_string_lossy().into_owned();
        let target = target.replace("{}", &folder);
        let (code, said) = said(&bed, &with(&["convert", "job.yaml", "-o", &target], &REJECTS), Stdio::null());
        assert_eq!(code, 2, "{target}: {said}");
        assert!(said.contains("the output would replace the "), "{target}: {said}");
        assert!(!bed.path("rejects.csv").exists());
        for (bytes, path) in &kept {
            assert_eq!(&std::fs::read(path).unwrap(), bytes, "{}", path.display());
        }
    }
    #[cfg(unix)]
    {
        let stdin = std::fs::File::open(bed.path("list.csv")).unwrap();
        let arguments = ["convert", "job.yaml", "--set", "source.path=-", "-o", "list.csv"];
        assert_eq!(said(&bed, &arguments, stdin.into()).0, 2);
    }
    // an export does not replace it either, although it needs no list
    let export = "source={ apsis: { report: segments, client_id: i, client_secret: s, request: {}, base_url: \"http://127.0.0.1:1\" } }";
    let (code, said) = said(&bed, &["export", "job.yaml", "--set", export, "-o", "job.yaml"], Stdio::null());
    assert_eq!(code, 2, "{said}");
    assert!(said.contains("the output would replace the job file"), "{said}");
    assert_eq!(bed.convert(&with(&["-o", "out.csv"], &REJECTS)).0, 0);
    assert_eq!(bed.convert(&with(&["-o", "out.csv"], &REJECTS)).0, 0, "its own output it may replace");
}

#[cfg(unix)]
#[test]
fn rejects_may_go_to_a_device() {
    let bed = Bed::new(&job(), LIST);
    let null = ["--set", "rejects.max=5", "--set", "rejects.file=/dev/null"];
    for command in ["convert", "check"] {
        let (code, said) = said(&bed, &with(&[command, "job.yaml"], &null), Stdio::null());
        assert_eq!(code, 0, "{said}");
    }
    let (code, report) = bed.json(&with(&["check", "job.yaml"], &null));
    assert_eq!((code, &report["reject_reasons"]), (0, &serde_json::json!({"empty": 1})), "{report}");
    assert_eq!(report["rejects_file"], Value::from("/dev/null"));
}

#[test]
fn a_run_keeps_its_rejects_when_the_file_named_by_the_user_is_gone() {
    let bed = Bed::new(&job(), "");
    let file = ["--set", "rejects.file=sub/rejects.csv"];
    let mut runs = Vec::new();
    for row in ["FIRST", "SECOND"] {
        std::fs::write(bed.path("list.csv"), format!("id,n\n,{row}\n")).unwrap();
        let (code, text) = said(&bed, &with(&["run", "job.yaml", "--output", "json"], &file), Stdio::null());
        let report: Value = serde_json::from_str(&text).unwrap();
        assert_eq!((code, report["records"]["rejected"].as_u64()), (10, Some(1)), "{report}");
        assert!(report["rejects_file"].as_str().unwrap().ends_with("sub/rejects.csv"), "{report}");
        runs.push((report["run_id"].as_str().unwrap().to_owned(), row));
    }
    let kept = |path: &str| std::fs::read_to_string(bed.path(path)).unwrap_or_default();
    assert!(kept("sub/rejects.csv").contains("SECOND"));
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let meta = std::fs::metadata(bed.path("sub/rejects.csv")).unwrap();
        assert_eq!(meta.permissions().mode() & 0o777, 0o600);
    }
    let all_there = || {
        for (run, row) in &runs {
            let rows = String::from_utf8(bed.run(&["rejects", run]).stdout).unwrap();
            assert!(rows.lines().count() == 2 && rows.contains(row), "{rows}");
        }
    };
    all_there();
    // a check has its own rejects, here none
    std::fs::write(bed.path("list.csv"), "id,n\n1,2\n").unwrap();
    assert_eq!(bed.json(&with(&["check", "job.yaml"], &file)).0, 0);
    assert!(!bed.path("sub/rejects.csv").exists());
    all_there();
    std::fs::write(bed.path("sub/rejects.csv"), "no reject file").unwrap();
    assert_eq!(said(&bed, &with(&["run", "job.yaml"], &file), Stdio::null()).0, 2);
    assert_eq!(kept("sub/rejects.csv"), "no reject file");
}

#[test]
fn a_pass_that_ends_in_damage_counts_what_it_rejected() {
    // two chunks and a bit: the complete ones are counted, and the known part of the last
    let rows: String = (0..60_000).map(|row| format!("{row},abcde\n")).collect();
    for (list, whole) in [("id,x\n1\n2,\"open\n".to_owned(), false), (format!("id,x\n1\n{rows}2,\"open\n"), true)] {
        let bed = Bed::new(&job(), &list);
        for command in ["check", "run", "convert"] {
            let out: &[&str] = if command == "convert" { &["-o", "out.csv"] } else { &[] };
            let (code, text) = said(&bed, &with(&[command, "job.yaml", "--output", "json"], out), Stdio::null());
            let report: Value = serde_json::from_str(&text).unwrap();
            let count = |key: &str| report["records"][key].as_u64().unwrap();
            assert_eq!((code, count("rejected")), (10, 1), "{report}");
            assert_eq!(count("read"), count("written") + 1, "{report}");
            assert_eq!(count("written") > 40_000, whole, "{report}");
            assert_eq!(report["reject_reasons"], serde_json::json!({"ragged": 1}), "{report}");
            assert_eq!(report["bytes"]["source"], list.len(), "{report}");
            let file = std::fs::read_to_string(bed.path(report["rejects_file"].as_str().unwrap())).unwrap();
            assert_eq!(file.lines().count(), 2, "{file}");
        }
    }
}

/// The limit on file sizes simulates a full disk.
#[cfg(unix)]
#[test]
fn a_reject_file_that_does_not_fit_is_removed_with_a_hint() {
    let list: String = std::iter::once("id,x\n".to_owned()).chain((0..5_000).map(|i| format!("{i}\n"))).collect();
    let bed = Bed::new(&job(), list);
    let small = |arguments: &[&str]| {
        let mut command = std::process::Command::new("sh");
        command.args(["-c", "trap '' XFSZ; ulimit -f 64; exec \"$@\"", "sh", env!("CARGO_BIN_EXE_listferry")]);
        command.args(arguments).args(["--output", "json"]).current_dir(bed.path(""));
        let output = command.env("LISTFERRY_STATE_DIR", bed.path("state")).output().unwrap();
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        (output.status.code().unwrap(), report)
    };
    let (code, report) = small(&with(&["check", "job.yaml"], &REJECTS[2..]));
    assert_eq!((code, &report["rejects_file"]), (1, &Value::Null), "{report}");
    let hint = report["error"]["hint"].as_str().unwrap();
    assert!(hint.contains("make room") && hint.contains("rejects.file"), "{report}");
    assert!(!bed.path("rejects.csv").exists());
    // if no file was asked for, the rows are counted all the same
    let (code, report) = small(&["check", "job.yaml", "--set", "rejects.max=5000"]);
    assert_eq!((code, report["records"]["rejected"].as_u64()), (10, Some(5_000)), "{report}");
    assert_eq!(report["rejects_file"], Value::Null, "{report}");
    assert_eq!(std::fs::read_dir(bed.path("state/rejects")).unwrap().count(), 0);
}

#[cfg(unix)]
#[test]
fn files_of_a_killed_convert_are_swept_and_dev_stdout_is_stdout() {
    let bed = Bed::new(CLEVERTAP, "id,n\n1,2\n3,4\n");
    let left = bed.path(".out.csv.1-18a0c3.part");
    std::fs::write(&left, "half").unwrap();
    let file = std::fs::File::options().write(true).open(&left).unwrap();
    file.set_modified(std::time::SystemTime::now() - std::time::Duration::from_secs(600)).unwrap();
    assert_eq!(bed.run(&["convert", "job.yaml", "-o", "out.csv"]).status.code(), Some(0));
    assert!(!left.exists());
    let converted = std::fs::read(bed.path("out.csv")).unwrap();
    for name in ["-", "/dev/stdout"] {
        let output = bed.run(&["convert", "job.yaml", "-o", name, "--output", "json"]);
        assert_eq!(output.stdout, converted, "{name}");
        let report: serde_json::Value = serde_json::from_slice(&output.stderr).unwrap();
        assert_eq!(report["status"], "done", "{name}");
    }
}

#[test]
fn a_preview_has_the_separator_that_the_whole_list_chooses() {
    let job = "\
source: { path: list.csv }
map: { id: id, f: f }
destination: { platform: yesmail, list: l, api_user: { env: CT_U }, api_key: { env: CT_K }, host: { put: { url: { env: CT_P }, fetch_url: 'https://h/l' } } }
";
    for list in ["id,f\n1,a\n2,\"b\tc\"\n3,d\n", "id,f\n1,\"a\tb\"\n2,c\n3,d\n"] {
        let bed = Bed::new(job, list);
        let converted = String::from_utf8(bed.run(&["convert", "job.yaml", "-q"]).stdout).unwrap();
        assert!(converted.starts_with("id|f\n"), "{converted}");
        let (code, preview) = bed.json(&["preview", "job.yaml"]);
        let rows: Vec<_> =
            preview["rows"].as_array().unwrap().iter().map(|row| row["output"].as_str().unwrap()).collect();
        assert_eq!((code, rows.join("\n")), (0, converted["id|f\n".len()..].trim_end().to_owned()), "{preview}");
    }
}
