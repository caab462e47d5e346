//! `host.put`: puts the list where Yesmail will fetch it.

use crate::body::{Measured, Part};
use crate::calls::{Call, Remote, Reply, RetrySafety, quoted, shown};
use crate::error::{Error, Kind, Result};
use crate::secret::Secret;
use crate::transport::{Answer, Header, Request};
use base64::Engine as _;
use serde_json::json;
use url::Url;

/// Name of the step.
pub(super) const PUT: &str = "put";

/// Puts the part to `url`.
pub(super) async fn send(
    remote: &Remote<'_>,
    url: &Secret,
    headers: &[Header],
    measured: &Measured,
    part: &Part,
) -> Result<()> {
    let request = request(url, headers)?;
    let open = || measured.body(part);
    remote.send(&Call::new(PUT, RetrySafety::Always), &request, part.index, &open, &classify).await?.done()?;
    Ok(())
}

fn classify(answer: &Answer) -> Reply {
    let what = "the PUT to destination.host.put.url";
    let digest = || {
        let mut schemes = answer.headers.iter().filter(|(name, _)| name == "www-authenticate").map(|(_, value)| value);
        schemes.any(|value| value.trim_start().to_ascii_lowercase().starts_with("digest"))
    };
    match answer.status {
        200..=299 => Reply::Done(json!({"status": answer.status})),
        // another operation on the same object is in progress
        409 if ["OperationAborted", "ConditionalRequestConflict"].iter().any(|code| quoted(answer).contains(code)) => {
            let message = format!("{what} has to wait: {}", quoted(answer));
            Reply::Retry(Error::new(Kind::Transient, message))
        }
        400 if quoted(answer).contains("RequestTimeout") => {
            Reply::Unclear(Error::new(Kind::Transient, "the PUT to destination.host.put.url timed out"))
        }
        401 if digest() => Reply::Fail(
            Error::new(Kind::Credentials, format!("{what}: the server wants HTTP Digest authentication"))
                .with_hint(
                    "Digest is not supported: let the server accept Basic over https, or use a presigned URL or host.ftp",
                )
                .with_answer(shown(answer)),
        ),
        _ => Reply::by_status(what, answer),
    }
}

/// Returns the request. A presigned URL is sent byte for byte; user and password are moved into a header. No
/// Content-Type unless the job gives one, since it would have to be signed.
fn request(url: &Secret, headers: &[Header]) -> Result<Request> {
    let wrong = || {
        Error::usage("destination.host.put.url is not a valid URL")
            .with_hint("for example https://files.example.com/list.csv")
    };
    let parsed = Url::parse(url.expose()).map_err(|_| wrong())?;
    let mut request = if parsed.username().is_empty() && parsed.password().is_none() {
        Request::new("PUT", url.clone()).follow_one()
    } else {
        let decode = |text: &str| percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned();
        let pair = format!("{}:{}", decode(parsed.username()), decode(parsed.password().unwrap_or("")));
        let mut bare = parsed;
        bare.set_username("").map_err(|()| wrong())?;
        bare.set_password(None).map_err(|()| wrong())?;
        let token = base64::engine::general_purpose::STANDARD.encode(pair);
        Request::new("PUT", Secret::new(bare.as_str())).header("Authorization", &format!("Basic {token}"))
    };
    request.headers.extend(headers.iter().cloned());
    Ok(request)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_and_password_of_a_put_url_become_a_header() {
        let plain = request(&Secret::new("http://127.0.0.1:81/a?sig=%2F+x"), &[]).unwrap();
        assert_eq!(plain.url.expose(), "http://127.0.0.1:81/a?sig=%2F+x");
        assert!(plain.headers.is_empty() && plain.follow_one);
        let named = request(&Secret::new("https://u:p%40@h/a?b=c"), &[]).unwrap();
        assert_eq!(named.url.expose(), "https://h/a?b=c");
        assert_eq!(named.headers[0].value.expose(), "Basic dTpwQA==");
        assert!(!named.follow_one);
    }

    #[test]
    fn a_server_that_wants_digest_is_refused_in_clear_words() {
        let answer = |header: &str| Answer {
            status: 401,
            headers: vec![("www-authenticate".to_owned(), header.to_owned())],
            body: Vec::new(),
        };
        let Reply::Fail(error) = classify(&answer("Digest realm=\"files\", qop=\"auth\"")) else { panic!("must fail") };
        assert!(
            error.message().contains("Digest") && error.hint().is_some_and(|hint| hint.contains("Basic")),
            "{error}"
        );
        let Reply::Fail(error) = classify(&answer("Basic realm=\"files\"")) else { panic!("must fail") };
        assert!(!error.message().contains("Digest"), "{error}");
    }
}
