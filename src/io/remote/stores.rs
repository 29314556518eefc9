//! Which client speaks to which host.
//!
//! In:  a URL.
//! Out: a store and the key within it; one client for each bucket or host.
//!
//! Credentials, regions and endpoints come from the environment, under the
//! names that `object_store` reads: `AWS_*`, `GOOGLE_*`, `AZURE_*`.

use std::collections::HashMap;
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use object_store::aws::AmazonS3Builder;
use object_store::azure::MicrosoftAzureBuilder;
use object_store::client::{HttpClient, HttpConnector, ReqwestConnector};
use object_store::gcp::GoogleCloudStorageBuilder;
use object_store::http::HttpBuilder;
use object_store::path::Path;
use object_store::{BackoffConfig, ClientOptions, ObjectStore, RetryConfig};
use url::Url;

use super::say::{Family, said};
use crate::error::{Error, Result};
use crate::io::url::{is_web, scheme, shown};

/// How long a server's silence is borne. It counts for one request, which
/// asks for a few megabytes at most.
const TIMEOUT: Duration = Duration::from_secs(60);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// How often a request is tried again, and how long: for 429 and 5xx answers
/// and for connections that fail. Each wait is a random time up to three times
/// the last one, 0.1 s at first: ten of them take about ten seconds, long
/// enough for a store that throttles, short enough for a misspelt host.
fn retry() -> RetryConfig {
    RetryConfig {
        backoff: BackoffConfig {
            init_backoff: Duration::from_millis(100),
            max_backoff: Duration::from_secs(15),
            base: 3.0,
        },
        max_retries: 10,
        retry_timeout: Duration::from_secs(180),
    }
}

/// A bucket or a host.
#[derive(Clone)]
pub(super) struct Store {
    pub client: Arc<dyn ObjectStore>,
    pub family: Family,
}

/// Where a URL points.
pub(super) struct Place {
    pub store: Store,
    /// What stands before the key: `s3://bucket/`. Of a web address, all of it.
    pub base: String,
    /// The key as it was written; nothing for a web address.
    pub key: String,
}

/// Takes a URL apart, without making any client.
///
/// # Errors
///
/// [`Error::Config`] for a scheme that is not read, for a URL without a
/// bucket, and for plain `http://` to another machine.
pub(super) fn split(input: &str) -> Result<(Family, &str, &str)> {
    let scheme = scheme(input).unwrap_or_default();
    let family = match scheme.to_ascii_lowercase().as_str() {
        "s3" | "s3a" => Family::S3,
        "gs" => Family::Gcs,
        "az" | "azure" | "abfs" | "abfss" | "adl" => Family::Azure,
        "https" | "http" => Family::Http,
        "file" => return Err(refused(input, "write the path without file://")),
        other => {
            return Err(refused(
                input,
                &format!("windrow does not read {other}://; it reads s3, gs, az and https"),
            ));
        }
    };
    if is_web(scheme) {
        check_web(input)?;
        return Ok((family, input, ""));
    }
    let after = scheme.len() + 3;
    let slash = input[after..].find('/').map(|at| after + at + 1);
    let (base, key) = input.split_at(slash.unwrap_or(input.len()));
    if base[after..].trim_end_matches('/').is_empty() {
        return Err(refused(input, "it names no bucket"));
    }
    Ok((family, base, key))
}

fn check_web(input: &str) -> Result<()> {
    let url = Url::parse(input).map_err(|error| refused(input, &error.to_string()))?;
    let local = match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => return Err(refused(input, "it names no host")),
    };
    if url.scheme() == "http" && !local && !is_set("WINDROW_ALLOW_HTTP") {
        return Err(refused(
            input,
            "plain http can be read and changed on its way: use https, or set WINDROW_ALLOW_HTTP=true",
        ));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(refused(
            input,
            "a user and password in the address are not read: sign the URL instead",
        ));
    }
    if url.path().ends_with('/') && url.query().is_none() {
        return Err(refused(
            input,
            "a web server does not list folders: give the URLs of files, or a list of them as @FILE",
        ));
    }
    Ok(())
}

fn is_set(variable: &str) -> bool {
    std::env::var(variable).is_ok_and(|value| value == "1" || value.eq_ignore_ascii_case("true"))
}

fn refused(input: &str, why: &str) -> Error {
    Error::config(shown(input), why)
}

/// The store and the key that a URL names.
///
/// # Errors
///
/// As [`split`]; [`Error::Config`] if the environment does not tell how to reach the store.
pub(super) fn find(input: &str) -> Result<Place> {
    let (family, base, key) = split(input)?;
    Ok(Place {
        store: Store {
            client: client(family, base)?,
            family,
        },
        base: base.to_string(),
        key: key.to_string(),
    })
}

/// The key as the client takes it.
///
/// # Errors
///
/// [`Error::Config`] for keys that it cannot ask for, as those with empty names.
pub(super) fn path(base: &str, key: &str) -> Result<Path> {
    Path::parse(key).map_err(|_| {
        refused(
            &format!("{base}{key}"),
            "keys with empty names (//), . or .. cannot be read",
        )
    })
}

/// A client for each bucket, made once: it holds connections and tokens.
fn client(family: Family, base: &str) -> Result<Arc<dyn ObjectStore>> {
    static CLIENTS: Mutex<Option<HashMap<String, Arc<dyn ObjectStore>>>> = Mutex::new(None);
    if family == Family::Http {
        return build(family, base); // an address each, over one client
    }
    let mut clients = CLIENTS.lock().unwrap_or_else(PoisonError::into_inner);
    let clients = clients.get_or_insert_default();
    if let Some(client) = clients.get(base) {
        return Ok(Arc::clone(client));
    }
    check_credentials(family, base)?;
    let client = build(family, base)?;
    clients.insert(base.to_string(), Arc::clone(&client));
    Ok(client)
}

fn build(family: Family, base: &str) -> Result<Arc<dyn ObjectStore>> {
    let built: object_store::Result<Arc<dyn ObjectStore>> = match family {
        Family::S3 => AmazonS3Builder::from_env()
            .with_url(base)
            .with_retry(retry())
            .build()
            .map(|store| Arc::new(store) as _),
        Family::Gcs => GoogleCloudStorageBuilder::from_env()
            .with_url(base)
            .with_retry(retry())
            .build()
            .map(|store| Arc::new(store) as _),
        Family::Azure => MicrosoftAzureBuilder::from_env()
            .with_url(base)
            .with_retry(retry())
            .build()
            .map(|store| Arc::new(store) as _),
        Family::Http => HttpBuilder::new()
            .with_url(base)
            .with_retry(retry())
            .with_client_options(web_options(base))
            .with_http_connector(Shared {
                plain: is_plain(base),
            })
            .build()
            .map(|store| Arc::new(store) as _),
    };
    built.map_err(|error| {
        let (error, hint) = (said(family, &error), family.credentials());
        refused(base, &format!("{error}; {hint}"))
    })
}

fn web_options(url: &str) -> ClientOptions {
    ClientOptions::new()
        .with_timeout(TIMEOUT)
        .with_connect_timeout(CONNECT_TIMEOUT)
        // Which addresses may be asked so was decided by `check_web`. A client
        // for https does not follow a redirect to http.
        .with_allow_http(is_plain(url))
}

fn is_plain(url: &str) -> bool {
    scheme(url).is_some_and(|scheme| scheme.eq_ignore_ascii_case("http"))
}

/// One client for all web addresses of a scheme: connections and certificates are shared.
#[derive(Debug)]
struct Shared {
    plain: bool,
}

impl HttpConnector for Shared {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        static CLIENTS: [OnceLock<HttpClient>; 2] = [OnceLock::new(), OnceLock::new()];
        let client = &CLIENTS[usize::from(self.plain)];
        match client.get() {
            Some(client) => Ok(client.clone()),
            None => {
                let made = ReqwestConnector::default().connect(options)?;
                Ok(client.get_or_init(|| made).clone())
            }
        }
    }
}

/// Variables that name credentials, or say that there are none.
fn variables(family: Family) -> &'static [&'static str] {
    match family {
        Family::S3 => &[
            "AWS_ACCESS_KEY_ID",
            "AWS_SKIP_SIGNATURE",
            "AWS_WEB_IDENTITY_TOKEN_FILE",
            "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
            "AWS_CONTAINER_CREDENTIALS_FULL_URI",
            "AWS_METADATA_ENDPOINT",
        ],
        Family::Gcs => &[
            "GOOGLE_APPLICATION_CREDENTIALS",
            "GOOGLE_SERVICE_ACCOUNT",
            "GOOGLE_SERVICE_ACCOUNT_PATH",
            "GOOGLE_SERVICE_ACCOUNT_KEY",
            "GOOGLE_SKIP_SIGNATURE",
        ],
        _ => &[],
    }
}

/// Without any credentials the client asks the machine it runs on, over a
/// reserved address. Elsewhere than in a cloud nobody answers there, and it
/// would ask for a minute.
fn check_credentials(family: Family, base: &str) -> Result<()> {
    let variables = variables(family);
    let known = |name: &&str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    if variables.is_empty() || variables.iter().any(known) || has_login(family) {
        return Ok(());
    }
    let machine = SocketAddr::from(([169, 254, 169, 254], 80));
    match TcpStream::connect_timeout(&machine, Duration::from_secs(1)) {
        Ok(_) => Ok(()),
        Err(_) => Err(refused(
            base,
            &format!("there are no credentials: {}", family.credentials()),
        )),
    }
}

/// Whether Google's own command left a login, which the client finds.
fn has_login(family: Family) -> bool {
    family == Family::Gcs
        && std::env::var_os("HOME").is_some_and(|home| {
            std::path::Path::new(&home)
                .join(".config/gcloud/application_default_credentials.json")
                .exists()
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_split_into_bucket_and_key() {
        for (input, base, key) in [
            ("s3://b/a/b c?.json", "s3://b/", "a/b c?.json"),
            ("s3://b", "s3://b", ""),
            ("gs://b/", "gs://b/", ""),
            (
                "abfss://box@acc.dfs.core.windows.net/x",
                "abfss://box@acc.dfs.core.windows.net/",
                "x",
            ),
            ("https://h/a?b", "https://h/a?b", ""),
            ("http://127.0.0.1:9/a", "http://127.0.0.1:9/a", ""),
        ] {
            let (_, found, rest) = split(input).unwrap();
            assert_eq!((found, rest), (base, key), "{input}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_refused_with_the_reason() {
        for (input, why) in [
            ("ftp://h/x", "does not read ftp"),
            ("file:///x", "without file://"),
            ("s3:///x", "no bucket"),
            ("https://h/logs/", "does not list folders"),
            ("http://example.org/x?sig=canary", "WINDROW_ALLOW_HTTP"),
            ("https://ann:canary@h/x", "sign the URL"),
        ] {
            let error = split(input).unwrap_err().to_string();
            assert!(error.contains(why) && !error.contains("canary"), "{error}");
        }
    }
}
