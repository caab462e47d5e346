//! The rows that were not sent, by reason.

use super::charts::{bar, percent};
use super::examples::Example;
use super::writer::{Html, sentence};
use crate::job::report::Report;
use crate::job::text::grouped;

/// Maximum number of reasons; the others are counted together.
const MAX_REASONS: usize = 20;

/// The page that explains the codes.
const CONTRACT: &str = include_str!("../../../docs/CONTRACT.md");

/// Returns what a code means.
fn meaning(code: &str) -> Option<String> {
    let of_row = |line: &str| {
        let (name, text) = line.strip_prefix("| `")?.split_once("` | ")?;
        (name == code).then(|| text.trim_end_matches(" |").replace('`', ""))
    };
    let (_, codes) = CONTRACT.split_once("the row is rejected because")?;
    let (codes, _) = codes.split_once("\n## ")?;
    codes.lines().find_map(of_row)
}

/// Writes the reasons, the most frequent first, with examples if there are any.
pub(super) fn section(html: &mut Html, report: &Report, examples: &[Example]) {
    let mut reasons: Vec<(&str, u64)> = report.reject_reasons.iter().map(|(code, n)| (code.as_str(), *n)).collect();
    if let Some(failed) = report.records.failed.filter(|failed| *failed > 0) {
        reasons.push(("platform", failed));
    }
    if reasons.is_empty() {
        return;
    }
    reasons.sort_by_key(|(_, n)| std::cmp::Reverse(*n));
    html.raw(
        "<section id=\"rejects\"><h2>Rows that were not accepted, by reason</h2><table><thead><tr><th>Reason</th>",
    );
    html.raw("<th class=\"n\">Rows</th><th class=\"n wide\">Of all</th><th></th></tr></thead><tbody>");
    let largest = reasons[0].1;
    for (code, n) in reasons.iter().take(MAX_REASONS) {
        html.raw("<tr><td>");
        match meaning(code) {
            Some(meaning) => html.text(&sentence(&meaning)).raw("<br><code class=\"soft\">").text(code).raw("</code>"),
            None => html.raw("<code>").text(code).raw("</code>"),
        };
        html.raw("</td><td class=\"n\">").text(&grouped(*n)).raw("</td><td class=\"n wide\">");
        html.text(&percent(*n, report.records.read)).raw("</td><td class=\"bar\">");
        bar(html, *n, largest);
        html.raw("</td></tr>");
    }
    html.raw("</tbody></table>");
    if let Some(others) = reasons.get(MAX_REASONS..).filter(|others| !others.is_empty()) {
        let n = others.iter().map(|(_, n)| n).sum();
        html.raw("<p class=\"soft small\">and ").text(&grouped(n)).raw(" rows for ").value(others.len());
        html.raw(" other reasons</p>");
    }
    match examples {
        [] => {
            html.raw("<p class=\"soft small\">The rows themselves are not on this page: <code>listferry rejects ");
            html.text(report.run_id.as_deref().unwrap_or("RUN")).raw("</code> shows them.</p>");
        }
        examples => rows(html, examples),
    }
    html.raw("</section>");
}

fn rows(html: &mut Html, examples: &[Example]) {
    html.raw("<h3>Examples</h3><div class=\"scroll\"><table><thead><tr><th>Where</th><th>Why</th><th>Values</th></tr>");
    html.raw("</thead><tbody>");
    for example in examples {
        html.raw("<tr><td>").text(&example.place).raw("</td><td>").text(&example.reason).raw("</td><td>");
        for (name, value) in &example.values {
            html.raw("<span class=\"soft\">").text(name).raw("</span> <code>").text(value).raw("</code><br>");
        }
        html.raw("</td></tr>");
    }
    html.raw("</tbody></table></div>");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_contract_explains_the_codes() {
        assert_eq!(meaning("ragged").unwrap(), "the row has more or fewer cells than the header");
        assert_eq!(meaning("null_marker"), None, "the kind of a warning");
        assert_eq!(sentence("the row"), "The row");
    }
}
