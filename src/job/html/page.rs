//! The page as a whole.

use super::charts::{Share, shares};
use super::examples::{self, Example};
use super::run_details::{answer, calls, parts, versions, warnings};
use super::writer::{Html, sentence, took};
use super::{rejects, time_chart};
use crate::calls::utc;
use crate::error::{Error, Result};
use crate::job::course::Course;
use crate::job::journal::{RunRecord, State};
use crate::job::report::Report;
use crate::job::text::grouped;
use crate::settings::size_in_words;
use crate::source::temporary::{Temporary, is_special};
use std::fs::File;
use std::io::Write as _;
use std::path::Path;

const STYLE: &str = include_str!("style.css");

/// Options of a page.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct HtmlOptions {
    /// True if examples of rejected rows are shown with their values; false by default.
    pub show_values: bool,
}

impl State {
    /// Returns the report of a recorded run as one HTML page, which needs no network and contains no script. Its size is
    /// bounded, and all texts are escaped. It contains no value of a row unless `options` says so.
    ///
    /// # Errors
    /// `Busy`: the state cannot be read.
    pub fn html(&self, record: &RunRecord, options: HtmlOptions) -> Result<String> {
        let course = self.course(record)?;
        let rejects = record.rejects_file.as_deref().filter(|_| options.show_values);
        let examples = rejects.map(examples::read).unwrap_or_default();
        let page = Page {
            report: &record.as_report(),
            status: &record.status(),
            course: &course,
            examples: &examples,
            started_by: record.version.as_deref(),
        };
        Ok(page.html())
    }
}

impl State {
    /// Writes [`State::html`] to a file, which has its name only when it is complete. A device or a pipe is written in
    /// place.
    ///
    /// # Errors
    /// `Busy`: the state cannot be read. `Local`: the file cannot be written.
    pub fn write_html(&self, record: &RunRecord, options: HtmlOptions, to: &Path) -> Result<()> {
        let page = self.html(record, options)?;
        let failed = |error| Error::io(format!("the report {}", to.display()), error);
        if is_special(to) {
            let file = File::options().write(true).open(to);
            return file.and_then(|mut file| file.write_all(page.as_bytes())).map_err(failed);
        }
        let mut temporary = match options.show_values {
            true => Temporary::private(to)?,
            false => Temporary::public(to)?,
        };
        temporary.file.write_all(page.as_bytes()).map_err(failed)?;
        temporary.replace()
    }
}

/// The contents of a page.
struct Page<'p> {
    report: &'p Report,
    /// The status as in lists of runs.
    status: &'p str,
    course: &'p Course,
    examples: &'p [Example],
    started_by: Option<&'p str>,
}

impl Page<'_> {
    fn html(&self) -> String {
        let (html, report) = (&mut Html::default(), self.report);
        html.raw("<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">");
        // should a text ever become markup, it could still load and run nothing
        html.raw(
            "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">",
        );
        html.raw("<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">");
        html.raw("<meta name=\"referrer\" content=\"no-referrer\"><title>");
        html.text(report.job.as_deref().unwrap_or("job")).raw(" – ").raw(self.words().0).raw("</title><style>");
        html.raw(STYLE).raw("</style></head><body><main>");
        self.top(html);
        self.numbers(html);
        self.next(html);
        rejects::section(html, report, self.examples);
        self.charts(html);
        parts(html, report);
        answer(html, report);
        warnings(html, report);
        calls(html, self.course);
        versions(html, report, self.started_by);
        html.raw("<footer>Made by listferry ").raw(env!("CARGO_PKG_VERSION"));
        html.raw(". This page loads nothing from the network.</footer></main></body></html>\n");
        std::mem::take(html).into_string()
    }

    /// Returns the status for people, and the class of its colour.
    fn words(&self) -> (&'static str, &'static str) {
        match self.status {
            "done" => ("Done", "ok"),
            "rejected" => ("Not sent", "bad"),
            "partial" => ("Partly done", "warn"),
            "failed" => ("Failed", "bad"),
            "unknown" => ("In doubt", "warn"),
            "pending" => ("Waiting for the verdict", "info"),
            "blocked" => ("Blocked", "bad"),
            "interrupted" => ("Stopped", "warn"),
            "running" => ("Running", "info"),
            "superseded" => ("Superseded by a later run", "warn"),
            "abandoned" => ("Abandoned", "warn"),
            _ => ("Unknown", "warn"),
        }
    }

    fn top(&self, html: &mut Html) {
        let (report, (status, tone)) = (self.report, self.words());
        html.raw("<header class=\"top ").raw(tone).raw("\"><p class=\"eyebrow\">Report of a list upload</p><h1>");
        html.text(report.job.as_deref().unwrap_or("job")).raw(" → ").text(report.platform_title()).raw("</h1>");
        html.raw("<span class=\"badge\">").raw(status).raw("</span>");
        let outcome = match self.status {
            "running" => "The run is not over yet.".to_owned(),
            "superseded" => "A later run took the place of this one.".to_owned(),
            "abandoned" => "This run was given up; what the platform had accepted stays there.".to_owned(),
            _ => report.outcome(),
        };
        html.raw("<p class=\"outcome\">").text(&outcome).raw("</p><p class=\"soft small\">");
        if let Some(started) = report.started_at {
            html.text(&utc(started).replace('T', " ").replace('Z', " UTC"));
            if let Some(time) = report.ended_at.and_then(|ended| ended.duration_since(started).ok()) {
                html.raw(", took ").text(&took(u64::try_from(time.as_millis()).unwrap_or(u64::MAX)));
            }
        }
        if let Some(id) = &report.run_id {
            html.raw(", run <span class=\"mono\">").text(id).raw("</span>");
        }
        html.raw("</p></header>");
        if report.sandbox {
            html.raw(
                "<p class=\"note info\"><b>Trial run.</b> The list was sent to a simulated platform on this machine; ",
            );
            html.raw("nothing reached the real one.</p>");
        }
    }

    fn numbers(&self, html: &mut Html) {
        let (records, report) = (&self.report.records, self.report);
        if records.read == 0 {
            return;
        }
        html.raw("<section id=\"numbers\"><h2>The list in numbers</h2><div class=\"tiles\">");
        let mut tile = |n: Option<u64>, name: &'static str, tone: &'static str| {
            let Some(n) = n else { return };
            html.raw("<div class=\"tile tone ").raw(if n > 0 { tone } else { "" }).raw("\"><b>").text(&grouped(n));
            html.raw("</b><span>").raw(name).raw("</span></div>");
        };
        let above_0 = |n: u64| Some(n).filter(|n| *n > 0);
        tile(Some(records.read), "records in the list", "");
        tile(Some(records.written), "valid records", "");
        tile(above_0(records.filtered), "left out on purpose", "");
        tile(Some(records.rejected), "rows not valid", "bad");
        tile(records.failed, "refused by the platform", "bad");
        tile(records.ignored.and_then(above_0), "ignored by the platform", "warn");
        tile(records.unaccounted.and_then(above_0), "in none of its counts", "warn");
        let size = size_in_words(report.bytes.body);
        html.raw("<div class=\"tile\"><b>").text(&size).raw("</b><span>of output</span></div></div>");
        let share = |name, number, class| Share { name, number, class };
        let all = [
            share("valid", records.written, "f-ok"),
            share("left out on purpose", records.filtered, "f-soft"),
            share("not valid", records.rejected, "f-bad"),
        ];
        shares(html, "The records of the list", &all);
        html.raw("</section>");
    }

    /// Writes the error and what to do.
    fn next(&self, html: &mut Html) {
        let (error, steps) = (&self.report.error, self.report.next_steps());
        if error.is_none() && steps.is_empty() {
            return;
        }
        html.raw("<section id=\"next\" class=\"").raw(self.words().1).raw("\"><h2>What to do next</h2>");
        if let Some(error) = error {
            html.raw("<div class=\"note\"><b>").text(&sentence(error.message())).raw("</b>");
            if let Some(hint) = error.hint() {
                html.raw("<br>").text(&sentence(hint));
            }
            html.raw("</div>");
        }
        if !steps.is_empty() {
            html.raw("<ol>");
            for step in &steps {
                let (what, command) = step.split_once(": ").unwrap_or((step, ""));
                html.raw("<li>").text(&sentence(what));
                if !command.is_empty() {
                    html.raw(":<pre>").text(command).raw("</pre>");
                }
                html.raw("</li>");
            }
            html.raw("</ol>");
        }
        html.raw("</section>");
    }

    fn charts(&self, html: &mut Html) {
        let mut chart = Html::default();
        if time_chart::throughput(&mut chart, self.course) {
            html.raw("<section id=\"throughput\"><h2>Throughput</h2>").add(chart).raw("</section>");
        }
        let mut chart = Html::default();
        if time_chart::timeline(&mut chart, self.course) {
            html.raw("<section id=\"timeline\"><h2>Timeline</h2>").add(chart).raw("</section>");
        }
    }
}
