//! Parts, calls, the platform's answer, warnings and versions.

use super::writer::{Html, took};
use crate::calls::utc;
use crate::job::course::Course;
use crate::job::report::Report;
use crate::job::text::grouped;
use crate::settings::size_in_words;
use serde_json::Value;
use std::time::{Duration, UNIX_EPOCH};

/// Maximum number of parts and of warnings.
const MAX_ROWS: usize = 100;
/// Maximum number of characters of the platform's answer.
const MAX_ANSWER: usize = 20_000;

/// Writes the parts, if there are several or one was sent.
pub(super) fn parts(html: &mut Html, report: &Report) {
    let was_sent = report.parts.iter().any(|part| part.attempts > 0);
    if !was_sent && report.parts.len() < 2 {
        return;
    }
    html.raw("<section id=\"parts\"><h2>Parts</h2><div class=\"scroll\"><table><thead><tr><th>Part</th>");
    html.raw("<th class=\"n\">Records</th><th class=\"n\">Size</th><th class=\"n\">Attempts</th>");
    html.raw("<th>At the platform</th></tr></thead><tbody>");
    for part in report.parts.iter().take(MAX_ROWS) {
        html.raw("<tr><td>").value(part.index + 1).raw("</td><td class=\"n\">").text(&grouped(part.records));
        html.raw("</td><td class=\"n\">").text(&size_in_words(part.bytes)).raw("</td><td class=\"n\">");
        html.value(part.attempts).raw("</td><td>");
        match &part.remote_id {
            Value::Null if part.attempts == 0 => html.raw("<span class=\"soft\">not sent</span>"),
            Value::Null => html.raw("<span class=\"soft\">no id</span>"),
            Value::String(id) => html.raw("<code>").text(id).raw("</code>"),
            other => html.raw("<code>").value(other).raw("</code>"),
        };
        html.raw("</td></tr>");
    }
    html.raw("</tbody></table></div>");
    more(html, report.parts.len());
    html.raw("</section>");
}

fn more(html: &mut Html, all: usize) {
    if all > MAX_ROWS {
        html.raw("<p class=\"soft small\">the first ")
            .value(MAX_ROWS)
            .raw(" of ")
            .text(&grouped(all as u64))
            .raw("</p>");
    }
}

/// Writes what the platform has answered.
pub(super) fn answer(html: &mut Html, report: &Report) {
    let Some(answer) = report.platform_result.as_object().filter(|answer| !answer.is_empty()) else { return };
    html.raw("<section id=\"answer\"><h2>What ").text(report.platform_title()).raw(" has answered</h2><dl>");
    let (plain, nested): (Vec<_>, Vec<_>) = answer
        .iter()
        .filter(|(_, value)| !value.is_null())
        .partition(|(_, value)| !value.is_object() && !value.is_array());
    for (key, value) in plain {
        html.raw("<dt>").text(&key.replace('_', " ")).raw("</dt><dd>");
        match value {
            Value::String(text) => html.text(text),
            other => html.value(other),
        };
        html.raw("</dd>");
    }
    html.raw("</dl>");
    for (key, value) in nested {
        let text = serde_json::to_string_pretty(value).unwrap_or_default();
        let cut: String = text.chars().take(MAX_ANSWER).collect();
        html.raw("<h3>").text(&key.replace('_', " ")).raw("</h3><pre>").lines(&cut);
        html.raw(if cut.len() < text.len() { "…</pre>" } else { "</pre>" });
    }
    html.raw("</section>");
}

/// Writes the warnings.
pub(super) fn warnings(html: &mut Html, report: &Report) {
    if report.warnings.is_empty() {
        return;
    }
    html.raw("<section id=\"warnings\" class=\"warn\"><h2>Warnings</h2>");
    for warning in report.warnings.iter().take(MAX_ROWS) {
        html.raw("<div class=\"note\">").text(&warning.message);
        if let Some(hint) = &warning.hint {
            html.raw("<br><span class=\"soft small\">").text(hint).raw("</span>");
        }
        html.raw("</div>");
    }
    more(html, report.warnings.len());
    html.raw("</section>");
}

/// Writes the calls, folded.
pub(super) fn calls(html: &mut Html, course: &Course) {
    if course.calls.is_empty() {
        return;
    }
    html.raw("<details class=\"card\" id=\"calls\"><summary>Calls (");
    html.value(course.calls.len() as u64 + course.more_calls)
        .raw(")</summary><div class=\"scroll\"><table><thead><tr>");
    html.raw("<th>Time</th><th>Call</th><th class=\"n\">Answer</th><th class=\"n\">Took</th></tr></thead><tbody>");
    for call in &course.calls {
        let at = UNIX_EPOCH.checked_add(Duration::from_millis(call.at)).map(utc).unwrap_or_default();
        let time = at.split('T').nth(1).unwrap_or_default().trim_end_matches('Z').to_owned();
        html.raw("<tr><td>").text(&time).raw("</td><td><code>").text(&call.method).raw("</code> ").text(&call.step);
        if let (Some(part), Some(bytes)) = (call.part, call.bytes) {
            html.raw(" <span class=\"soft\">part ")
                .value(part + 1)
                .raw(", ")
                .text(&size_in_words(bytes))
                .raw("</span>");
        }
        html.raw("</td><td class=\"n\">");
        match call.status {
            Some(status) => html.value(status),
            None => html.raw("none"),
        };
        html.raw("</td><td class=\"n\">").text(&took(call.took)).raw("</td></tr>");
    }
    html.raw("</tbody></table></div>");
    if course.more_calls > 0 {
        html.raw("<p class=\"soft small\">").value(course.more_calls).raw(" calls in between are left out</p>");
    }
    html.raw("</details>");
}

/// Writes what identifies the run and the program.
pub(super) fn versions(html: &mut Html, report: &Report, started_by: Option<&str>) {
    let file = report.job_file.as_ref().map(|file| file.display().to_string());
    let rejects = report.rejects_file.as_ref().map(|file| file.display().to_string());
    let memory = (report.peak_rss_bytes > 0).then(|| size_in_words(report.peak_rss_bytes));
    let older = started_by.filter(|version| *version != report.version).map(str::to_owned);
    let time = |seconds: f64| (seconds > 0.0).then(|| took((seconds * 1000.0) as u64));
    html.raw("<details class=\"card\" id=\"details\"><summary>Details</summary><dl>");
    for (name, value) in [
        ("Run", report.run_id.clone()),
        ("Job", report.job.clone()),
        ("Job file", file),
        ("Platform", report.platform.clone()),
        ("Exit code", Some(report.exit_code.to_string())),
        ("Checked in", time(report.seconds.measure)),
        ("Sent in", time(report.seconds.upload)),
        ("Waited", time(report.seconds.wait)),
        ("Source", Some(size_in_words(report.bytes.source))),
        ("Output", Some(size_in_words(report.bytes.body))),
        ("Digest of the output", report.digest.clone()),
        ("Rejected rows", rejects),
        ("Memory at most", memory),
        ("Version", Some(format!("listferry {}", report.version))),
        ("Started by version", older),
    ] {
        if let Some(value) = value {
            html.raw("<dt>").raw(name).raw("</dt><dd>").text(&value).raw("</dd>");
        }
    }
    html.raw("</dl></details>");
}
