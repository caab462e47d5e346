//! Every dialect has the records of a reader of single bytes, whatever the chunks, and text in other encodings is what
//! encoding_rs makes of the whole text at once.
#![no_main]

use libfuzzer_sys::fuzz_target;

include!("common.rs");

/// A record of two cells, or the code of its rejection.
type Row = Result<[Vec<u8>; 2], String>;

/// Returns the rows that a reader of single bytes finds; `None`: a quote is never closed.
fn naive(text: &[u8], csv: &CsvOptions) -> Option<Vec<Row>> {
    let mut rows = Vec::new();
    let mut at = 0;
    let line_end = |at: usize| match text[at] {
        b'\n' => 1,
        b'\r' if text.get(at + 1) == Some(&b'\n') => 2,
        b'\r' => 1,
        _ => 0,
    };
    while at < text.len() {
        if Some(text[at]) == csv.comment {
            while at < text.len() && line_end(at) == 0 {
                at += 1;
            }
            at += if at < text.len() { line_end(at) } else { 0 };
            continue;
        }
        if line_end(at) > 0 {
            at += line_end(at);
            continue;
        }
        let (mut cells, mut junk) = (Vec::new(), false);
        loop {
            let (cell, next, is_junk) = naive_cell(text, at, csv)?;
            (junk, at) = (junk || is_junk, next);
            cells.push(cell);
            match text.get(at) {
                None => break,
                Some(byte) if *byte == csv.delimiter => at += 1,
                Some(_) => {
                    at += line_end(at);
                    break;
                }
            }
        }
        rows.push(match <[Vec<u8>; 2]>::try_from(cells) {
            _ if junk => Err("text_after_quote".to_owned()),
            Err(_) => Err("ragged".to_owned()),
            Ok(cells) => match cells.iter().find(|cell| cell.contains(&0)) {
                Some(_) => Err("nul".to_owned()),
                None => Ok(cells),
            },
        });
    }
    Some(rows)
}

/// Returns the value of the cell at `at`, the position of its end, and whether text follows its quotes.
fn naive_cell(text: &[u8], mut at: usize, csv: &CsvOptions) -> Option<(Vec<u8>, usize, bool)> {
    let (start, mut value) = (at, Vec::new());
    let mut is_open = csv.quote.is_some() && text.get(at).copied() == csv.quote;
    let is_quoted = is_open;
    let mut after = false;
    at += usize::from(is_open);
    while let Some(&byte) = text.get(at) {
        if is_open && Some(byte) == csv.quote {
            if !csv.escape && text.get(at + 1).copied() == csv.quote {
                value.push(byte);
                at += 2;
                continue;
            }
            is_open = false;
            at += 1;
            continue;
        }
        if !is_open && (byte == csv.delimiter || matches!(byte, b'\n' | b'\r')) {
            break;
        }
        after |= is_quoted && !is_open;
        if csv.escape && byte == b'\\' && at + 1 < text.len() {
            let meaning = b"n\nt\tr\rb\x08f\x0cv\x0b0\0";
            let byte = text[at + 1];
            value.push(meaning.chunks(2).find(|pair| pair[0] == byte).map_or(byte, |pair| pair[1]));
            at += 2;
            continue;
        }
        value.push(byte);
        at += 1;
    }
    if is_open {
        return None;
    }
    let is_null = !is_quoted && csv.nulls.iter().any(|null| *null == text[start..at.min(text.len())]);
    Some((if is_null { Vec::new() } else { value }, at, after))
}


/// Returns the dialect of a first byte, and the encoding of the list.
fn options(mode: u8) -> (CsvOptions, Option<&'static str>) {
    let mut csv = CsvOptions::default();
    csv.quote = [Some(b'"'), Some(b'\''), None, Some(b'"')][usize::from(mode & 3)];
    csv.escape = mode & 4 != 0;
    csv.comment = (mode & 8 != 0).then_some(b'#');
    csv.nulls = if mode & 16 != 0 { vec![b"\\N".to_vec(), b"a".to_vec()] } else { Vec::new() };
    let labels = [None, None, None, Some("windows-1252"), Some("shift_jis"), Some("gb18030"), Some("euc-jp"), Some("big5")];
    (csv, labels[usize::from(mode >> 5)])
}

fuzz_target!(|data: &[u8]| {
    let [mode, threads, chunk, text @ ..] = data else { return };
    let (csv, label) = options(*mode);
    let mut how = SourceOptions::default();
    let text = match label {
        None => match std::str::from_utf8(text) {
            Ok(text) => text.to_owned(),
            Err(_) => return,
        },
        Some(label) => {
            let encoding = encoding_rs::Encoding::for_label(label.as_bytes()).expect("a label");
            how.encoding = listferry::source::Encoding::for_label(label).expect("a label");
            match encoding.decode_without_bom_handling_and_without_replacement(text) {
                Some(text) => text.into_owned(),
                None => return,
            }
        }
    };
    // trailers have tests of their own
    let is_trailer = ["row", "record", "zeil", "lign", "fil", "rig", "linh", "rij", "rad", "\\."];
    if is_trailer.iter().any(|word| text.to_lowercase().contains(word)) {
        return;
    }
    let list = [b"a,b\n", &data[3..]].concat();
    let source = OpenSource::from_bytes("list", list, &how).expect("bytes in memory");
    let Ok(opened) = Csv::open(Arc::new(source), csv.clone()) else { return };
    let table = Table::from(opened);
    let plan = Arc::new(Plan::compile(&copied(), &[], table.columns()).expect("a plan"));
    let mut options = Options::default();
    options.threads = usize::from(threads % 4) + 1;
    options.chunk_bytes = usize::from(*chunk) + 1;
    let (mut out, mut rejects, mut again) = (Vec::new(), Kept::default(), Kept::default());
    let mut keep = |bytes: &[u8]| {
        out.extend_from_slice(bytes);
        Ok(())
    };
    let converted = convert(&table, &plan, &options, &mut keep, &mut rejects);
    let measured = measure(&table, &plan, &Split::default(), &options, &mut again);
    let Some(rows) = naive(text.as_bytes(), &csv) else {
        assert!(converted.is_err() && measured.is_err(), "a quote is never closed");
        return;
    };
    let (counts, measured) = (converted.expect("converts"), measured.expect("measures"));
    assert_eq!((&counts, &rejects), (measured.counts(), &again));
    assert_eq!(measured.body_bytes(), out.len() as u64);
    assert_eq!(counts.read, rows.len() as u64);
    let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(&out[..]);
    let mut good = reader.byte_records().map(|record| record.expect("our output"));
    let mut bad = rejects.0.iter().map(|reject| reject.0).peekable();
    for (number, row) in (1..).zip(rows) {
        match row {
            Err(_) => assert_eq!(bad.next(), Some(number)),
            Ok(cells) => {
                let record = good.next().expect("a record");
                assert_eq!([&record[0], &record[1]], [&cells[0][..], &cells[1]]);
            }
        }
    }
    assert!(good.next().is_none() && bad.next().is_none());
});
