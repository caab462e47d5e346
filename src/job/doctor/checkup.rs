//! The checks, in order.

use super::finding::Finding;
use super::local::Local;
use super::state;
use crate::calls::aside;
use crate::job::{Env, Job};

impl Job {
    /// Checks everything around a run: job file, source, columns, secrets, state directory, space, and for each host
    /// proxy, name, connection, certificate and clock; then the credentials, if the platform has a call that only
    /// reads. Sends nothing and creates nothing. The first finding that fails says how a run would end.
    ///
    /// Needs a tokio runtime with IO and time.
    pub async fn doctor(&self, env: &Env) -> Vec<Finding> {
        let (job, own) = (self.clone(), env.clone());
        let here = move || {
            let mut local = Local::new(&job, &own);
            local.source();
            local.secrets();
            state::check(&mut local);
            local.found
        };
        let mut found = match aside(env.options.in_line, here).await {
            Ok(found) => found,
            Err(error) => vec![Finding::fail("job file", &error)],
        };
        self.check_network(env, &mut found).await;
        for finding in &mut found {
            finding.message = env.taint.own_text(&finding.message).into_owned();
            finding.hint = finding.hint.as_deref().map(|hint| env.taint.own_text(hint).into_owned());
        }
        found
    }
}
