//! `localytics-audience`: a list of customer ids, created under a name or replaced by id.

use super::account::Account;
use super::deliver::{Upload, deliver, upload_call};
use super::form::{Form, one_of_two, plain};
use super::{AUDIENCE, customer_id};
use crate::body::{Frame, Measured};
use crate::calls::{BoxFuture, Call, JobSeed, Remote, RetrySafety};
use crate::error::{Error, Result};
use crate::mapping::{Json, MapSpec, Shape};
use crate::platform::{Effect, Limits, Platform, Verdict};
use crate::settings::{NoSecrets, Settings};
use std::time::Duration;

/// Under `destination.platform`.
pub(super) const NAME: &str = "localytics-audience";

/// An audience import as `destination` describes it.
pub(super) struct Audience {
    account: Account,
    app_id: String,
    target: Target,
}

/// What becomes of the list.
enum Target {
    /// A new list of that name, `{date}` and `{run}` not yet filled in.
    Create(String),
    /// The list with that id, all its members replaced.
    Replace(String),
}

/// Reads `destination`.
pub(super) fn build(settings: &Settings<'_>) -> Result<Box<dyn Platform>> {
    settings.check(AUDIENCE.keys)?;
    let app_id = settings.text("app_id")?;
    plain(settings, "app_id", &app_id)?;
    let target = match one_of_two(settings, "audience_name", "audience_list_id")? {
        ("audience_name", name) => Target::Create(name),
        (_, id) if id.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')) => {
            Target::Replace(id)
        }
        _ => {
            return Err(Error::usage(format!("{}.audience_list_id must be the list's id", settings.at))
                .with_hint("`listferry lists JOB list` shows the lists of the app with their ids"));
        }
    };
    Ok(Box::new(Audience { account: Account::read(settings)?, app_id, target }))
}

impl Audience {
    fn form(&self, seed: &JobSeed) -> Form {
        let mut form = Form::new(seed);
        form.field("app_id", &self.app_id);
        if let Target::Create(name) = &self.target {
            form.field("audience_name", &seed.fill(name));
        }
        form.field("identifier_type", "customer_id");
        if let Target::Replace(id) = &self.target {
            form.field("audience_list_id", id);
        }
        form.file("file", "audience.json");
        form
    }
}

impl Platform for Audience {
    fn name(&self) -> &'static str {
        NAME
    }

    fn shape(&self, map: &MapSpec) -> Result<Shape> {
        let folder = std::path::Path::new("");
        Settings { map: &map.0, at: "map", secrets: &NoSecrets, folder }.check(AUDIENCE.map_keys)?;
        let lead = vec![customer_id(&map.0["customer_id"])?];
        Ok(Shape::Json(Json { lead, close: "}".to_owned(), ..Json::default() }))
    }

    fn limits(&self) -> Limits {
        Limits::default()
    }

    fn max_unaccounted(&self) -> Option<u64> {
        // the vendor's own sample counts 500 successful lines of 1
        None
    }

    fn frame(&self, seed: &JobSeed) -> Frame {
        self.form(seed).frame()
    }

    fn effect(&self, _: &MapSpec) -> Effect {
        match &self.target {
            Target::Create(_) => Effect::new(false, Some("creates".to_owned())),
            Target::Replace(_) => Effect::new(true, None),
        }
    }

    fn body_call(&self, _: &MapSpec, part: usize) -> Option<Call> {
        let repeat = match &self.target {
            Target::Create(_) => RetrySafety::Never,
            Target::Replace(_) => RetrySafety::Always,
        };
        Some(upload_call(part, repeat))
    }

    fn deliver<'a>(
        &'a self,
        measured: &'a Measured,
        _: &'a MapSpec,
        remote: &'a mut Remote<'_>,
    ) -> BoxFuture<'a, Result<Verdict>> {
        Box::pin(async move {
            // a second creation would make a second list; a replacement ends in the same state
            let (method, path, repeat) = match &self.target {
                Target::Create(_) => ("POST", "/v1/imports/audiences/list/".to_owned(), RetrySafety::Never),
                Target::Replace(id) => ("PUT", format!("/v1/imports/audiences/list/{id}"), RetrySafety::Always),
            };
            let about = match &self.target {
                Target::Create(name) => format!("the audience list \"{}\"", remote.seed().fill(name)),
                Target::Replace(id) => format!("the audience list {id}"),
            };
            let form = |seed: &JobSeed| self.form(seed);
            let upload = Upload {
                account: &self.account,
                about,
                method,
                path,
                status_path: "/v1/imports/audiences/list/status/",
                repeat,
                quota: self.account.quota("audiences", 60, Duration::from_secs(60)),
                form: &form,
            };
            deliver(&upload, measured, remote).await
        })
    }
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
