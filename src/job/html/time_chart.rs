//! Charts over time, as inline SVG: throughput, and the stages and calls of a run.

use super::writer::{Html, took};
use crate::job::course::{Course, Series};
use crate::settings::size_in_words;
use std::fmt::Write as _;
use std::ops::Range;

const WIDTH: f64 = 720.0;
/// Space above the chart of throughput.
const TOP: f64 = 26.0;
/// Height of a row of the timeline.
const ROW: f64 = 30.0;
/// Maximum number of rates of a curve.
const MAX_RATES: u64 = 60;

/// A horizontal scale from milliseconds.
struct Scale {
    from: u64,
    to: u64,
    pixels: Range<f64>,
}

impl Scale {
    fn x(&self, at: u64) -> f64 {
        let share = at.saturating_sub(self.from) as f64 / (self.to - self.from).max(1) as f64;
        self.pixels.start + share.min(1.0) * (self.pixels.end - self.pixels.start)
    }

    /// Draws the axis with its times.
    fn axis(&self, html: &mut Html, y: f64) {
        const TICKS: u64 = 4;
        for n in 0..=TICKS {
            let at = self.from + (self.to - self.from) * n / TICKS;
            let anchor = match n {
                0 => "start",
                TICKS => "end",
                _ => "middle",
            };
            html.raw("<text y=\"").value(y).raw("\" x=\"").value(format_args!("{:.1}", self.x(at)));
            html.raw("\" text-anchor=\"").raw(anchor).raw("\">").text(&took(at - self.from)).raw("</text>");
        }
    }
}

/// Returns the points of a series between the first and the last growth.
fn growing(series: &Series) -> &[(u64, u64)] {
    let points = &series.points[..];
    let grows = |pair: &[(u64, u64)]| pair[1].1 > pair[0].1;
    match (points.windows(2).position(grows), points.windows(2).rposition(grows)) {
        (Some(first), Some(last)) => &points[first..last + 2],
        _ => &[],
    }
}

/// Returns times, and the bytes in a second around each of them.
fn rates(points: &[(u64, u64)]) -> Vec<(u64, f64)> {
    let (Some(first), Some(last)) = (points.first(), points.last()) else { return Vec::new() };
    let steps = (points.len() as u64 - 1).clamp(1, MAX_RATES).min((last.0 - first.0).max(1));
    let number = |at: u64| {
        let next = points.partition_point(|point| point.0 < at).clamp(1, points.len() - 1);
        let (a, b) = (points[next - 1], points[next]);
        a.1 as f64 + (b.1 as f64 - a.1 as f64) * (at.saturating_sub(a.0)) as f64 / (b.0 - a.0).max(1) as f64
    };
    let time = |n: u64| first.0 + (last.0 - first.0) * n / steps;
    let rate = |n: u64| {
        let (from, to) = (time(n), time(n + 1));
        // a part that is sent again begins at a smaller number
        let bytes = (number(to) - number(from)).max(0.0);
        ((from + to) / 2, bytes * 1000.0 / (to - from).max(1) as f64)
    };
    (0..steps).map(rate).collect()
}

/// Returns the next number of 1, 2, 5, 10, 20, … .
fn round_up(number: f64) -> f64 {
    let power = 10f64.powf(number.max(1.0).log10().floor());
    [1.0, 2.0, 5.0, 10.0].map(|digit| digit * power).into_iter().find(|round| *round >= number).unwrap_or(number)
}

/// Draws how fast the list was read and sent. Returns false if nothing is known of it.
pub(super) fn throughput(html: &mut Html, course: &Course) -> bool {
    let curves = [(growing(&course.read), "a-read"), (growing(&course.sent), "a-sent")];
    let known = || curves.iter().flat_map(|(points, _)| points.iter());
    let (Some(from), Some(to)) = (known().map(|p| p.0).min(), known().map(|p| p.0).max()) else { return false };
    let rates = curves.map(|(points, class)| (rates(points), points, class));
    let highest = rates.iter().flat_map(|(rates, ..)| rates.iter()).map(|rate| rate.1).fold(0.0, f64::max);
    let top = round_up(highest);
    let (scale, height) = (Scale { from, to, pixels: 0.0..WIDTH }, 150.0);
    html.raw("<svg viewBox=\"0 0 720 212\" role=\"img\" aria-label=\"Throughput over time\">");
    let height_of = |n: u8| TOP + height * (1.0 - f64::from(n) / 2.0);
    for y in [0, 1, 2].map(height_of) {
        html.raw("<line class=\"grid\" x1=\"0\" x2=\"720\" y1=\"").value(y).raw("\" y2=\"").value(y).raw("\"/>");
    }
    for (rates, points, class) in rates {
        let (Some(first), Some(last)) = (points.first(), points.last()) else { continue };
        let mut path = format!("M{:.1} {:.1}", scale.x(first.0), TOP + height);
        let (begin, end) = (rates.first().map(|r| (first.0, r.1)), rates.last().map(|r| (last.0, r.1)));
        for (at, rate) in begin.into_iter().chain(rates.iter().copied()).chain(end) {
            let _ = write!(path, "L{:.1} {:.1}", scale.x(at), TOP + height * (1.0 - rate / top));
        }
        let _ = write!(path, "L{:.1} {:.1}Z", scale.x(last.0), TOP + height);
        html.raw("<path class=\"").raw(class).raw("\" d=\"").text(&path).raw("\"/>");
    }
    // above their lines, and over the curves, so that they have room on a phone, too
    for (y, rate) in [(height_of(1), top / 2.0), (height_of(2), top)] {
        html.raw("<text x=\"0\" y=\"").value(y - 5.0).raw("\">");
        html.text(&format!("{}/s", size_in_words(rate as u64).replace(".0 ", " "))).raw("</text>");
    }
    scale.axis(html, 204.0);
    html.raw("</svg><ul class=\"legend\">");
    for (points, class, name) in [(curves[0].0, "f-read", "read and checked"), (curves[1].0, "f-sent", "sent")] {
        let (Some(first), Some(last)) = (points.first(), points.last()) else { continue };
        let mean = last.1.saturating_sub(first.1) as f64 * 1000.0 / (last.0 - first.0).max(1) as f64;
        html.raw("<li><svg viewBox=\"0 0 1 1\" aria-hidden=\"true\"><rect width=\"1\" height=\"1\" class=\"");
        html.raw(class).raw("\"/></svg>").raw(name).raw(": ").text(&size_in_words(last.1)).raw(", ");
        html.text(&format!("{}/s on average", size_in_words(mean as u64))).raw("</li>");
    }
    html.raw("</ul>");
    true
}

/// Draws the stages and calls of a run. Returns false if none is known.
pub(super) fn timeline(html: &mut Html, course: &Course) -> bool {
    let spans = course.stages.iter().map(|stage| (stage.at, stage.took));
    let spans = || spans.clone().chain(course.calls.iter().map(|call| (call.at, call.took)));
    let (Some(from), Some(to)) = (spans().map(|span| span.0).min(), spans().map(|span| span.0 + span.1).max()) else {
        return false;
    };
    let scale = Scale { from, to: to.max(from + 1), pixels: 90.0..WIDTH };
    let rows = [("check", "Check", "f-read"), ("send", "Send", "f-sent"), ("wait", "Wait", "f-warn")];
    let has = |name: &str| course.stages.iter().any(|stage| stage.name == name);
    let rows: Vec<_> = rows.into_iter().filter(|(name, ..)| has(name)).collect();
    let height = ROW * (rows.len() + 1) as f64 + 30.0;
    html.raw("<svg viewBox=\"0 0 720 ").value(height);
    html.raw("\" role=\"img\" aria-label=\"Stages and calls of the run\">");
    let mut y = 0.0;
    for (name, title, class) in rows {
        row(html, y, title);
        for stage in course.stages.iter().filter(|stage| stage.name == name) {
            block(html, &scale, (stage.at, stage.took), (y + 3.0, class));
            html.raw("<title>").raw(title).raw(": ").text(&took(stage.took)).raw("</title></rect>");
        }
        y += ROW;
    }
    row(html, y, "Calls");
    for call in &course.calls {
        let class = match call.status {
            Some(200..400) => "f-ok",
            Some(429 | 500..) => "f-warn",
            _ => "f-bad",
        };
        block(html, &scale, (call.at, call.took), (y + 3.0, class));
        let answer = call.status.map_or_else(|| "no answer".to_owned(), |status| status.to_string());
        html.raw("<title>").text(&format!("{} {}: {answer}, {}", call.method, call.step, took(call.took)));
        html.raw("</title></rect>");
    }
    scale.axis(html, height - 6.0);
    html.raw("</svg>");
    true
}

/// Draws the name and the line of a row.
fn row(html: &mut Html, y: f64, title: &'static str) {
    html.raw("<text x=\"0\" y=\"").value(y + 18.0).raw("\">").raw(title).raw("</text>");
    html.raw("<line class=\"grid\" x1=\"90\" x2=\"720\" y1=\"").value(y + 26.0).raw("\" y2=\"").value(y + 26.0);
    html.raw("\"/>");
}

/// Begins a rectangle.
fn block(html: &mut Html, scale: &Scale, (at, time): (u64, u64), (y, class): (f64, &'static str)) {
    let (x, end) = (scale.x(at), scale.x(at + time));
    html.raw("<rect rx=\"2\" height=\"20\" y=\"").value(y).raw("\" x=\"").value(format_args!("{x:.1}"));
    html.raw("\" width=\"").value(format_args!("{:.1}", (end - x).max(2.0))).raw("\" class=\"").raw(class).raw("\">");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_those_of_the_series_and_its_rest_is_left_out() {
        let points = vec![(0, 0), (0, 0), (1_000, 1_000), (2_000, 3_000), (2_003, 3_000), (90_000, 3_000)];
        let series: Series = serde_json::from_value(serde_json::json!({ "points": points })).unwrap();
        assert_eq!(growing(&series), &points[1..4]);
        assert_eq!(rates(growing(&series)), [(500, 1_000.0), (1_500, 2_000.0)]);
        assert!(growing(&Series::default()).is_empty() && rates(&[]).is_empty());
        assert_eq!(rates(&[(7, 5), (7, 9)]).len(), 1, "all at once");
    }

    #[test]
    fn the_scale_ends_at_a_round_number() {
        assert_eq!([0.0, 1.0, 1.1, 47e6, 5e8].map(round_up), [1.0, 1.0, 2.0, 50e6, 5e8]);
    }
}
