use super::*;

type Listed = Vec<(List, Option<u64>, String)>;

fn read(text: &[u8], piece: usize) -> Result<(Summary, Listed)> {
    let mut listed = Vec::new();
    let mut results = Results::new();
    let mut sink = |entry: &Entry<'_>| {
        listed.push((entry.list, entry.index, entry.message.to_owned()));
        Ok(())
    };
    for piece in text.chunks(piece) {
        results.push(piece, &mut sink)?;
    }
    let summary = results.finish()?;
    Ok((summary, listed))
}

const SAMPLE: &[u8] = include_bytes!("../golden/async-results.json");

#[test]
fn the_vendors_sample_is_read_whatever_the_pieces() {
    for piece in [1, 2, 3, 7, 64, SAMPLE.len()] {
        let (summary, listed) = read(SAMPLE, piece).unwrap();
        assert_eq!(summary.id.as_deref(), Some("987654"));
        assert_eq!(summary.count("failed"), Some(1));
        assert_eq!(summary.count("total"), Some(1240));
        assert_eq!((summary.completed, summary.failed, summary.ignored), (3, 1, 1));
        assert_eq!(
            listed,
            [(List::Failed, Some(1), "Invalid email address.".to_owned()), (List::Ignored, Some(4), String::new())]
        );
    }
}

/// The sample as printed on the vendor's page, including its lines of dots.
const PRINTED: &str = r#"{
  "id": "987654",
  "lastUpdate": "2014-03-03T17:33:52Z",
  "counts": {
    "completed": 1238,
    "failed": 1,
    "ignored": 1,
    "total": 1240,
    "requested": 1240
  },
  "completed ": [
    {
      "index": 0,
      "time": "2014-03-03T17:33:22Z"
    },
    {
      "index": 3,
      "time": "2014-03-03T17:33:52Z"
    },
    ...
    ...
    ...
  ],
  "failed": [
    {
      "index": 1,
      "time": "2014-03-03T17:33:32Z",
      "error": {
        "status": 400,
        "message": "Invalid email address."
      }
    }
  ],
  "ignored": [
    {
      "index": 4
    }
  ]
}"#;

#[test]
fn the_lines_of_dots_in_the_vendors_sample_are_passed_over() {
    for piece in [1, 2, 5, 1000] {
        let (summary, listed) = read(PRINTED.as_bytes(), piece).unwrap();
        assert_eq!((summary.completed, summary.failed, summary.ignored), (2, 1, 1));
        assert_eq!(summary.count("completed"), Some(1238));
        assert_eq!(
            listed,
            [(List::Failed, Some(1), "Invalid email address.".to_owned()), (List::Ignored, Some(4), String::new())]
        );
    }
    for (text, failed) in [
        (r#"{"failed":[{"index":1},...,{"index":9}]}"#, 2),
        (r#"{"failed":[{"index":1}...]}"#, 1),
        (r#"{"failed":[...]}"#, 0),
        ("{\"failed\":[\n...\n...\n{\"index\":2, ...}, 7, ... ], ...}", 2),
        ("{\"failed\":[1] ...\n}", 1),
    ] {
        for piece in [1, 1000] {
            assert_eq!(read(text.as_bytes(), piece).unwrap().0.failed, failed, "{text}");
        }
    }
    for bad in [r#"{"failed":..."#, r#"{"failed":[1 2]}"#, r#"{"failed":[...}"#, "..."] {
        assert!(read(bad.as_bytes(), 1).is_err(), "{bad}");
    }
}

#[test]
fn every_cut_of_the_results_is_noticed() {
    let whole = SAMPLE.trim_ascii_end();
    for cut in 0..whole.len() {
        let error = read(&whole[..cut], 16).unwrap_err();
        assert_eq!(error.kind(), Kind::Transient, "cut at {cut}");
    }
}

#[test]
fn numbers_may_be_texts_commas_may_trail_and_entries_may_be_bare() {
    let text = br#"{"counts":{"failed":"2","total":"3",},"failed":[{"index":"7","error":"no \u00e9 \ud83d\ude00",},{"error":{"message":"x"}}],"ignored":[4,"5"]}"#;
    let (summary, listed) = read(text, 5).unwrap();
    assert_eq!(summary.tally().failed, Some(2));
    assert_eq!(
        listed,
        [
            (List::Failed, Some(7), "no é 😀".to_owned()),
            (List::Failed, None, "x".to_owned()),
            (List::Ignored, Some(4), String::new()),
            (List::Ignored, Some(5), String::new()),
        ]
    );
}

#[test]
fn counters_are_read_leniently_and_lists_stand_in_for_them() {
    let counts = |imported, failed, ignored| Counts { imported, failed, ignored };
    for (text, want) in [
        (r#"{"counts":{"completed":1238,"failed":1,"ignored":1}}"#, counts(Some(1238), Some(1), Some(1))),
        (r#"{"counts":{"completed":"1,238","failed":1.0,"ignored":"0"}}"#, counts(Some(1238), Some(1), Some(0))),
        (r#"{"counts":{"completed":3,"failed":0},"failed":[{"index":1}]}"#, counts(Some(3), Some(1), None)),
        (r#"{"completed":[{"index":0}],"failed":[{"index":1}]}"#, counts(Some(1), Some(1), Some(0))),
        (r#"{"counts":{"failed":2}}"#, counts(None, Some(2), None)),
        (r#"{"counts":{"completed":"many","failed":-1}}"#, counts(None, None, None)),
        ("{}", counts(None, None, None)),
    ] {
        assert_eq!(read(text.as_bytes(), 7).unwrap().0.tally(), want, "{text}");
    }
}

#[test]
fn a_key_of_another_level_is_not_mistaken() {
    let text = br#"{"request":{"failed":[{"index":1}],"counts":{"failed":9}},"failed":[{"index":2,"x":{"index":3}}]}"#;
    let (summary, listed) = read(text, 1000).unwrap();
    assert_eq!((summary.tally().failed, listed.len()), (Some(1), 1));
    assert_eq!(listed[0].1, Some(2));
}

#[test]
fn deep_nesting_and_endless_texts_end_or_stay_small() {
    assert!(read(&b"[".repeat(100_000), 999).is_err());
    let mut text = br#"{"failed":[{"index":1,"message":""#.to_vec();
    text.extend(b"y".repeat(1 << 20));
    text.extend(br#""}]}"#);
    let (_, listed) = read(&text, 4096).unwrap();
    assert_eq!(listed[0].2.len(), MAX_TEXT);
}

#[test]
fn a_million_entries_are_not_kept() {
    let mut results = Results::new();
    let mut failed = 0;
    let mut sink = |entry: &Entry<'_>| {
        failed += u64::from(entry.list == List::Failed);
        Ok(())
    };
    results.push(br#"{"failed":["#, &mut sink).unwrap();
    for index in 0..1_000_000 {
        let entry = format!(r#"{{"index":{index},"error":{{"message":"Invalid email address."}}}},"#);
        results.push(entry.as_bytes(), &mut sink).unwrap();
    }
    let held = results.text.capacity() + results.message.capacity() + results.levels.capacity() * 64;
    assert!(held < 8 * MAX_TEXT, "{held} bytes are held");
    results.push(b"]}", &mut sink).unwrap();
    assert_eq!(results.finish().unwrap().failed, 1_000_000);
    assert_eq!(failed, 1_000_000);
}

#[test]
fn no_json_is_an_error() {
    for bad in ["", "<html>", "{\"a\" 1}", "{} x", "{\"a\":}", "nul\u{1}"] {
        assert!(read(bad.as_bytes(), 3).is_err(), "{bad}");
    }
}
