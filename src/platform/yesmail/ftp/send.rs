//! Sends the list by FTP: under a temporary name, whose size is compared before it is renamed. An incomplete file never
//! has the list's name, and an existing list is removed only when the new one has taken its place.

use super::session::{Fault, Session};
use super::target::Target;
use crate::body::{Body, Measured, Part};
use crate::calls::{Attempt, Call, JobSeed, Journal, Remote, RetrySafety, StepState};
use crate::error::{Error, Kind, Result};
use crate::warning::{Warning, WarningKind};
use http_body_util::BodyExt as _;
use rustls::ClientConfig;
use serde_json::Value;
use std::sync::Arc;

/// Name of the step.
pub(in crate::platform::yesmail) const FTP: &str = "ftp";

/// The names on the server: the list's own, and the temporary ones.
struct Names {
    list: String,
    /// Name during the transfer.
    part: String,
    /// Name of the existing list while it is replaced, if the server does not rename onto a file.
    old: String,
}

/// The fact that the existing list was, or may have been, renamed aside.
const ASIDE: &str = "ftp-aside";

/// Returns a warning about the files that an unfinished transfer may have left on the server.
///
/// # Errors
/// `Busy`: the state cannot be read.
pub(in crate::platform::yesmail) fn left_behind(seed: &JobSeed, journal: &dyn Journal) -> Result<Option<Warning>> {
    if !matches!(journal.step(FTP)?, StepState::Intent(_)) {
        return Ok(None);
    }
    let ours = suffix(seed);
    let text =
        format!("a transfer to the FTP server was cut: a file with .{ours}.part after the list's name may be there");
    let hint = match journal.load(ASIDE)?.is_some_and(|aside| aside == true) {
        true => format!("delete it; the previous list may have .{ours}.old after its name"),
        false => "delete it".to_owned(),
    };
    Ok(Some(Warning::new(WarningKind::Orphan, text).with_hint(hint)))
}

/// The part of the temporary names that belongs to one run.
fn suffix(seed: &JobSeed) -> &str {
    seed.random.get(..8).unwrap_or("listferry")
}

/// Sends the part, again after temporary faults. Repeating it leaves the same file. An existing list stays until the
/// new one has its name.
pub(in crate::platform::yesmail) async fn send(
    target: &Target,
    measured: &Measured,
    part: &Part,
    remote: &Remote<'_>,
) -> Result<()> {
    let ours = suffix(remote.seed());
    let names = Names {
        list: target.path.clone(),
        part: format!("{}.{ours}.part", target.path),
        old: format!("{}.{ours}.old", target.path),
    };
    remote.taint().learn(&target.password);
    let tls = target.tls.then(|| remote.client().tls_config()).transpose()?;
    let way = Way { target, tls: tls.as_ref(), names: &names, remote };
    let call = Call::new(FTP, RetrySafety::Always);
    let sent = remote.attempts(&call, |_| async {
        if let Err(error) = remote.part_attempt(part.index) {
            return Attempt::Final(error);
        }
        let began = remote.begin_call();
        match way.attempt(measured.body(part), part.bytes).await {
            Ok(()) => {
                // the transfer is complete, in the codes of FTP
                remote.made_part("STOR", (part.index, part.bytes), began, 226);
                Attempt::Done(())
            }
            Err(fault) => Attempt::from(fault).map_error(|error| remote.hidden(error)),
        }
    });
    let sent = sent.await;
    if !way.is_aside()? {
        return sent;
    }
    // the session was lost, or the server refused to undo the rename
    let settled = match Session::open(target, tls.as_ref()).await {
        Ok(mut session) => {
            let settled = way.settle(&mut session).await;
            session.quit(None).await;
            settled
        }
        Err(fault) => Err(fault),
    };
    match (settled, sent) {
        (Ok(()), sent) => sent,
        (Err(_), Ok(())) => {
            remote.note(&format!("host.ftp: the previous list could not be deleted: .{ours}.old after its name"))
        }
        (Err(_), Err(error)) => Err(error.with_hint(format!(
            "the previous list may now have .{ours}.old after its name: rename it back, or send it again"
        ))),
    }
}

/// The context of each attempt.
struct Way<'s, 'r> {
    target: &'s Target,
    tls: Option<&'s Arc<ClientConfig>>,
    names: &'s Names,
    remote: &'s Remote<'r>,
}

impl Way<'_, '_> {
    async fn attempt(&self, body: Body, bytes: u64) -> Result<(), Fault> {
        let mut session = Session::open(self.target, self.tls).await?;
        // an earlier attempt or process ended between the two renames
        if self.is_aside().map_err(Fault::Final)? {
            match self.settle(&mut session).await {
                Ok(()) | Err(Fault::Final(_)) => {}
                Err(fault) => return Err(fault),
            }
        }
        let placed = match self.transfer(&mut session, body).await {
            Ok(()) => self.place(&mut session, bytes).await,
            Err(fault) => Err(fault),
        };
        session.quit(placed.is_err().then_some(self.names.part.as_str())).await;
        placed
    }

    async fn transfer(&self, session: &mut Session<'_>, mut body: Body) -> Result<(), Fault> {
        let mut data = session.store(&self.names.part).await?;
        while let Some(frame) = body.frame().await {
            match frame {
                Ok(frame) => {
                    let Ok(piece) = frame.into_data() else { continue };
                    session.send(&mut data, &piece).await?;
                }
                Err(error) => {
                    // the server takes the end of the data as the end of the file, which still has its temporary name
                    session.abandon(data).await;
                    return Err(Fault::Final(error));
                }
            }
        }
        session.finish(data).await
    }

    /// Gives the complete list its name. An existing list is replaced, and never deleted before that.
    async fn place(&self, session: &mut Session<'_>, bytes: u64) -> Result<(), Fault> {
        let Names { list, part, old } = self.names;
        let size = session.size(part).await?;
        if size != bytes {
            let message = format!("host.ftp: the server has {size} bytes of {bytes}");
            return Err(Fault::Passing(Error::new(Kind::Transient, message)));
        }
        let refused = match session.rename(part, list).await {
            Ok(()) => return Ok(()),
            Err(fault @ (Fault::Lost(_) | Fault::Unreached(_))) => return Err(fault),
            Err(refused) => refused,
        };
        // some servers do not rename onto an existing file, so it is renamed aside
        self.remote.store(ASIDE, Value::Bool(true)).map_err(Fault::Final)?;
        let placed = match session.rename(list, old).await {
            Ok(()) => session.rename(part, list).await,
            Err(fault @ (Fault::Lost(_) | Fault::Unreached(_))) => return Err(fault),
            // there is no list, or it cannot be renamed: the refusal had another reason
            Err(_) => Err(refused),
        };
        if !matches!(placed, Err(Fault::Lost(_))) {
            // if this fails, it is tried again in a separate session
            let _ = self.settle(session).await;
        }
        placed
    }

    fn is_aside(&self) -> Result<bool> {
        Ok(self.remote.load(ASIDE)? == Some(Value::Bool(true)))
    }

    /// Settles a list that was renamed aside: deletes it if another list has the name, otherwise renames it back.
    async fn settle(&self, session: &mut Session<'_>) -> Result<(), Fault> {
        let Names { list, old, .. } = self.names;
        if session.exists(old).await? {
            match session.exists(list).await? {
                true => session.delete(old).await?,
                false => session.rename(old, list).await?,
            }
        }
        self.remote.store(ASIDE, Value::Bool(false)).map_err(Fault::Final)
    }
}
