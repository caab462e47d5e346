//! The report of a run as an HTML page.

use super::cli::Bed;
use super::cli_runs::{Served, bed, run};
use serde_json::Value;

/// Returns the page of the last run.
fn page(bed: &Bed, more: &[&str]) -> String {
    let output = bed.run(&[&["report", "last"], more].concat());
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Checks the body of the page with a reader of its own: tags are closed in order, and nothing is loaded or run.
fn checked(page: &str) {
    let mut open: Vec<&str> = Vec::new();
    let (_, rest) = page.split_once("</style></head>").unwrap();
    let body = rest.strip_suffix("</html>\n").unwrap();
    for piece in body.split('<').skip(1) {
        let (tag, _) = piece.split_once('>').expect("a tag that ends");
        let name = tag.split([' ', '/']).find(|word| !word.is_empty()).unwrap();
        assert!(name.bytes().all(|byte| byte.is_ascii_alphanumeric()), "{tag}");
        assert!(!["script", "img", "iframe", "link", "object", "embed", "form", "a", "style"].contains(&name), "{tag}");
        for attribute in tag.split('"').step_by(2) {
            assert!(!attribute.contains(" on") && !attribute.contains("href") && !attribute.contains("src"), "{tag}");
        }
        match (tag.strip_prefix('/'), tag.ends_with('/')) {
            (Some(name), _) => assert_eq!(open.pop(), Some(name), "{tag}"),
            (None, false) if !["br", "meta"].contains(&name) => open.push(name),
            _ => {}
        }
    }
    assert!(open.is_empty(), "not closed: {open:?}");
    assert!(!page.contains("url(") && !page.contains("@import"), "nothing from the network");
}

#[test]
fn a_page_says_how_the_run_ended_and_what_to_do() {
    let served = Served::new(&[]);
    let bed = bed(&served, "id,name\n1,canary-ann\n,canary-bo\n2\n3,canary-cy\n");
    let (code, report) = run(&bed, &["run", "job.yaml", "--set", "rejects.max=5"]);
    assert_eq!(code, 0, "{report}");
    let page = page(&bed, &[]);
    checked(&page);
    assert!(page.starts_with("<!DOCTYPE html>") && page.len() < 60_000, "{} bytes", page.len());
    for wanted in [
        "job → CleverTap",
        ">Done<",
        "CleverTap has received 2 records",
        "2 rows of the list are not valid",
        "A required value is empty",
        "The row has more or fewer cells than the header",
        "by e-mail",
        "default-src &#39;none&#39;",
        report["run_id"].as_str().unwrap(),
        report["digest"].as_str().unwrap(),
        "--as-source -o rows.csv",
        "aria-label=\"Stages and calls of the run\"",
    ] {
        assert!(page.contains(wanted) || page.contains(&wanted.replace("&#39;", "'")), "{wanted}: {page}");
    }
    assert!(!page.contains("canary"), "no value of a row");
    let shown = self::page(&bed, &["--show-values"]);
    checked(&shown);
    assert!(shown.contains("canary-bo") && !shown.contains("canary-ann"), "{shown}");
    let file = bed.run(&["report", "job.yaml", "-o", "report.html"]);
    assert_eq!((file.status.code(), file.stdout), (Some(0), Vec::new()));
    assert_eq!(std::fs::read_to_string(bed.path("report.html")).unwrap(), page);
}

#[test]
fn hostile_names_and_answers_are_text() {
    let hostile = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>&amp;\u{202e}";
    let served = Served::new(&["reject-row=0"]);
    let job = format!(
        "name: {}\nsource: {{ path: list.csv }}\nmap: {{ customer_id: id, changes: [ {{ op: increment, attr: n, value: 1 }} ] }}\n\
         destination: {{ platform: localytics-profiles, org_id: 60, api_key: {{ env: CT_ACCOUNT }}, api_secret: {{ env: CT_PASSCODE }}, base_url: \"{}\" }}\n",
        Value::from(hostile.replace('\u{202e}', "")),
        served.url()
    );
    let bed =
        Bed::new(&job, format!("id,\"{}\"\n\"{}\",x\n2\n", hostile.replace('"', "\"\""), hostile.replace('"', "\"\"")));
    let (code, report) = run(&bed, &["run", "job.yaml", "--set", "rejects.max=5"]);
    assert_eq!(code, 11, "{report}");
    // what a server could have answered
    let db = rusqlite::Connection::open(bed.path("state/state.db")).unwrap();
    let mut stored = report.clone();
    stored["platform_result"] = serde_json::json!({ "message": hostile, hostile: [hostile, { hostile: hostile }] });
    stored["parts"][0]["remote_id"] = hostile.into();
    stored["error"]["message"] = hostile.into();
    stored["error"]["hint"] = hostile.into();
    stored["warnings"] = serde_json::json!([{ "kind": "note", "message": hostile, "column": hostile, "count": null, "first_record": null, "hint": hostile }]);
    stored["reject_reasons"] = serde_json::json!({ hostile: 3 });
    stored["digest"] = hostile.into();
    db.execute("UPDATE runs SET report = ?1", [stored.to_string()]).unwrap();
    let course = serde_json::json!({
        "stages": [{ "name": hostile, "at": 1, "took": 2 }, { "name": "send", "at": 1, "took": 2 }],
        "calls": [{ "step": hostile, "method": hostile, "part": null, "bytes": null, "status": null, "at": 1, "took": 9 }],
    });
    db.execute("UPDATE facts SET value = ?1 WHERE key = 'course'", [course.to_string()]).unwrap();
    for more in [&[][..], &["--show-values"]] {
        let page = page(&bed, more);
        checked(&page);
        assert!(
            page.contains("&lt;script&gt;alert(1)") && !page.contains("<script") && !page.contains("<img"),
            "{page}"
        );
        assert!(page.contains("\\u{202e}") && !page.contains('\u{202e}'), "{page}");
    }
}

#[test]
fn the_page_of_a_run_is_written_where_the_job_says() {
    let served = Served::new(&["completed-lost"]);
    let bed = bed(&served, "id,name\n1,a\n");
    let html = ["--set", "report.html=out/report.html"];
    let (code, report) = run(&bed, &[&["run", "job.yaml"][..], &html].concat());
    assert_eq!(code, 21, "{report}");
    assert!(
        report["warnings"][0]["message"].as_str().unwrap().starts_with("report.html: "),
        "no such folder: {report}"
    );
    std::fs::create_dir(bed.path("out")).unwrap();
    let (code, _) =
        run(&bed, &[&["run", "job.yaml", "--set", "name=other", "--set", "destination.segment=B"][..], &html].concat());
    assert_eq!(code, 0);
    let page = std::fs::read_to_string(bed.path("out/report.html")).unwrap();
    checked(&page);
    assert!(page.contains("other → CleverTap"), "{page}");
    let output = bed.run(&["report", report["run_id"].as_str().unwrap()]);
    let page = String::from_utf8(output.stdout).unwrap();
    checked(&page);
    assert!(
        page.contains(">In doubt<") && page.contains("It is not known whether CleverTap has received the list"),
        "{page}"
    );
    assert!(page.contains("--assume done"), "{page}");
}

#[test]
fn a_run_whose_process_is_gone_is_stopped_and_says_how_to_continue() {
    let served = Served::new(&["completed-503"]);
    let bed = bed(&served, "id,name\n1,a\n");
    let (code, report) = run(&bed, &["run", "job.yaml", "--set", "upload.attempts=1"]);
    assert_eq!(code, 20, "{report}");
    // as a process leaves it that is killed
    let db = rusqlite::Connection::open(bed.path("state/state.db")).unwrap();
    db.execute("UPDATE runs SET exit_code = NULL, report = NULL, ended_ms = NULL", []).unwrap();
    let page = page(&bed, &[]);
    checked(&page);
    let resume = format!("listferry resume {}", report["run_id"].as_str().unwrap());
    assert!(page.contains(">Stopped<") && page.contains(&resume) && !page.contains("has received"), "{page}");
    let text = String::from_utf8(bed.run(&["runs", "last"]).stdout).unwrap();
    assert!(text.contains("run clevertap: interrupted (exit 130)") && text.contains(&resume), "{text}");
    assert!(text.contains("1 read = 1 written"), "what is known of it: {text}");
}

#[test]
fn many_rejects_and_parts_leave_the_page_small() {
    let served = Served::new(&[]);
    let list: String = std::iter::once("id,x\n".to_owned())
        .chain((0..30_000).map(|i| format!("{i}\n")))
        .chain(["1,a\n".to_owned()])
        .collect();
    let bed = bed(&served, list);
    let (code, _) = run(&bed, &["run", "job.yaml", "--set", "rejects.max_percent=100", "--show-values"]);
    assert_eq!(code, 0);
    let page = page(&bed, &["--show-values"]);
    checked(&page);
    assert!(page.contains("30,000 rows of the list are not valid") && page.len() < 60_000, "{} bytes", page.len());
}
