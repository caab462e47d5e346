//! Bars of shares, as inline SVG.

use super::writer::Html;
use crate::job::text::grouped;

/// A part of a whole: its name, its number, and the class of its colour.
pub(super) struct Share {
    pub(super) name: &'static str,
    pub(super) number: u64,
    pub(super) class: &'static str,
}

/// Draws the parts of a whole beside each other, with a legend. Draws nothing of an empty whole.
pub(super) fn shares(html: &mut Html, label: &'static str, shares: &[Share]) {
    let whole: u64 = shares.iter().map(|share| share.number).sum();
    if whole == 0 {
        return;
    }
    html.raw("<svg class=\"share\" role=\"img\" aria-label=\"").text(label).raw("\">");
    let mut at = 0.0;
    for share in shares.iter().filter(|share| share.number > 0) {
        // a share that is there is seen
        let width = (100.0 * share.number as f64 / whole as f64).max(0.6);
        html.raw("<rect height=\"16\" x=\"").value(format_args!("{at:.2}%"));
        html.raw("\" width=\"").value(format_args!("{width:.2}%"));
        html.raw("\" class=\"").raw(share.class).raw("\"/>");
        at += width;
    }
    html.raw("</svg><ul class=\"legend\">");
    for share in shares.iter().filter(|share| share.number > 0) {
        html.raw("<li><svg viewBox=\"0 0 1 1\" aria-hidden=\"true\"><rect width=\"1\" height=\"1\" class=\"");
        html.raw(share.class).raw("\"/></svg>").text(&grouped(share.number)).raw(" ").text(share.name);
        html.raw(" (").text(&percent(share.number, whole)).raw(")</li>");
    }
    html.raw("</ul>");
}

/// Draws one bar, as long as its share of the largest.
pub(super) fn bar(html: &mut Html, number: u64, largest: u64) {
    let width = (100.0 * number as f64 / largest.max(1) as f64).clamp(1.0, 100.0);
    html.raw("<svg aria-hidden=\"true\"><rect height=\"12\" rx=\"3\" class=\"f-bad\" width=\"");
    html.value(format_args!("{width:.1}%")).raw("\"/></svg>");
}

/// Formats a share: `0.02 %`, `12.5 %`, `100 %`.
pub(super) fn percent(number: u64, whole: u64) -> String {
    let percent = 100.0 * number as f64 / whole.max(1) as f64;
    match percent {
        _ if number == whole => "100 %".to_owned(),
        _ if number == 0 => "0 %".to_owned(),
        0.0..0.01 => "under 0.01 %".to_owned(),
        0.01..1.0 => format!("{percent:.2} %"),
        99.95.. => "over 99.9 %".to_owned(),
        _ => format!("{percent:.1} %"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_say_neither_nothing_nor_all_of_something_between() {
        let shown = [(0, 9), (9, 9), (1, 1_000_000), (999_999, 1_000_000), (1, 8), (1, 1_000)];
        let shown = shown.map(|(number, whole)| percent(number, whole));
        assert_eq!(shown, ["0 %", "100 %", "under 0.01 %", "over 99.9 %", "12.5 %", "0.10 %"]);
    }
}
