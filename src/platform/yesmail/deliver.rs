//! The steps: the file made reachable, the import, the ticket, the results.

use super::options::{Host, Options, ServeOptions};
use super::results::{Entry, List, Results, Summary};
use super::serve::PullServer;
use super::ticket::{Place, Ticket, ticket_place};
use super::{columns, ftp};
use crate::body::{Frame, Measured, Part};
use crate::calls::{Call, FaultAt, Remote, Reply, RetrySafety, RowFault, Step, Waiting, assumed, quoted};
use crate::error::{Error, Kind, Result};
use crate::mapping::MapSpec;
use crate::mapping::Separator;
use crate::platform::{Outcome, Verdict, accepted_part};
use crate::secret::{Secret, printable, redacted_url};
use crate::transport::{Answer, Request, StreamAnswer};
use base64::Engine as _;
use serde_json::{Value, json};
use std::net::SocketAddr;
use url::Url;

/// The step that puts the list to `host.put.url`.
pub(super) const PUT: &str = "put";
/// The step that sends it by FTP.
pub(super) const FTP: &str = "ftp";
/// The fact that somebody has had the list that was served, in this process or an earlier one of the run.
const PULLED: &str = "pulled";

impl Options {
    /// Makes the measured list reachable and has it imported.
    pub(super) async fn deliver(&self, measured: &Measured, map: &MapSpec, remote: &mut Remote<'_>) -> Result<Verdict> {
        let part = measured.parts().first().ok_or_else(|| Error::data("nothing to send"))?;
        let separator = self.separator_of(measured, remote)?;
        match &self.host {
            Host::Uri(uri) => self.import(map, remote, uri, separator, None).await,
            Host::Put { url, fetch_url } => {
                put(remote, url, measured, part).await?;
                self.import(map, remote, fetch_url, separator, Some(part)).await
            }
            Host::Ftp { url, password } => {
                let target = ftp::Target::read(url, password.as_ref())?;
                if remote.result_of(FTP)?.is_none() {
                    let policy = remote.policy().clone();
                    ftp::send(&target, measured, part, remote, &policy).await.map_err(|error| remote.hidden(error))?;
                    remote.record(FTP, &json!({"bytes": part.bytes}))?;
                }
                self.import(map, remote, &target.fetch_url(), separator, Some(part)).await
            }
            Host::Serve(options) => self.serve(map, options, measured, part, remote).await,
        }
    }

    /// What pass one chose, kept: a run that is taken up without the source does not choose again.
    fn separator_of(&self, measured: &Measured, remote: &Remote<'_>) -> Result<Option<u8>> {
        const FACT: &str = "separator";
        if let Some(known) = remote.load(FACT)?.as_ref().and_then(Value::as_u64) {
            return Ok(u8::try_from(known).ok());
        }
        let separator = measured.separator();
        if let Some(separator) = separator {
            remote.store(FACT, json!(separator))?;
        }
        Ok(separator)
    }

    async fn serve(
        &self,
        map: &MapSpec,
        options: &ServeOptions,
        measured: &Measured,
        part: &Part,
        remote: &mut Remote<'_>,
    ) -> Result<Verdict> {
        if !remote.waits() {
            return Err(Error::usage("destination.host.serve needs wait above 0")
                .with_hint("the list is served only while the run waits for the ticket"));
        }
        let at = remote.load("serve-listen")?;
        let at = at.as_ref().and_then(Value::as_str).and_then(|at| at.parse::<SocketAddr>().ok());
        let server = PullServer::bind(options, at, measured, part, remote.seed()).await?;
        remote.store("serve-listen", json!(server.address()?.to_string()))?;
        let url = server.url(options)?;
        server.secrets().into_iter().for_each(|secret| remote.taint().learn(secret));
        tracing::info!("serving the list on {}", server.address()?);
        remote.part_attempt(part.index)?;
        let separator = measured.separator();
        let journal = remote.journal();
        let import = async {
            let verdict = self.import(map, remote, &url, separator, Some(part)).await?;
            // of an import that was assumed nobody tells the end: served until somebody has had the list
            while verdict.result["assumed"].is_string() && remote.load(PULLED)?.is_none() {
                if remote.wait_left().is_zero() {
                    return Err(Error::new(
                        Kind::Pending,
                        "the import was assumed to be done, but nobody has fetched the list yet",
                    )
                    .with_hint("resume the run to serve it on, or abandon it with --new"));
                }
                remote.sleep(std::time::Duration::from_millis(200).min(remote.wait_left())).await;
            }
            Ok(verdict)
        };
        let noted = async {
            server.pulled().await;
            match journal.store(PULLED, &json!(true)) {
                Ok(()) => std::future::pending().await,
                Err(error) => error,
            }
        };
        // the server's failure ends the import: what it would have served is not what was measured
        tokio::select! {
            biased;
            fault = server.run() => Err(fault),
            fault = noted => Err(fault),
            verdict = import => verdict,
        }
    }

    /// Has the file at `uri` imported and waits for what becomes of it.
    pub(super) async fn import(
        &self,
        map: &MapSpec,
        remote: &mut Remote<'_>,
        uri: &Secret,
        separator: Option<u8>,
        part: Option<&Part>,
    ) -> Result<Verdict> {
        let separator = separator.unwrap_or(match self.separator {
            Separator::Byte(byte) => byte,
            Separator::Auto => b',',
        });
        let request = self.import_request(&columns(map), separator, uri);
        let judge = |answer: &Answer| self.judge_import(answer, uri);
        let operation =
            Call::new("file-import", RetrySafety::Never).about(format!("an import into the list \"{}\"", self.list));
        let accepted = match remote.call(&operation, &request, &judge).await? {
            Step::Done(value) => value,
            Step::InDoubt(error) => return Err(error),
        };
        let id = accepted.get("ticket").and_then(Value::as_str).map(str::to_owned);
        let accepted_at = match part {
            Some(part) => remote.part_done(&accepted_part(part, id.clone()))?,
            None => remote.accepted_at("file-import")?,
        };
        if assumed(&accepted) {
            remote.note("the import was assumed to be done: its ticket is not known, so neither is its verdict")?;
            return Ok(Verdict::new(Outcome::Done, json!({"ticket": null, "assumed": "done"})));
        }
        if !remote.waits() {
            return Ok(Verdict::new(Outcome::Done, json!({"ticket": id, "state": "accepted"})));
        }
        let place = Place {
            url: accepted.get("url").and_then(Value::as_str).unwrap_or_default().to_owned(),
            own: accepted.get("own").and_then(Value::as_bool).unwrap_or(false),
        };
        let judge = |answer: &Answer| judge_ticket(answer, uri);
        let ticket = remote
            .poll(&Call::new("ticket", RetrySafety::Always), &self.at(&place), Waiting::since(accepted_at), &judge)
            .await?;
        self.verdict(remote, id, &ticket).await
    }

    /// A GET of a URL that an answer gave; the credentials go to the configured address only.
    fn at(&self, place: &Place) -> Request {
        match place.own {
            true => self.request("GET", place.url.clone()),
            false => Request::new("GET", Secret::new(place.url.as_str()))
                .header("Accept", "application/json")
                .supplied_by(&self.base),
        }
    }

    fn judge_import(&self, answer: &Answer, uri: &Secret) -> Reply {
        let what = "the import request";
        if !(200..300).contains(&answer.status) {
            return Reply::by_status_saying(what, answer, &hidden(&quoted(answer), uri));
        }
        let ticket = Ticket::read(&answer.body);
        match ticket_place(&self.base, answer, ticket.as_ref()) {
            Some(place) => {
                let id = ticket.and_then(|ticket| ticket.id).or_else(|| last_segment(&place.url));
                Reply::Done(json!({"ticket": id, "url": place.url, "own": place.own}))
            }
            None => Reply::Unclear(Error::new(
                Kind::Transient,
                format!("{what}: status {} without a ticket: {}", answer.status, hidden(&quoted(answer), uri)),
            )),
        }
    }

    async fn verdict(&self, remote: &mut Remote<'_>, id: Option<String>, ticket: &Value) -> Result<Verdict> {
        let text = |key: &str| ticket.get(key).and_then(Value::as_str).unwrap_or_default();
        let (state, message) = (text("state"), remote.said(text("message")));
        let mut result = json!({"ticket": id, "state": state, "message": message});
        let place = ticket.get("location").and_then(Value::as_str).and_then(|at| Place::resolve(&self.base, at));
        let summary = match place {
            None => None,
            Some(place) => self.results(remote, &place).await?,
        };
        if let Some(summary) = &summary {
            result["results"] = json!(summary.id);
            result["counts"] = summary.counts_json();
        }
        if state == "failed" {
            // the documents say both that an import stops midway and that nothing is done
            remote.note("the import failed: the state of the list is unknown")?;
            result["list"] = json!("state unknown");
            return Ok(Verdict::new(Outcome::Failed, result).with_reasons([message]));
        }
        let outcome = match &summary {
            Some(summary) if summary.failures() > 0 => Outcome::Partial,
            Some(_) => Outcome::Done,
            None => {
                remote.note("Yesmail gave no results by row: whether rows failed is not known")?;
                Outcome::Done
            }
        };
        Ok(Verdict::new(outcome, result).with_failed_rows(summary.map_or(0, |summary| summary.failures())))
    }

    /// Reads the results by row as a stream; `None` where they are gone.
    async fn results(&self, remote: &mut Remote<'_>, place: &Place) -> Result<Option<Summary>> {
        let request = self.at(place);
        let mut pause = std::time::Duration::from_secs(1);
        for attempt in 1.. {
            // a repeated reading tells all rows again
            remote.begin_faults("results")?;
            let error = match remote.client().stream(&request).await {
                Err(failed) => failed.error,
                Ok(mut answer) if answer.status == 200 => match read_results(&mut answer, remote).await {
                    Ok(summary) => return settle(remote, summary).map(Some),
                    Err(error) if error.kind() != Kind::Transient => return Err(error),
                    Err(error) => error,
                },
                Ok(answer) if matches!(answer.status, 404 | 410) => {
                    remote.note("the results by row are gone: whether rows failed is not known")?;
                    return Ok(None);
                }
                Ok(answer) => {
                    let answer = Answer { status: answer.status, headers: answer.headers.clone(), body: Vec::new() };
                    match Reply::by_status("the results", &answer) {
                        Reply::Fail(error) => return Err(error),
                        Reply::Retry(error) | Reply::Strange(error) | Reply::Unclear(error) => error,
                        Reply::Done(_) => Error::new(Kind::Transient, format!("the results: status {}", answer.status)),
                    }
                }
            };
            if attempt >= remote.policy().attempts {
                return Err(error.into_kind(Kind::Transient).with_hint("resume the run to read the results again"));
            }
            tracing::warn!(attempt, "{error}; reading the results again in {} s", pause.as_secs());
            tokio::time::sleep(pause.max(error.retry_after().unwrap_or_default())).await;
            pause = (pause * 2).min(std::time::Duration::from_secs(60));
        }
        Ok(None)
    }
}

async fn read_results(answer: &mut StreamAnswer, remote: &Remote<'_>) -> Result<Summary> {
    let mut results = Results::new();
    let mut sink = |entry: &Entry<'_>| {
        let Some(index) = entry.index else { return Ok(()) };
        let said = printable(entry.message);
        let message = match (entry.list, said.is_empty()) {
            (List::Ignored, true) => "ignored".to_owned(),
            (List::Ignored, false) => format!("ignored: {said}"),
            (_, true) => "failed".to_owned(),
            (_, false) => said,
        };
        remote.fault(RowFault { at: FaultAt::Index(index), message })
    };
    while let Some(piece) = answer.chunk().await.map_err(|failed| failed.error.into_kind(Kind::Transient))? {
        results.push(&piece, &mut sink)?;
    }
    results.finish()
}

/// Says where the counts do not fit the rows that were listed.
fn settle(remote: &Remote<'_>, summary: Summary) -> Result<Summary> {
    for (name, seen) in [("failed", summary.failed), ("ignored", summary.ignored)] {
        if let Some(counted) = summary.count(name).filter(|counted| *counted != seen) {
            remote.note(&format!("Yesmail counts {counted} {name} rows and lists {seen}"))?;
        }
    }
    Ok(summary)
}

fn judge_ticket(answer: &Answer, uri: &Secret) -> Reply {
    let what = "the ticket";
    if answer.status != 200 {
        return Reply::by_status_saying(what, answer, &hidden(&quoted(answer), uri));
    }
    let pending = |why: String| Error::new(Kind::Pending, why);
    let Some(ticket) = Ticket::read(&answer.body) else {
        return Reply::Strange(pending(format!("{what} cannot be read: {}", hidden(&quoted(answer), uri))));
    };
    match ticket.state.as_str() {
        "completed" | "failed" => Reply::Done(json!({
            "state": ticket.state,
            "message": hidden(&ticket.message, uri),
            "location": ticket.location,
        })),
        known @ ("accepted" | "processing" | "retrying") => Reply::Retry(pending(format!("{what} says \"{known}\""))),
        other => {
            let other = hidden(&printable(other), uri);
            Reply::Strange(pending(format!("{what} of Yesmail: unknown state \"{other}\"")))
        }
    }
}

async fn put(remote: &mut Remote<'_>, url: &Secret, measured: &Measured, part: &Part) -> Result<()> {
    let judge = |answer: &Answer| match answer.status {
        200..=299 => Reply::Done(json!({"status": answer.status})),
        // another operation on the same object is under way
        409 if ["OperationAborted", "ConditionalRequestConflict"].iter().any(|code| quoted(answer).contains(code)) => {
            let message = format!("the PUT to destination.host.put.url has to wait: {}", quoted(answer));
            Reply::Retry(Error::new(Kind::Transient, message))
        }
        400 if quoted(answer).contains("RequestTimeout") => {
            Reply::Unclear(Error::new(Kind::Transient, "the PUT to destination.host.put.url ran into a timeout"))
        }
        _ => Reply::by_status("the PUT to destination.host.put.url", answer),
    };
    let operation = Call::new(PUT, RetrySafety::Always);
    remote
        .send(&operation, &put_request(url)?, part.index, &|| measured.body(part, &Frame::default()), &judge)
        .await?
        .done()?;
    Ok(())
}

/// A presigned URL goes out byte for byte; user and password go into a header. No Content-Type: it would have to be
/// signed.
fn put_request(url: &Secret) -> Result<Request> {
    let wrong = || {
        Error::usage("destination.host.put.url is no URL").with_hint("for example https://files.example.com/list.csv")
    };
    let parsed = Url::parse(url.expose()).map_err(|_| wrong())?;
    if parsed.username().is_empty() && parsed.password().is_none() {
        return Ok(Request::new("PUT", url.clone()).follow_one());
    }
    let decode = |text: &str| percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned();
    let pair = format!("{}:{}", decode(parsed.username()), decode(parsed.password().unwrap_or_default()));
    let mut bare = parsed;
    bare.set_username("").map_err(|()| wrong())?;
    bare.set_password(None).map_err(|()| wrong())?;
    let token = base64::engine::general_purpose::STANDARD.encode(pair);
    Ok(Request::new("PUT", Secret::new(bare.as_str())).header("Authorization", &format!("Basic {token}")))
}

fn last_segment(url: &str) -> Option<String> {
    let path = url.split(['?', '#']).next().unwrap_or_default();
    path.rsplit('/').next().filter(|segment| !segment.is_empty()).map(str::to_owned)
}

/// A text of the platform without the secrets of the address it was given.
fn hidden(text: &str, uri: &Secret) -> String {
    let mut out = text.replace(uri.expose(), &redacted_url(uri.expose()));
    if let Ok(url) = Url::parse(uri.expose()) {
        for secret in [url.password(), url.query()].into_iter().flatten().filter(|secret| !secret.is_empty()) {
            out = out.replace(secret, "***");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_that_quotes_the_address_loses_its_secrets() {
        let uri = Secret::new("https://listferry:hunter2@h.example/p/list.csv?sig=abc");
        for text in [
            "cannot fetch https://listferry:hunter2@h.example/p/list.csv?sig=abc now",
            "cannot fetch https://listferry:hunter2@h.example/ (sig=abc)",
        ] {
            let shown = hidden(text, &uri);
            assert!(!shown.contains("hunter2") && !shown.contains("sig=abc"), "{shown}");
        }
    }

    #[test]
    fn user_and_password_of_a_put_url_become_a_header() {
        let request = put_request(&Secret::new("http://127.0.0.1:81/a?sig=%2F+x")).unwrap();
        assert_eq!(request.url.expose(), "http://127.0.0.1:81/a?sig=%2F+x");
        assert!(request.headers.is_empty() && request.follow_one);
        let request = put_request(&Secret::new("https://u:p%40@h/a?b=c")).unwrap();
        assert_eq!(request.url.expose(), "https://h/a?b=c");
        assert_eq!(request.headers[0].value.expose(), "Basic dTpwQA==");
        assert!(!request.follow_one);
    }
}
