//! `localytics-profiles`: attribute changes of customers, one multipart upload per part.

use super::account::Account;
use super::deliver::{Upload, deliver, upload_call};
use super::form::{Form, one_of_two};
use super::lists::AudienceLists;
use super::{PROFILES, changes};
use crate::body::{Measured, Part};
use crate::calls::{BoxFuture, JobSeed, Policy, Quota, Remote, RetrySafety};
use crate::error::{Error, Faults, Result};
use crate::mapping::{MapSpec, Shape};
use crate::platform::{
    Delivery, Effect, Limits, Outline, PlannedCall, Platform, Verdict, can_wait_in_turn, fits_quota, required,
};
use crate::secret::Secret;
use crate::settings::Settings;
use std::time::Duration;

/// The name under `destination.platform`.
pub(super) const NAME: &str = "localytics-profiles";

const UPLOAD: &str = "/v1/imports/profiles/upload";
const STATUS: &str = "/v1/imports/profiles/status/";

/// A profile import, as described by `destination`.
pub(super) struct Profiles {
    account: Account,
    /// `org_id` or `app_id`, and the id.
    scope: (&'static str, String),
    max_part_bytes: Option<u64>,
}

/// Reads `destination`.
pub(super) fn build(settings: &Settings<'_>) -> Result<Box<dyn Platform>> {
    let mut faults = Faults::default();
    faults.or_default(settings.check(PROFILES.keys));
    let max_part_bytes = faults.or_default(settings.opt_size("max_part_bytes"));
    if max_part_bytes == Some(0) {
        let error = Error::usage(format!("{}.max_part_bytes must be more than 0", settings.at));
        faults.add(error.with_hint("leave it out for one upload, or for example 256MiB"));
    }
    let scope = faults.or_none(one_of_two(settings, "org_id", "app_id"));
    let account = faults.or_none(Account::read(settings));
    let (Some(scope), Some(account), true) = (scope, account, faults.is_empty()) else {
        return Err(faults.into_error());
    };
    Ok(Box::new(Profiles { account, scope, max_part_bytes }))
}

impl Profiles {
    fn form(&self, seed: &JobSeed) -> Form {
        let mut form = Form::new(seed);
        form.field(self.scope.0, &self.scope.1);
        form.field("format", "json");
        form.file("file", "profiles.json");
        form
    }

    /// The quota of ten uploads an hour; each attempt counts.
    fn quota(&self) -> Quota {
        self.account.quota("profiles", 10, Duration::from_secs(3600))
    }
}

impl Platform for Profiles {
    fn shape(&self, map: &MapSpec) -> Result<Shape> {
        changes::shape(map, self.max_part_bytes)
    }

    fn plan(&self, map: &MapSpec) -> Delivery {
        let only_increments = changes::only_increments(map).then(|| "increments".to_owned());
        let (effect, repeat) = (Effect::new(changes::repeatable(map), only_increments), repeat(map));
        let limits = Limits { max_part_bytes: self.max_part_bytes, ..Limits::default() };
        Delivery::new(effect).with_limits(limits).with_body_call(move |part| upload_call(part, repeat))
    }

    fn check(&self, map: &MapSpec, parts: &[Part], policy: &Policy) -> Result<()> {
        if !changes::only_increments(map) {
            can_wait_in_turn(parts, policy)?;
        }
        fits_quota(&self.quota(), "profile uploads an hour", parts, policy.max_quota_wait)
    }

    fn outline(&self, _: &MapSpec, parts: &[Part], _: &JobSeed) -> Outline {
        let upload = PlannedCall::new(format!("POST {UPLOAD}"), "send the changes", parts.len());
        Outline::default()
            .call(upload.with_quota(self.quota()))
            .call(PlannedCall::verdict(format!("GET {STATUS}…"), true))
    }

    fn addresses(&self) -> Vec<Secret> {
        vec![Secret::new(self.account.base())]
    }

    fn harmless_read<'a>(
        &'a self,
        remote: &'a Remote<'_>,
    ) -> std::result::Result<BoxFuture<'a, Result<String>>, &'static str> {
        match &self.scope {
            ("app_id", id) => Ok(AudienceLists::of(self.account.clone(), id.clone()).in_words(remote)),
            _ => Err("Localytics has a call that only reads for an app (app_id), and none for an organisation"),
        }
    }

    fn deliver<'a>(
        &'a self,
        list: Option<&'a Measured>,
        map: &'a MapSpec,
        remote: &'a mut Remote<'_>,
    ) -> BoxFuture<'a, Result<Verdict>> {
        let repeat = repeat(map);
        Box::pin(async move {
            let measured = required(list)?;
            let form = |seed: &JobSeed| self.form(seed);
            let upload = Upload {
                account: &self.account,
                about: "the import of the profiles".to_owned(),
                method: "POST",
                path: UPLOAD.to_owned(),
                status_path: STATUS,
                repeat,
                quota: self.quota(),
                form: &form,
                find: None,
            };
            let left = upload.parts_left(measured, remote)?;
            self.check(map, left, remote.policy())?;
            deliver(&upload, measured, remote).await
        })
    }
}

fn repeat(map: &MapSpec) -> RetrySafety {
    if changes::repeatable(map) { RetrySafety::Always } else { RetrySafety::Never }
}
