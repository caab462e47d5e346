//! The one redirect that is followed: 307 or 308 of a presigned PUT, before its body has begun.

use super::client::Route;
use super::urls::Target;
use http::HeaderName;

/// Returns the new route if the rules allow it: https to https, or the same origin. Headers that may contain
/// credentials are dropped unless the origin is the same.
pub(super) fn follow(from: &Route, headers: &[(String, String)]) -> Option<Route> {
    let mut locations = headers.iter().filter(|(name, _)| name == "location");
    let (_, location) = locations.next()?;
    if locations.next().is_some() {
        return None;
    }
    let url = if location.starts_with("//") {
        format!("{}:{location}", if from.target.https { "https" } else { "http" })
    } else if location.starts_with('/') {
        format!("{}{location}", from.target.origin())
    } else {
        location.clone()
    };
    let mut target = Target::parse(&url).ok()?;
    let same = target.origin() == from.target.origin();
    if !(same || (target.https && from.target.https)) {
        return None;
    }
    target.basic = if same { from.target.basic.clone() } else { None };
    let kept = from.headers.iter().filter(|(name, _)| same || is_of_the_object(name)).cloned().collect();
    // the redirecting server is the base of the new address, whatever the base of its own was
    let base = Some(from.base.clone().unwrap_or_else(|| from.target.clone()));
    Some(Route { target, base, headers: kept })
}

/// Whether a header describes the stored object, which a signature may cover.
fn is_of_the_object(name: &HeaderName) -> bool {
    let name = name.as_str();
    let of_object = ["content-", "x-amz-", "x-goog-", "x-ms-"].iter().any(|prefix| name.starts_with(prefix));
    of_object && !["token", "auth", "key"].iter().any(|secret| name.contains(secret))
}
