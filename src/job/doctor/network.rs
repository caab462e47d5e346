//! The checks of the platform's hosts: proxy, name, connection, certificate, clock, credentials.

use super::finding::{Finding, Health};
use crate::calls::{JobSeed, MemoryJournal, Remote, utc};
use crate::error::{Error, Kind};
use crate::job::pass::Prepared;
use crate::job::secrets::JobSecrets;
use crate::job::variables::Unset;
use crate::job::{Env, Job};
use crate::secret::Secret;
use crate::transport::{Client, ProbeStep, Probed, Request, host_and_port};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// A larger difference to a server's clock is a warning.
const SKEW_WARNED: Duration = Duration::from_secs(60);

/// A larger difference fails: storages refuse signatures of another quarter of an hour.
const SKEW_REFUSED: Duration = Duration::from_secs(900);

impl Job {
    /// Adds the checks of the network.
    pub(super) async fn check_network(&self, env: &Env, found: &mut Vec<Finding>) {
        let secrets = JobSecrets::new(Arc::clone(&env.variables), &self.config.folder, &env.taint);
        let Ok((job, _)) = self.in_environment(env, Unset::StandIn) else { return };
        let prepared = match job.config.prepare(&secrets) {
            Ok(prepared) => Ok(prepared),
            // hosts are known without secrets
            Err(_) => job.config.prepare_offline().map_err(|_| "the job file is not valid"),
        };
        let is_whole = job.config.prepare(&secrets).is_ok() && self.in_environment(env, Unset::Refuse).is_ok();
        let client = match job.config.client(env, &secrets) {
            Ok(client) => client,
            Err(error) => return found.extend(Finding::fail_all("proxy", &error)),
        };
        match prepared {
            Err(why) => found.push(Finding::skipped("hosts", why)),
            Ok(prepared) => {
                let mut reached = true;
                for address in prepared.platform.addresses() {
                    reached &= host(&client, &address, env, found).await;
                }
                found.push(match (is_whole, reached) {
                    (true, true) => job.credentials(env, &prepared, &client).await,
                    (false, _) => Finding::skipped("credentials", "a secret or variable is not set"),
                    (true, false) => Finding::skipped("credentials", "a host cannot be reached"),
                });
            }
        }
    }

    /// Checks the credentials by a call that only reads.
    async fn credentials(&self, env: &Env, prepared: &Prepared, client: &Client) -> Finding {
        const CHECK: &str = "credentials";
        let seed = JobSeed { run_id: "doctor".to_owned(), random: String::new(), date: String::new() };
        let journal = MemoryJournal::default();
        let mut policy = self.policy();
        // a person waits for the answer
        policy.attempts = 1;
        let remote = Remote::new(&seed, &journal, client, policy).with_clock(&*env.world.clock);
        match prepared.platform.harmless_read(&remote) {
            Ok(read) => match read.await {
                Ok(message) => Finding::ok(CHECK, message),
                Err(error) => Finding::fail(CHECK, &error),
            },
            Err(why) => Finding::warn(
                CHECK,
                format!("not checked: {why}"),
                "the first call of a run shows whether they are accepted (30 if not)",
            ),
        }
    }
}

/// Checks one host; returns whether it can be reached.
async fn host(client: &Client, address: &Secret, env: &Env, found: &mut Vec<Finding>) -> bool {
    let Ok(name) = host_and_port(address.expose()) else { return false };
    let probed = match client.probe(address.expose()).await {
        Ok(probed) => probed,
        Err(error) => {
            found.push(Finding::fail("hosts", &error));
            return false;
        }
    };
    let is_direct = probed.first().is_none_or(|first| first.step != ProbeStep::Proxy);
    if is_direct {
        found.push(Finding::ok(format!("proxy {name}"), "none is used"));
    }
    let mut reached = true;
    for Probed { step, result } in probed {
        let word = match step {
            ProbeStep::Proxy => "proxy",
            ProbeStep::Dns => "dns",
            ProbeStep::Tcp => "tcp",
            ProbeStep::Tls => "tls",
        };
        let check = format!("{word} {name}");
        found.push(match result {
            Ok(message) => Finding::ok(check, message),
            Err(error) => {
                reached = false;
                Finding::fail(check, &error)
            }
        });
    }
    if reached && !address.expose().starts_with("tcp://") {
        let finding = clock(client, address, &name, env).await;
        reached = finding.health != Health::Fail;
        found.push(finding);
    }
    reached
}

/// Compares this machine's clock with that of a server, by an answer to a request without credentials.
async fn clock(client: &Client, address: &Secret, name: &str, env: &Env) -> Finding {
    let check = format!("clock {name}");
    let origin = crate::transport::origin(address.expose());
    let asked = async {
        let request = Request::new("HEAD", Secret::new(format!("{}/", origin?)));
        client.call(&request).await.map_err(|failed| failed.error)
    };
    let answer = match asked.await {
        Ok(answer) => answer,
        Err(error) => return Finding::fail(check, &error),
    };
    let Some(theirs) = answer.header("date").and_then(|date| httpdate::parse_http_date(date.trim()).ok()) else {
        return Finding::warn(
            check,
            "the server sends no Date, so the clocks were not compared",
            "see that this machine's clock is set by a time server",
        );
    };
    let ours = env.world.clock.wall();
    match skew(ours, theirs) {
        Ok(message) => Finding::ok(check, message),
        Err(message) if apart(ours, theirs) < SKEW_REFUSED => Finding::warn(check, message, SET_THE_CLOCK),
        Err(message) => Finding::fail(check, &Error::new(Kind::Usage, message).with_hint(SET_THE_CLOCK)),
    }
}

const SET_THE_CLOCK: &str =
    "set the clock of this machine, for example by NTP; signatures and certificates depend on it";

fn apart(ours: SystemTime, theirs: SystemTime) -> Duration {
    ours.duration_since(theirs).unwrap_or_else(|error| error.duration())
}

/// Describes the difference of two clocks; an error if it is too large.
fn skew(ours: SystemTime, theirs: SystemTime) -> std::result::Result<String, String> {
    let apart = apart(ours, theirs);
    if apart <= SKEW_WARNED {
        return Ok(format!("differs from the server's by {} s", apart.as_secs()));
    }
    let word = if ours > theirs { "fast" } else { "slow" };
    Err(format!(
        "this machine's clock is {} s {word} ({}, the server says {})",
        apart.as_secs(),
        utc(ours),
        utc(theirs)
    ))
}
