//! One object, read at places.
//!
//! In:  a URL, or what a listing says of a key.
//! Out: exactly the bytes that were asked for, all of one version.
//!
//! A listing fixes the object's size and ETag. Every request asks for that
//! version (`If-Match`) and every answer is held against it, since not every
//! server heeds the condition. A body that breaks off is asked for again from
//! the byte where it stopped; one that is longer than its range is thrown away.

use std::collections::VecDeque;
use std::fmt;
use std::io::{Error, ErrorKind, Result};
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use object_store::path::Path;
use object_store::{GetOptions, GetResult, ObjectMeta, ObjectStoreExt};

use super::runtime::{self, Pending};
use super::say::{Family, changed, said};
use super::stores::Store;
use crate::io::url::shown;

/// Bytes at either end of an object that are fetched at once and kept for a
/// while: its format, its codec and its footer are told from them.
pub(super) const END_BYTES: u64 = 64 << 10;

/// Ends that are kept, of all objects together: 2 MiB.
const MOST_ENDS: usize = 32;

/// How often a body may break off without having brought a byte.
const MOST_BREAKS: u32 = 5;

/// An object of one version. Clones share it.
#[derive(Clone)]
pub(crate) struct Object(Arc<Inner>);

struct Inner {
    store: Store,
    location: Path,
    /// The URL as it was given or found.
    url: String,
    version: Version,
}

/// What tells versions of an object apart.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Version {
    bytes: u64,
    e_tag: Option<String>,
    /// Seconds since 1970; 0 where the store does not say.
    modified: i64,
}

impl Version {
    fn of(meta: &ObjectMeta) -> Self {
        Version {
            bytes: meta.size,
            e_tag: meta.e_tag.clone(),
            modified: meta.last_modified.timestamp(),
        }
    }

    /// The condition to send: a strong tag. A weak one never meets it, and
    /// Azure's listing leaves out the quotes that its condition wants.
    fn condition(&self) -> Option<String> {
        self.e_tag.clone().filter(|tag| tag.starts_with('"'))
    }

    fn check(&self, other: &Version) -> Result<()> {
        let bare = |tag: &str| tag.trim_start_matches("W/").trim_matches('"').to_string();
        if self.bytes != other.bytes {
            let (was, is) = (self.bytes.to_string(), other.bytes.to_string());
            return Err(changed("size", &was, &is));
        }
        match (&self.e_tag, &other.e_tag) {
            (Some(was), Some(is)) if bare(was) != bare(is) => Err(changed("ETag", was, is)),
            (Some(_), Some(_)) => Ok(()),
            _ if self.modified > 0 && other.modified > 0 && self.modified != other.modified => {
                let (was, is) = (self.modified.to_string(), other.modified.to_string());
                Err(changed("time (in seconds since 1970)", &was, &is))
            }
            _ => Ok(()),
        }
    }
}

impl Object {
    /// The tag of the version that was found; none where the store gave none.
    pub(crate) fn tag(&self) -> Option<String> {
        self.0.version.e_tag.clone()
    }

    /// An object that a listing found.
    pub(super) fn listed(store: Store, url: String, meta: &ObjectMeta) -> Self {
        Object(Arc::new(Inner {
            store,
            location: meta.location.clone(),
            url,
            version: Version::of(meta),
        }))
    }

    /// Asks for an object by its key; none if there is none of this name.
    pub(super) fn find(store: &Store, location: Path, url: &str) -> Result<Option<Self>> {
        let (client, path) = (Arc::clone(&store.client), location);
        let answer = runtime::wait(async move { client.head(&path).await })?;
        match answer {
            Ok(meta) => Ok(Some(Object::listed(store.clone(), url.to_string(), &meta))),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(said(store.family, &error)),
        }
    }

    /// Asks a web server for a file, by asking for its first bytes: signed
    /// URLs allow no other request, and the answer tells whether it gives ranges.
    pub(super) fn at_web(store: &Store, url: &str) -> Result<Self> {
        let client = Arc::clone(&store.client);
        let first = runtime::wait(async move {
            let options = GetOptions::new().with_range(Some(0..END_BYTES));
            let answer = client.get_opts(&Path::ROOT, options).await?;
            let meta = answer.meta.clone();
            let wanted = answer.range.end;
            let bytes = answer.bytes().await?;
            Ok((meta, bytes, wanted))
        })?;
        match first {
            Ok((meta, bytes, wanted)) => {
                let object = Object::listed(store.clone(), url.to_string(), &meta);
                if bytes.len() as u64 == wanted {
                    object.keep_end(0, bytes);
                }
                Ok(object)
            }
            Err(error) if lacks_ranges(&error) => Object::whole_only(store, url),
            Err(error) => Err(said(store.family, &error)),
        }
    }

    /// A server that does not answer ranges: fine for a file without bytes.
    fn whole_only(store: &Store, url: &str) -> Result<Self> {
        match Object::find(store, Path::ROOT, url)? {
            Some(object) if object.bytes() == 0 => Ok(object),
            _ => Err(Error::new(
                ErrorKind::Unsupported,
                "the server does not give parts of a file (HTTP ranges): download it first",
            )),
        }
    }

    /// Its bytes, as stored.
    pub(crate) fn bytes(&self) -> u64 {
        self.0.version.bytes
    }

    /// Its URL, as it may be printed.
    pub(crate) fn shown(&self) -> String {
        shown(&self.0.url).into_owned()
    }

    /// Its URL, with whatever it needs to be found again.
    pub(crate) fn url(&self) -> &str {
        &self.0.url
    }

    /// An input that stands for this object alone.
    pub(crate) fn input(&self) -> String {
        match self.0.store.family {
            Family::Http => self.0.url.clone(),
            _ => globset::escape(&self.0.url),
        }
    }

    /// Exactly the bytes of `range`, which must lie within the object. What
    /// lies near either end is kept for a while.
    pub(crate) fn read(&self, range: Range<u64>) -> Result<Bytes> {
        self.fetch(range)?.wait()
    }

    /// Starts to fetch a range.
    pub(super) fn fetch(&self, range: Range<u64>) -> Result<Fetched> {
        if range.start > range.end || range.end > self.bytes() {
            return Err(Error::new(
                ErrorKind::UnexpectedEof,
                format!(
                    "bytes {} to {} lie behind its end, {}",
                    range.start,
                    range.end,
                    self.bytes()
                ),
            ));
        }
        if range.is_empty() {
            return Ok(Fetched::Held(Bytes::new()));
        }
        let object = self.clone();
        let Some(end) = self.end_around(&range) else {
            return Ok(Fetched::Coming(runtime::start(object.get(range))?));
        };
        let part = (range.start - end.start) as usize..(range.end - end.start) as usize;
        if let Some(held) = self.held_end(end.start) {
            return Ok(Fetched::Held(held.slice(part)));
        }
        Ok(Fetched::Coming(runtime::start(async move {
            let bytes = object.clone().get(end.clone()).await?;
            object.keep_end(end.start, bytes.clone());
            Ok(bytes.slice(part))
        })?))
    }

    /// Starts to fetch the last bytes, which are kept for a while.
    pub(super) fn fetch_tail(&self) -> Result<Fetched> {
        self.fetch(self.bytes().saturating_sub(END_BYTES)..self.bytes())
    }

    /// The end of the object that a range lies in, if it lies in one.
    fn end_around(&self, range: &Range<u64>) -> Option<Range<u64>> {
        let bytes = self.bytes();
        let head = 0..bytes.min(END_BYTES);
        let tail = bytes.saturating_sub(END_BYTES)..bytes;
        [head, tail]
            .into_iter()
            .find(|end| end.start <= range.start && range.end <= end.end)
    }

    fn held_end(&self, start: u64) -> Option<Bytes> {
        let ends = ENDS.lock().unwrap_or_else(PoisonError::into_inner);
        ends.iter()
            .find(|end| end.start == start && end.url == self.0.url && end.of == self.0.version)
            .map(|end| end.bytes.clone())
    }

    fn keep_end(&self, start: u64, bytes: Bytes) {
        if self.held_end(start).is_some() {
            return;
        }
        let mut ends = ENDS.lock().unwrap_or_else(PoisonError::into_inner);
        ends.push_back(End {
            url: self.0.url.clone(),
            of: self.0.version.clone(),
            start,
            bytes,
        });
        if ends.len() > MOST_ENDS {
            ends.pop_front();
        }
    }

    /// Gets a range, in as many goes as it takes.
    async fn get(self, range: Range<u64>) -> Result<Bytes> {
        let wanted = (range.end - range.start) as usize;
        let mut got = BytesMut::with_capacity(wanted);
        let mut breaks = 0;
        loop {
            let held = got.len();
            let from = range.start + held as u64;
            let broke = match self.ask(from..range.end).await? {
                Ok(answer) => collect(answer, &mut got, wanted).await,
                Err(error) => return Err(said(self.0.store.family, &error)),
            };
            match broke {
                Broke::Never => return Ok(got.freeze()),
                Broke::TooLong => got.clear(),
                Broke::Off(_) => {}
            }
            breaks = if got.len() > held { 0 } else { breaks + 1 };
            if breaks > MOST_BREAKS {
                return Err(self.broken(&range, got.len(), broke));
            }
            tracing::info!(
                url = self.shown(),
                from = range.start + got.len() as u64,
                "the answer broke off; asking for the rest"
            );
            tokio::time::sleep(Duration::from_millis(50 << breaks)).await;
        }
    }

    /// One request. An answer of another version is the outer error.
    async fn ask(&self, range: Range<u64>) -> Result<object_store::Result<GetResult>> {
        let version = &self.0.version;
        let options = GetOptions::new()
            .with_range(Some(range))
            .with_if_match(version.condition());
        let answer = self
            .0
            .store
            .client
            .get_opts(&self.0.location, options)
            .await;
        match answer {
            Ok(answer) => {
                version.check(&Version::of(&answer.meta))?;
                Ok(Ok(answer))
            }
            Err(object_store::Error::Precondition { .. }) => Err(changed(
                "ETag",
                version.e_tag.as_deref().unwrap_or("unknown"),
                "another",
            )),
            Err(error) if self.0.store.family == Family::Http && lacks_ranges(&error) => {
                Err(Error::new(
                    ErrorKind::InvalidData,
                    "the server answered with another part of the file than was asked for",
                ))
            }
            Err(error) => Ok(Err(error)),
        }
    }

    fn broken(&self, range: &Range<u64>, got: usize, broke: Broke) -> Error {
        let why = match broke {
            Broke::Off(Some(error)) => said(self.0.store.family, &error).to_string(),
            Broke::Off(None) => "it ends early".into(),
            _ => "it is longer than was asked for".into(),
        };
        Error::other(format!(
            "the answer for bytes {} to {} breaks off after {got}, and did again {MOST_BREAKS} times: {why}",
            range.start, range.end
        ))
    }
}

/// How a body ended.
enum Broke {
    Never,
    /// Before its end, perhaps without a word.
    Off(Option<object_store::Error>),
    TooLong,
}

async fn collect(answer: GetResult, got: &mut BytesMut, wanted: usize) -> Broke {
    let mut body = answer.into_stream();
    while let Some(piece) = body.next().await {
        match piece {
            Ok(piece) if got.len() + piece.len() > wanted => return Broke::TooLong,
            Ok(piece) => got.extend_from_slice(&piece),
            Err(error) => return Broke::Off(Some(error)),
        }
    }
    match got.len() == wanted {
        true => Broke::Never,
        false => Broke::Off(None),
    }
}

/// Whether a server answered a range with the whole file, or with "no such range".
fn lacks_ranges(error: &object_store::Error) -> bool {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(error) = source {
        text.push_str(&error.to_string());
        source = error.source();
    }
    let words = [
        "Range request not supported", // of a web server
        "non-partial response",        // of a store
        "416 Range Not Satisfiable",   // no byte to begin with: an empty file
    ];
    words.iter().any(|words| text.contains(words))
}

/// A range that is held already, or on its way.
pub(super) enum Fetched {
    Held(Bytes),
    Coming(Pending<Result<Bytes>>),
}

impl Fetched {
    pub(super) fn wait(self) -> Result<Bytes> {
        match self {
            Fetched::Held(bytes) => Ok(bytes),
            Fetched::Coming(pending) => pending.wait()?,
        }
    }
}

/// An end of an object, kept because several looks are taken at it.
struct End {
    url: String,
    of: Version,
    start: u64,
    bytes: Bytes,
}

static ENDS: Mutex<VecDeque<End>> = Mutex::new(VecDeque::new());

impl PartialEq for Object {
    fn eq(&self, other: &Self) -> bool {
        self.0.url == other.0.url && self.0.version == other.0.version
    }
}

impl Eq for Object {}

impl fmt::Debug for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The client's own text might hold credentials.
        write!(f, "Object({}, {} bytes)", self.shown(), self.bytes())
    }
}

#[cfg(test)]
pub(super) mod tests {
    use object_store::memory::InMemory;
    use object_store::{ObjectStore, PutPayload};

    use super::*;

    /// Bytes that differ everywhere.
    pub(in crate::io::remote) fn pattern(n: usize) -> Vec<u8> {
        (0..n as u32)
            .map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8)
            .collect()
    }

    pub(in crate::io::remote) fn put(client: &Arc<InMemory>, key: &str, bytes: &[u8]) {
        let (client, path) = (Arc::clone(client), Path::parse(key).unwrap());
        let payload = PutPayload::from(bytes.to_vec());
        runtime::wait(async move { client.put_opts(&path, payload, Default::default()).await })
            .unwrap()
            .unwrap();
    }

    fn store(client: &Arc<InMemory>) -> Store {
        Store {
            client: Arc::clone(client) as Arc<dyn ObjectStore>,
            family: Family::S3,
        }
    }

    pub(in crate::io::remote) fn in_memory(key: &str, bytes: &[u8]) -> Object {
        let client = Arc::new(InMemory::new());
        put(&client, key, bytes);
        let path = Path::parse(key).unwrap();
        Object::find(&store(&client), path, &format!("s3://memory/{key}"))
            .unwrap()
            .unwrap()
    }

    #[test]
    fn a_range_gives_its_bytes_and_one_behind_the_end_is_refused() {
        let bytes = pattern(200_000);
        let object = in_memory("object/range", &bytes);
        for range in [0..0, 0..1, 0..200_000, 65_530..65_540, 199_999..200_000] {
            let want = &bytes[range.start as usize..range.end as usize];
            assert_eq!(object.read(range.clone()).unwrap(), want, "{range:?}");
        }
        for range in [0..200_001, 200_001..200_001] {
            assert_eq!(
                object.read(range).unwrap_err().kind(),
                ErrorKind::UnexpectedEof
            );
        }
    }

    #[test]
    fn a_replaced_object_is_noticed_whether_its_size_changed_or_not() {
        let client = Arc::new(InMemory::new());
        for (was, is) in [("aaaa", "bbbb"), ("aaaa", "bb"), ("aaaa", "bbbbbb")] {
            put(&client, "k", was.as_bytes());
            let path = Path::parse("k").unwrap();
            let object = Object::find(&store(&client), path, "s3://memory/changing")
                .unwrap()
                .unwrap();
            put(&client, "k", is.as_bytes());
            let error = object.read(0..4).unwrap_err().to_string();
            assert!(error.contains("changed while it was read"), "{error}");
        }
    }

    #[test]
    fn versions_are_told_apart_by_size_tag_or_time() {
        let version = |bytes, tag: Option<&str>, modified| Version {
            bytes,
            e_tag: tag.map(str::to_string),
            modified,
        };
        let was = version(1, Some("\"a\""), 5);
        assert!(was.check(&version(1, Some("a"), 6)).is_ok());
        assert!(was.check(&version(1, Some("W/\"a\""), 5)).is_ok());
        assert!(was.check(&version(1, Some("\"b\""), 5)).is_err());
        assert!(was.check(&version(2, Some("\"a\""), 5)).is_err());
        assert!(was.check(&version(1, None, 6)).is_err());
        assert!(was.check(&version(1, None, 0)).is_ok());
        assert_eq!(was.condition().as_deref(), Some("\"a\""));
        assert_eq!(version(1, Some("0x8"), 0).condition(), None);
        assert_eq!(version(1, Some("W/\"a\""), 0).condition(), None);
    }
}
