//! The report as text for people.

use super::report::Report;
use crate::body::MAX_REJECT_ROWS;
use crate::secret::{escaped, printable};
use crate::warning::WarningKind;
use serde_json::Value;
use std::fmt::Write;

impl Report {
    /// Returns some lines for people, with a line end after each.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut out = String::new();
        let status = self.status.map_or("not run", super::Status::name);
        let platform = self.platform.as_deref().map(|platform| format!(" {platform}")).unwrap_or_default();
        let run = self.run_id.as_deref().map(|id| format!(", run {id}")).unwrap_or_default();
        let sandbox = if self.sandbox { ", SANDBOX: nothing reached the platform" } else { "" };
        let continued = if self.continued { ", continued" } else { "" };
        let _ =
            writeln!(out, "{}{platform}: {status} (exit {}){run}{continued}{sandbox}", self.command, self.exit_code);
        let outcome = self.outcome();
        if !outcome.is_empty() {
            let _ = writeln!(out, "  {}", escaped(&outcome));
        }
        if self.records.read > 0 || self.bytes.source > 0 {
            self.counts(&mut out);
        }
        if let Some(plan) = &self.plan {
            plan.write_text(&mut out);
        }
        self.sent(&mut out);
        self.warned(&mut out);
        if let Some(error) = &self.error {
            line(&mut out, "error", &error.to_string());
            if let Some(value) = error.value() {
                line(&mut out, "value", value);
            }
            if let Some(hint) = error.hint() {
                line(&mut out, "hint", hint);
            }
        }
        for (n, step) in self.next_steps().iter().enumerate() {
            line(&mut out, if n == 0 { "next" } else { "" }, step);
        }
        out
    }

    fn counts(&self, out: &mut String) {
        let records = &self.records;
        let [read, written, filtered, rejected] =
            [records.read, records.written, records.filtered, records.rejected].map(grouped);
        // an export has bytes, but its records were not counted
        if self.records.read > 0 || self.digest.is_some() {
            let all = format!("{read} read = {written} written + {filtered} filtered + {rejected} rejected");
            line(out, "records", &all);
        }
        for (code, n) in &self.reject_reasons {
            line(out, "", &format!("{:>12}  {code}", grouped(*n)));
        }
        line(out, "bytes", &format!("{} of source, {} of body", grouped(self.bytes.source), grouped(self.bytes.body)));
        if let Some(digest) = &self.digest {
            line(out, "digest", digest);
        }
        if let Some(file) = &self.rejects_file {
            line(out, "rejects", &file.display().to_string());
            if records.rejected > MAX_REJECT_ROWS {
                line(out, "", &format!("the first {} rows; the others were only counted", grouped(MAX_REJECT_ROWS)));
            }
            for reject in &self.first_rejects {
                line(out, "", reject);
            }
        }
    }

    /// Writes a line per kind; plain notes have a line each.
    fn warned(&self, out: &mut String) {
        let mut shown: Vec<WarningKind> = Vec::new();
        for warning in self.warnings.iter().filter(|warning| warning.kind != WarningKind::Note) {
            if shown.contains(&warning.kind) {
                continue;
            }
            shown.push(warning.kind);
            let more = self.warnings.iter().filter(|other| other.kind == warning.kind).count() - 1;
            let more = if more > 0 { format!(" (and {more} more like it)") } else { String::new() };
            let hint = warning.hint.as_ref().map(|hint| format!("; {hint}")).unwrap_or_default();
            line(out, "warning", &printable(&format!("{}: {}{more}{hint}", warning.kind, warning.message)));
        }
        for note in self.warnings.iter().filter(|warning| warning.kind == WarningKind::Note).take(20) {
            line(out, "note", &printable(&note.message));
        }
    }

    fn sent(&self, out: &mut String) {
        for part in self.parts.iter().filter(|part| part.attempts > 0).take(20) {
            let id = match &part.remote_id {
                Value::Null => String::new(),
                Value::String(id) => format!(", {}", printable(id)),
                other => format!(", {other}"),
            };
            let tries = if part.attempts == 1 { String::new() } else { format!(", {} attempts", part.attempts) };
            let (bytes, records, s) = (grouped(part.bytes), grouped(part.records), plural(part.records));
            line(out, &format!("part {}", part.index + 1), &format!("{bytes} bytes, {records} record{s}{tries}{id}"));
        }
        if self.parts.len() > 20 {
            line(out, "", &format!("… {} parts in all", self.parts.len()));
        }
        if let Value::Object(result) = &self.platform_result {
            for (key, value) in result {
                match value {
                    Value::Null => {}
                    Value::Object(_) | Value::Array(_) => nested(out, &key.replace('_', " "), value),
                    other => line(out, &key.replace('_', " "), &word(other)),
                }
            }
        }
        let seconds = &self.seconds;
        if seconds.measure + seconds.upload + seconds.wait > 0.0 {
            let mut time = format!("{:.2} s measure", seconds.measure);
            if seconds.upload > 0.0 {
                let _ = write!(time, ", {:.2} s upload", seconds.upload);
            }
            if seconds.wait > 0.0 {
                let _ = write!(time, ", {:.2} s wait", seconds.wait);
            }
            if self.peak_rss_bytes > 0 {
                let _ = write!(time, "; {:.1} MiB at most in memory", self.peak_rss_bytes as f64 / 1_048_576.0);
            }
            line(out, "time", &time);
        }
    }
}

pub(super) fn line(out: &mut String, name: &str, text: &str) {
    let _ = writeln!(out, "  {:<18} {}", escaped(name), escaped(text));
}

/// Writes a mapping in one line, a list in several.
fn nested(out: &mut String, name: &str, value: &Value) {
    match value {
        Value::Array(items) => {
            for (i, item) in items.iter().take(20).enumerate() {
                nested(out, if i == 0 { name } else { "" }, item);
            }
            if items.len() > 20 {
                line(out, "", &format!("… {} in all", items.len()));
            }
        }
        Value::Object(map) => {
            let known = map.iter().filter(|(_, value)| !value.is_null());
            let words: Vec<_> =
                known.map(|(key, value)| format!("{} {}", key.replace('_', " "), word(value))).collect();
            line(out, name, &words.join(", "));
        }
        other => line(out, name, &word(other)),
    }
}

fn word(value: &Value) -> String {
    match value {
        Value::String(text) => printable(text),
        other => printable(&other.to_string()),
    }
}

/// Returns the ending of a noun after a number.
pub(crate) fn plural(n: u64) -> &'static str {
    if n == 1 { "" } else { "s" }
}

/// Formats 1234567 as 1,234,567.
pub(crate) fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// Joins texts: `a, b and c`.
pub(super) fn listed(texts: &[String]) -> String {
    match texts {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;
    use serde_json::json;

    #[test]
    fn numbers_are_grouped() {
        assert_eq!(
            ["0", "999", "1,000", "1,234,567"],
            [0, 999, 1000, 1_234_567].map(grouped).each_ref().map(String::as_str)
        );
    }

    #[test]
    fn people_see_what_was_done() {
        let mut report = Report::new("run");
        report.platform = Some("clevertap".into());
        report.run_id = Some("r1".into());
        report.platform_result = json!({"segment_id": 12345, "verdict": "by e-mail"});
        let text = report.to_text();
        assert!(text.starts_with("run clevertap: done (exit 0), run r1\n"), "{text}");
        assert!(text.contains("  segment id         12345\n  verdict            by e-mail\n"), "{text}");
    }

    #[test]
    fn a_cut_reject_file_says_so() {
        let mut report = Report::new("check");
        report.rejects_file = Some("r.csv".into());
        for (rejected, is_cut) in [(1_000_000, false), (1_000_001, true)] {
            (report.records.read, report.records.rejected) = (rejected, rejected);
            assert_eq!(report.to_text().contains("the first 1,000,000 rows"), is_cut, "{}", report.to_text());
        }
    }

    #[test]
    fn control_characters_of_servers_do_not_reach_the_terminal() {
        let mut report = Report::failed("run", Error::data("x").with_hint("do this"));
        report.platform_result = json!({"message": "a\u{1b}[31m"});
        let text = report.to_text();
        assert!(!text.contains('\u{1b}') && text.contains("hint               do this"));
    }
}
