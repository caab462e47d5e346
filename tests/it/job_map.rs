//! The values of `map` as job files write them.

use crate::job_file::{CLEVERTAP, MEDIARITHMICS, PROFILES, YESMAIL, convert, refused};

const SEGMENT: &str = "operation: { value: UPDATE }, segment_id: { value: 4 }, user_account_id: id, \
                       expiration_duration: { value: 0 }";

fn data_bag(value: &str, list: &str) -> Vec<String> {
    let further = format!("map: {{ {SEGMENT}, data_bag: {value} }}");
    let out =
        convert(MEDIARITHMICS, &further, list).unwrap_or_else(|error| panic!("{value}: {error} {:?}", error.hint()));
    let bags = out.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["data_bag"].clone());
    bags.map(|bag| bag.as_str().unwrap_or_default().to_owned()).collect()
}

#[test]
fn a_data_bag_is_an_object_that_no_cell_can_break() {
    let object = "{ object: { plan: plan, visits: { column: n, type: integer }, src: { value: 007 } } }";
    let list = "id,plan,n\n1,a\\b,5\n2,\"x\"\",\"\"admin\"\":\"\"1\",\n3,,\n";
    assert_eq!(
        data_bag(object, list),
        [
            r#"{"plan":"a\\b","visits":5,"src":"007"}"#,
            r#"{"plan":"x\",\"admin\":\"1","src":"007"}"#,
            r#"{"src":"007"}"#
        ]
    );
    // as CSV, and empty if nothing is left
    let csv = format!("{MEDIARITHMICS}, mime_type: csv");
    let map = format!("map: {{ {SEGMENT}, data_bag: {{ object: {{ plan: plan }} }} }}");
    let out = convert(&csv, &map, list).unwrap();
    assert!(out.contains("UPDATE,1,4,0,\"{\"\"plan\"\":\"\"a\\\\b\"\"}\"\n"), "{out}");
    assert!(out.ends_with("UPDATE,3,4,0,\n"), "{out}");
}

#[test]
fn a_json_template_is_answered_with_its_object() {
    let template = r#"{ template: '{{"plan":"{plan}","visits":{n}}}' }"#;
    for destination in [MEDIARITHMICS.to_owned(), format!("{MEDIARITHMICS}, mime_type: csv")] {
        let error = refused(&destination, &format!("map: {{ {SEGMENT}, data_bag: {template} }}"));
        assert!(error.message().contains("map.data_bag: a template cannot put columns into JSON"), "{error}");
        let hint = error.hint().unwrap_or_default();
        assert_eq!(hint, "write { object: { plan: plan, visits: { column: n, type: decimal } } }");
        // the value that the hint suggests works
        let value = hint.strip_prefix("write ").unwrap();
        assert_eq!(data_bag(value, "id,plan,n\n1,a\\b,5\n"), [r#"{"plan":"a\\b","visits":5}"#]);
    }
    let free = refused(MEDIARITHMICS, &format!("map: {{ {SEGMENT}, data_bag: {{ template: '[{{n}}]' }} }}"));
    assert!(free.hint().unwrap_or_default().contains("{ object: { key: column"), "{free:?}");
}

#[test]
fn an_object_is_for_fields_that_hold_json() {
    let object = "{ object: { a: n } }";
    for (destination, map) in [
        (CLEVERTAP, format!("identity: {object}")),
        (YESMAIL, format!("id: id, n: {object}")),
        (MEDIARITHMICS, format!("{}, compartment_id: {object}", SEGMENT)),
        (PROFILES, "customer_id: id, changes: [{ op: assign, attr: a, object: { a: n } }]".to_owned()),
    ] {
        let error = refused(destination, &format!("map: {{ {map} }}"));
        assert!(error.message().contains("an object is for fields that contain JSON"), "{error}");
    }
}

#[test]
fn a_phone_number_of_two_columns_is_whole_or_not_sent() {
    let list = "id,cc,phone\n1,49,170123456\n2,,170123456\n3,49,\n4,,\n";
    let map = |more: &str| format!("map: {{ id: id, phone: {{ template: '+{{cc}}{{phone}}'{more} }} }}");
    let convert = |map: &str| convert(YESMAIL, map, list).unwrap();
    assert_eq!(convert(&map("")), "id,phone\n1,+49170123456\n2,\n3,\n4,\n");
    assert_eq!(convert(&map(", needs: any")), "id,phone\n1,+49170123456\n2,+170123456\n3,+49\n4,\n");
}

#[test]
fn values_hashes_and_types_are_written_as_the_contract_says() {
    let digest = "BA7816BF8F01CFEA414140DE5DAE2223B00361A396177A9CB410FF61F20015AD";
    let list = format!("id,opt,mail,phone\n1,ja,{digest},+49170123456\n2,nein,abc,+4917012345\n");
    let map = "map:\n  id: id\n  opt: { column: opt, apply: [{ values: { ja: 007, nein: no, truncate: 1 }, else: keep }] }\n  \
               mail: { column: mail, apply: [strip_invisible, { sha256: { unless_hashed: true } }] }\n  \
               phone: { column: phone, type: e164 }";
    let abc = digest.to_lowercase();
    assert_eq!(
        convert(YESMAIL, map, &list).unwrap(),
        format!("id,opt,mail,phone\n1,007,{abc},+49170123456\n2,no,{abc},+4917012345\n")
    );
    let error =
        convert(YESMAIL, "map: { id: { column: id, type: email } }", "id\nann@example.com\nann@\n").unwrap_err();
    assert!(error.message().contains("1 row was rejected"), "{error}");
    assert_eq!(convert(YESMAIL, "map: { id: { column: id, type: email } }", "id\nann@x\n").unwrap(), "id\nann@x\n");
    for wrong in ["values: {}", "values: { a: b }, els: keep", "sha256: { unless: true }", "md5: 1"] {
        refused(YESMAIL, &format!("map: {{ id: {{ column: id, apply: {{ {wrong} }} }} }}"));
    }
}

#[test]
fn a_known_constant_in_place_of_a_column_is_suggested_as_one() {
    let map = |operation: &str| {
        format!(
            "map: {{ operation: {operation}, segment_id: {{ value: 4 }}, user_account_id: id, expiration_duration: n }}"
        )
    };
    for operation in ["UPDATE", "update"] {
        let error = refused(MEDIARITHMICS, &map(operation));
        assert_eq!(error.hint(), Some("for the constant, write { value: UPDATE }"), "{operation}");
    }
    let error = refused(CLEVERTAP, "map: { identity: id, type: g }");
    assert_eq!(error.hint(), Some("for the constant, write { value: g }"));
    // a column of that name is a column
    assert!(convert(CLEVERTAP, "map: { identity: id, type: g }", "id,g\n1,i\n").is_ok());
    let error = refused(MEDIARITHMICS, &map("idd"));
    assert!(error.hint().unwrap_or_default().contains("did you mean \"id\"?"), "{error:?}");
}

#[test]
fn version_is_optional_and_a_time_zone_is_one_of_the_database() {
    let map = "map: { identity: id }\n";
    for further in ["", "version: 1\n", "timezone: Europe/Paris\n", "timezone: UTC\nversion: 1\n", "timezone: null\n"] {
        assert!(convert(CLEVERTAP, &format!("{map}{further}"), "id\n1\n").is_ok(), "{further}");
    }
    let error = refused(CLEVERTAP, &format!("{map}timezone: Europe/Pairs"));
    assert_eq!(error.hint(), Some("did you mean \"Europe/Paris\"?"));
    assert!(refused(CLEVERTAP, &format!("{map}version: 2")).message().contains("version must be 1"));
}

#[test]
fn epoch_seconds_are_seconds_whatever_the_unit() {
    let map = |unit: &str| {
        format!("map: {{ {SEGMENT}, expiration_ts: {{ column: t, type: timestamp, format: \"%s\", unit: {unit} }} }}")
    };
    for (unit, want) in [("s", "1732369507"), ("ms", "1732369507000")] {
        let out = convert(MEDIARITHMICS, &map(unit), "id,t\n1,1732369507\n").unwrap();
        assert!(out.contains(&format!("\"expiration_ts\":{want}}}")), "{out}");
        let error = convert(MEDIARITHMICS, &map(unit), "id,t\n1,1732369507000\n").unwrap_err();
        assert!(error.message().contains("more than 11 digits, milliseconds?"), "{error}");
    }
    // leap seconds: one instant in both units, and only where they can occur
    let rfc3339 =
        |unit: &str| format!("map: {{ {SEGMENT}, expiration_ts: {{ column: t, type: timestamp, unit: {unit} }} }}");
    for (unit, want) in [("s", "1483228800"), ("ms", "1483228800000")] {
        let out = convert(MEDIARITHMICS, &rfc3339(unit), "id,t\n1,2017-01-01T00:59:60+01:00\n").unwrap();
        assert!(out.contains(&format!("\"expiration_ts\":{want}}}")), "{out}");
        assert!(convert(MEDIARITHMICS, &rfc3339(unit), "id,t\n1,2017-01-01T00:58:60+01:00\n").is_err());
    }
}

/// Line ends between the tokens of a JSON value are white space, and those in its strings are text.
#[test]
fn json_keeps_the_line_ends_in_its_strings() {
    let text = "{\"a\": \"l1\\nl2\\r\\u000a\\\\n\",\r\n\n \"b\":[1,\r\n\"\\r\\n\"]}\r\n";
    let list = format!("id,bag\n1,\"{}\"\n", text.replace('"', "\"\""));
    let expected: serde_json::Value = serde_json::from_str(text).unwrap();
    for value in ["{ column: bag, type: json }", "{ object: { bag: { column: bag, type: json } } }"] {
        let bags = data_bag(value, &list);
        let mut found: serde_json::Value = serde_json::from_str(&bags[0]).unwrap();
        if value.contains("object") {
            assert!(!bags[0].contains(['\r', '\n']), "{bags:?}");
            found = found["bag"].take();
        }
        assert_eq!((found, bags.len()), (expected.clone(), 1), "{value}");
    }
    let raw = format!("id,bag\n1,\"{}\"\n", "{\"a\": \"l1\nl2\"}".replace('"', "\"\""));
    let further = format!("map: {{ {SEGMENT}, data_bag: {{ column: bag, type: json }} }}");
    let error = convert(MEDIARITHMICS, &further, &raw).unwrap_err();
    assert_eq!(error.kind(), listferry::Kind::Data, "a line end in a string must be escaped: {error}");
}
