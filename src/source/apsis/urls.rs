//! Where the file of an export can be had, and which of its two URLs is asked.

use super::requested::Requested;

/// The second version of the URL first, where there are both: it tells "not yet" from "not known". The first is asked
/// where the second answers what its documents do not have, or does not know the export.
pub(super) struct Urls {
    places: Vec<Place>,
    now: usize,
}

struct Place {
    url: String,
    second_version: bool,
    /// It answered 404 last.
    unknown: bool,
    /// Its answer was none that the documents have: it is not asked again.
    out: bool,
}

impl Urls {
    pub(super) fn of(requested: &Requested) -> Urls {
        let place = |url: &crate::secret::Secret, second_version| Place {
            url: url.expose().to_owned(),
            second_version,
            unknown: false,
            out: false,
        };
        let second = requested.second.iter().map(|url| place(url, true));
        let first = requested.first.iter().map(|url| place(url, false));
        Urls { places: second.chain(first).collect(), now: 0 }
    }

    pub(super) fn current(&self) -> &str {
        &self.places[self.now].url
    }

    /// "In progress": it is asked on.
    pub(super) fn in_progress(&mut self) {
        self.places[self.now].unknown = false;
    }

    /// 404: not yet, or an id that this one does not know; the other may.
    pub(super) fn unknown(&mut self) {
        self.places[self.now].unknown = true;
        self.turn();
    }

    /// A passing fault, the so manieth in a row: from the second on the other is asked.
    pub(super) fn passing(&mut self, in_a_row: u32) {
        if in_a_row > 1 {
            self.turn();
        }
    }

    /// 410; whether the export is gone. The first version says so of an id that it does not know, too: it is not believed
    /// while the second has said nothing of the kind.
    pub(super) fn gone(&mut self) -> bool {
        let asked = self.now;
        let believed = self.places[asked].second_version
            || self.places.iter().enumerate().all(|(at, place)| at == asked || place.out || place.unknown);
        if !believed {
            self.leave();
        }
        believed
    }

    /// An answer that the documents do not have: it is not asked again. False: there is no other.
    pub(super) fn leave(&mut self) -> bool {
        self.places[self.now].out = true;
        self.turn();
        !self.places[self.now].out
    }

    /// The next one that is still asked.
    fn turn(&mut self) {
        let count = self.places.len();
        let next = (1..count).map(|step| (self.now + step) % count).find(|at| !self.places[*at].out);
        self.now = next.unwrap_or(self.now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Secret;
    use std::time::UNIX_EPOCH;

    fn urls(second: Option<&str>, first: Option<&str>) -> Urls {
        Urls::of(&Requested { second: second.map(Secret::new), first: first.map(Secret::new), at: UNIX_EPOCH })
    }

    #[test]
    fn the_second_version_is_asked_alone_as_long_as_it_answers_by_its_documents() {
        let mut urls = urls(Some("v2"), Some("v1"));
        urls.in_progress();
        urls.passing(1);
        assert_eq!(urls.current(), "v2");
        urls.unknown();
        assert_eq!(urls.current(), "v1");
        urls.unknown();
        assert_eq!(urls.current(), "v2");
        urls.passing(2);
        assert_eq!(urls.current(), "v1");
    }

    #[test]
    fn a_410_of_the_first_version_alone_is_not_believed() {
        let mut both = urls(Some("v2"), Some("v1"));
        both.passing(2);
        assert!(!both.gone());
        assert_eq!(both.current(), "v2");
        both.passing(2);
        assert_eq!(both.current(), "v2", "the first version is not asked again");
        assert!(both.gone());
        let mut unknown = urls(Some("v2"), Some("v1"));
        unknown.unknown();
        assert!(unknown.gone());
        assert!(urls(None, Some("v1")).gone());
        let mut left = urls(Some("v2"), Some("v1"));
        assert!(left.leave());
        assert!(left.current() == "v1" && left.gone());
        assert!(!left.leave());
    }
}
