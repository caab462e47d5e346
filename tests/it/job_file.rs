//! A job file determines the output: five lines of a list through each platform's rows, in the process.

use crate::report_schema::Valid as _;
use listferry::job::{Env, Job};
use listferry::{Error, Kind};
use serde_json::Value;

pub(crate) const CLEVERTAP: &str = "platform: clevertap, region: in1, account_id: { env: A }, passcode: { env: P }, segment: s, \
                         creator: c, email: e@example.com";
pub(crate) const AUDIENCE: &str =
    "platform: localytics-audience, app_id: a, audience_name: n, api_key: { env: K }, api_secret: { env: S }";
pub(crate) const PROFILES: &str =
    "platform: localytics-profiles, org_id: 1, api_key: { env: K }, api_secret: { env: S }";
pub(crate) const MEDIARITHMICS: &str = "platform: mediarithmics, datamart_id: 1, token: { env: T }, import_name: n";
pub(crate) const YESMAIL: &str = "platform: yesmail, list: l, separator: ',', api_user: { env: U }, api_key: { env: K }, \
                       host: { put: { url: { env: P }, fetch_url: 'https://x.example/z' } }";

/// Returns an environment whose state is in `folder`, since tests share the user's own.
pub(crate) fn env_in(folder: &std::path::Path) -> Env {
    let mut env = Env::default();
    env.state_dir = Some(folder.join("state"));
    env
}

/// Returns what `convert` writes for a list, or the error. `further` is the job file without `source` and
/// `destination`.
pub(crate) fn convert(destination: &str, further: &str, list: &str) -> Result<String, Error> {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("list.csv"), list).unwrap();
    let text = format!("source: {{ path: list.csv }}\ndestination: {{ {destination} }}\n{further}\n");
    let mut out = Vec::new();
    let report = Job::read(&text, dir.path(), &[])?.convert(&env_in(dir.path()), &mut out);
    match report.error {
        None => Ok(String::from_utf8(out).unwrap()),
        Some(error) => Err(error),
    }
}

/// Returns the error of an invalid job file.
pub(crate) fn refused(destination: &str, further: &str) -> Error {
    let error = convert(destination, further, "id,n,d,plan\n1,5,,x\n").expect_err(further);
    assert_eq!(error.kind(), Kind::Usage, "{further}: {error}");
    error
}

#[test]
fn a_required_value_cannot_be_kept_empty() {
    for empty in ["keep", "omit", "null"] {
        let segment = "operation: { value: UPDATE }, segment_id: { value: 4 }";
        for (destination, at, map) in [
            (CLEVERTAP, "map.identity", format!("identity: {{ column: id, empty: {empty} }}")),
            (CLEVERTAP, "map.type", format!("identity: id, type: {{ column: n, empty: {empty} }}")),
            (YESMAIL, "map.id", format!("id: {{ column: id, empty: {empty} }}, n: n")),
            (AUDIENCE, "map.customer_id", format!("customer_id: {{ column: id, empty: {empty} }}")),
            (
                PROFILES,
                "map.customer_id",
                format!(
                    "customer_id: {{ column: id, empty: {empty} }}, changes: [{{ op: assign, attr: a, column: n }}]"
                ),
            ),
            (
                MEDIARITHMICS,
                "map.expiration_duration",
                format!("{segment}, user_account_id: id, expiration_duration: {{ column: n, empty: {empty} }}"),
            ),
        ] {
            let error = refused(destination, &format!("map: {{ {map} }}"));
            let said = format!("{at}: a value is required, so empty can only be \"reject\"");
            assert_eq!(error.message(), said, "{destination}");
            assert!(error.hint().unwrap().contains("where"));
            let rejecting = map.replace(&format!("empty: {empty}"), "empty: reject");
            let list = if at == "map.type" { "id,n,d\n1,i,\n" } else { "id,n,d\n1,5,\n" };
            convert(destination, &format!("map: {{ {rejecting} }}"), list).unwrap();
        }
    }
}

#[test]
fn a_number_that_may_be_absent_cannot_be_an_empty_text() {
    let base = "operation: { value: UPDATE }, segment_id: { value: 4 }, expiration_duration: { value: 0 }";
    for further in [
        "user_account_id: { column: d, empty: keep }, email_hash: id",
        "user_account_id: { column: d, empty: 'null' }, email_hash: id",
        "user_account_id: id, expiration_ts: { column: d, empty: keep }",
        "user_account_id: id, data_bag: { column: d, empty: keep }",
    ] {
        let error = refused(MEDIARITHMICS, &format!("map: {{ {base}, {further} }}"));
        assert_eq!(error.hint(), Some("use empty: omit or reject"), "{error}");
    }
    let map = format!("map: {{ {base}, user_account_id: d, email_hash: {{ column: id, empty: omit }} }}");
    let line = "{\"operation\":\"UPDATE\",\"email_hash\":\"1\",\"segment_id\":\"4\",\"expiration_duration\":0}\n";
    assert_eq!(convert(MEDIARITHMICS, &map, "id,n,d\n1,5,\n").unwrap(), line);
    // in a delimited file an empty cell is absent
    let csv = format!("{MEDIARITHMICS}, mime_type: csv");
    let map = format!("map: {{ {base}, user_account_id: {{ column: d, empty: keep }}, email_hash: id }}");
    assert!(convert(&csv, &map, "id,n,d\n1,5,\n").unwrap().ends_with("\nUPDATE,,1,4,0\n"));
    let change = "{ op: increment, attr: a, column: d, empty: keep }";
    let error = refused(PROFILES, &format!("map: {{ customer_id: id, changes: [{change}] }}"));
    assert!(error.message().starts_with("map.changes[0]: "), "{error}");
}

#[test]
fn numbers_are_texts_as_they_are_written() {
    let written = ["0049", "+49", "1.10", "1e3", "0x10", "0o17", "1_000", "0b11", "True", "1e999", "-0", ".5"];
    for text in written {
        let list = format!("id,n\n{text},1\nother,2\n");
        let by = |further: &str| convert(AUDIENCE, &further.replace('@', text), &list).unwrap();
        let line = |text: &str| format!("{{\"customer_id\":\"{text}\"}}\n");
        let id = "map: { customer_id: id }";
        assert_eq!(by(&format!("{id}\nwhere: [{{ column: id, equals: @ }}]")), line(text));
        assert_eq!(by(&format!("{id}\nwhere: [{{ column: id, not_equals: @ }}]")), line("other"));
        assert_eq!(by(&format!("{id}\nwhere: [{{ column: id, in: [x, @] }}]")), line(text));
        assert_eq!(by(&format!("{id}\nwhere: [{{ column: id, not_in: [@, x] }}]")), line("other"));
        let both = |a: &str| line(a) + &line(a);
        assert_eq!(by("map: { customer_id: { value: @ } }"), both(text));
        assert_eq!(by("map: { customer_id: { template: @ } }"), both(text));
        assert_eq!(by("map: { customer_id: { value: '', default: @ } }"), both(text));
        assert_eq!(by("map: { customer_id: { value: a, apply: [{ prefix: @ }] } }"), both(&format!("{text}a")));
        assert_eq!(by("map: { customer_id: { value: a, apply: [{ replace: [a, @] }] } }"), both(text));
        assert_eq!(by("map: { customer_id: { value: 'a@b', apply: [{ replace: [@, x] }] } }"), both("axb"));
        assert_eq!(by("map: { customer_id: { value: abc, apply: [{ truncate: 2 }] } }"), both("ab"));
        // anywhere in a mapping that is written once and used twice
        assert_eq!(
            by(&format!("{id}\nwhere: [{{ column: id, equals: &x @ }}, {{ column: id, in: [*x] }}]")),
            line(text)
        );
        let list = format!("{text},n\n1,2\n");
        assert_eq!(
            convert(AUDIENCE, &format!("map: {{ customer_id: {{ column: {text} }} }}"), &list).unwrap(),
            line("1")
        );
        let change = format!("map: {{ customer_id: n, changes: [{{ op: assign, attr: {text}, value: {text} }}] }}");
        let out = convert(PROFILES, &change, &list).unwrap();
        let want = format!(
            "{{\"customer_id\":\"2\",\"changes\":[{{\"op\":\"assign\",\"attr\":\"{text}\",\"value\":\"{text}\"}}]}}\n"
        );
        assert_eq!(out, want);
    }
    let matching =
        convert(AUDIENCE, "map: { customer_id: id }\nwhere: [{ column: id, matches: 007 }]", "id\n10079\n7\n");
    assert_eq!(matching.unwrap(), "{\"customer_id\":\"10079\"}\n");
    for bare in ["5", "007", "true"] {
        let error = refused(AUDIENCE, &format!("map: {{ customer_id: {bare} }}"));
        assert!(error.hint().unwrap().starts_with("for a constant write { value: "), "{error:?}");
    }
}

#[test]
fn numbers_in_settings_are_texts_or_numbers_as_the_setting_wants() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("007"), "id\n1\n").unwrap();
    let job = |further: &str, overrides: &[&str]| {
        let text = format!(
            "name: 1.10\nsource: {{ path: 007 }}\nmap: {{ customer_id: id }}\ndestination: {{ {AUDIENCE} }}\n{further}"
        );
        let overrides: Vec<String> = overrides.iter().map(|text| (*text).to_owned()).collect();
        Job::read(&text, dir.path(), &overrides)
    };
    let mut out = Vec::new();
    let read =
        job("rejects: { max: 007, max_percent: 1.50 }\nwait: 1.50\nspool: { max: 0x10 }", &["destination.app_id=0049"]);
    let read = read.unwrap();
    assert_eq!(read.name(), "1.10");
    assert_eq!(read.convert(&env_in(dir.path()), &mut out).exit_code, 0);
    let mut out = Vec::new();
    let set = job("", &["map.customer_id={value: 007}", "source.csv.columns=[007]", "source.csv.header=false"]);
    assert_eq!(set.unwrap().convert(&env_in(dir.path()), &mut out).exit_code, 0);
    assert_eq!(out, b"{\"customer_id\":\"007\"}\n".repeat(2));
    for (further, said) in [
        ("rejects: { max: 1_000 }", "rejects.max must be a whole number"),
        ("rejects: { max: 1.5 }", "rejects.max must be a whole number"),
        ("rejects: { max_percent: 0b1 }", "rejects.max_percent must be a number from 0"),
        ("allow_empty: tRue", "allow_empty must be true or false"),
    ] {
        assert!(job(further, &[]).err().unwrap().message().contains(said), "{further}");
    }
}

#[test]
fn dates_are_not_guessed() {
    let map = |kind: &str| format!("map: {{ customer_id: {{ column: id, {kind} }} }}\nrejects: {{ max: 9 }}");
    let list = "id\n24-01-02\n\" 2024-01-02\"\n\"\n2024-01-02\"\n2024- 01-02\n+2024-01-02\n2024-01-02 \n2024-01-02\n";
    assert_eq!(convert(AUDIENCE, &map("type: date"), list).unwrap(), "{\"customer_id\":\"2024-01-02\"}\n");
    let zone = "type: timestamp, unit: s, format: '%d/%m/%Y %H:%M:%S @'";
    let error = refused(AUDIENCE, &map(&zone.replace('@', "%Z")));
    assert!(error.hint().unwrap().contains("%z"), "{error:?}");
    let list = "id\n01/01/2024 00:00:00 +0100\n01/01/2024 00:00:00 CET\n";
    let out = convert(AUDIENCE, &map(&zone.replace('@', "%z")), list).unwrap();
    assert_eq!(out, "{\"customer_id\":\"1704063600\"}\n");
    for format in ["%H:%M", "abc", "%d/%m", "%%"] {
        for kind in ["date", "timestamp, unit: s"] {
            let error = refused(AUDIENCE, &map(&format!("type: {kind}, format: '{format}'")));
            assert!(error.message().starts_with("map.customer_id.format: the format does not determine a "), "{error}");
        }
    }
}

#[test]
fn unknown_keys_of_a_secret_are_seen_where_no_secret_is_needed() {
    let job = "map: { identity: id }";
    for (key, near) in [("envv", "env"), ("fiel", "file"), ("FILE", "file")] {
        let error = refused(&CLEVERTAP.replace("passcode: { env:", &format!("passcode: {{ {key}:")), job);
        assert_eq!(error.message(), format!("unknown key \"destination.passcode.{key}\""));
        assert_eq!(error.hint(), Some(&*format!("did you mean \"{near}\"?")));
    }
    for form in
        ["{ env: A, file: B }", "{ env: '', file: hunter2 }", "{ env: '' }", "{ env: [A] }", "{}", "[A]", "true"]
    {
        let error = refused(&CLEVERTAP.replace("{ env: P }", form), job);
        assert!(error.message().starts_with("destination.passcode must be { env: NAME }"), "{form}: {error}");
        assert!(!format!("{error:?}").contains("hunter2"));
    }
    let error = refused(&YESMAIL.replace("url: { env: P }", "url: { envs: P }"), "map: { id: id }");
    assert_eq!(error.message(), "unknown key \"destination.host.put.url.envs\"");
    let error = refused(CLEVERTAP, &format!("{job}\nnetwork: {{ proxy: {{ evn: X }} }}"));
    assert_eq!(error.message(), "unknown key \"network.proxy.evn\"");
}

#[test]
fn column_names_are_shown_only_if_they_are_names() {
    let message_of = |map: &str, list: &str| {
        let error = convert(AUDIENCE, &format!("map: {map}"), list).unwrap_err();
        format!("{error}: {}", error.hint().unwrap())
    };
    let data = "ann@example.com,Ann,+4917012345\n";
    let said = message_of("{ customer_id: email }", data);
    assert!(
        said.contains("the first line has 3 columns, none of which the job uses") && said.contains("source.csv.header"),
        "{said}"
    );
    for value in ["example.com", "Ann", "4917012345"] {
        assert!(!said.contains(value), "{said}");
    }
    // the name itself in another spelling is not a row value
    assert!(
        message_of("{ customer_id: customerId }", "Customer_ID,Ann\n")
            .contains("did you mean \"Customer_ID\"? the first")
    );
    assert!(
        message_of("{ customer_id: customer_id }", "customerid_,Ann\n")
            .contains("did you mean \"customerid_\"? the first")
    );
    assert!(!message_of("{ customer_id: email }", "Emilie,Ann\n").contains("Emilie"));
    let said = message_of("{ customer_id: { template: '{id}{x}' } }", "id,i\u{1b}[31md,\"a,b\",\n");
    assert!(said.ends_with("the header has: id, \"i\\u{1b}[31md\", \"a,b\", \"\""), "{said}");
    assert!(
        message_of("{ customer_id: idd }\nwhere: [{ column: x, empty: true }]", "id,x\n")
            .contains("did you mean \"id\"?")
    );
    assert!(!message_of("{ customer_id: { column: \"i\\ed\" } }", "id\n").contains('\u{1b}'));

    let dir = tempfile::tempdir().unwrap();
    let long = format!("{},id\n1,2\n", "x".repeat(5000));
    for (name, text) in [
        ("a1.csv", data),
        ("a2.csv", "bob@example.com,Bob,3\n"),
        ("b1.csv", "a,b\n"),
        ("b2.csv", "b,a\n"),
        ("c1.csv", "a,b\n"),
        ("c2.csv", "a\n"),
        ("d.csv", &long),
    ] {
        std::fs::write(dir.path().join(name), text).unwrap();
    }
    let of = |path: &str, further: &str, env: &Env| {
        let job = format!(
            "source: {{ path: '{path}'{further} }}\ndestination: {{ {AUDIENCE} }}\nmap: {{ customer_id: email }}"
        );
        let report = Job::read(&job, dir.path(), &[]).unwrap().check(env);
        let error = report.error.unwrap();
        format!("{error}: {}", error.hint().unwrap())
    };
    let env = Env::default();
    assert!(of("a?.csv", "", &env).contains("column 1 of 3 has another name"));
    assert!(!of("a?.csv", "", &env).contains("example.com"));
    assert!(of("b?.csv", "", &env).contains("the same columns in another order"));
    assert!(of("c?.csv", "", &env).contains("1 columns here, 2 there"));
    let mut showing = Env::default();
    showing.show_values = true;
    assert!(of("a1.csv", "", &showing).ends_with("the header has: ann@example.com, Ann, +4917012345"));
    assert!(of("d.csv", "", &showing).len() < 300);
    // names given in the job file are not row values
    let columns = ", csv: { header: false, columns: [id, name, phone] }";
    assert!(of("a1.csv", columns, &env).ends_with("the header has: id, name, phone"));
}

#[test]
fn late_errors_name_the_job_file_too() {
    let dir = tempfile::tempdir().unwrap();
    let message_of = |map: &str| {
        let text = format!("source: {{ path: gone.csv }}\ndestination: {{ {AUDIENCE} }}\nmap: {map}");
        Job::from_yaml(&text).unwrap().check(&env_in(dir.path())).valid().error.unwrap().to_string()
    };
    assert_eq!(message_of("{ customer_id: { colum: id } }"), "job file:3:23: map.customer_id: unknown key \"colum\"");
    assert!(
        refused(AUDIENCE, "map: { customer_id: { value: '' } }")
            .to_string()
            .starts_with("job file:3:30: map.customer_id: ")
    );
    assert_eq!(refused(AUDIENCE, "allow_empty: 1").to_string(), "job file:3:14: allow_empty must be true or false");
}

#[test]
fn a_name_in_any_case_or_with_an_open_end_says_what_is_in_it() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["A.TSV", "b1.tsv.old", "c.txt"] {
        std::fs::write(dir.path().join(name), "id\tn\n1\t2\n").unwrap();
    }
    let read = |path: &str| {
        let text = format!("source: {{ path: '{path}' }}\ndestination: {{ {AUDIENCE} }}\nmap: {{ customer_id: id }}");
        Job::read(&text, dir.path(), &[]).unwrap().check(&env_in(dir.path())).valid()
    };
    for path in ["A.TSV", "A.TSV*", "b*.tsv*", "b?.tsv.*"] {
        let report = read(path);
        assert_eq!(report.exit_code, 0, "{path}: {:?}", report.error);
    }
    let hint = "the first line is one cell; it has the column with source.csv.delimiter: '\\t'";
    assert_eq!(read("c.txt").error.unwrap().hint(), Some(hint));
}

/// Collects the paths of all keys below `schema`, except those of platforms.
fn paths(schema: &Value, at: &str, found: &mut Vec<String>) {
    let choices = ["anyOf", "oneOf", "allOf"].iter().filter_map(|key| schema[*key].as_array()).flatten();
    for schema in choices.chain([schema]) {
        for (name, key) in schema["properties"].as_object().into_iter().flatten() {
            let path = if at.is_empty() { name.clone() } else { format!("{at}.{name}") };
            if !matches!(path.as_str(), "map" | "destination") {
                paths(key, &path, found);
                found.push(path);
            }
        }
    }
}

#[test]
fn each_wrong_key_of_a_job_file_says_what_to_do() {
    let mut found = Vec::new();
    paths(&listferry::job::schema(), "", &mut found);
    assert!(found.len() > 30 && found.iter().any(|path| path == "source.csv.delimiter"), "{found:?}");
    let yaml = "source: { path: list.csv }\nmap: { identity: id }\n\
                destination: { platform: clevertap, region: in1, account_id: { env: K }, passcode: { env: K }, segment: VIP,\n\
                creator: Jane, email: jane@example.com }\n";
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("list.csv"), "id\n1\n").unwrap();
    let values: Vec<&str> = vec!["[[1]]", "''", "not quite", "-1", "0", "{ nonsense: 1 }", "1.5"];
    let mapped = [
        "{}",
        "{ column: [1] }",
        "{ column: id, type: text }",
        "{ column: id, empty: no }",
        "{ column: id, split: '' }",
    ];
    let in_keys = found.iter().flat_map(|path| values.iter().map(move |value| format!("{path}={value}")));
    let mut silent = Vec::new();
    for bad in in_keys.chain(mapped.iter().chain(&values).map(|value| format!("map.identity={value}"))) {
        let error = match Job::read(yaml, dir.path(), std::slice::from_ref(&bad)) {
            Ok(job) => job.check(&env_in(dir.path())).valid().error,
            Err(error) => Some(error),
        };
        let Some(error) = error.filter(|error| error.kind() == Kind::Usage) else { continue };
        if error.hint().is_none_or(str::is_empty) {
            silent.push(format!("{bad}: {error:?}"));
        }
    }
    assert!(silent.is_empty(), "{}", silent.join("\n"));
}
