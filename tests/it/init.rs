//! `listferry init`: what it writes passes `check` and runs in the sandbox as it is.

use super::cli::Bed;
use super::workbook::Book;

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
