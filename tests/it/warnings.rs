//! Warnings of the first pass: counted once, with any number of threads, and without an effect on the output.

use crate::job_file::{CLEVERTAP, MEDIARITHMICS, PROFILES, YESMAIL};
use listferry::WarningKind;
use listferry::job::{Env, Job, Report};
use proptest::prelude::*;
use std::path::Path;

fn env(dir: &Path, threads: usize, chunk_bytes: usize) -> Env {
    let mut env = Env::default();
    env.state_dir = Some(dir.join("state"));
    env.options.threads = threads;
    env.options.chunk_bytes = chunk_bytes;
    env
}

fn job(dir: &Path, destination: &str, further: &str, list: &[u8]) -> Job {
    std::fs::write(dir.join("list.csv"), list).unwrap();
    let text = format!("source: {{ path: list.csv }}\ndestination: {{ {destination} }}\n{further}\n");
    Job::read(&text, dir, &[]).unwrap()
}

fn check(destination: &str, further: &str, list: impl AsRef<[u8]>) -> Report {
    let dir = tempfile::tempdir().unwrap();
    job(dir.path(), destination, further, list.as_ref()).check(&env(dir.path(), 2, 1 << 18))
}

/// Kind, column, count and first record.
type Short = (&'static str, Option<String>, Option<u64>, Option<u64>);

fn short(report: &Report) -> Vec<Short> {
    let short = |warning: &listferry::Warning| {
        (warning.kind.name(), warning.column.clone(), warning.count, warning.first_record)
    };
    report.warnings.iter().map(short).collect()
}

fn of(kind: &'static str, column: &str, count: u64, first: u64) -> Short {
    (kind, Some(column.to_owned()), Some(count), Some(first))
}

/// A list with enough plain rows after the given ones that nothing is frequent.
fn list(header: &str, rows: &[&str]) -> String {
    let commas = ",".repeat(header.matches(',').count());
    let plain = (0..3000).map(|i| format!("u{i}{commas}\n")).collect::<String>();
    format!("{header}\n{}\n{plain}", rows.join("\n"))
}

#[test]
fn markers_of_missing_values_are_counted_by_column() {
    let rows = ["1,NULL,x", "2,\\N,Ann", "3,\"N/A\",nan", "4,None,NULLA", "5,Null,Nan", "6,nan,\"null\"", "7,,"];
    let map = "map: { id: id, a: a, b: { column: b, apply: [trim] } }";
    let report =
        check(YESMAIL, map, list("id,a,b,c", &rows.map(|row| format!("{row},NULL")).each_ref().map(String::as_str)));
    assert_eq!(report.exit_code, 0, "{:?}", report.error);
    assert_eq!(short(&report), [of("null_marker", "a", 5, 1), of("null_marker", "b", 2, 3)]);
    let hint = report.warnings[0].hint.as_deref().unwrap();
    assert!(hint.contains("{ values: { \"NULL\": \"\" }, else: keep }"), "{hint}");
    // a map that handles the markers silences the warning
    let map = "map: { id: id, a: { column: a, apply: [{ values: { 'NULL': '', '\\N': '' }, else: keep }] } }";
    assert_eq!(short(&check(YESMAIL, map, list("id,a", &["1,NULL", "2,\\N"]))), []);
    // rows that are left out or rejected are not sent and not counted
    let where_ = "where: [{ column: a, not_in: ['NULL'] }]\nrejects: { max: 9 }\n";
    let map = format!("{where_}map: {{ id: id, a: a, n: {{ column: n, type: integer }} }}");
    let report = check(YESMAIL, &map, list("id,a,n", &["1,NULL,1", "2,N/A,x", "3,N/A,5"]));
    assert_eq!((report.records.filtered, report.records.rejected), (1, 1));
    assert_eq!(short(&report), [of("null_marker", "a", 1, 3)]);
}

#[test]
fn identifiers_that_a_spreadsheet_has_spoilt_are_counted() {
    let rows = [
        "4.9E+11",
        "12.0",
        "-3.00",
        "4.91e+11",
        "12.5",
        "1.2.0",
        "a\u{200b}b",
        "x\u{feff}",
        "5E11",
        "ok@x.de",
        "1.5E-7",
    ];
    let rows = rows.map(|id| format!("{id},4.9E+11"));
    let list = list("id,n", &rows.each_ref().map(String::as_str));
    let map = |identity: &str| format!("map: {{ identity: {identity} }}");
    let want = [of("scientific", "id", 2, 1), of("decimal_id", "id", 1, 2), of("invisible", "id", 2, 7)];
    assert_eq!(short(&check(CLEVERTAP, &map("id"), &list)), want);
    assert_eq!(short(&check(CLEVERTAP, &map("{ column: id, apply: [trim, lower] }"), &list)), want);
    assert_eq!(short(&check(CLEVERTAP, &map("{ template: '{id}' }"), &list)), want);
    assert_eq!(short(&check(CLEVERTAP, &map("{ column: id, apply: [sha256] }"), &list)), want);
    let stripped = check(CLEVERTAP, &map("{ column: id, apply: strip_invisible }"), &list);
    assert_eq!(short(&stripped), want[..2]);
    // `digits` removes the notation
    let digits = check(CLEVERTAP, &format!("rejects: {{ max: 9 }}\n{}", map("{ column: id, apply: digits }")), &list);
    assert_eq!(short(&digits)[..2], [of("scientific", "id", 2, 1), of("decimal_id", "id", 1, 2)]);
    // only identifiers
    let map = "map: { customer_id: n, changes: [{ op: assign, attr: id, column: id }] }";
    let report = check(PROFILES, map, "id,n\n4.9E+11,1\n12.0,2\na\u{200b}b,3\n");
    assert_eq!(short(&report), []);
}

#[test]
fn hashes_of_hashes_and_emptied_templates_are_counted() {
    let (md5, sha) =
        ("900150983cd24fb0d6963f7d28e17f72", "BA7816BF8F01CFEA414140DE5DAE2223B00361A396177A9CB410FF61F20015AD");
    let rows = [format!("1,{sha},49,1"), format!("2,{md5},,1"), "3,ann,49,".to_owned(), format!("4, {sha} ,,")];
    let list = list("id,mail,cc,phone", &rows.each_ref().map(String::as_str));
    let map = |mail: &str, more: &str| {
        format!(
            "map: {{ id: id, mail: {{ column: mail, apply: [{mail}] }}, phone: {{ template: '+{{cc}}{{phone}}'{more} }} }}"
        )
    };
    let emptied = [of("template_emptied", "cc", 1, 2), of("template_emptied", "phone", 1, 3)];
    let report = check(YESMAIL, &map("trim, sha256", ""), &list);
    assert_eq!(short(&report)[0], of("double_hash", "mail", 3, 1));
    assert_eq!(short(&report)[1..], emptied);
    let report = check(YESMAIL, &map("sha256: { unless_hashed: true }", ", needs: any"), &list);
    assert_eq!(short(&report), []);
}

#[test]
fn an_identifier_on_many_rows_is_found() {
    let rows = |n: usize, every: usize| {
        let id = |i: usize| {
            if i.is_multiple_of(every) { "unknown@example.com".to_owned() } else { format!("u{i}@example.com") }
        };
        (0..n).map(|i| format!("{}\n", id(i))).collect::<String>()
    };
    for (n, every, found) in
        [(20_000, 2, true), (20_000, 50, true), (20_000, 80, true), (20_000, 200, false), (300, 20, true)]
    {
        for identity in ["id", "{ column: id, apply: [trim, lower, sha256] }"] {
            let report =
                check(CLEVERTAP, &format!("map: {{ identity: {identity} }}"), format!("id\n{}", rows(n, every)));
            let Some(warning) = report.warnings.first() else {
                assert!(!found, "{n} {every} {identity}");
                continue;
            };
            assert!(found, "{n} {every} {identity}: {warning:?}");
            assert_eq!((warning.kind, warning.first_record), (WarningKind::FrequentId, None));
            let truth = n.div_ceil(every) as u64;
            let count = warning.count.unwrap();
            assert!(count <= truth && count * 10 >= truth * 9, "{n} {every}: {count} of {truth}");
            assert!(!warning.message.contains("unknown"), "{warning:?}");
        }
    }
    // one of several identifiers of a row
    let map = "map: { operation: { value: UPDATE }, segment_id: { value: 1 }, user_account_id: a, email_hash: h, \
               expiration_duration: { value: 0 } }";
    let list: String = (0..500).map(|i| if i % 2 == 0 { format!("{i},\n") } else { ",same\n".to_owned() }).collect();
    let report = check(MEDIARITHMICS, map, format!("a,h\n{list}"));
    assert_eq!(short(&report), [("frequent_id", Some("h".to_owned()), Some(250), None)]);
}

#[test]
fn files_that_cat_joined_are_found() {
    let one = "\u{feff}id,n\n1,a\n2,b\n";
    for (second, count, first) in
        [("\u{feff}id,n\n3,c\n", 1, 3), ("id,n\n3,c\n", 1, 3), ("\u{feff}3,c\n", 1, 3), ("id,n\n3,c\nid,n\n", 2, 3)]
    {
        let report = check(YESMAIL, "map: { id: id, n: n }", format!("{one}{second}"));
        let found: Vec<Short> = short(&report).into_iter().filter(|warning| warning.0 == "joined_files").collect();
        assert_eq!(found, [("joined_files", None, Some(count), Some(first))], "{second}");
    }
    let report = check(YESMAIL, "warnings: { error: [joined_files] }\nmap: { id: id, n: n }", format!("{one}id,n\n"));
    assert_eq!(report.exit_code, 10, "{:?}", report.error);
    // a second header of another shape is rejected, and its byte order mark reveals the cause
    let report = check(YESMAIL, "rejects: { max: 9 }\nmap: { id: id, n: n }", format!("{one}\u{feff}id,n,x\n"));
    assert_eq!(short(&report), [("joined_files", None, Some(1), Some(3))]);
    for plain in ["id,m\n", "3,id\n", "id,\n", "ID,n\n"] {
        let report = check(YESMAIL, "map: { id: id, n: n }", format!("{one}{plain}"));
        assert_eq!(short(&report), [], "{plain}");
    }
}

#[test]
fn another_encoding_or_delimiter_is_suspected() {
    let mut latin = b"id,name\n".to_vec();
    (0..50).for_each(|i| latin.extend(format!("{i},").bytes().chain(*b"J\xfcrgen\n")));
    let report = check(YESMAIL, "map: { id: id, name: name }", &latin);
    assert_eq!(report.exit_code, 10);
    assert_eq!(short(&report), [("encoding", None, Some(50), Some(1))]);
    latin.extend((50..10_000).flat_map(|i| format!("{i},x\n").into_bytes()));
    assert_eq!(short(&check(YESMAIL, "map: { id: id, name: name }", &latin)), []);
    let report = check(YESMAIL, "map: { id: 'a;b;c' }", "a;b;c\n1;2;3\n");
    assert_eq!(short(&report), [("delimiter", None, None, None)]);
    assert!(report.warnings[0].message.contains("\";\""), "{:?}", report.warnings);
    assert_eq!(short(&check(YESMAIL, "map: { id: a }", "a,b;c\n1,2\n")), []);
}

#[test]
fn a_warning_fails_the_run_only_where_the_job_says_so() {
    let list = list("id,n", &["1,NULL", "2,NULL", "4.9E+11,x"]);
    let map = "map: { id: id, n: n }";
    let report = check(YESMAIL, map, &list);
    assert_eq!((report.exit_code, report.warnings.len()), (0, 2), "{:?}", report.error);
    for (kinds, code) in
        [("[]", 0), ("[double_hash, joined_files]", 0), ("[null_marker]", 10), ("[invisible, scientific]", 10)]
    {
        let report = check(YESMAIL, &format!("warnings: {{ error: {kinds} }}\n{map}"), &list);
        assert_eq!((report.exit_code, report.warnings.len()), (code, 2), "{kinds}: {:?}", report.error);
        if code == 10 {
            let error = report.error.unwrap();
            assert!(
                error.message().contains("warnings.error has") && error.message().contains("the first is record"),
                "{error}"
            );
        }
    }
    let dir = tempfile::tempdir().unwrap();
    for (kinds, said) in [
        ("[null_markers]", "did you mean \"null_marker\"?"),
        ("[no_counts]", "one of null_marker"),
        ("null_marker", "must be a list"),
    ] {
        let text =
            format!("source: {{ path: l.csv }}\ndestination: {{ {YESMAIL} }}\n{map}\nwarnings: {{ error: {kinds} }}\n");
        let error = Job::read(&text, dir.path(), &[]).err().expect(kinds);
        assert_eq!(error.kind(), listferry::Kind::Usage);
        assert!(
            format!("{error} {:?}", error.hint()).contains(&said.replace('"', "\\\""))
                || error.to_string().contains(said),
            "{error:?}"
        );
    }
}

#[test]
fn people_see_a_line_for_each_kind() {
    let report = check(YESMAIL, "map: { id: id, n: n, m: m }", list("id,n,m", &["1,NULL,NULL", "12.0,NULL,x"]));
    let text = report.to_text();
    let lines: Vec<&str> = text.lines().filter(|line| line.contains("warning ")).collect();
    assert_eq!(lines.len(), 2, "{text}");
    assert!(lines[0].contains("null_marker: 2 values of \"n\" look like a missing one"), "{text}");
    assert!(lines[0].contains("(and 1 more like it); empty them in the source"), "{text}");
    assert!(lines[1].contains("decimal_id: 1 identifier of \"id\" is written"), "{text}");
    let object = report.to_json();
    assert_eq!(object["warnings"][0]["count"], 2);
    assert_eq!(object["warnings"][0]["kind"], "null_marker");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    #[test]
    fn counts_are_those_of_a_naive_look_whatever_the_threads(
        rows in proptest::collection::vec(
            (
                prop_oneof![
                    6 => "[a-z]{3,9}", 1 => "[0-9]{1,4}\\.0{1,2}", 1 => "[1-9]\\.[0-9]{1,3}E\\+[0-9]{2}", 1 => Just("a\u{200b}".to_owned()),
                    1 => "[0-9.]{1,6}", 1 => Just("NULL".to_owned()), 1 => "[0-9]{1,12}",
                ],
                prop_oneof![4 => "[A-Za-z|]{0,6}", 1 => Just("NULL".to_owned()), 1 => Just("\"N/A\"".to_owned()), 1 => Just("é".to_owned())],
                0..9u8,
            ),
            1..300,
        ),
        chunk_bytes in 1usize..3000, threads in 1usize..5,
    ) {
        let mut list = "id,n,how\n".to_owned();
        let mut naive = std::collections::BTreeMap::<(&str, &str), (u64, u64)>::new();
        for (i, (id, n, how)) in rows.iter().enumerate() {
            // 0: filtered, 1: rejected
            list.push_str(&format!("{id},{n},{}\n", if *how == 1 { "x".to_owned() } else { how.to_string() }));
            if *how < 2 {
                continue;
            }
            let mut saw = |kind, column| {
                naive.entry((kind, column)).or_insert((0, i as u64 + 1)).0 += 1;
            };
            let zeros = |(whole, rest): (&str, &str)| {
                let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
                digits(whole) && rest == "0"
            };
            if id.split_once('.').is_some_and(zeros) {
                saw("decimal_id", "id");
            }
            if id.contains("E+") {
                saw("scientific", "id");
            }
            if id.contains('\u{200b}') {
                saw("invisible", "id");
            }
            if id == "NULL" {
                saw("null_marker", "id");
            }
            if n == "NULL" || n == "\"N/A\"" {
                saw("null_marker", "n");
            }
        }
        let dir = tempfile::tempdir().unwrap();
        let further = "rejects: { max: 999 }\nallow_empty: true\nwhere: [{ column: how, not_equals: 0 }]\n\
                       map: { id: id, n: { column: n, apply: trim }, m: { template: '{n}-{how}' }, how: { column: how, type: integer } }";
        let job = job(dir.path(), YESMAIL, further, list.as_bytes());
        let report = job.check(&env(dir.path(), threads, chunk_bytes));
        prop_assert_eq!(report.exit_code, 0, "{:?}", report.error);
        let mut got = short(&report);
        got.retain(|(kind, ..)| !matches!(*kind, "frequent_id" | "template_emptied"));
        got.sort();
        let want: Vec<Short> = naive.iter().map(|((kind, column), (count, first))| of(kind, column, *count, *first)).collect();
        prop_assert_eq!(&got, &want);
        // one thread with large chunks finds the same
        let alone = job.check(&env(dir.path(), 1, 1 << 18));
        let mut alone = short(&alone);
        alone.retain(|(kind, ..)| !matches!(*kind, "frequent_id" | "template_emptied"));
        alone.sort();
        prop_assert_eq!(alone, got);
    }
}
