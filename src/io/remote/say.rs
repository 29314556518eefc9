//! What went wrong with a store, in words.
//!
//! In:  errors of the object store client.
//! Out: `std::io::Error`s with one sentence, and what to do where that is known.
//!
//! The client's texts name URLs with their queries, and quote what a server
//! answered, which may repeat the request's own headers. So nothing is passed
//! on but a status, the `Code` and `Message` of an XML answer, and the words of
//! the innermost cause; URLs lose their queries.

use std::error::Error as _;
use std::io::{Error, ErrorKind};

use crate::io::url::scrubbed;

/// Which family of stores is spoken to, for hints.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Family {
    S3,
    Gcs,
    Azure,
    Http,
}

impl Family {
    /// Where the credentials of this family are looked for.
    pub(super) fn credentials(self) -> &'static str {
        match self {
            Family::S3 => {
                "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (and AWS_SESSION_TOKEN), or AWS_SKIP_SIGNATURE=true for a public bucket"
            }
            Family::Gcs => {
                "set GOOGLE_APPLICATION_CREDENTIALS or GOOGLE_SERVICE_ACCOUNT to a key file, or GOOGLE_SKIP_SIGNATURE=true for a public bucket"
            }
            Family::Azure => {
                "set AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY or AZURE_STORAGE_SAS_KEY, or AZURE_SKIP_SIGNATURE=true for a public container"
            }
            Family::Http => "a signed URL may have expired",
        }
    }
}

/// The sentence for an error of the client.
pub(super) fn said(family: Family, error: &object_store::Error) -> Error {
    use object_store::Error as Store;
    let cause = cause(error);
    let (kind, hint) = match error {
        Store::NotFound { .. } => (ErrorKind::NotFound, None),
        Store::PermissionDenied { .. } | Store::Unauthenticated { .. } => {
            (ErrorKind::PermissionDenied, Some(family.credentials()))
        }
        _ if cause.starts_with("401 ") || cause.starts_with("403 ") => {
            (ErrorKind::PermissionDenied, Some(family.credentials()))
        }
        _ if cause.contains("without LOCATION") || cause.starts_with("301 ") => (
            ErrorKind::Other,
            Some("the bucket may lie in another region: set AWS_REGION"),
        ),
        _ if cause.contains("onnection refused") || cause.contains("dns error") => (
            ErrorKind::NotConnected,
            Some("see that the host and the bucket are spelled right"),
        ),
        _ => (ErrorKind::Other, None),
    };
    let text = match hint {
        Some(hint) => format!("{cause}; {hint}"),
        None => cause,
    };
    Error::new(kind, text)
}

/// The innermost causes of an error, without secrets.
fn cause(error: &object_store::Error) -> String {
    let mut last = error.to_string();
    let mut before = String::new();
    let mut source = error.source();
    while let Some(error) = source {
        before = std::mem::replace(&mut last, error.to_string());
        if let Some(status) = status(&last) {
            return status;
        }
        source = error.source();
    }
    match status(&last) {
        Some(status) => status,
        // "operation timed out" alone would not say of what.
        None if !before.is_empty() && before.len() < 200 && !before.contains(&last) => {
            scrubbed(&format!("{before}: {last}"))
        }
        None => scrubbed(&last),
    }
}

/// The status a server answered with, and what its answer says of it.
fn status(text: &str) -> Option<String> {
    let marks = ["status code: ", "error response: "];
    let at = marks
        .iter()
        .find_map(|mark| Some(text.find(mark)? + mark.len()))?;
    let (status, body) = text[at..].split_once(": ").unwrap_or((&text[at..], ""));
    let status = match status.starts_with(|c: char| c.is_ascii_digit()) {
        true => status
            .lines()
            .next()
            .unwrap_or_default()
            .trim_end_matches(':'),
        false => "an error",
    };
    let mut said = String::from(status);
    for name in ["Code", "Message"] {
        if let Some(words) = element(body, name) {
            said.push_str(": ");
            said.push_str(&scrubbed(words));
        }
    }
    Some(said)
}

/// The text of the first XML element of this name, if it is short.
fn element<'a>(xml: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = xml.split_once(&format!("<{name}>"))?;
    let (text, _) = rest.split_once('<')?;
    (text.len() < 500).then_some(text)
}

/// The object is not the one that was listed.
pub(super) fn changed(what: &str, was: &str, is: &str) -> Error {
    Error::new(
        ErrorKind::InvalidData,
        format!("it was changed while it was read: its {what} was {was} and is {is} now"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Outer(String);

    impl std::fmt::Display for Outer {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str(&self.0)
        }
    }

    impl std::error::Error for Outer {}

    fn refused(text: &str) -> object_store::Error {
        object_store::Error::PermissionDenied {
            path: "k".into(),
            source: Box::new(Outer(text.into())),
        }
    }

    #[test]
    fn an_answer_is_quoted_without_what_it_repeats_of_the_request() {
        let text = "Server returned non-2xx status code: 403 Forbidden: <?xml?><Error><Code>SignatureDoesNotMatch</Code><Message>The signature is wrong.</Message><CanonicalRequest>x-amz-security-token:canary</CanonicalRequest></Error>";
        let error = said(Family::S3, &refused(text));
        assert_eq!(error.kind(), ErrorKind::PermissionDenied);
        let text = error.to_string();
        assert!(
            text.starts_with(
                "403 Forbidden: SignatureDoesNotMatch: The signature is wrong.; set AWS_"
            ),
            "{text}"
        );
        assert!(!text.contains("canary"), "{text}");
        let page = said(
            Family::Http,
            &refused("Server returned non-2xx status code: 403 Forbidden: <html>canary</html>"),
        );
        assert!(page.to_string().starts_with("403 Forbidden; "), "{page}");
    }

    #[test]
    fn urls_in_causes_lose_their_queries() {
        let error = object_store::Error::Generic {
            store: "HTTP",
            source: Box::new(Outer("cannot reach https://h/x?sig=canary".into())),
        };
        let text = said(Family::Http, &error).to_string();
        assert!(
            text.contains("https://h/x?…") && !text.contains("canary"),
            "{text}"
        );
    }
}
