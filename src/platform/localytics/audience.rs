//! `localytics-audience`: a list of customer ids, created under a name or replaced by id.

use super::account::Account;
use super::deliver::{Upload, deliver, upload_call};
use super::existing::{self, Decided, IfExists};
use super::form::{Form, one_of_two, plain};
use super::lists::AudienceLists;
use super::{AUDIENCE, PATH_PART, customer_id};
use crate::body::{Measured, Part};
use crate::calls::{BoxFuture, JobSeed, Quota, Remote, RetrySafety};
use crate::error::{Error, Faults, Result};
use crate::mapping::{Json, MapSpec, Shape};
use crate::platform::{Delivery, Effect, Outline, PlannedCall, Platform, Verdict, required};
use crate::secret::Secret;
use crate::settings::{NoSecrets, Settings};
use percent_encoding::utf8_percent_encode;
use serde_json::Value;
use std::time::Duration;

/// The name under `destination.platform`.
pub(super) const NAME: &str = "localytics-audience";

const LISTS: &str = "/v1/imports/audiences/list/";
const STATUS: &str = "/v1/imports/audiences/list/status/";

/// An audience import, as described by `destination`.
pub(super) struct Audience {
    account: Account,
    app_id: String,
    target: Target,
}

/// How to import the list.
enum Target {
    /// Create a list of this name, in which `{date}` and `{run}` are not yet filled in.
    Named(String, IfExists),
    /// Replace all members of the list with this id.
    Replace(String),
}

/// Reads `destination`.
pub(super) fn build(settings: &Settings<'_>) -> Result<Box<dyn Platform>> {
    let mut faults = Faults::default();
    faults.or_default(settings.check(AUDIENCE.keys));
    let app_id = settings.text("app_id").and_then(|id| plain(settings, "app_id", &id).map(|()| id));
    let app_id = faults.or_default(app_id);
    let target = faults.or_none(target(settings));
    let account = faults.or_none(Account::read(settings));
    let (Some(target), Some(account), true) = (target, account, faults.is_empty()) else {
        return Err(faults.into_error());
    };
    Ok(Box::new(Audience { account, app_id, target }))
}

fn target(settings: &Settings<'_>) -> Result<Target> {
    let if_exists = settings.one_of("if_exists", &["refuse", "replace", "create"])?.map(|word| match word {
        "replace" => IfExists::Replace,
        "create" => IfExists::Create,
        _ => IfExists::Refuse,
    });
    match one_of_two(settings, "audience_name", "audience_list_id")? {
        ("audience_name", name) => Ok(Target::Named(name, if_exists.unwrap_or(IfExists::Refuse))),
        _ if if_exists.is_some() => {
            Err(Error::usage(format!("{}.if_exists goes with audience_name only", settings.at))
                .with_hint("audience_list_id replaces the members of that list; leave if_exists out"))
        }
        (_, id) if id.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')) => {
            Ok(Target::Replace(id))
        }
        _ => Err(Error::usage(format!("{}.audience_list_id must be the list's id", settings.at))
            .with_hint("`listferry lists JOB list` shows the lists of the app with their ids")),
    }
}

impl Audience {
    /// Returns the form that creates the list `name`, or replaces the list `id`.
    fn form(&self, seed: &JobSeed, name: Option<&str>, id: Option<&str>) -> Form {
        let mut form = Form::new(seed);
        form.field("app_id", &self.app_id);
        if let Some(name) = name {
            form.field("audience_name", name);
        }
        form.field("identifier_type", "customer_id");
        if let Some(id) = id {
            form.field("audience_list_id", id);
        }
        form.file("file", "audience.json");
        form
    }

    /// Creates the list. A second creation would make a second list, so a lost answer is looked up.
    async fn create(&self, name: &str, before: &[String], measured: &Measured, remote: &Remote<'_>) -> Result<Verdict> {
        let lists = self.lists();
        let form = |seed: &JobSeed| self.form(seed, Some(name), None);
        let find =
            || -> BoxFuture<'_, Result<Option<Value>>> { Box::pin(existing::created(name, before, &lists, remote)) };
        let upload = Upload {
            account: &self.account,
            about: format!("the audience list \"{name}\""),
            method: "POST",
            path: LISTS.to_owned(),
            status_path: STATUS,
            repeat: RetrySafety::Never,
            quota: self.quota(),
            form: &form,
            find: Some(&find),
        };
        deliver(&upload, measured, remote).await
    }

    /// Replaces the members of a list, which may be repeated.
    async fn replace(&self, id: &str, measured: &Measured, remote: &Remote<'_>) -> Result<Verdict> {
        let form = |seed: &JobSeed| self.form(seed, None, Some(id));
        let upload = Upload {
            account: &self.account,
            about: format!("the audience list {id}"),
            method: "PUT",
            path: replace_path(id),
            status_path: STATUS,
            repeat: RetrySafety::Always,
            quota: self.quota(),
            form: &form,
            find: None,
        };
        deliver(&upload, measured, remote).await
    }

    fn lists(&self) -> AudienceLists {
        AudienceLists::of(self.account.clone(), self.app_id.clone())
    }

    /// The quota of 60 audience calls a minute.
    fn quota(&self) -> Quota {
        self.account.quota("audiences", 60, Duration::from_secs(60))
    }
}

impl Platform for Audience {
    fn shape(&self, map: &MapSpec) -> Result<Shape> {
        let folder = std::path::Path::new("");
        Settings { map: &map.0, at: "map", secrets: &NoSecrets, folder }.check(AUDIENCE.map_keys)?;
        let lead = vec![customer_id(&map.0["customer_id"])?];
        Ok(Shape::Json(Json { lead, close: "}".to_owned(), ..Json::default() }))
    }

    fn plan(&self, _: &MapSpec) -> Delivery {
        let effect = match &self.target {
            // sent again, it replaces what it created
            Target::Replace(_) | Target::Named(_, IfExists::Replace) => Effect::new(true, None),
            Target::Named(..) => Effect::new(false, Some("creates".to_owned())).looked_up(),
        };
        let repeat = match &self.target {
            // the decision may have been to replace, which starts the body anew
            Target::Named(_, IfExists::Replace) => RetrySafety::LookUp,
            Target::Named(..) => RetrySafety::Never,
            Target::Replace(_) => RetrySafety::Always,
        };
        let mut delivery = Delivery::new(effect).with_body_call(move |part| upload_call(part, repeat));
        // the vendor's own sample counts 500 successful lines of 1
        delivery.max_unaccounted = None;
        delivery
    }

    fn outline(&self, _: &MapSpec, parts: &[Part], seed: &JobSeed) -> Outline {
        let counted = |call: String, purpose, count| PlannedCall::new(call, purpose, count).with_quota(self.quota());
        let upload = |call: String, purpose| counted(call, purpose, parts.len());
        let outline = match &self.target {
            Target::Replace(id) => {
                Outline::default().call(upload(format!("PUT {}", replace_path(id)), "replace the members of the list"))
            }
            Target::Named(name, if_exists) => {
                let (call, purpose) = match if_exists {
                    IfExists::Replace => (
                        format!("POST {LISTS} or PUT {LISTS}…"),
                        "create the list, or replace the members of one of that name",
                    ),
                    IfExists::Refuse | IfExists::Create => (format!("POST {LISTS}"), "create the list"),
                };
                let look = counted(format!("GET {LISTS}app/…"), "look for a list of that name", 1);
                Outline::default().name("audience_name", [seed.fill(name)]).call(look).call(upload(call, purpose))
            }
        };
        outline.call(PlannedCall::verdict(format!("GET {STATUS}…"), true))
    }

    fn addresses(&self) -> Vec<Secret> {
        vec![Secret::new(self.account.base())]
    }

    fn harmless_read<'a>(
        &'a self,
        remote: &'a Remote<'_>,
    ) -> std::result::Result<BoxFuture<'a, Result<String>>, &'static str> {
        Ok(self.lists().in_words(remote))
    }

    fn deliver<'a>(
        &'a self,
        list: Option<&'a Measured>,
        _: &'a MapSpec,
        remote: &'a mut Remote<'_>,
    ) -> BoxFuture<'a, Result<Verdict>> {
        Box::pin(async move {
            let measured = required(list)?;
            let (name, if_exists) = match &self.target {
                Target::Replace(id) => return self.replace(id, measured, remote).await,
                Target::Named(name, if_exists) => (remote.seed().fill(name), *if_exists),
            };
            match existing::decide(if_exists, &name, &self.lists(), remote).await? {
                Decided::Replace(id) => self.replace(&id, measured, remote).await,
                Decided::Create(before) => self.create(&name, &before, measured, remote).await,
            }
        })
    }
}

/// Returns the path that replaces the list with this id.
fn replace_path(id: &str) -> String {
    format!("{LISTS}{}", utf8_percent_encode(id, PATH_PART))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_line_is_the_customer_id_alone() {
        let destination =
            json!({ "platform": NAME, "app_id": "a", "audience_name": "n", "api_key": "k", "api_secret": "s" });
        let map = destination.as_object().unwrap();
        let folder = std::path::Path::new("");
        let platform = build(&Settings { map, at: "destination", secrets: &NoSecrets, folder }).unwrap();
        let spec = |value: serde_json::Value| MapSpec(value.as_object().unwrap().clone());
        let Shape::Json(json) = platform.shape(&spec(json!({ "customer_id": "id" }))).unwrap() else {
            panic!("an audience is JSON")
        };
        assert_eq!((json.lead.len(), json.units.len(), json.close.as_str()), (1, 0, "}"));
        assert!(!json.filter_without_units);
        let error = platform.shape(&spec(json!({ "customer_id": "id", "changes": [] }))).unwrap_err();
        assert!(error.message().contains("changes"), "{error}");
        let split = json!({ "column": "id", "split": "|" });
        assert!(platform.shape(&spec(json!({ "customer_id": split }))).is_err());
    }
}
