//! The ticket of an import: its URL and its state.

use super::options::ORIGIN;
use crate::calls::read_json;
use crate::secret::printable;
use crate::transport::Answer;
use serde_json::Value;
use url::Url;

/// The content of a ticket.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Ticket {
    pub(super) id: Option<String>,
    /// In lower case.
    pub(super) state: String,
    pub(super) message: String,
    /// URL of the results.
    pub(super) location: Option<String>,
}

impl Ticket {
    /// Reads the body of an answer; `None` if it is not a JSON object.
    pub(super) fn read(body: &[u8]) -> Option<Ticket> {
        let tree = read_json(body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body))?;
        tree.is_object().then(|| Ticket {
            id: text(&tree, "id"),
            state: text(&tree, "state").unwrap_or_default().to_lowercase(),
            message: printable(&text(&tree, "message").unwrap_or_default()),
            location: member(&tree, "response").and_then(|response| text(response, "location")),
        })
    }
}

/// Returns a member by its key, ignoring stray spaces and case.
fn member<'v>(value: &'v Value, key: &str) -> Option<&'v Value> {
    value.as_object()?.iter().find(|(name, _)| name.trim().eq_ignore_ascii_case(key)).map(|(_, value)| value)
}

fn text(value: &Value, key: &str) -> Option<String> {
    match member(value, key)? {
        Value::String(text) => Some(text.trim().to_owned()).filter(|text| !text.is_empty()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// A URL from an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) url: String,
    /// True if it is on the configured address; only such URLs get the credentials.
    pub(super) own: bool,
}

impl Place {
    /// Resolves a URL from an answer against the configured address. The platform's own public address counts as the
    /// configured one, since `base_url` replaces it.
    pub(super) fn resolve(base: &str, given: &str) -> Option<Place> {
        let base_url = Url::parse(base).ok()?;
        let url = base_url.join(given.trim()).ok()?;
        if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
            return None;
        }
        if url.origin() == base_url.origin() {
            return Some(Place { url: url.into(), own: true });
        }
        let vendor = Url::parse(ORIGIN).ok()?;
        if url.host() == vendor.host() {
            let query = url.query().map(|query| format!("?{query}")).unwrap_or_default();
            return Some(Place { url: format!("{base}{}{query}", url.path()), own: true });
        }
        Some(Place { url: url.into(), own: false })
    }
}

/// Returns the URL of the ticket of an import: its Content-Location, or one made from its id.
pub(super) fn ticket_place(base: &str, answer: &Answer, ticket: Option<&Ticket>) -> Option<Place> {
    let header = answer.header("content-location").or_else(|| answer.header("location"));
    let given = header.and_then(|given| Place::resolve(base, given));
    let by_id = ticket.and_then(|ticket| ticket.id.as_deref()).map(|id| {
        let id = percent_encoding::utf8_percent_encode(id, super::request::SEGMENT);
        Place { url: format!("{base}/v2/tickets/{id}"), own: true }
    });
    match given {
        Some(place) if place.own => Some(place),
        given => by_id.or(given),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_vendors_ticket_is_read() {
        let ticket = Ticket::read(include_bytes!("golden/ticket.json")).unwrap();
        assert_eq!(ticket.id.as_deref(), Some("654321"));
        assert_eq!((ticket.state.as_str(), ticket.message.as_str()), ("completed", "File imported successfully."));
        assert_eq!(ticket.location.as_deref(), Some("https://api.yesmail.com/v2/async-results/987654"));
        let lenient = Ticket::read(br#"{"id ":7,"State":"FAILED","response":null}"#).unwrap();
        assert_eq!((lenient.id.as_deref(), lenient.state.as_str()), (Some("7"), "failed"));
        assert_eq!(Ticket::read(b"accepted"), None);
        let long = Ticket::read(br#"{"id":12345678901234567890123}"#).unwrap();
        assert_eq!(long.id.as_deref(), Some("12345678901234567890123"), "no id is ever rounded");
    }

    #[test]
    fn a_given_url_is_ours_only_on_the_configured_address() {
        let base = "http://127.0.0.1:81";
        let place = |given| Place::resolve(base, given).map(|place| (place.url, place.own));
        let own = |path: &str| Some((format!("{base}{path}"), true));
        assert_eq!(place("/v2/tickets/1"), own("/v2/tickets/1"));
        assert_eq!(place("http://127.0.0.1:81/v2/tickets/1"), own("/v2/tickets/1"));
        assert_eq!(place("https://api.yesmail.com/v2/tickets/1?x=y"), own("/v2/tickets/1?x=y"));
        assert_eq!(place("http://127.0.0.1:82/t"), Some(("http://127.0.0.1:82/t".to_owned(), false)));
        assert_eq!(place("https://other.example/t"), Some(("https://other.example/t".to_owned(), false)));
        assert_eq!(place("file:///etc/passwd"), None);
    }

    #[test]
    fn an_id_is_better_than_a_foreign_url() {
        let answer = |location: &str| Answer {
            status: 202,
            headers: vec![("content-location".to_owned(), location.to_owned())],
            body: Vec::new(),
        };
        let ticket = Ticket { id: Some("a/b".to_owned()), ..Ticket::default() };
        let base = "https://api.yesmail.com";
        let foreign = answer("https://other.example/t/1");
        assert_eq!(
            ticket_place(base, &foreign, Some(&ticket)).unwrap().url,
            "https://api.yesmail.com/v2/tickets/a%2Fb"
        );
        assert!(!ticket_place(base, &foreign, None).unwrap().own);
        assert_eq!(ticket_place(base, &Answer { status: 202, headers: Vec::new(), body: Vec::new() }, None), None);
    }
}
