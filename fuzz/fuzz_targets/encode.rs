//! What we write parses back to what went in: JSON text by serde_json, cells by the csv crate.
#![no_main]

use libfuzzer_sys::fuzz_target;
use listferry::scan::Out;

fuzz_target!(|text: &str| {
    let mut out = Out::default();
    out.push(b'"');
    listferry::encode::escape(text.as_bytes(), &mut out);
    out.push(b'"');
    assert_eq!(serde_json::from_slice::<String>(out.bytes()).expect("JSON"), text);
    for separator in [b',', b';', b'|', b'\t'] {
        let mut out = Out::default();
        listferry::encode::cell(text.as_bytes(), separator, &mut out);
        out.push(separator);
        listferry::encode::cell(b"x", separator, &mut out);
        out.push(b'\n');
        let line = out.bytes();
        assert_eq!(listferry::encode::cut(line, line.len(), false), line.len());
        assert_eq!(listferry::encode::count_records(line, false), 1);
        if line.starts_with(b"\xEF\xBB\xBF") {
            continue;
        }
        let mut reader = csv::ReaderBuilder::new().delimiter(separator).has_headers(false).from_reader(line);
        let record = reader.byte_records().next().expect("a record").expect("no I/O error");
        assert_eq!((&record[0], &record[1]), (text.as_bytes(), &b"x"[..]));
    }
});
