//! `listferry init`: what it writes passes `check` and runs in the sandbox as it is.

use super::cli::Bed;
use super::workbook::Book;
use proptest::strategy::Strategy as _;

const PLATFORMS: [&str; 5] = ["clevertap", "localytics-profiles", "localytics-audience", "mediarithmics", "yesmail"];

/// Exports in the manner of other programs, with the number of rows that have an address.
fn exports() -> Vec<(&'static str, Vec<u8>)> {
    let mut excel = b"\xef\xbb\xbfKundennummer;Vorname;E-Mail;Geburtstag;Umsatz\r\n".to_vec();
    excel.extend(
        "1001;J\u{f6}rg;joerg@example.com;31.12.1990;1,5\r\n1002;\"M\u{fc}ller; Ann\";ann@example.com;;2\r\n"
            .as_bytes(),
    );
    let shop = "Customer ID,First Name,Email,Accepts Email Marketing,Total Spent,Total Orders,Tags\n\
                7001,Ann,ann@example.com,yes,12.50,3,\"vip, new\"\n7002,Bo,,no,0.00,0,\n";
    let crm = "\"Contact ID\",\"Last Name\",\"Email Address\",\"Created Date\",\"Opt In\"\n\
               \"0031U0001\",\"Lee\",\"a@example.com\",\"01/02/2024\",\"true\"\n\"0031U0002\",\"Dee\",\"b@example.com\",\"02/01/2024\",\"false\"\n";
    let pandas = ",id,email,score,seen\n0,1,a@example.com,0.5,2024-01-02T03:04:05Z\n1,2,b@example.com,1.5,2024-01-02T03:04:05Z\n";
    let bigquery = "{\"user_id\":\"u1\",\"email\":\"a@example.com\",\"address\":{\"city\":\"Oslo\",\"zip\":\"0150\"},\"interests\":[\"a\",\"b\"]}\n\
                    {\"user_id\":\"u2\",\"email\":\"b@example.com\",\"points\":5}\n";
    let bare = "1,ann@example.com,Ann\n2,bo@example.com,Bo\n";
    let hashes = "sha256\temail_opt_in\n\
                  9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08\t1\n\
                  60303ae22b998861bce3b28f33eec1be758a213c86c93c076dbe9f558c11c752\t0\n";
    let ansi = b"Kunden-ID;Name;Mail\r\n1;J\xf6rg;j@example.com\r\n2;M\xfcller;m@example.com\r\n".to_vec();
    let utf16 = "id\tname\n1\tJ\u{f6}rg\n2\tAnn\n".encode_utf16().flat_map(u16::to_le_bytes);
    let utf16: Vec<u8> = [0xff, 0xfe].into_iter().chain(utf16).collect();
    let odd = "a: b;#;yes; x;\"q\"\"uote\";\u{65e5}\u{672c}\n1;2;3;4;5;6\n2;2;3;4;5;6\n";
    let rows = "<row><c t=\"str\"><v>Customer ID</v></c><c t=\"str\"><v>Email</v></c><c t=\"str\"><v>Birthday</v></c></row>\
        <row><c><v>7001</v></c><c t=\"str\"><v>ann@example.com</v></c><c s=\"1\"><v>30000</v></c></row>\
        <row><c><v>7002</v></c><c t=\"str\"><v>bo@example.com</v></c></row>";
    vec![
        ("book.xlsx", Book::of(rows).file()),
        ("excel.csv", excel),
        ("shop.csv", shop.into()),
        ("crm.csv", crm.into()),
        ("pandas.csv", pandas.into()),
        ("bigquery.ndjson", bigquery.into()),
        ("bare.csv", bare.into()),
        ("hashes.tsv", hashes.into()),
        ("pipes.txt", "id|email\n1|a@example.com\n2|b@example.com\n".into()),
        ("ansi.csv", ansi),
        ("utf16.tsv", utf16),
        ("odd.csv", odd.into()),
    ]
}

#[test]
fn a_proposed_job_passes_check_and_runs_in_the_sandbox() {
    for (name, content) in exports() {
        for platform in PLATFORMS {
            let bed = Bed::new("", "");
            std::fs::write(bed.path(name), &content).unwrap();
            let output = bed.run(&["init", platform, name, "-o", "new.yaml"]);
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert_eq!(output.status.code(), Some(0), "{name} {platform}: {said}");
            let text = std::fs::read_to_string(bed.path("new.yaml")).unwrap();
            let choices = text.lines().filter(|line| line.contains("# choose:")).count();
            assert!(choices == 0 || said.contains("choose: "), "{said}\n{text}");
            // every key has a comment, but the two that need none
            for line in text.lines().filter(|line| !line.trim_start().starts_with('#') && line.contains(": ")) {
                let plain = ["platform:", "- {", "  firstname"].iter().any(|plain| line.contains(plain))
                    || platform == "yesmail";
                assert!(plain || line.contains("  # "), "{line}");
            }
            let (code, report) = bed.json(&["check", "new.yaml"]);
            assert_eq!((code, report["records"]["rejected"].as_u64()), (0, Some(0)), "{name}: {report}\n{text}");
            assert_eq!(report["records"]["read"], 2, "{name}: {text}");
            if matches!(name, "shop.csv" | "bigquery.ndjson") {
                let (code, report) = bed.json(&["run", "new.yaml", "--sandbox"]);
                assert_eq!(code, 0, "{name} {platform}: {report}\n{text}");
                // what only the user knows is not guessed
                assert_eq!(bed.run(&["run", "new.yaml"]).status.code(), Some(2));
            }
        }
    }
}

#[test]
fn no_row_value_is_in_a_proposed_job() {
    let bed = Bed::new("", "");
    for (name, content) in exports() {
        std::fs::write(bed.path(name), content).unwrap();
        for platform in PLATFORMS {
            let output = bed.run(&["init", platform, name]);
            let shown = [output.stdout, output.stderr].concat();
            let shown = String::from_utf8_lossy(&shown);
            for value in ["@example.com", "J\u{f6}rg", "7001", "0031U", "Oslo", "9f86d0"] {
                assert!(!shown.contains(value), "{name}: {shown}");
            }
        }
    }
}

#[test]
fn delimiter_header_and_identifier_are_found() {
    let bed = Bed::new("", "");
    for (name, content) in exports() {
        std::fs::write(bed.path(name), content).unwrap();
    }
    let text = |platform: &str, name: &str| String::from_utf8(bed.run(&["init", platform, name]).stdout).unwrap();
    let excel = text("localytics-profiles", "excel.csv");
    assert!(excel.contains("csv: { delimiter: \";\" }") && excel.contains("customer_id: Kundennummer "), "{excel}");
    assert!(excel.contains("{ op: assign, attr: geburtstag, column: Geburtstag, type: date, format: \"%d.%m.%Y\" }"));
    let shop = text("localytics-profiles", "shop.csv");
    assert!(shop.contains("{ op: set-add, attr: tags, column: Tags, split: \", \" }"), "{shop}");
    assert!(shop.contains("attr: total_orders, column: Total Orders, type: integer }"), "{shop}");
    let ansi = text("clevertap", "ansi.csv");
    assert!(ansi.contains("encoding: windows-1252") && ansi.contains("identity: Kunden-ID "), "{ansi}");
    let bare = text("clevertap", "bare.csv");
    assert!(bare.contains("header: false, columns: [column_1, column_2, column_3]"), "{bare}");
    let json = text("localytics-profiles", "bigquery.ndjson");
    assert!(
        json.contains("column: \"/address/city\", missing: empty }") && json.contains("customer_id: user_id "),
        "{json}"
    );
    let book = text("localytics-profiles", "book.xlsx");
    assert!(
        book.contains("customer_id: Customer ID ") && book.contains("attr: birthday, column: Birthday, type: date"),
        "{book}"
    );
    assert!(text("mediarithmics", "hashes.tsv").contains("email_hash: sha256 "));
    assert!(text("yesmail", "shop.csv").contains("- { column: Email, empty: false }"));
    assert!(text("clevertap", "pipes.txt").contains("delimiter: \"|\""));
}

#[test]
fn an_existing_file_is_replaced_only_by_force() {
    let bed = Bed::new("mine", "id\n1\n");
    std::fs::create_dir(bed.path("jobs")).unwrap();
    assert_eq!(bed.run(&["init", "clevertap", "list.csv", "-o", "job.yaml"]).status.code(), Some(2));
    assert_eq!(std::fs::read_to_string(bed.path("job.yaml")).unwrap(), "mine");
    assert_eq!(bed.run(&["init", "clevertap", "list.csv", "-o", "job.yaml", "--force"]).status.code(), Some(0));
    // a job in another folder finds the source
    assert_eq!(bed.run(&["init", "clevertap", "list.csv", "-o", "jobs/new.yaml"]).status.code(), Some(0));
    assert_eq!(bed.json(&["check", "jobs/new.yaml"]).0, 0);
    let template = bed.run(&["init", "clevertap"]);
    assert_eq!(template.status.code(), Some(0));
    assert!(String::from_utf8_lossy(&template.stdout).contains("identity: customer_id "));
    for (arguments, code) in [(&["init", "clevertab"][..], 2), (&["init", "clevertap", "gone.csv"], 1)] {
        let output = bed.run(arguments);
        assert_eq!(output.status.code(), Some(code), "{}", String::from_utf8_lossy(&output.stderr));
    }
}

/// Texts that names are made of: those that YAML, a terminal or a job file would take for something else.
const PIECES: [&str; 40] = [
    "a",
    "Z",
    "\u{e9}",
    "\u{65e5}",
    "e1",
    " ",
    "\n",
    "\r",
    "\r\n",
    "\u{b}",
    "\u{c}",
    "\u{1b}[31m",
    "\u{7f}",
    "\u{85}",
    "\u{2028}",
    "\u{2029}",
    "\u{feff}",
    "\u{202e}",
    "#",
    " #",
    ": ",
    "- ",
    "{",
    "}",
    "[",
    "]",
    "\"",
    "'",
    "\\",
    "${X}",
    "!",
    "&",
    "*",
    "|",
    ">",
    "%",
    ",",
    ";",
    "\t",
    "\n  compartment_id: { value: \"666\" } #",
];

fn looks_like_a_value(name: &str) -> bool {
    let name = name.trim();
    !name.is_empty() && name.chars().all(|c| c.is_ascii_digit() || ".-/:".contains(c))
}

/// Returns the lines of `map` without comments.
fn map_of(text: &str) -> Vec<&str> {
    let lines = text.lines().skip_while(|line| !line.starts_with("map:")).skip(1);
    lines.take_while(|line| line.starts_with(' ')).filter(|line| !line.trim_start().starts_with('#')).collect()
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(48))]

    #[test]
    fn line_ends_in_names_of_columns_injected_keys(
        names in proptest::collection::vec(
            proptest::collection::vec(proptest::sample::select(&PIECES[..]), 1..6).prop_map(|pieces| pieces.concat()),
            1..5,
        )
    ) {
        proptest::prop_assume!(!names.iter().any(|name| looks_like_a_value(name)));
        let dir = tempfile::tempdir().unwrap();
        let cells: Vec<String> = names.iter().map(|name| format!("\"{}\"", name.replace('"', "\"\""))).collect();
        let row = |row: usize| (0..names.len()).map(|n| format!("v{row}{n}")).collect::<Vec<_>>().join(",");
        let list = format!("{}\n{}\n{}\n{}\n", cells.join(","), row(1), row(2), row(3));
        std::fs::write(dir.path().join("list.csv"), list).unwrap();
        let env = crate::web::env(dir.path());
        for platform in ["clevertap", "localytics-profiles", "yesmail"] {
            let draft = match listferry::job::draft(platform, Some("list.csv"), dir.path(), &env) {
                Ok(draft) => draft,
                // a job file can name none of them
                Err(error) => {
                    proptest::prop_assert!(error.message().contains("no column that a map can have"), "{error}");
                    continue;
                }
            };
            let all = format!("{}{}", draft.text, draft.choices.join("\n"));
            let is_plain = |c: char| c == '\n' || !(c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202e}'));
            proptest::prop_assert!(all.chars().all(is_plain), "{all:?}");
            let map = map_of(&draft.text);
            let (own, most) = match platform {
                "clevertap" => (&["  identity: "][..], 1),
                "yesmail" => (&["  "][..], names.len()),
                _ => (&["  customer_id: ", "  changes:", "    - { op: "][..], names.len() + 2),
            };
            proptest::prop_assert!(map.len() <= most, "{}", draft.text);
            proptest::prop_assert!(map.iter().all(|line| own.iter().any(|own| line.starts_with(own))), "{}", draft.text);
            proptest::prop_assert!(!map.iter().any(|line| line.starts_with("  compartment_id:")), "{}", draft.text);
            let job = listferry::job::Job::read(&draft.text, dir.path(), &[]);
            let job = job.unwrap_or_else(|error| panic!("{error:?}\n{}", draft.text));
            let report = job.check(&env);
            proptest::prop_assert_eq!(report.exit_code, 0, "{:?}\n{}", report.error, draft.text);
            proptest::prop_assert_eq!(report.records.written, 3);
        }
    }
}

#[test]
fn control_characters_of_names_reached_the_terminal() {
    let bed = Bed::new("", "");
    let keys = "{\"customer_id\":1,\"user\\nid\":\"a\",\"\\u001b[31mid\":\"b\",\"d\\u0085\":\"01/02/2024\"}\n";
    std::fs::write(bed.path("list.ndjson"), keys).unwrap();
    for platform in PLATFORMS {
        let output = bed.run(&["init", platform, "list.ndjson", "-o", "new.yaml", "--force"]);
        let shown = String::from_utf8_lossy(&output.stderr).into_owned();
        let text = std::fs::read_to_string(bed.path("new.yaml")).unwrap();
        for text in [&shown, &text] {
            assert!(!text.chars().any(|c| c != '\n' && c.is_control()), "{text:?}");
        }
        assert!(shown.contains("\\u{1b}[31mid") && shown.contains("user\\nid"), "{shown}");
        let (code, report) = bed.json(&["check", "new.yaml"]);
        assert_eq!(code, 0, "{report}\n{text}");
    }
}

#[test]
fn columns_of_parquet_arrow_and_xlsx_were_not_found() {
    for name in ["list-pyarrow.parquet", "list-polars.arrow", "list-polars.arrows", "list-pandas.xlsx"] {
        let bed = Bed::new("", "");
        std::fs::copy(crate::columnar::files().join(name), bed.path(name)).unwrap();
        let output = bed.run(&["init", "localytics-profiles", name]);
        let text = String::from_utf8(output.stdout).unwrap();
        assert_eq!(output.status.code(), Some(0), "{name}: {}", String::from_utf8_lossy(&output.stderr));
        for line in ["customer_id: id ", "column: visits, type: integer }", "column: joined, type: date }"] {
            assert!(text.contains(line), "{name}: {text}");
        }
        assert_eq!(bed.run(&["init", "clevertap", name, "-o", "new.yaml"]).status.code(), Some(0));
        let (code, report) = bed.json(&["check", "new.yaml"]);
        assert_eq!((code, report["records"]["read"].as_u64()), (0, Some(300)), "{name}: {report}");
    }
    // members of structs are pointers; what is neither text nor a list of texts is left out
    let bed = Bed::new("", "");
    let path = crate::columnar::files().join("types-pyarrow.parquet");
    let output = bed.run(&["init", "localytics-profiles", path.to_str().unwrap()]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("column: \"/address/city\"") && text.contains("# left out: people: "), "{text}");
    assert!(text.contains("{ op: set-add, attr: tags, column: tags }"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_with_a_signature_could_not_be_read() {
    use crate::{vendor, web};
    let file = web::File::tagged(b"id,email\n1,a@example.com\n2,b@example.com\n".to_vec(), "\"v1\"");
    let server = vendor::Vendor::start(move |seen, _| match seen.target.starts_with("/l.csv") {
        true => file.answer(seen),
        false => vendor::answer(404, &[], ""),
    })
    .await;
    let (host, bed) = (server.address, Bed::new("", ""));
    tokio::task::spawn_blocking(move || {
        for address in
            [format!("http://{host}/l.csv?X-Amz-Signature=canary/canary"), format!("http://canary:canary@{host}/l.csv")]
        {
            let output = bed.run(&["init", "clevertap", &address, "-o", "new.yaml", "--force"]);
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert_eq!(output.status.code(), Some(0), "{said}");
            let text = std::fs::read_to_string(bed.path("new.yaml")).unwrap();
            assert!(text.contains("  path: { env: LIST_URL } ") && text.contains("identity: id "), "{text}");
            assert!(!text.contains("canary") && !said.contains("canary"), "{said}\n{text}");
            let check = bed.command(&["check", "new.yaml", "-q"]).env("LIST_URL", &address).output().unwrap();
            assert_eq!(check.status.code(), Some(0), "{}", String::from_utf8_lossy(&check.stderr));
        }
        let gone = bed.run(&["init", "clevertap", &format!("http://{host}/gone?sig=canary-signature")]);
        let said = String::from_utf8_lossy(&gone.stderr).into_owned();
        assert!(gone.status.code() == Some(1) && said.contains("/gone") && !said.contains("canary"), "{said}");
    })
    .await
    .unwrap();
}

#[test]
fn quoted_wide_and_odd_exports_were_misjudged() {
    let semicolons = "\"id\";\"email\"\n\"1\";\"a@example.com\"\n\"2\";\"b@example.com\"\n";
    let utf16 = |unit: fn(u16) -> [u8; 2]| semicolons.encode_utf16().flat_map(unit).collect::<Vec<u8>>();
    let (long, longest) = ("m".repeat(999), "n".repeat(5000));
    let cases: Vec<(&str, Vec<u8>, Vec<&str>)> = vec![
        ("quoted.csv", semicolons.into(), vec!["delimiter: \";\"", "customer_id: id ", "column: email"]),
        ("tabs.csv", semicolons.replace(';', "\t").into(), vec!["delimiter: \"\\t\"", "column: email"]),
        ("le.csv", utf16(u16::to_le_bytes), vec!["encoding: utf-16le", "delimiter: \";\"", "column: email"]),
        ("be.csv", utf16(u16::to_be_bytes), vec!["encoding: utf-16be", "delimiter: \";\"", "column: email"]),
        ("hive.txt", b"id\x01email\n1\x01a@example.com\n2\x01\\N\n".to_vec(), vec!["preset: hive", "column: email"]),
        ("twice.csv", b"id,x,x,plan\n1,a,b,c\n2,a,b,d\n".to_vec(), vec!["# left out: x: ", "column: plan"]),
        ("variable.csv", b"id,${X},plan\n1,a,c\n2,a,d\n".to_vec(), vec!["# left out: ${X}: ", "column: plan"]),
        ("long.csv", format!("id,{longest},{long}\n1,2,3\n2,3,4\n").into(), vec!["# left out: nnn", "column: mmm"]),
        (
            "nested.ndjson",
            b"{\"id\":\"1\",\"a\":[{\"x\":1}],\"b\":[\"p\"],\"c\":[null]}\n{\"id\":\"2\",\"b\":[\"q\",\"r\"]}\n"
                .to_vec(),
            vec!["# left out: a: ", "# left out: c: ", "{ op: set-add, attr: b, column: b"],
        ),
    ];
    for (name, content, wanted) in cases {
        for platform in PLATFORMS {
            let bed = Bed::new("", "");
            std::fs::write(bed.path(name), &content).unwrap();
            let output = bed.run(&["init", platform, name, "-o", "new.yaml"]);
            assert_eq!(output.status.code(), Some(0), "{name}: {}", String::from_utf8_lossy(&output.stderr));
            let text = std::fs::read_to_string(bed.path("new.yaml")).unwrap();
            if platform == "localytics-profiles" {
                assert!(wanted.iter().all(|wanted| text.contains(wanted)), "{name}: {text}");
            }
            let (code, report) = bed.json(&["check", "new.yaml"]);
            let records = [&report["records"]["read"], &report["records"]["rejected"]].map(serde_json::Value::as_u64);
            assert_eq!((code, records), (0, [Some(2), Some(0)]), "{name} {platform}: {report}\n{text}");
        }
    }
    let bed = Bed::new("", "");
    for array in ["[{\"id\":1},\n{\"id\":2}]", " [\n  {\n \"id\": 1 } ]\n"] {
        std::fs::write(bed.path("list.json"), array).unwrap();
        let output = bed.run(&["init", "clevertap", "list.json"]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(10), "{said}");
        assert!(said.contains("JSON array") && said.contains("NDJSON"), "{said}");
    }
}
