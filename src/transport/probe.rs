//! Connects to a server step by step, without a request, so that each step can be reported.

use super::Failed;
use super::client::Client;
use super::connect::{dial, not_connected, resolve, secured, tunnel};
use super::urls::Target;
use crate::error::{Error, Result};
use std::net::SocketAddr;

/// A step of connecting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// The proxy that is used, if any.
    Proxy,
    /// The name is resolved.
    Dns,
    /// The connection is made.
    Tcp,
    /// The certificate is checked.
    Tls,
}

/// The result of a step.
#[derive(Debug)]
pub(crate) struct Probed {
    pub(crate) step: Step,
    /// A description of what was done, or the error.
    pub(crate) result: Result<String>,
}

const RESOLVER: &str = "check the host's spelling, and the name servers and the VPN of this machine";

impl Client {
    /// Connects to the server of a URL (`http`, `https`, or `tcp` for a connection that no proxy is used for), up to the
    /// first step that fails.
    ///
    /// # Errors
    /// `Usage`: not a valid URL.
    pub(crate) async fn probe(&self, url: &str) -> Result<Vec<Probed>> {
        let is_plain_tcp = url.strip_prefix("tcp://").map(|rest| format!("http://{rest}"));
        let target = Target::parse(is_plain_tcp.as_deref().unwrap_or(url))?;
        let mut done = Vec::new();
        if let Err(failed) = self.steps(&target, is_plain_tcp.is_some(), &mut done).await {
            let (step, error) = failed;
            done.push(Probed { step, result: Err(error.map_text(|text| self.taint().text(text).into_owned())) });
        }
        Ok(done)
    }

    async fn steps(&self, target: &Target, is_direct: bool, done: &mut Vec<Probed>) -> Result<(), (Step, Error)> {
        let shared = self.shared();
        let at = |step: Step| move |failed: Failed| (step, failed.error);
        let proxy = match is_direct {
            true => None,
            false => shared.proxies.server_for(target).map_err(at(Step::Proxy))?,
        };
        let peer = match proxy {
            None => target,
            Some(proxy) => {
                done.push(Probed { step: Step::Proxy, result: Ok(proxy.in_words()) });
                &proxy.at
            }
        };
        let addresses = self.timed(peer, resolve(peer)).await.map_err(|failed| {
            let hint = failed.error.hint().map_or_else(|| RESOLVER.to_owned(), str::to_owned);
            (Step::Dns, failed.error.with_hint(hint))
        })?;
        done.push(Probed { step: Step::Dns, result: Ok(listed(peer, &addresses)) });
        let tcp = self.timed(peer, dial(peer, addresses)).await.map_err(at(Step::Tcp))?;
        done.push(Probed { step: Step::Tcp, result: Ok(format!("connected to {}", peer.host_and_port())) });
        let mut io = self.timed(peer, secured(shared, peer, Box::new(tcp))).await.map_err(at(Step::Tls))?;
        if !target.https {
            return Ok(());
        }
        if let Some(proxy) = proxy {
            self.timed(peer, tunnel(&mut io, proxy, target)).await.map_err(at(Step::Proxy))?;
            self.timed(target, secured(shared, target, io)).await.map_err(at(Step::Tls))?;
        }
        done.push(Probed {
            step: Step::Tls,
            result: Ok(format!("the certificate of {} is valid", target.bare_host())),
        });
        Ok(())
    }

    #[expect(clippy::disallowed_methods, reason = "a timer of a socket")]
    async fn timed<T>(&self, peer: &Target, step: impl Future<Output = Result<T, Failed>>) -> Result<T, Failed> {
        let limit = self.shared().timers.connect;
        match tokio::time::timeout(limit, step).await {
            Ok(result) => result,
            Err(_) => Err(not_connected(format!("{} did not answer within {limit:?}", peer.host_and_port()))),
        }
    }
}

fn listed(peer: &Target, addresses: &[SocketAddr]) -> String {
    if peer.literal_ip().is_some() {
        return format!("{} is an address", peer.bare_host());
    }
    let shown: Vec<String> = addresses.iter().take(3).map(|address| address.ip().to_string()).collect();
    let more = if addresses.len() > 3 { ", …" } else { "" };
    format!("{} is {}{more}", peer.bare_host(), shown.join(", "))
}
