//! What commands read and write on this machine: no file of the user is lost, none of ours is left.

use super::cli::{Bed, CLEVERTAP};
use serde_json::Value;
use std::process::Stdio;

/// Two rows, one of which is rejected and may be.
const LIST: &str = "id,n\n1,2\n,3\n";
/// Nobody is contacted: this address refuses.
fn job() -> String {
    format!("{CLEVERTAP}  base_url: http://127.0.0.1:1\n")
}

const REJECTS: [&str; 4] = ["--set", "rejects.max=5", "--set", "rejects.file=rejects.csv"];

fn with<'a>(arguments: &[&'a str], more: &[&'a str]) -> Vec<&'a str> {
    [arguments, more].concat()
}

/// Exit code and what was said, of a run with made-up secrets.
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
