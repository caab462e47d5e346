//! Audience lists by name: the lists of that name are looked up before the upload, and the decision is made once per
//! run.

use super::lists::AudienceLists;
use crate::calls::{Remote, word};
use crate::error::{Error, Kind, Result};
use crate::secret::printable;
use serde_json::{Value, json};

/// The behaviour if the app has a list of that name (`if_exists`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum IfExists {
    /// Send nothing (12).
    Refuse,
    /// Replace its members.
    Replace,
    /// Create another one of that name.
    Create,
}

/// The decision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Decided {
    /// A new list; the ids of those that had the name before.
    Create(Vec<String>),
    /// The list with that id, all its members replaced.
    Replace(String),
}

/// The fact that stores the decision: a resumed run must not mistake its own list for another's.
const FACT: &str = "audience-target";

/// Decides by the lists of the app, or returns the decision of an earlier process of the run.
///
/// # Errors
/// `Refused`: one list of that name exists, or two do; otherwise as [`AudienceLists::list`].
pub(super) async fn decide(
    if_exists: IfExists,
    name: &str,
    lists: &AudienceLists,
    remote: &Remote<'_>,
) -> Result<Decided> {
    if let Some(fact) = remote.load(FACT)? {
        return Ok(Decided::of(&fact));
    }
    let ids = ids_of(name, lists, remote).await?;
    let shown = printable(name);
    let decided = match (if_exists, ids.as_slice()) {
        (IfExists::Create, _) | (_, []) => Decided::Create(ids),
        (_, [_, _, ..]) => {
            let message = format!("the app has {} lists named \"{shown}\": {}", ids.len(), ids.join(", "));
            return Err(Error::new(Kind::Refused, message).with_hint(
                "name one of them by destination.audience_list_id in place of audience_name, or rename or delete one: \
                 `listferry lists JOB`",
            ));
        }
        (IfExists::Replace, [id]) => Decided::Replace(id.clone()),
        (IfExists::Refuse, [id]) => {
            return Err(Error::new(Kind::Refused, format!("the app already has a list named \"{shown}\": {id}"))
                .with_hint(
                    "set destination.if_exists: replace to replace its members, or to create to make another list of that name",
                ));
        }
    };
    remote.store(FACT, decided.to_json())?;
    Ok(decided)
}

/// Returns the list of that name that did not exist before, if a creation whose answer was lost was carried out.
///
/// # Errors
/// As [`AudienceLists::list`].
pub(super) async fn created(
    name: &str,
    before: &[String],
    lists: &AudienceLists,
    remote: &Remote<'_>,
) -> Result<Option<Value>> {
    let ids = ids_of(name, lists, remote).await?;
    let new: Vec<&String> = ids.iter().filter(|id| !before.contains(id)).collect();
    match new.as_slice() {
        [] => Ok(None),
        [id] => Ok(Some(json!({"activity_id": null, "audience_list_id": id}))),
        several => {
            let ids = several.iter().map(|id| id.as_str()).collect::<Vec<_>>().join(", ");
            let message = format!("the app has several new lists named \"{}\": {ids}", printable(name));
            Err(Error::new(Kind::Refused, message)
                .with_hint("keep one of them: `listferry lists JOB` renames and deletes lists; then resume the run"))
        }
    }
}

async fn ids_of(name: &str, lists: &AudienceLists, remote: &Remote<'_>) -> Result<Vec<String>> {
    let lists = lists.list(remote).await?;
    Ok(lists.iter().filter(|list| list["name"] == name).filter_map(|list| word(&list["id"])).collect())
}

impl Decided {
    fn to_json(&self) -> Value {
        match self {
            Decided::Create(before) => json!({"create": true, "before": before}),
            Decided::Replace(id) => json!({"replace": id}),
        }
    }

    fn of(fact: &Value) -> Decided {
        match fact["replace"].as_str() {
            Some(id) => Decided::Replace(id.to_owned()),
            None => {
                let before = fact["before"].as_array().map(Vec::as_slice).unwrap_or_default();
                Decided::Create(before.iter().filter_map(|id| id.as_str().map(str::to_owned)).collect())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_decided_is_read_as_it_was_kept() {
        for decided in [
            Decided::Create(Vec::new()),
            Decided::Create(vec!["7".to_owned(), "12345678901234567890123".to_owned()]),
            Decided::Replace("8".to_owned()),
        ] {
            assert_eq!(Decided::of(&decided.to_json()), decided);
        }
    }
}
