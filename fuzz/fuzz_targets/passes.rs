//! Any number of threads and any chunk size, plain or gzip, give the same bytes, counts and rejects. Both passes are
//! equal, and the digests of the whole and of the parts are those of the bytes.
#![no_main]

use libfuzzer_sys::fuzz_target;
use listferry::mapping::{Json, Unit};
use serde_json::json;

include!("common.rs");

/// A JSON line with most conversions.
fn lines() -> Shape {
    let unit = |before: &str, name: &str, value: &serde_json::Value| Unit {
        before: format!("\"{before}\":"),
        field: Some(field(name, value)),
        after: String::new(),
        when_empty: None,
    };
    let mut shape = Json::default();
    shape.open = "{".to_owned();
    shape.close = "}".to_owned();
    shape.filter_without_units = true;
    shape.units = vec![
        unit("k", "k", &json!("a")),
        unit("l", "l", &json!({"column": "b", "apply": ["trim", "lower"], "empty": "omit"})),
        unit("n", "n", &json!({"column": "a", "apply": ["digits"], "type": "integer", "empty": "omit"})),
        unit("t", "t", &json!({"template": "{a}-{b}", "apply": ["sha256"], "empty": "omit"})),
        unit("s", "s", &json!({"column": "b", "split": "|", "empty": "omit"})),
        unit("h", "h", &json!({"template": "{a}{b}", "needs": "any", "apply": {"md5": {"unless_hashed": true}}})),
        unit("v", "v", &json!({"column": "a", "apply": ["strip_invisible", {"values": {"a": "b"}, "else": "keep"}]})),
        unit("o", "o", &json!({"type": "json", "object": {
            "k": "a", "t": {"template": "{a}-{b}"}, "in": {"object": {"l": {"column": "b", "split": "|", "empty": "keep"}}},
        }})),
    ];
    Shape::Json(shape)
}

fn gzipped(text: &[u8]) -> Vec<u8> {
    let mut packed = Vec::new();
    for part in [&text[..text.len() / 2], &text[text.len() / 2..]] {
        let mut packer = flate2::write::GzEncoder::new(packed, flate2::Compression::fast());
        std::io::Write::write_all(&mut packer, part).expect("memory");
        packed = packer.finish().expect("memory");
    }
    packed
}

fuzz_target!(|data: &[u8]| {
    let [mode, threads, chunk, text @ ..] = data else { return };
    let mut csv = CsvOptions::default();
    csv.max_record_bytes = 1 << 20;
    if mode & 1 != 0 {
        csv.delimiter = b';';
    }
    if mode & 2 != 0 {
        csv.quote = None;
    }
    let shape = match mode >> 2 & 3 {
        0 => copied(),
        1 => cells(vec![field("b", &json!({"column": "b", "apply": "lower"})), field("a", &json!("a"))], true),
        _ => lines(),
    };
    let separator = if mode & 1 != 0 { ";" } else { "," };
    // long texts cross the seams of many chunks; repetition makes them from short inputs
    let text = &text[..text.len().min(2048)];
    let times = (1 + usize::from(threads >> 4)).min(4096 / text.len().max(1));
    let text = [format!("a{separator}b\n").as_bytes(), &text.repeat(times)].concat();
    let most = (mode & 16 != 0).then_some(u64::from(*chunk) + 40);
    let other_text =
        if mode & 32 != 0 { (gzipped(&text), Compression::Gzip) } else { (text.clone(), Compression::None) };
    let one = run(text, Compression::None, &shape, &csv, 1, 1 << 16, None);
    let threads = usize::from(threads & 3) + 1;
    let other = run(other_text.0, other_text.1, &shape, &csv, threads, usize::from(*chunk) + 1, most);
    match (one, other) {
        (None, None) => {}
        (Some(one), Some(other)) => {
            assert_eq!(one.out, other.out);
            assert_eq!(one.counts, other.counts);
            assert_eq!(one.rejects, other.rejects);
        }
        (one, other) => panic!("refused: {} and {}", one.is_none(), other.is_none()),
    }
});
