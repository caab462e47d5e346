//! Tests of what is hidden and what is not.

use super::*;
use proptest::prelude::*;
use serde_json::json;

#[test]
fn a_url_gives_its_user_password_and_query() {
    let taint = Taint::default();
    taint.add("https://api%20user:hunt%22er@h.example/dir/x?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Signature=ab%2Fcdef&k=zz9zz");
    let pair = base64::engine::general_purpose::STANDARD.encode("api user:hunt\"er");
    for secret in ["api user", "hunt\"er", "api%20user", pair.as_str(), "ab/cdef", "ab%2fcdef", "zz9zz"] {
        let shown = taint.text(&format!("said {secret}.")).into_owned();
        assert_eq!(shown, "said ***.", "{secret}");
    }
    taint.add("a1b2://c3d4@e5f6?g7h8");
    assert_eq!(taint.text("said a1b2://c3d4@e5f6?g7h8."), "said ***.");
    assert_eq!(taint.text("AWS4-HMAC-SHA256 of h.example/dir/x"), "AWS4-HMAC-SHA256 of h.example/dir/x");
    assert_eq!(taint.text("see https://u:p@h.example/dir/x?y=1 then"), "see https://h.example/dir/x?*** then");
}

#[test]
fn a_query_of_ours_is_a_secret_only_if_it_names_one() {
    let taint = Taint::default();
    taint.learn_url("https://h.example/x?name=autumn-list", false);
    assert_eq!(taint.text("the list autumn-list"), "the list autumn-list");
    taint.learn_url("https://h.example/x?name=autumn-list&sig=abcdefgh", false);
    assert_eq!(taint.text("the list autumn-list"), "the list ***");
    let taint = Taint::default();
    taint.learn_urls(&json!({"a": [{"uri": "ftp://u5er:pa55word@h/x"}]}));
    assert_eq!(taint.text("530 wrong password pa55word"), "530 wrong password ***");
}

#[test]
fn a_header_gives_its_token_and_pair() {
    let taint = Taint::default();
    taint.learn_header(&format!("Basic {}", base64::engine::general_purpose::STANDARD.encode("apiuser:hunter2")));
    assert_eq!(taint.text("no: apiuser / hunter2"), "no: *** / ***");
}

#[test]
fn a_tree_loses_secrets_in_keys_texts_and_numbers() {
    let taint = Taint::default();
    taint.add("1234567890");
    let tree = taint.value(json!({"id": 7, "n": 1_234_567_890_u64, "1234567890": ["x 1234567890"], "t": null}));
    assert_eq!(tree, json!({"id": 7, "n": "***", "***": ["x ***"], "t": null}));
    let tree =
        json!({"url": "https://h/x?k=1234567890", "bare": "h/x?k=1234567890", "says": "see https://h/x?k=1234567890"});
    let kept = taint.value_but_urls(tree.clone());
    assert_eq!((&kept["url"], &kept["bare"]), (&tree["url"], &tree["bare"]));
    assert_eq!(kept["says"], "see https://h/x?***");
}

#[test]
fn what_is_learnt_is_bounded_and_what_is_declared_stays() {
    let taint = Taint::default();
    taint.add("declared-secret-1");
    for n in 0..2 * MAX_LEARNT {
        taint.learn(&format!("learnt-secret-{n}-x"));
    }
    assert_eq!(taint.text("declared-secret-1"), "***");
    assert_eq!(taint.0.read().unwrap().learnt.len(), MAX_LEARNT);
    let long = format!("{}declared-secret-1 ", "many words ".repeat(20_000)).repeat(3);
    let shown = taint.text(&long);
    assert_eq!(shown.matches("***").count(), 3);
    assert_eq!(shown, long.replace("declared-secret-1", "***"));
}

#[test]
fn words_of_ours_stay_and_long_secrets_do_not() {
    let taint = Taint::default();
    for secret in ["run", "again", "password", "made-of-many"] {
        taint.add(secret);
    }
    assert_eq!(taint.own_text("run it again, password made-of-many"), "run it again, password ***");
    assert_eq!(taint.text("run it again, password made-of-many"), "run it ***, *** ***");
}

/// Encodes a text in one of the ways in which a server may echo it. Shares no code with what it tests.
fn echo(text: &str, way: u8) -> String {
    let hex = |upper: bool| -> String {
        text.bytes().map(|b| if upper { format!("{b:02X}") } else { format!("{b:02x}") }).collect()
    };
    match way {
        0 => text.to_owned(),
        1 => text.bytes().map(|b| format!("%{b:02X}")).collect(),
        2 => text
            .bytes()
            .map(|b| if b.is_ascii_alphanumeric() { char::from(b).to_string() } else { format!("%{b:02x}") })
            .collect(),
        3 => serde_json::to_string(text).unwrap(),
        4 => text.encode_utf16().map(|unit| format!("\\u{unit:04X}")).collect(),
        5 => text.chars().map(|c| format!("&#x{:x};", u32::from(c))).collect(),
        6 => hex(true),
        7 => hex(false),
        8 => base64::engine::general_purpose::STANDARD.encode(text),
        9 => base64::engine::general_purpose::URL_SAFE.encode(format!("u:{text}")),
        10 => base64::engine::general_purpose::STANDARD.encode(format!("ab{text}:")),
        11 => text.chars().map(|c| format!("{c}\n")).collect(),
        _ => text.chars().flat_map(|c| [c, '"', ' ', '"']).collect(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]
    #[test]
    fn no_echo_of_a_secret_is_left(
        secret in "[A-Za-z0-9]{6}[!-~]{3,30}[A-Za-z0-9]{4}", way in 0u8..13, again in 0u8..6, before in ".{0,20}", after in ".{0,20}",
    ) {
        let taint = Taint::default();
        taint.add(&secret);
        let encoded = echo(&echo(&secret, way), again);
        // a long secret in base64 and the like must leave no readable part
        let shown = taint.text(&format!("{before} {encoded} {after}")).into_owned();
        prop_assert!(shown.contains("***"), "{} in {}", secret, shown);
        for start in 0..encoded.len().saturating_sub(24) {
            if let Some(part) = encoded.get(start..start + 24) {
                prop_assert!(!shown.contains(part), "{} of {} in {}", part, secret, shown);
            }
        }
    }

    #[test]
    fn hiding_twice_is_hiding_once(secret in "[ -~]{1,20}", text in "\\PC{0,200}") {
        let taint = Taint::default();
        taint.add(&secret);
        let once = taint.text(&text).into_owned();
        let twice = taint.text(&once).into_owned();
        prop_assert_eq!(once, twice);
    }
}
