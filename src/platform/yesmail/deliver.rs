//! The steps: the file is made reachable and imported, then its ticket is polled.

use super::before::IMPORT;
use super::options::{Host, Options, ServeOptions};
use super::serve::PullServer;
use super::ticket::{Place, Ticket, ticket_place};
use super::verdict::classify_ticket;
use super::{ftp, put};
use crate::body::{Measured, Part};
use crate::calls::{Call, Remote, Reply, RetrySafety, Step, Waiting, assumed, quoted};
use crate::error::{Error, Kind, Result};
use crate::mapping::MapSpec;
use crate::mapping::Separator;
use crate::platform::{Outcome, Verdict, accepted_part};
use crate::secret::{Secret, redacted_url};
use crate::transport::{Answer, Request};
use serde_json::{Value, json};
use std::net::SocketAddr;
use url::Url;

/// The fact that a client has received the served list, in this process or an earlier one of the run.
const PULLED: &str = "pulled";

impl Options {
    /// Makes the measured list reachable and has it imported.
    pub(super) async fn deliver(&self, measured: &Measured, map: &MapSpec, remote: &mut Remote<'_>) -> Result<Verdict> {
        let part = measured.parts().first().ok_or_else(|| Error::data("nothing to send"))?;
        let separator = self.separator_of(measured, remote)?;
        self.ask_first(map, remote, true).await?;
        match &self.host {
            Host::Uri(uri) => self.import(map, remote, uri, separator, None).await,
            Host::Put { url, headers, fetch_url } => {
                put::send(remote, url, headers, measured, part).await?;
                self.import(map, remote, fetch_url, separator, Some(part)).await
            }
            Host::Ftp { url, password, fetch_url } => {
                let target = ftp::Target::read(url, password.as_ref())?;
                if remote.result_of(ftp::FTP)?.is_none() {
                    remote.begin_step(ftp::FTP)?;
                    ftp::send(&target, measured, part, remote).await.map_err(|error| remote.hidden(error))?;
                    remote.record(ftp::FTP, &json!({"bytes": part.bytes}))?;
                }
                let fetch_url = fetch_url.clone().unwrap_or_else(|| target.fetch_url());
                self.import(map, remote, &fetch_url, separator, Some(part)).await
            }
            // only the ticket is left to poll; its file is not served any more
            Host::Serve(_) if measured.is_recorded() => {
                self.import(map, remote, &Secret::new(""), separator, Some(part)).await
            }
            Host::Serve(options) => self.serve(map, options, measured, part, remote).await,
        }
    }

    /// Returns the separator that pass one chose. It is stored, since a run resumed without the source does not choose
    /// again.
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
            // the end of an assumed import is unknown: the list is served until a client has received it
            while verdict.result["assumed"].is_string() && remote.load(PULLED)?.is_none() {
                if remote.wait_left().is_zero() {
                    return Err(Error::new(
                        Kind::Pending,
                        "the import was assumed to be done, but the list has not been fetched yet",
                    )
                    .with_hint("resume the run to keep serving it, or abandon it with `listferry runs close`"));
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
        // a failure of the server ends the import, because the rest would not be what was measured
        tokio::select! {
            biased;
            fault = server.run() => Err(fault),
            fault = noted => Err(fault),
            verdict = import => verdict,
        }
    }

    /// Has the file at `uri` imported and waits for the result.
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
        let request = self.import_request(&self.columns(map)?, separator, uri);
        let classify = |answer: &Answer| self.classify_import(answer, uri);
        let operation =
            Call::new(IMPORT, RetrySafety::Never).about(format!("an import into the list \"{}\"", self.list));
        let operation = match part {
            Some(part) => operation.accepting(accepted_part(part, None), "ticket"),
            None => operation,
        };
        let accepted = match remote.call(&operation, &request, &classify).await? {
            Step::Done(value) => value,
            Step::InDoubt(error) => return Err(error),
        };
        let id = accepted.get("ticket").and_then(Value::as_str).map(str::to_owned);
        let accepted_at = match part {
            Some(part) => remote.part_done(&accepted_part(part, id.clone()))?,
            None => remote.accepted_at(IMPORT)?,
        };
        if assumed(&accepted) {
            remote.note("the import was assumed to be done: its ticket is unknown, and so is its verdict")?;
            return Ok(Verdict::new(Outcome::Done, json!({"ticket": null, "assumed": "done"})));
        }
        if !remote.waits() {
            return Ok(Verdict::new(Outcome::Done, json!({"ticket": id, "state": "accepted"})));
        }
        let place = Place {
            url: accepted.get("url").and_then(Value::as_str).unwrap_or_default().to_owned(),
            own: accepted.get("own").and_then(Value::as_bool).unwrap_or(false),
        };
        let classify = |answer: &Answer| classify_ticket(answer, uri);
        let waiting = Waiting::since(accepted_at);
        let ticket =
            remote.poll(&Call::new("ticket", RetrySafety::Always), &self.at(&place), waiting, &classify).await?;
        self.verdict(remote, id, &ticket, part.map(|part| part.records), waiting).await
    }

    /// Returns a GET of a URL from an answer; credentials are sent only to the configured address.
    pub(super) fn at(&self, place: &Place) -> Request {
        match place.own {
            true => self.request("GET", place.url.clone()),
            false => Request::new("GET", Secret::new(place.url.as_str()))
                .header("Accept", "application/json")
                .supplied_by(&self.base),
        }
    }

    fn classify_import(&self, answer: &Answer, uri: &Secret) -> Reply {
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
}

fn last_segment(url: &str) -> Option<String> {
    let path = url.split(['?', '#']).next().unwrap_or_default();
    path.rsplit('/').next().filter(|segment| !segment.is_empty()).map(str::to_owned)
}

/// Removes the secrets of the given address from a text of the platform.
pub(super) fn hidden(text: &str, uri: &Secret) -> String {
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
}
