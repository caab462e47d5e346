//! Secrets, which never reach output, logs, errors, state or argv; and how to display text from other systems safely.

#[cfg(feature = "upload")]
mod decoded;
#[cfg(feature = "upload")]
mod needles;
mod printable;
#[cfg(feature = "upload")]
mod taint;
mod text;
#[cfg(feature = "upload")]
mod whole;

pub use printable::{escaped, escaped_json, escaped_lines, printable};
#[cfg(feature = "upload")]
pub use taint::Taint;
#[cfg(feature = "jobs")]
pub(crate) use taint::names_a_secret;
#[cfg(feature = "jobs")]
pub(crate) use text::has_user_info;
#[cfg(feature = "upload")]
pub(crate) use text::shown_key;
pub use text::{Secret, redacted_url};
