//! The history of runs: filters, text for people, deletion. Completions, manual pages and colours.

use super::cli::Bed;
use super::cli_runs::{Served, bed, run};
use std::process::Output;

const LIST: &str = "id,x\n1,a\n2,b\n3,c\n";

/// Runs the job; the sandbox has no list of this name yet.
fn done(bed: &Bed, name: &str, list: &str) -> String {
    let (code, report) = run(
        bed,
        &["run", "job.yaml", "--set", &format!("name={name}"), "--set", &format!("destination.segment={list}")],
    );
    assert_eq!(code, 0, "{report}");
    report["run_id"].as_str().unwrap().to_owned()
}

fn ids(bed: &Bed, filter: &[&str]) -> Vec<String> {
    let (code, runs) = run(bed, &[&["runs"], filter].concat());
    assert_eq!(code, 0, "{runs}");
    runs.as_array().unwrap().iter().map(|run| run["run_id"].as_str().unwrap().to_owned()).collect()
}

fn text(output: &Output) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (text(&output.stdout), text(&output.stderr))
}

#[test]
fn runs_are_listed_by_job_status_time_and_number() {
    let served = Served::new(&[]);
    let bed = bed(&served, LIST);
    let all = [done(&bed, "a", "one"), done(&bed, "b", "two"), done(&bed, "a", "three")];
    let (code, refused) = run(&bed, &["run", "job.yaml", "--set", "name=a", "--set", "destination.segment=one"]);
    assert_eq!(code, 12, "{refused}");
    let failed = refused["run_id"].as_str().unwrap().to_owned();
    assert_eq!(ids(&bed, &[]), [&all[..], std::slice::from_ref(&failed)].concat());
    assert_eq!(ids(&bed, &["--job", "a"]), [all[0].clone(), all[2].clone(), failed.clone()]);
    assert_eq!(ids(&bed, &["--job", "c"]), Vec::<String>::new());
    assert_eq!(ids(&bed, &["--status", "failed"]).as_slice(), std::slice::from_ref(&failed));
    assert_eq!(ids(&bed, &["--limit", "2"]), [all[2].clone(), failed.clone()]);
    assert_eq!(ids(&bed, &["--job", "a", "--status", "done", "--limit", "1"]), [all[2].clone()]);
    assert_eq!(ids(&bed, &["--limit", "0"]), Vec::<String>::new());
    assert_eq!(ids(&bed, &["--since", "1h"]).len(), 4);
    assert_eq!(ids(&bed, &["--since", "2999-01-01T00:00:00Z"]), Vec::<String>::new());
    assert_eq!(bed.run(&["runs", "--since", "yesterday"]).status.code(), Some(2));
    assert_eq!(bed.run(&["runs", "--status", "dnoe"]).status.code(), Some(2), "a misspelt status lists nothing");
    assert_eq!(bed.run(&["runs", "--status", "superseded"]).status.code(), Some(0));
    assert_eq!(bed.run(&["runs", "last", "--limit", "1"]).status.code(), Some(2));

    let (listed, _) = text(&bed.run(&["runs"]));
    let lines: Vec<&str> = listed.lines().collect();
    assert!(lines.len() == 5 && lines[0].starts_with("RUN "), "{listed}");
    // each column begins, or ends, below its head
    for (head, value) in [("PLATFORM", "clevertap"), ("STATUS", "done")] {
        assert_eq!(lines[0].find(head), lines[1].find(value), "{listed}");
    }
    for (head, value) in [("WRITTEN", "  3 "), ("REJECTED", "  0 "), ("TOOK", "00:0"), ("EXIT", "  0 ")] {
        let ends = lines[0].find(head).unwrap() + head.len();
        let cell = &lines[1][..ends];
        let found = cell.ends_with(value.trim()) || cell.rsplit(' ').next().unwrap().starts_with(value.trim());
        assert!(found, "{head}: {listed}");
    }
    assert_eq!(text(&bed.run(&["runs", "--job", "c"])), (String::new(), "no such runs\n".to_owned()));
    let (one, _) = text(&bed.run(&["runs", &all[1]]));
    assert!(one.starts_with("job b, started 20") && one.contains("3 read = 3 written"), "{one}");
}

#[test]
fn old_runs_are_deleted_but_none_that_is_needed() {
    let served = Served::new(&["completed-lost"]);
    let bed = bed(&served, "id,x\n1,a\n2\n");
    let lenient = ["--set", "rejects.max=5"];
    let (code, doubt) = run(&bed, &[&["run", "job.yaml", "--set", "name=doubt"][..], &lenient].concat());
    assert_eq!(code, 21, "{doubt}");
    let ok = |name: &str, list: &str| {
        let (name, list) = (format!("name={name}"), format!("destination.segment={list}"));
        let replace = "destination.replace=true";
        let arguments = ["run", "job.yaml", "--set", &name, "--set", &list, "--set", replace];
        let (code, report) = run(&bed, &[&arguments[..], &lenient].concat());
        assert_eq!(code, 0, "{report}");
        report
    };
    let (first, last) = (ok("a", "one"), ok("a", "one"));
    let rejects = first["rejects_file"].as_str().unwrap();
    assert!(std::path::Path::new(rejects).exists());
    let (code, none) = run_any(&bed, &["runs", "prune"]);
    assert_eq!((code, none["runs"].as_u64()), (0, Some(0)), "{none}");
    let (code, pruned) = run_any(&bed, &["runs", "prune", "--older-than", "0s"]);
    assert_eq!((code, pruned["runs"].as_u64()), (0, Some(1)), "{pruned}");
    assert!(pruned["bytes"].as_u64() > Some(0), "{pruned}");
    assert!(!std::path::Path::new(rejects).exists(), "the rejected rows go with the run");
    let id = |report: &serde_json::Value| report["run_id"].as_str().unwrap().to_owned();
    assert_eq!(ids(&bed, &[]), [id(&doubt), id(&last)], "one is in doubt, one the last done run of its job");
    assert_eq!(run(&bed, &["run", "job.yaml", "--set", "name=doubt", "--set", "rejects.max=5"]).0, 21);
}

/// As [`run`], for an object that is not a report.
fn run_any(bed: &Bed, arguments: &[&str]) -> (i32, serde_json::Value) {
    let output = bed.run(&[arguments, &["--output", "json"]].concat());
    (output.status.code().unwrap(), serde_json::from_slice(&output.stdout).unwrap())
}

#[test]
fn completions_and_manual_pages_have_every_command() {
    let bed = Bed::new("", "");
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let (script, said) = text(&bed.run(&["completions", shell]));
        assert!(script.contains("listferry") && script.contains("preview") && said.is_empty(), "{shell}: {said}");
    }
    assert_eq!(bed.run(&["completions", "tcsh"]).status.code(), Some(2));
    assert!(text(&bed.run(&["man"])).0.contains(".TH listferry 1"));
    std::fs::create_dir(bed.path("man")).unwrap();
    assert_eq!(bed.run(&["man", "--dir", "man"]).status.code(), Some(0));
    for page in ["listferry.1", "listferry-run.1", "listferry-runs-prune.1"] {
        assert!(bed.path("man").join(page).exists(), "{page}");
    }
    assert_eq!(bed.run(&["man", "--dir", "gone"]).status.code(), Some(1));
}

#[test]
fn colours_follow_the_option_and_the_conventions() {
    let bed = Bed::new("wayt: 5", "");
    let with = |arguments: &[&str], variables: &[(&str, &str)]| {
        let mut command = bed.command(&[&["check", "job.yaml"], arguments].concat());
        for name in ["NO_COLOR", "CLICOLOR_FORCE", "TERM"] {
            command.env_remove(name);
        }
        text(&command.envs(variables.iter().copied()).output().unwrap()).1
    };
    let red = |said: &str| said.contains("\x1b[31m");
    assert!(!red(&with(&[], &[])), "not a terminal");
    assert!(red(&with(&["--color", "always"], &[("NO_COLOR", "1")])));
    assert!(red(&with(&[], &[("CLICOLOR_FORCE", "1")])));
    assert!(!red(&with(&[], &[("CLICOLOR_FORCE", "0")])));
    assert!(!red(&with(&[], &[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")])));
    assert!(!red(&with(&["--color=never"], &[("CLICOLOR_FORCE", "1")])));
    // clap's own errors, too
    assert!(red(&with(&["--color", "always", "--nope"], &[])) && !red(&with(&["--nope"], &[])));
}
