//! NDJSON as a source: values for every kind of field, rejected lines, and the contents of report and reject file.

use super::cli::Bed;
use serde_json::{Value, json};

const PROFILES: &str = "\
source: { path: list.ndjson }
map:
  customer_id: id
  changes: CHANGES
rejects: { max: 1000 }
destination: { platform: localytics-profiles, org_id: 60, api_key: { env: CT_K }, api_secret: { env: CT_S } }
";

const SEGMENT: &str = "\
source: { path: list.ndjson }
map:
  operation: { value: UPDATE }
  compartment_id: { value: \"1000\" }
  user_account_id: id
  segment_id: { value: \"42\" }
  expiration_duration: { value: 0 }
  data_bag: BAG
rejects: { max: 1000 }
destination: { platform: mediarithmics, datamart_id: \"1\", token: { env: CT_T }, import_name: spring, mime_type: ndjson }
";

const CLEVERTAP: &str = "\
source: { path: list.ndjson }
map: { identity: id }
rejects: { max: 1000 }
destination:
  platform: clevertap
  region: in1
  account_id: { env: CT_ACCOUNT }
  passcode: { env: CT_PASSCODE }
  segment: VIP
  creator: etl
  email: admin@example.com
";

fn bed(job: &str, list: impl AsRef<[u8]>) -> Bed {
    let bed = Bed::new(job, "");
    std::fs::write(bed.path("list.ndjson"), list).unwrap();
    bed
}

/// Returns the changes that a job makes of one line, by attribute; `None` if the line is filtered.
fn changes(changes: &str, line: &str) -> Option<Value> {
    let bed = bed(&PROFILES.replace("CHANGES", changes), format!("{line}\n"));
    let (code, out) = bed.convert(&["--set", "allow_empty=true"]);
    assert_eq!(code, 0, "{line}: {}", String::from_utf8_lossy(&out));
    let text = String::from_utf8(out).unwrap();
    let line = text.lines().next()?;
    Some(serde_json::from_str::<Value>(line).unwrap()["changes"].clone())
}

/// Returns the code of the rejection of one line.
fn reject_code(job: &str, line: impl AsRef<[u8]>) -> String {
    let bed = bed(job, [b"{\"id\":\"good\",\"a\":\"x\"}\n", line.as_ref(), b"\n"].concat());
    let (code, report) = bed.json(&["check", "job.yaml"]);
    assert_eq!(code, 0, "{report}");
    let reasons = report["reject_reasons"].as_object().unwrap();
    assert_eq!(reasons.len(), 1, "{report}");
    reasons.keys().next().unwrap().clone()
}

#[test]
fn scalars_are_text_and_numbers_keep_their_digits() {
    let job = "[{ op: assign, attr: a, column: a }]";
    for (value, want) in [
        (r#""x""#, json!("x")),
        (r#""""#, Value::Null),
        (r#""a\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00""#, json!("a\"\\/\u{8}\u{c}\n\r\té😀")),
        ("12345678901234567890123", json!("12345678901234567890123")),
        ("1.10", json!("1.10")),
        ("-0", json!("-0")),
        ("1E5", json!("1E5")),
        ("true", json!("true")),
        ("false", json!("false")),
        ("null", Value::Null),
        ("[]", Value::Null),
    ] {
        let got = changes(job, &format!("{{ \"id\" : \"1\" ,\t\"a\" : {value} , \"z\":[{{}}] }}"));
        let want = (!want.is_null()).then(|| json!([{ "op": "assign", "attr": "a", "value": want }]));
        assert_eq!(got, want, "{value}");
    }
}

#[test]
fn lists_are_lists_where_the_target_has_them() {
    let of = |op: &str, line: &str| changes(&format!("[{{ {op} }}]"), line).map(|changes| changes[0]["value"].clone());
    let line = r#"{"id":"1","a":["x" , "Y\n",1.0,true,""]}"#;
    assert_eq!(of("op: assign, attr: a, column: a", line), Some(json!(["x", "Y\n", "1.0", "true", ""])));
    assert_eq!(
        of("op: set-add, attr: a, column: a, apply: [lower]", line),
        Some(json!(["x", "y\n", "1.0", "true", ""]))
    );
    let joined = of("op: assign, attr: a, column: a, apply: [upper, { join: '|' }, { prefix: p }]", line);
    assert_eq!(joined, Some(json!("pX|Y\n|1.0|TRUE|")));
    let numbers = r#"{"id":"1","a":[1,"+2",03]}"#.replace("03", "3");
    assert_eq!(of("op: assign, attr: a, column: a, type: integer", &numbers), Some(json!([1, 2, 3])));
    // if the field is a list, a single value is a list with one element
    assert_eq!(of("op: set-add, attr: a, column: a", r#"{"id":"1","a":"x"}"#), Some(json!(["x"])));
    assert_eq!(of("op: assign, attr: a, column: a", r#"{"id":"1","a":"x"}"#), Some(json!("x")));
    // alternating lists and single values, and the fields after them
    let job = PROFILES.replace("CHANGES", "[{ op: assign, attr: a, column: a }, { op: assign, attr: b, column: b }]");
    let lines = "{\"id\":\"1\",\"a\":[\"x\"],\"b\":\"y\"}\n{\"id\":\"2\",\"a\":\"x\",\"b\":[1]}\n{\"id\":\"3\",\"b\":[]}\n{\"id\":\"4\",\"b\":[2]}\n";
    let (code, out) = bed(&job, lines).convert(&[]);
    let assign = |attr: &str, value: Value| json!({ "op": "assign", "attr": attr, "value": value });
    let want = [
        json!({ "customer_id": "1", "changes": [assign("a", json!(["x"])), assign("b", json!("y"))] }),
        json!({ "customer_id": "2", "changes": [assign("a", json!("x")), assign("b", json!(["1"]))] }),
        json!({ "customer_id": "4", "changes": [assign("b", json!(["2"]))] }),
    ];
    let got: Vec<Value> =
        String::from_utf8(out).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((code, &got[..]), (0, &want[..]));
}

#[test]
fn a_list_where_one_value_is_expected_rejects_the_row() {
    let profiles = |change: &str| PROFILES.replace("CHANGES", &format!("[{{ {change} }}]"));
    let plain = profiles("op: assign, attr: a, column: a");
    for (job, line, code) in [
        (&plain, r#"{"id":"1","a":[1,null]}"#, "list_element"),
        (&plain, r#"{"id":"1","a":[[1]]}"#, "list_element"),
        (&plain, r#"{"id":"1","a":["\ud800"]}"#, "lone_surrogate"),
        (&plain, r#"{"id":"1","a":{"b":1}}"#, "not_one_value"),
        (&plain, r#"{"id":"1","a":[{"b":1}]}"#, "not_one_value"),
        (&plain, r#"{"id":["1"],"a":"x"}"#, "list"),
        (&profiles("op: assign, attr: a, column: a, split: '|'"), r#"{"id":"1","a":["x"]}"#, "list"),
        (&profiles("op: increment, attr: a, column: a, default: 1, type: integer"), r#"{"id":"1","a":[1]}"#, "list"),
        (&profiles("op: assign, attr: a, template: '{a}!'"), r#"{"id":"1","a":[1]}"#, "list"),
        (&CLEVERTAP.to_owned(), r#"{"id":["1"]}"#, "list"),
    ] {
        let job = job.replace("increment, attr: a, column: a, default: 1", "increment, attr: a, column: n");
        let line = if job.contains("column: n") { line.replace("\"a\"", "\"n\"") } else { line.to_owned() };
        let bed = bed(&job, format!("{line}\n{{\"id\":\"good\",\"a\":\"x\",\"n\":1}}\n"));
        let (exit, report) = bed.json(&["check", "job.yaml"]);
        assert_eq!((exit, &report["reject_reasons"]), (0, &json!({ code: 1 })), "{line}");
    }
}

#[test]
fn objects_keep_their_text_where_the_field_holds_json() {
    let bag = |bag: &str, line: &str| -> Value {
        let (code, out) = bed(&SEGMENT.replace("BAG", bag), format!("{line}\n")).convert(&[]);
        assert_eq!(code, 0, "{bag} {line}");
        let record: Value = serde_json::from_slice(&out).unwrap();
        record.get("data_bag").map_or(Value::Null, |bag| json!(bag.as_str().unwrap()))
    };
    let line = r#"{"id":"1","a": { "b" : [1, {"c":null}],"d":"\u00e9" } ,"l":[ 1 ,"x"],"n":null}"#;
    assert_eq!(bag("a", line), json!(r#"{ "b" : [1, {"c":null}],"d":"\u00e9" }"#));
    assert_eq!(bag("l", line), json!("[ 1 ,\"x\"]"));
    assert_eq!(bag("n", line), Value::Null);
    // pointers, and values that a pointer does not lead to
    assert_eq!(bag("{ object: { d: /a/d, x: /a/x, y: /l/x } }", line), json!("{\"d\":\"é\"}"));
    // members: lists, missing and empty
    let object = "{ object: { l: l, n: { column: n, empty: keep }, m: { column: m, empty: 'null' }, e: { column: e, empty: 'null', missing: empty } } }";
    let lines = format!("{line}\n{{\"id\":\"2\",\"m\":1,\"e\":2,\"n\":3}}\n");
    let (code, out) = bed(&SEGMENT.replace("BAG", object), lines).convert(&[]);
    let first: Value = serde_json::from_str(String::from_utf8(out).unwrap().lines().next().unwrap()).unwrap();
    assert_eq!((code, &first["data_bag"]), (0, &json!(r#"{"l":["1","x"],"n":"","e":null}"#)));
}

#[test]
fn an_empty_rule_acts_on_a_key_that_is_there() {
    for (rule, null, missing) in [
        ("", json!([]), json!([])),
        (", empty: delete", json!([{"op": "delete", "attr": "a"}]), json!([])),
        (", empty: keep", json!([{"op": "assign", "attr": "a", "value": ""}]), json!([])),
        (
            ", empty: delete, missing: empty",
            json!([{"op": "delete", "attr": "a"}]),
            json!([{"op": "delete", "attr": "a"}]),
        ),
    ] {
        let job = PROFILES.replace("CHANGES", &format!("[{{ op: assign, attr: a, column: a{rule} }}]"));
        let lines = "{\"id\":\"0\",\"a\":\"x\"}\n{\"id\":\"1\",\"a\":null}\n{\"id\":\"2\",\"a\":\"\"}\n{\"id\":\"3\",\"a\":[]}\n{\"id\":\"4\"}\n";
        let (code, out) = bed(&job, lines).convert(&[]);
        assert_eq!(code, 0);
        let of = |id: &str| {
            let text = String::from_utf8_lossy(&out);
            let line = text.lines().find(|line| line.contains(&format!("\"customer_id\":\"{id}\"")));
            line.map_or(json!([]), |line| serde_json::from_str::<Value>(line).unwrap()["changes"].clone())
        };
        assert_eq!([of("1"), of("2"), of("3"), of("4")], [null.clone(), null.clone(), null, missing], "{rule}");
    }
}

#[test]
fn what_is_not_one_object_with_each_key_once_rejects_the_row() {
    let many = |open: &str, n: usize, close: &str| format!("{}{}", open.repeat(n), close.repeat(n));
    let deep = |n: usize| format!("{{\"id\":\"1\",\"z\":{}}}", many("[", n, "]"));
    for (line, code) in [
        ("[1]", "not_an_object"),
        ("7", "not_an_object"),
        ("{\"id\":\"1\"}{}", "not_json"),
        ("{\"id\":\"1\"", "not_json"),
        ("{\"id\":\"1\",}", "not_json"),
        ("{\"id\":\"1\",\"z\":01}", "not_json"),
        ("{\"id\":\"1\",\"z\":1.}", "not_json"),
        ("{\"id\":\"1\",\"z\":nul}", "not_json"),
        ("{\"id\":\"1\",\"z\":\"\t\"}", "not_json"),
        ("{\"id\":\"1\",\"z\":\"\\x\"}", "not_json"),
        ("{\"id\":\"1\",\"z\":\"\\u12\"}", "not_json"),
        ("{\"id\":\"1\",\"z\":[1 2]}", "not_json"),
        ("{\"id\":\"1\",\"z\":{\"a\"}}", "not_json"),
        ("{id:1}", "not_json"),
        ("{\"id\":\"1\",\"id\":\"2\"}", "duplicate_key"),
        ("{\"id\":\"1\",\"\\u0069d\":\"2\"}", "duplicate_key"),
        ("{\"id\":\"\\udc00\"}", "lone_surrogate"),
        ("{\"id\":\"\\u0000\"}", "nul"),
        ("{\"id\":null}", "empty"),
        ("{\"z\":1}", "empty"),
    ] {
        assert_eq!(reject_code(CLEVERTAP, line), code, "{line}");
    }
    assert_eq!(reject_code(CLEVERTAP, b"{\"id\":\"\xff\"}"), "invalid_utf8");
    assert_eq!(reject_code(CLEVERTAP, deep(128)), "too_deep");
    // other values only have to be valid JSON
    for line in [
        deep(127).into_bytes(),
        b"{\"id\":\"1\",\"z\":\"\xff\"}".to_vec(),
        b"{\"id\":\"1\",\"z\":\"\\ud800\\u0000\",\"z\":2}".to_vec(),
        b"\t{\"id\":\"1\"} \r".to_vec(),
    ] {
        let (code, report) = bed(CLEVERTAP, &line).json(&["check", "job.yaml"]);
        assert_eq!((code, &report["records"]["written"]), (0, &json!(1)), "{}", String::from_utf8_lossy(&line));
    }
}

#[test]
fn conditions_look_at_each_element_of_a_list() {
    let lines = "{\"id\":\"1\",\"t\":[\"a\",\"b\"]}\n{\"id\":\"2\",\"t\":[\"c\"]}\n{\"id\":\"3\",\"t\":\"a\"}\n{\"id\":\"4\",\"t\":[]}\n{\"id\":\"5\"}\n";
    for (test, want) in [
        ("equals: a", "13"),
        ("not_equals: a", "245"),
        ("in: [b, c]", "12"),
        ("not_in: [b, c]", "345"),
        ("matches: '^[ab]$'", "13"),
        ("empty: true", "45"),
        ("empty: false", "123"),
        ("equals: ''", "45"),
        ("matches: '^$'", "45"),
    ] {
        let job = format!("{CLEVERTAP}where: [{{ column: t, {test} }}]\n");
        let (code, out) = bed(&job, lines).convert(&[]);
        let ids: String =
            String::from_utf8(out).unwrap().lines().skip(1).map(|line| line.trim_start_matches("i,")).collect();
        assert_eq!((code, ids.as_str()), (0, want), "{test}");
    }
}

#[test]
fn a_key_that_no_record_has_is_an_error_if_something_depends_on_it() {
    let lines = "{\"id\":\"1\",\"email\":\"a\",\"address\":{\"city\":\"x\"}}\n{\"id\":\"2\",\"a\":\"x\"}\n";
    let profiles =
        |change: &str| PROFILES.replace("CHANGES", &format!("[{{ op: assign, attr: x, column: a }}, {{ {change} }}]"));
    let where_job = format!("{CLEVERTAP}where: [{{ column: emial, empty: true }}]\n");
    for (job, hint) in [
        (CLEVERTAP.replace("identity: id", "identity: ID_"), "\"id\""),
        (where_job, "\"email\""),
        (profiles("op: assign, attr: e, column: /address/citi, empty: delete"), "\"/address/city\""),
        (
            profiles("op: assign, attr: e, column: emial")
                .replace("list.ndjson }", "list.ndjson, ndjson: { required: [emial] } }"),
            "\"email\"",
        ),
    ] {
        let (code, report) = bed(&job, lines).json(&["check", "job.yaml"]);
        let error = &report["error"];
        assert_eq!((code, &error["kind"]), (10, &json!("data")), "{report}");
        assert!(error["message"].as_str().unwrap().starts_with("no record has the key"), "{error}");
        assert!(error["hint"].as_str().unwrap().contains(hint), "{error}");
    }
    let job = profiles("op: assign, attr: e, column: emial");
    let (code, report) = bed(&job, lines).json(&["check", "job.yaml"]);
    assert_eq!((code, &report["warnings"][0]["kind"]), (0, &json!("key_never_seen")), "{report}");
    assert_eq!((&report["warnings"][0]["column"], report["warnings"].as_array().unwrap().len()), (&json!("emial"), 1));
    let job = job.replace("list.ndjson }", "list.ndjson, ndjson: { optional: [emial] } }");
    assert_eq!(bed(&job, lines).json(&["check", "job.yaml"]).1["warnings"], json!([]));
    // filtered and rejected records count, and a source without records fails for that reason alone
    let job = format!("{CLEVERTAP}where: [{{ column: email, equals: none@example.com }}]\nallow_empty: true\n");
    assert_eq!(bed(&job, lines).json(&["check", "job.yaml"]).0, 0);
    let (code, report) = bed(CLEVERTAP, "\n \n").json(&["check", "job.yaml"]);
    assert!(code == 10 && report["error"]["message"].as_str().unwrap().contains("no records"), "{report}");
}

#[test]
fn rejected_rows_come_back_with_the_mapped_columns_and_their_text() {
    let job = PROFILES.replace(
        "CHANGES",
        "[{ op: assign, attr: n, column: n, type: integer }, { op: assign, attr: c, column: /a/c }]",
    );
    let lines = "\u{feff}{\"id\":\"1\",\"n\":1}\n\n{\"n\":\"x\\\"\",\"id\":\"2\",\"a\":{\"c\":\"é\"}}\r\n{\"id\":3\n";
    let bed = bed(&job, lines);
    let (code, report) = bed.json(&["check", "job.yaml"]);
    assert_eq!(
        (code, &report["records"]["read"], &report["records"]["rejected"]),
        (0, &json!(3), &json!(2)),
        "{report}"
    );
    let file = std::fs::read(report["rejects_file"].as_str().unwrap()).unwrap();
    let mut reader = csv::Reader::from_reader(&file[..]);
    let names: Vec<String> = reader.headers().unwrap().iter().map(str::to_owned).collect();
    assert_eq!(names[..3], ["id", "n", "/a/c"]);
    let rows: Vec<Vec<String>> = reader.records().map(|row| row.unwrap().iter().map(str::to_owned).collect()).collect();
    let cell = |row: usize, name: &str| rows[row][names.iter().position(|known| known == name).unwrap()].as_str();
    assert_eq!([cell(0, "id"), cell(0, "n"), cell(0, "/a/c")], ["2", "x\"", "é"]);
    assert_eq!([cell(0, "_record"), cell(0, "_line"), cell(0, "_byte"), cell(0, "_column")], ["2", "3", "21", "n"]);
    assert_eq!(cell(0, "_raw"), "{\"n\":\"x\\\"\",\"id\":\"2\",\"a\":{\"c\":\"é\"}}");
    assert_eq!(
        [cell(1, "_record"), cell(1, "_line"), cell(1, "_code"), cell(1, "_raw")],
        ["3", "4", "not_json", "{\"id\":3"]
    );
}

#[test]
fn a_file_that_is_one_json_array_is_named() {
    let (code, report) = bed(CLEVERTAP, "[{\"id\":1},\n{\"id\":2}]\n").json(&["check", "job.yaml"]);
    assert_eq!(code, 10);
    assert!(report["error"]["message"].as_str().unwrap().contains("one JSON array"), "{report}");
    assert!(report["error"]["hint"].as_str().unwrap().contains("jq"), "{report}");
    assert_eq!(report["error"]["file"], Value::Null);
}

#[test]
fn pointers_are_checked_before_the_source_is_read() {
    for (column, why) in [("/a/0", "index"), ("/a~2", "~ must be followed"), ("/a~", "~ must be followed")] {
        let (code, report) = bed(&CLEVERTAP.replace("identity: id", &format!("identity: {column}")), "{}\n")
            .json(&["check", "job.yaml"]);
        assert_eq!(code, 2, "{report}");
        assert!(report["error"]["message"].as_str().unwrap().contains(why), "{report}");
    }
    let lines = "{\"a/b\":{\"~\":\"x\",\"\":\"y\"},\"id\":\"1\"}\n";
    for (column, want) in [("/a~1b/~0", "x"), ("/a~1b/", "y"), ("a/b", "")] {
        let job = CLEVERTAP.replace("identity: id", &format!("identity: {column:?}"));
        let (_, out) = bed(&job, lines).convert(&[]);
        let want = if want.is_empty() { String::new() } else { format!("Type,Identity\ni,{want}\n") };
        assert_eq!(
            String::from_utf8(out).unwrap().trim_start_matches("Type,Identity\n"),
            want.trim_start_matches("Type,Identity\n"),
            "{column}"
        );
    }
}

#[test]
fn the_same_list_as_csv_and_as_ndjson_gives_the_same_bytes() {
    let mut csv = String::from("id,email,n\n");
    let mut ndjson = String::new();
    for i in 0..20_000 {
        let (email, n) = (format!("Us\"er,{i}é@example.com"), i * 7);
        csv += &format!("c{i},\"{}\",{n}\n", email.replace('"', "\"\""));
        let shown =
            if i % 3 == 0 { json!(email).to_string().replace('é', "\\u00e9") } else { json!(email).to_string() };
        ndjson += &format!("{{\"n\":{n},\"other\":[{{}},\"\\\\\"],\"email\":{shown},\"id\":\"c{i}\"}}\n");
    }
    let job = PROFILES.replace(
        "CHANGES",
        "[{ op: assign, attr: e, column: email, apply: [lower] }, { op: assign, attr: n, column: n, type: integer }]",
    );
    let bed = bed(&job, &ndjson);
    std::fs::write(bed.path("list.csv"), &csv).unwrap();
    std::fs::write(bed.path("list.ndjson.zst"), zstd::encode_all(ndjson.as_bytes(), 1).unwrap()).unwrap();
    std::fs::write(bed.path("list.txt"), ndjson.replace('\n', "\r\n")).unwrap();
    let (_, want) = bed.convert(&["--set", "source.path=list.csv"]);
    assert_eq!(want.iter().filter(|byte| **byte == b'\n').count(), 20_000);
    for threads in ["1", "2", "3", "8"] {
        for source in
            ["source.path=list.ndjson", "source.path=list.ndjson.zst", "source={path: list.txt, format: ndjson}"]
        {
            let (code, out) = bed.convert(&["--threads", threads, "--set", source]);
            assert!(code == 0 && out == want, "{threads} {source}");
        }
    }
}

#[test]
fn the_column_to_blame_in_an_object_is_the_one_at_fault() {
    let job = SEGMENT.replace("BAG", "{ object: { first: a, second: b } }");
    let bed = bed(&job, "{\"id\":\"1\",\"a\":\"fine\",\"b\":{\"x\":1}}\n");
    let (code, report) = bed.json(&["check", "job.yaml", "--set", "allow_empty=true"]);
    assert_eq!(code, 0, "{report}");
    let file = std::fs::read_to_string(report["rejects_file"].as_str().unwrap()).unwrap();
    let mut reader = csv::Reader::from_reader(file.as_bytes());
    let at = reader.headers().unwrap().iter().position(|name| name == "_column").unwrap();
    assert_eq!(&reader.records().next().unwrap().unwrap()[at], "b");
}

#[test]
fn json_text_with_half_a_surrogate_pair_or_nul_rejects_the_row() {
    let job = SEGMENT.replace("BAG", "{ column: b, type: json }");
    for (value, code) in [
        (r#"["\ud800"]"#, Some("lone_surrogate")),
        (r#"{"x":"\udc00"}"#, Some("lone_surrogate")),
        (r#"["\u0000"]"#, Some("nul")),
        (r#"[["\u0000"]]"#, Some("nul")),
        (r#"[null,[1],{"a":"\\u0000\ud83d\ude00"}]"#, None),
    ] {
        let (exit, report) =
            bed(&job, format!("{{\"id\":\"1\",\"b\":{value}}}\n{{\"id\":\"2\"}}\n")).json(&["check", "job.yaml"]);
        let want = code.map_or(json!({}), |code| json!({ code: 1 }));
        assert_eq!((exit, &report["reject_reasons"]), (0, &want), "{value}");
    }
}

#[test]
fn an_empty_list_is_empty_whatever_the_type() {
    let job = SEGMENT.replace("BAG", "{ column: b, type: json }");
    let (code, out) = bed(&job, "{\"id\":\"1\",\"b\":[ ]}\n{\"id\":\"2\",\"b\":{}}\n").convert(&[]);
    let text = String::from_utf8(out).unwrap();
    let bags: Vec<Value> =
        text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["data_bag"].clone()).collect();
    assert_eq!((code, &bags[..]), (0, &[Value::Null, json!("{}")][..]));
}

#[test]
fn an_empty_file_has_no_records() {
    let bed = bed(CLEVERTAP, "");
    let (code, report) = bed.json(&["check", "job.yaml"]);
    assert!(code == 10 && report["error"]["message"].as_str().unwrap().contains("no records"), "{report}");
    assert_eq!(bed.json(&["check", "job.yaml", "--set", "allow_empty=true"]).0, 0);
    // of several files one may be empty
    std::fs::write(bed.path("list2.ndjson"), "{\"id\":1}\n").unwrap();
    let (code, out) = bed.convert(&["--set", "source.path=list*.ndjson"]);
    assert_eq!((code, &out[..]), (0, &b"Type,Identity\ni,1\n"[..]));
}

#[test]
fn ndjson_under_any_name_is_known_by_its_content() {
    let list = "{\"id\":7}\n{\"id\":8}\n";
    let bed = bed(CLEVERTAP, list);
    let want = bed.convert(&[]).1;
    std::fs::write(bed.path("list.json"), format!("\u{feff} {list}")).unwrap();
    std::fs::write(bed.path("list.txt.zst"), zstd::encode_all(list.as_bytes(), 1).unwrap()).unwrap();
    for path in ["list.json", "list.txt.zst", "list.ndj*"] {
        let (code, out) = bed.convert(&["--set", &format!("source.path={path}")]);
        assert!(code == 0 && out == want, "{path}: {}", String::from_utf8_lossy(&out));
        assert_eq!(bed.json(&["check", "job.yaml", "--set", &format!("source={{path: {path}, format: auto}}")]).0, 0);
    }
    for command in [&["convert", "job.yaml", "-q"][..], &["check", "job.yaml", "-q"]] {
        let mut command = bed.command(&[command, &["--set", "source.path=-"]].concat());
        command.stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped());
        let mut child = command.spawn().unwrap();
        std::io::Write::write_all(&mut child.stdin.take().unwrap(), list.as_bytes()).unwrap();
        assert!(child.wait_with_output().unwrap().status.success(), "{command:?}");
    }
    // a name that says csv is believed, and no value of the line is shown
    std::fs::write(bed.path("list.csv"), list).unwrap();
    let (code, report) = bed.json(&["check", "job.yaml", "--set", "source.path=list.csv"]);
    let error = report["error"].to_string();
    assert!(code == 2 && error.contains("format: ndjson") && !error.contains('7'), "{error}");
}
