//! Review before sending: `check --out` and `run --plan`.

use super::cli::{Bed, CLEVERTAP};
use super::cli_runs::{Served, bed, run};
use super::job_file::{AUDIENCE, MEDIARITHMICS, PROFILES, YESMAIL, env_in};
use listferry::job::Job;
use serde_json::{Value, json};
use std::path::Path;

const LIST: &str = "id,x\n1,a\n2,b\n,c\n4,d\n";

/// A job whose segment has `{date}` and `{run}`, and which takes one rejected row.
fn planned(served: &Served) -> Bed {
    let dated = CLEVERTAP.replace("segment: VIP", "segment: \"VIP {date} {run}\"");
    Bed::new(
        &format!(
            "{dated}  base_url: {}\nupload: {{ attempts: 2, connect_timeout: 2s }}\nrejects: {{ max: 1 }}\n",
            served.url()
        ),
        LIST,
    )
}

fn plan_of(bed: &Bed) -> Value {
    serde_json::from_slice(&std::fs::read(bed.path("plan.json")).unwrap()).unwrap()
}

fn write_plan(bed: &Bed, plan: &Value) {
    std::fs::write(bed.path("plan.json"), plan.to_string()).unwrap();
}

/// Removes what depends on the time.
fn without_times(mut plan: Value) -> Value {
    for key in ["made_at", "date", "finish_by", "version"] {
        assert!(plan.as_object_mut().unwrap().remove(key).is_some_and(|value| value.is_string()), "{key}");
    }
    plan
}

#[test]
fn a_plan_has_what_a_run_would_do_and_no_row_or_secret() {
    let served = Served::new(&[]);
    let bed = planned(&served);
    let (code, report) = run(&bed, &["check", "job.yaml", "--out", "plan.json"]);
    assert_eq!(code, 0, "{report}");
    let plan = plan_of(&bed);
    let date = plan["date"].as_str().unwrap().to_owned();
    assert!(plan["finish_by"].as_str() >= plan["made_at"].as_str(), "{plan}");
    let post = |call: &str, purpose: &str| json!({ "call": format!("POST {call}"), "purpose": purpose, "count": 1, "quota": null, "at_once": 3 });
    let want = json!({
        "job": "job",
        "destination": {
            "platform": "clevertap", "region": "in1", "segment": "VIP {date} {run}", "creator": "etl",
            "email": "admin@example.com", "base_url": served.url(),
        },
        "names": { "segment": [format!("VIP {date} {{run}}")], "filename": [format!("VIP_{date}_run.csv")] },
        "records": { "read": 4, "written": 3, "filtered": 0, "rejected": 1 },
        "parts": [{ "index": 0, "bytes": 26, "records": 3 }],
        "bytes": { "body": 26 },
        "digest": report["digest"],
        "reject_reasons": { "empty": 1 },
        "calls": [
            post("/get_custom_list_segment_url", "get the address for the list"),
            { "call": "PUT", "purpose": "send the list to that address", "count": 1, "quota": null, "at_once": null },
            post("/upload_custom_list_segment_completed", "make the list a segment"),
        ],
    });
    assert_eq!(without_times(plan), want);
    let text = String::from_utf8(std::fs::read(bed.path("plan.json")).unwrap()).unwrap();
    assert!(!text.contains("CT_PASSCODE") && !text.contains("pass\""), "{text}");
    // the same in words
    let output = bed.run(&["check", "job.yaml"]);
    let text = String::from_utf8(output.stdout).unwrap();
    for line in [
        &*format!("  segment            \"VIP {date} {{run}}\"\n"),
        "  a run would call   POST /get_custom_list_segment_url: once, at most 3 at a time (get the address for the list)\n",
        "                     PUT: once (send the list to that address)\n",
        "  finish by          ",
        "4 read = 3 written + 0 filtered + 1 rejected",
    ] {
        assert!(text.contains(line), "{line:?} in {text}");
    }
    assert_eq!(served.received(), Vec::<Value>::new());
}

#[test]
fn a_planned_run_is_sent_under_the_names_of_the_plan() {
    let served = Served::new(&[]);
    let bed = planned(&served);
    run(&bed, &["check", "job.yaml", "--out", "plan.json"]);
    // the plan was made on another day
    let plan = plan_of(&bed);
    let date = plan["date"].as_str().unwrap();
    let text = plan.to_string().replace(date, "2026-01-02");
    std::fs::write(bed.path("plan.json"), text).unwrap();
    let (code, report) = run(&bed, &["run", "job.yaml", "--plan", "plan.json"]);
    assert_eq!(code, 0, "{report}");
    let segment = report["platform_result"]["segment"].as_str().unwrap();
    let id = report["run_id"].as_str().unwrap();
    assert_eq!(segment, format!("VIP 2026-01-02 {id}"));
    assert_eq!(report["digest"], plan["digest"]);
}

#[test]
fn a_run_that_differs_from_its_plan_sends_nothing() {
    let served = Served::new(&[]);
    let bed = planned(&served);
    run(&bed, &["check", "job.yaml", "--out", "plan.json"]);
    let plan = plan_of(&bed);
    let changed = |at: &str, value: Value| {
        let mut plan = plan.clone();
        *plan.pointer_mut(at).unwrap() = value;
        plan
    };
    let digest = plan["digest"].as_str().unwrap();
    for (at, value, said) in [
        ("/job", json!("other"), "job: \"other\" in the plan, \"job\" now"),
        ("/destination/region", json!("us1"), "destination.region: \"us1\" in the plan, \"in1\" now"),
        ("/destination/creator", Value::Null, "destination.creator: none in the plan, \"etl\" now"),
        ("/names/segment/0", json!("VIP"), "names.segment[0]: \"VIP\" in the plan, \"VIP "),
        ("/records/read", json!(5), "records.read: 5 in the plan, 4 now"),
        ("/records/filtered", json!(1), "records.filtered: 1 in the plan, 0 now"),
        ("/parts/0/bytes", json!(25), "parts[0].bytes: 25 in the plan, 26 now"),
        ("/parts", json!([]), "parts: 0 in the plan, 1 now"),
        ("/bytes/body", json!(25), "bytes.body: 25 in the plan, 26 now"),
        ("/digest", json!("crc64nvme:0"), &*format!("digest: \"crc64nvme:0\" in the plan, \"{digest}\" now")),
        ("/reject_reasons/empty", json!(2), "reject_reasons.empty: 2 in the plan, 1 now"),
        ("/reject_reasons", json!({}), "reject_reasons.empty: none in the plan, 1 now"),
    ] {
        write_plan(&bed, &changed(at, value));
        let (code, report) = run(&bed, &["run", "job.yaml", "--plan", "plan.json"]);
        assert_eq!((code, report["status"].as_str(), report["open"].as_bool()), (10, Some("rejected"), Some(false)));
        let message = report["error"]["message"].as_str().unwrap();
        assert!(message.contains(said) && message.ends_with("nothing was sent"), "{said}: {message}");
    }
    write_plan(&bed, &plan);
    // another value in a row, the same number of bytes
    std::fs::write(bed.path("list.csv"), LIST.replace("4,d", "5,d")).unwrap();
    let (code, report) = run(&bed, &["run", "job.yaml", "--plan", "plan.json"]);
    let message = report["error"]["message"].as_str().unwrap();
    assert!(code == 10 && message.contains("planned: digest: "), "{message}");
    let (code, report) = run(&bed, &["run", "job.yaml", "--plan", "plan.json", "--set", "destination.creator=me"]);
    assert!(code == 10 && report["error"]["message"].as_str().unwrap().contains("destination.creator"), "{report}");
    assert_eq!(served.received(), Vec::<Value>::new());
    // what is only shown is not compared
    std::fs::write(bed.path("list.csv"), LIST).unwrap();
    let mut plan = changed("/calls", json!([]));
    plan["finish_by"] = json!("1970-01-01T00:00:00Z");
    write_plan(&bed, &plan);
    assert_eq!(run(&bed, &["run", "job.yaml", "--plan", "plan.json"]).0, 0);
}

#[test]
fn a_planned_run_that_was_interrupted_is_continued_by_its_plan() {
    let served = Served::new(&["completed-503"]);
    let bed = planned(&served);
    run(&bed, &["check", "job.yaml", "--out", "plan.json"]);
    let text = plan_of(&bed).to_string();
    let date = plan_of(&bed)["date"].as_str().unwrap().to_owned();
    // the names of the open run are those of that day
    std::fs::write(bed.path("plan.json"), text.replace(&date, "2026-01-02")).unwrap();
    let (code, first) = run(&bed, &["run", "job.yaml", "--plan", "plan.json", "--set", "upload.attempts=1"]);
    assert_eq!(code, 20, "{first}");
    let (code, report) = run(&bed, &["run", "job.yaml", "--plan", "plan.json"]);
    assert_eq!((code, &report["run_id"], report["continued"].as_bool()), (0, &first["run_id"], Some(true)), "{report}");
    assert!(report["platform_result"]["segment"].as_str().unwrap().starts_with("VIP 2026-01-02 "), "{report}");
}

#[test]
fn a_plan_needs_the_variables_of_its_destination() {
    let served = Served::new(&[]);
    let bed = bed(&served, "id\n1\n");
    let by_variable = ["--set", "destination.creator={ env: CT_CREATOR }"];
    let mut arguments = vec!["check", "job.yaml", "--out", "plan.json", "--output", "json"];
    arguments.extend(by_variable);
    let output = bed.run(&arguments);
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(2), "{report}");
    let message = report["error"]["message"].as_str().unwrap();
    assert!(message.contains("destination.creator: the environment variable CT_CREATOR is not set"), "{message}");
    assert!(!bed.path("plan.json").exists());
    let output = bed.command(&arguments).env("CT_CREATOR", "etl").output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stdout));
    assert_eq!(plan_of(&bed)["destination"]["creator"], "etl");
}

#[test]
fn a_check_that_fails_writes_no_plan() {
    let served = Served::new(&[]);
    let bed = bed(&served, "id\n1\n\"\"\n");
    let (code, _) = run(&bed, &["check", "job.yaml", "--out", "plan.json"]);
    assert_eq!((code, bed.path("plan.json").exists()), (10, false));
    let (code, report) = run(&bed, &["check", "job.yaml", "--set", "rejects.max=1", "--out", "gone/plan.json"]);
    assert_eq!((code, report["error"]["kind"].as_str()), (1, Some("local")), "{report}");
}

#[test]
fn a_plan_can_go_to_stdout_and_the_report_to_stderr() {
    let served = Served::new(&[]);
    let bed = bed(&served, "id\n1\n");
    let output = bed.run(&["check", "job.yaml", "--out", "-"]);
    let plan: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(plan["records"]["written"], 1);
    assert!(String::from_utf8_lossy(&output.stderr).starts_with("check clevertap: done (exit 0)\n"));
    let output = bed.run(&["check", "gone.yaml", "--out", "-", "--output", "json"]);
    assert!(output.stdout.is_empty() && output.status.code() == Some(2));
}

#[test]
fn what_is_not_a_plan_is_wrong_usage() {
    let served = Served::new(&[]);
    let bed = bed(&served, "id\n1\n");
    run(&bed, &["check", "job.yaml", "--out", "good.json"]);
    let good = std::fs::read_to_string(bed.path("good.json")).unwrap();
    let cut = good.replace("\"records\"", "\"record\"");
    let no_date = good.replace("\"date\": \"20", "\"date\": \"x20");
    for (text, said) in [
        ("", "is not a plan"),
        ("[]", "is not a plan"),
        ("{}", "is not a plan"),
        (&good[..good.len() / 2], "is not a plan"),
        (&*no_date, "is not a plan"),
        (&*cut, "is not a whole plan: it has no records"),
    ] {
        std::fs::write(bed.path("plan.json"), text).unwrap();
        let (code, report) = run(&bed, &["run", "job.yaml", "--plan", "plan.json"]);
        assert_eq!(code, 2, "{report}");
        assert!(report["error"]["message"].as_str().unwrap().contains(said), "{text:?}: {report}");
    }
    std::fs::remove_file(bed.path("plan.json")).unwrap();
    let (code, report) = run(&bed, &["run", "job.yaml", "--plan", "plan.json"]);
    assert!(code == 2 && report["error"]["message"].as_str().unwrap().contains("cannot be read"), "{report}");
    for more in ["--sandbox", "--dry-run"] {
        assert_eq!(bed.run(&["run", "job.yaml", "--plan", "good.json", more]).status.code(), Some(2), "{more}");
    }
    assert_eq!(served.received(), Vec::<Value>::new());
}

/// Returns the plan of a check of a list of five rows; `further` is the job file without `source` and `destination`.
fn check(destination: &str, further: &str) -> Value {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("list.csv"), "id,op\na1,UPDATE\na2,DELETE\na3,UPDATE\na4,UPDATE\na5,UPDATE\n")
        .unwrap();
    let text = format!("source: {{ path: list.csv }}\ndestination: {{ {destination} }}\n{further}\n");
    let report = Job::read(&text, dir.path(), &[]).unwrap().check(&env_in(dir.path()));
    let plan = report.into_result().unwrap().plan.unwrap().to_json();
    let seconds = |key: &str| chrono::DateTime::parse_from_rfc3339(plan[key].as_str().unwrap()).unwrap().timestamp();
    let mut plan = plan.clone();
    plan["seconds"] = (seconds("finish_by") - seconds("made_at")).into();
    plan
}

/// Returns the calls with their counts, and the limits of those with a quota.
fn calls(plan: &Value) -> Vec<String> {
    let one = |call: &Value| {
        let quota = &call["quota"];
        let quota =
            if quota.is_null() { String::new() } else { format!(" of {}/{}", quota["calls"], quota["seconds"]) };
        format!("{} {}{quota}", call["count"], call["call"].as_str().unwrap())
    };
    plan["calls"].as_array().unwrap().iter().map(one).collect()
}

#[test]
fn the_calls_of_every_platform_are_planned_with_their_quotas() {
    let id = "map: { customer_id: id }\nwait: 10m";
    let plan = check(AUDIENCE, id);
    let status = "null GET /v1/imports/audiences/list/status/…";
    let look = "1 GET /v1/imports/audiences/list/app/… of 60/60";
    assert_eq!(calls(&plan), [look, "1 POST /v1/imports/audiences/list/ of 60/60", status]);
    assert_eq!(plan["names"], json!({ "audience_name": ["n"] }));
    assert!((600..605).contains(&plan["seconds"].as_i64().unwrap()), "{plan}");
    let replaced = AUDIENCE.replace("audience_name: n", "audience_list_id: 31245");
    let plan = check(&replaced, id);
    assert_eq!(
        (calls(&plan), &plan["names"]),
        (vec!["1 PUT /v1/imports/audiences/list/31245 of 60/60".to_owned(), status.to_owned()], &json!({}))
    );

    // 12 uploads of ten an hour, each after the verdict on the one before
    let changes = "map: { customer_id: id, changes: [{ op: assign, attr: a, column: id }] }\nwait: 10m\n\
                   upload: { part_wait: 1m, max_quota_wait: 2h }";
    let small = format!("{PROFILES}, max_part_bytes: 100");
    let plan = check(&small, changes);
    let parts = plan["parts"].as_array().unwrap().len();
    assert_eq!(parts, 5);
    let want = ["5 POST /v1/imports/profiles/upload of 10/3600", "null GET /v1/imports/profiles/status/…"];
    assert_eq!(calls(&plan), want);
    assert!((840..845).contains(&plan["seconds"].as_i64().unwrap()), "{plan}");

    let commands = "map: { operation: op, segment_id: { value: 4 }, user_account_id: id, \
                    expiration_duration: { value: 0 } }\nwait: 10m";
    let (path, own) = ("/v1/datamarts/1/document_imports", MEDIARITHMICS);
    let plan = check(own, commands);
    let want =
        [format!("1 POST {path}"), format!("1 POST {path}/…/executions"), format!("null GET {path}/…/executions")];
    assert_eq!(calls(&plan), want);
    assert_eq!(plan["names"], json!({ "import_name": ["n"] }));
    let plan = check(&own.replace("import_name: n", "document_import_id: 77"), commands);
    assert_eq!(calls(&plan), [format!("1 POST {path}/77/executions"), format!("null GET {path}/77/executions")]);

    let put = "host: { put: { url: { env: P }, fetch_url: 'https://x.example/z' } }";
    let before = ["1 GET /v2/company/ping", "1 GET /v2/target-lists?view=schema"];
    let after = ["1 POST /v2/target-lists/l/members/file-import", "null GET /v2/tickets/…"];
    for (host, between) in [
        (put, "1 PUT"),
        ("host: { ftp: { url: 'ftp://x.example/z.csv' } }", "1 FTP"),
        ("host: { serve: { listen: '127.0.0.1:0' } }", "null GET by Yesmail"),
    ] {
        let destination = YESMAIL.replace(put, host);
        let plan = check(
            &destination,
            "map: { id: id }\nwait: 0s".replace("0s", if host.contains("serve") { "1m" } else { "0s" }).as_str(),
        );
        assert_eq!(calls(&plan), [&before[..], &[between], &after[..]].concat());
        assert!(plan["destination"]["host"].get("put").is_none_or(|put| put.get("url").is_none()), "{plan}");
    }
    let there = YESMAIL.replace(put, "host: { uri: 'https://x.example/z.csv?sig=hunter2' }");
    let plan = check(&there, "map: { id: id }");
    assert_eq!(calls(&plan), [&before[1..], &after[..]].concat());
    assert_eq!((&plan["digest"], &plan["parts"]), (&Value::Null, &json!([])));
    assert!(!plan.to_string().contains("hunter2"), "{plan}");
}

#[test]
fn literal_secrets_are_not_in_a_plan() {
    let put = "host: { put: { url: 'https://x.example/z?sig=hunter2', fetch_url: 'https://me:hunter3@x.example/z', \
               headers: { X-Key: hunter4 } } }";
    let destination = format!("platform: yesmail, list: l, api_user: hunter5, api_key: hunter6, {put}");
    let plan = check(&destination, "map: { id: id }");
    assert!(!plan.to_string().contains("hunter"), "{plan}");
}

#[test]
fn the_workflow_page_makes_a_comment_and_sends_the_plan() {
    let page = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/REVIEW.md")).unwrap();
    let blocks: Vec<&str> = page.split("```sh\n").skip(1).map(|block| block.split("\n```").next().unwrap()).collect();
    let served = Served::new(&[]);
    let bed = planned(&served);
    let script = |block: &str| {
        let binary = Path::new(env!("CARGO_BIN_EXE_listferry")).parent().unwrap().to_owned();
        let path = format!("{}:{}", binary.display(), std::env::var("PATH").unwrap());
        let mut command = std::process::Command::new("sh");
        command.arg("-euc").arg(block).current_dir(bed.path("")).env("PATH", path);
        command.env("LISTFERRY_STATE_DIR", bed.path("state")).env("CT_ACCOUNT", "acc").env("CT_PASSCODE", "pass");
        command.output().unwrap()
    };
    let made = script(blocks[0]);
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let comment = std::fs::read_to_string(bed.path("comment.md")).unwrap();
    for part in ["check clevertap: done (exit 0)", "3 written", "<details>", "\"digest\": \"crc64nvme:"] {
        assert!(comment.contains(part), "{part}: {comment}");
    }
    let sent = script(blocks[1]);
    assert!(sent.status.success(), "{}", String::from_utf8_lossy(&sent.stdout));
    // a check that fails is shown, too
    std::fs::write(bed.path("list.csv"), "id\n1\n\"\"\n\"\"\n").unwrap();
    let failed = script(blocks[0]);
    assert_eq!(failed.status.code(), Some(10));
    let comment = std::fs::read_to_string(bed.path("comment.md")).unwrap();
    assert!(comment.contains("rejected (exit 10)") && !comment.contains("digest\":"), "{comment}");
}
