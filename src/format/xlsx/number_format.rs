//! Number formats: which of them make a date, a timestamp or a time of day of a number.

/// The meaning of the number in a cell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Meaning {
    /// A number.
    #[default]
    Number,
    Date,
    Timestamp,
    /// A time of day.
    Time,
    /// A number of hours, minutes and seconds, which may be longer than a day: `[h]:mm`.
    Elapsed,
}

/// Returns the meaning of a format that has no code of its own in the workbook.
pub(super) fn built_in(id: u32) -> Meaning {
    match id {
        14..=17 => Meaning::Date,
        18..=21 => Meaning::Time,
        22 => Meaning::Timestamp,
        // of Chinese, Japanese and Korean
        27..=31 | 34..=36 | 50..=58 => Meaning::Date,
        32 | 33 => Meaning::Time,
        45 | 47 => Meaning::Time,
        46 => Meaning::Elapsed,
        _ => Meaning::Number,
    }
}

/// The part of a date that a letter of a format code shows.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Shown {
    Date,
    Hours,
    /// Months or minutes, depending on what is beside them.
    Months,
    Seconds,
    Elapsed,
}

/// Returns the meaning of a format code.
pub(super) fn of_code(code: &str) -> Meaning {
    let shown = shown(code);
    let (mut has_date, mut has_time, mut is_elapsed) = (false, false, false);
    for (at, one) in shown.iter().enumerate() {
        match one {
            Shown::Date => has_date = true,
            Shown::Hours | Shown::Seconds => has_time = true,
            Shown::Elapsed => is_elapsed = true,
            Shown::Months => {
                let before = at.checked_sub(1).map(|at| shown[at]);
                let is_minutes =
                    matches!(before, Some(Shown::Hours | Shown::Elapsed)) || shown.get(at + 1) == Some(&Shown::Seconds);
                if is_minutes {
                    has_time = true;
                } else {
                    has_date = true;
                }
            }
        }
    }
    match (has_date, has_time || is_elapsed) {
        (true, true) => Meaning::Timestamp,
        (true, false) => Meaning::Date,
        (false, true) if is_elapsed => Meaning::Elapsed,
        (false, true) => Meaning::Time,
        (false, false) => Meaning::Number,
    }
}

/// Returns what the first section of a code shows, in order.
fn shown(code: &str) -> Vec<Shown> {
    let mut found: Vec<Shown> = Vec::new();
    let mut chars = code.chars().peekable();
    while let Some(c) = chars.next() {
        match c.to_ascii_lowercase() {
            ';' => break,
            '"' => {
                chars.by_ref().find(|c| *c == '"');
            }
            '\\' | '_' | '*' => {
                chars.next();
            }
            '[' => {
                let inside: String = chars.by_ref().take_while(|c| *c != ']').collect();
                let letter = inside.chars().next().map(|c| c.to_ascii_lowercase());
                let is_run = inside.chars().all(|c| Some(c.to_ascii_lowercase()) == letter);
                if is_run && matches!(letter, Some('h' | 'm' | 's')) {
                    found.push(Shown::Elapsed);
                }
            }
            'g' if chars.clone().map(|c| c.to_ascii_lowercase()).take(6).eq("eneral".chars()) => {
                chars.by_ref().take(6).for_each(drop);
            }
            // AM/PM and A/P; alone it is a day of the week (aaa)
            'a' => {
                let rest: String = chars.clone().take(4).collect::<String>().to_ascii_lowercase();
                match rest {
                    rest if rest.starts_with("m/pm") => chars.by_ref().take(4).for_each(drop),
                    rest if rest.starts_with("/p") => chars.by_ref().take(2).for_each(drop),
                    _ => push(&mut found, Shown::Date),
                }
            }
            // a year of an era, unless it is an exponent
            'e' if !matches!(chars.peek(), Some('+' | '-')) => push(&mut found, Shown::Date),
            'y' | 'd' | 'b' | 'g' => push(&mut found, Shown::Date),
            'h' => push(&mut found, Shown::Hours),
            'm' => push(&mut found, Shown::Months),
            's' => push(&mut found, Shown::Seconds),
            _ => {}
        }
    }
    found
}

/// Adds one, unless it continues the last: `yyyy`.
fn push(found: &mut Vec<Shown>, one: Shown) {
    if found.last() != Some(&one) {
        found.push(one);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_letters_of_a_code_give_its_meaning() {
        for (code, want) in [
            ("General", Meaning::Number),
            ("GENERAL", Meaning::Number),
            ("General;[Red]-General", Meaning::Number),
            ("0", Meaning::Number),
            ("#,##0.00", Meaning::Number),
            ("0.00E+00", Meaning::Number),
            ("##0.0e-0", Meaning::Number),
            ("@", Meaning::Number),
            ("", Meaning::Number),
            ("\"days\" 0", Meaning::Number),
            ("0 \\d\\a\\y\\s", Meaning::Number),
            ("[$USD] #,##0", Meaning::Number),
            ("[Red]0;[Blue]-0", Meaning::Number),
            ("_(* #,##0_);_(* (#,##0);_(* \"-\"_);_(@_)", Meaning::Number),
            ("[>=100]0;yyyy", Meaning::Number),
            ("yyyy-mm-dd", Meaning::Date),
            ("YYYY-MM-DD", Meaning::Date),
            ("[$-409]d\\-mmm\\-yy;@", Meaning::Date),
            ("mmmm", Meaning::Date),
            ("mm/dd", Meaning::Date),
            ("ddd", Meaning::Date),
            ("[$-F800]dddd\\,\\ mmmm\\ dd\\,\\ yyyy", Meaning::Date),
            ("yyyy\"年\"m\"月\"d\"日\"", Meaning::Date),
            ("[$-411]ge.m.d;@", Meaning::Date),
            ("dd.mm.yyyy hh:mm", Meaning::Timestamp),
            ("yyyy-mm-ddThh:mm:ss", Meaning::Timestamp),
            ("m/d/yy h:mm AM/PM", Meaning::Timestamp),
            ("d/m/yyyy\\ h:mm\\ a/p", Meaning::Timestamp),
            ("h:mm", Meaning::Time),
            ("hh:mm:ss AM/PM", Meaning::Time),
            ("mm:ss", Meaning::Time),
            ("mm:ss.0", Meaning::Time),
            ("hh\"時\"mm\"分\"", Meaning::Time),
            ("[h]:mm:ss", Meaning::Elapsed),
            ("[hh]:mm", Meaning::Elapsed),
            ("[mm]:ss", Meaning::Elapsed),
            ("[ss].00", Meaning::Elapsed),
        ] {
            assert_eq!(of_code(code), want, "{code}");
        }
    }
}
