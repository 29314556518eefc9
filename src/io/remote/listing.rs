//! A URL to the objects it stands for.
//!
//! In:  a URL.
//! Out: objects, sorted by the bytes of their keys, page by page.
//!
//! A listing begins at the first key that a glob could match and ends behind
//! the last one, so that `s3://logs/2026-11-*` does not look at other years.

use std::collections::VecDeque;

use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use object_store::ObjectMeta;

use super::object::Object;
use super::runtime;
use super::say::{Family, said};
use super::stores::{self, Store};
use crate::error::{Error, Result};
use crate::io::pattern::{self, Pattern, is_glob, no_match};
use crate::io::url::shown;

/// Whether a URL can be understood, without asking anybody.
///
/// # Errors
///
/// [`Error::Config`] for a scheme that is not read or a glob that is wrong.
pub(crate) fn check(input: &str) -> Result<()> {
    let (_, base, key) = stores::split(input)?;
    if is_glob(key) {
        pattern::split(key).map_err(|error| named(error, input))?;
    } else {
        stores::path(base, key)?;
    }
    Ok(())
}

/// The objects of one URL, found as they are asked for.
pub(crate) enum Listing {
    One(Option<Object>),
    Many(Box<Keys>),
}

impl Listing {
    /// Begins to list `input`.
    ///
    /// # Errors
    ///
    /// As [`check`]; [`Error::Io`] if the store cannot be reached or there is no such object.
    pub(crate) fn start(input: &str) -> Result<Self> {
        let place = stores::find(input)?;
        if place.store.family == Family::Http {
            let object = Object::at_web(&place.store, input);
            return Ok(Listing::One(Some(
                object.map_err(|error| cannot_open(input, error))?,
            )));
        }
        let (base, key) = (place.base, place.key);
        if is_glob(&key) {
            let keys = Keys::of_glob(input, place.store, base, &key)?;
            return Ok(Listing::Many(Box::new(keys)));
        }
        if !key.is_empty() && !key.ends_with('/') {
            let path = stores::path(&base, &key)?;
            let found = Object::find(&place.store, path, input);
            if let Some(object) = found.map_err(|error| cannot_open(input, error))? {
                return Ok(Listing::One(Some(object)));
            }
        }
        let keys = Keys::of_folder(input, place.store, base, &key)?;
        Ok(Listing::Many(Box::new(keys)))
    }

    /// The next object, or none when there are no more.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] if listing fails; [`Error::Config`] if nothing was found at all.
    pub(crate) fn next_object(&mut self) -> Result<Option<Object>> {
        match self {
            Listing::One(object) => Ok(object.take()),
            Listing::Many(keys) => keys.next_object(),
        }
    }
}

/// A listing of keys.
pub(crate) struct Keys {
    input: String,
    store: Store,
    base: String,
    /// What is cut off before names are matched: empty, or it ends with a slash.
    root: String,
    /// What every wanted key starts with.
    literal: String,
    pattern: Option<Pattern>,
    /// What the store still has to say; none when all is said.
    stream: Option<BoxStream<'static, Vec<object_store::Result<ObjectMeta>>>>,
    page: VecDeque<object_store::Result<ObjectMeta>>,
    last_key: String,
    n_found: u64,
}

impl Keys {
    fn of_folder(input: &str, store: Store, base: String, key: &str) -> Result<Self> {
        let root = match key.trim_end_matches('/') {
            "" => String::new(),
            key => format!("{key}/"),
        };
        Keys::new(input, store, base, root.clone(), root, None)
    }

    fn of_glob(input: &str, store: Store, base: String, key: &str) -> Result<Self> {
        let glob = pattern::split(key).map_err(|error| named(error, input))?;
        let (root, literal) = (glob.base.to_string(), pattern::literal(key).to_string());
        Keys::new(input, store, base, root, literal, Some(glob.pattern))
    }

    fn new(
        input: &str,
        store: Store,
        mut base: String,
        root: String,
        literal: String,
        pattern: Option<Pattern>,
    ) -> Result<Self> {
        if !base.ends_with('/') {
            base.push('/');
        }
        let prefix = stores::path(&base, &root)?;
        // Keys behind the offset are listed; a key may be the literal itself.
        let mut before = literal[root.len()..].to_string();
        before.pop();
        let stream = if before.is_empty() {
            store.client.list(Some(&prefix))
        } else {
            let offset = stores::path(&base, &format!("{root}{before}"))?;
            store.client.list_with_offset(Some(&prefix), &offset)
        };
        Ok(Keys {
            input: input.to_string(),
            store,
            base,
            root,
            literal,
            pattern,
            stream: Some(stream.ready_chunks(1000).boxed()),
            page: VecDeque::new(),
            last_key: String::new(),
            n_found: 0,
        })
    }

    fn next_object(&mut self) -> Result<Option<Object>> {
        while let Some(meta) = self.next_meta()? {
            let key = meta.location.as_ref();
            if self.is_behind(key) {
                self.stream = None;
                self.page.clear();
                break;
            }
            if self.is_folder_mark(&meta)? {
                continue;
            }
            self.check_order(key)?;
            self.last_key.clear();
            self.last_key.push_str(key);
            if !self.wants(key) {
                continue;
            }
            self.n_found += 1;
            let url = format!("{}{key}", self.base);
            return Ok(Some(Object::listed(self.store.clone(), url, &meta)));
        }
        if self.n_found == 0 {
            return Err(no_match(&self.input));
        }
        Ok(None)
    }

    /// The next key that the store tells.
    fn next_meta(&mut self) -> Result<Option<ObjectMeta>> {
        self.want_page()?;
        match self.page.pop_front() {
            None => Ok(None),
            Some(Ok(meta)) => Ok(Some(meta)),
            Some(Err(error)) => {
                self.stream = None;
                Err(self.failed(said(self.store.family, &error)))
            }
        }
    }

    /// Sees that a key is at hand, if there is one more.
    fn want_page(&mut self) -> Result<()> {
        while self.page.is_empty() {
            let Some(mut stream) = self.stream.take() else {
                return Ok(());
            };
            let (stream, page) = runtime::wait(async move {
                let page = stream.next().await;
                (stream, page)
            })
            .map_err(|error| self.failed(error))?;
            if let Some(page) = page {
                self.page = page.into();
                self.stream = Some(stream);
            }
        }
        Ok(())
    }

    fn failed(&self, error: std::io::Error) -> Error {
        Error::io(shown(&self.input), "list", error)
    }

    /// Whether no key from here on can be wanted.
    fn is_behind(&self, key: &str) -> bool {
        key > self.literal.as_str() && !key.starts_with(&self.literal)
    }

    /// Whether this is the empty object that some tools put where a folder
    /// would be. The client leaves out the slash its key ends with.
    fn is_folder_mark(&mut self, meta: &ObjectMeta) -> Result<bool> {
        if meta.size > 0 {
            return Ok(false);
        }
        let key = meta.location.as_ref();
        if self.last_key.as_str() > key {
            return Ok(true); // `a-b` stands before `a/`, though not before `a`
        }
        self.want_page()?;
        let next = self.page.front().and_then(|next| next.as_ref().ok());
        Ok(next.is_some_and(|next| {
            let next = next.location.as_ref();
            next.strip_prefix(key)
                .is_some_and(|rest| rest.starts_with('/'))
        }))
    }

    /// What comes out must not depend on a store's mood, and ending early needs the order.
    fn check_order(&self, key: &str) -> Result<()> {
        if self.last_key.as_str() < key || self.last_key.is_empty() {
            return Ok(());
        }
        Err(Error::config(
            shown(&self.input),
            format!(
                "the store does not list in the order of keys ({key:?} comes after {:?}): give a list of objects as @FILE",
                self.last_key
            ),
        ))
    }

    fn wants(&self, key: &str) -> bool {
        let Some(below) = key.strip_prefix(&self.root) else {
            return false;
        };
        let mut names = below.split('/').peekable();
        while let Some(name) = names.next() {
            let is_dir = names.peek().is_some();
            if pattern::hides(self.pattern.as_ref(), name.as_bytes(), is_dir) {
                return false;
            }
        }
        self.pattern
            .as_ref()
            .is_none_or(|pattern| pattern.matcher.is_match(below))
    }
}

fn cannot_open(input: &str, error: std::io::Error) -> Error {
    Error::io(shown(input), "open", error)
}

/// A glob's error names the whole URL.
fn named(error: Error, input: &str) -> Error {
    match error {
        Error::Config { reason, .. } => Error::config(shown(input), reason),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use object_store::memory::InMemory;

    use super::*;
    use crate::io::remote::object::tests::put;

    fn listed(keys: &[&str], key: &str) -> Result<Vec<String>> {
        let client = Arc::new(InMemory::new());
        for key in keys {
            put(
                &client,
                key,
                if key.contains("mark") { b"" } else { b"{}\n" },
            );
        }
        let store = Store {
            client,
            family: Family::S3,
        };
        let input = format!("s3://b/{key}");
        let mut keys = if is_glob(key) {
            Keys::of_glob(&input, store, "s3://b/".into(), key)?
        } else {
            Keys::of_folder(&input, store, "s3://b/".into(), key)?
        };
        let mut found = Vec::new();
        while let Some(object) = keys.next_object()? {
            found.push(object.url()["s3://b/".len()..].to_string());
        }
        Ok(found)
    }

    const KEYS: [&str; 9] = [
        "a/.hidden/1.json",
        "a/1.json",
        "a/2.json.gz",
        "a/_windrow.json",
        "a/b/3.json",
        "a-1.json",
        "a0/4.json",
        "_tmp/5.json",
        "top.json",
    ];

    #[test]
    fn a_prefix_is_a_folder_in_the_order_of_its_keys() {
        assert_eq!(
            listed(&KEYS, "").unwrap(),
            [
                "a-1.json",
                "a/1.json",
                "a/2.json.gz",
                "a/b/3.json",
                "a0/4.json",
                "top.json"
            ]
        );
        let below = ["a/1.json", "a/2.json.gz", "a/b/3.json"];
        assert_eq!(listed(&KEYS, "a/").unwrap(), below);
        assert_eq!(listed(&KEYS, "a").unwrap(), below);
        assert_eq!(listed(&KEYS, "_tmp/").unwrap(), ["_tmp/5.json"]);
    }

    #[test]
    fn globs_match_keys_as_they_match_paths() {
        for (glob, want) in [
            ("*.json", vec!["a-1.json", "top.json"]),
            ("a/*.json", vec!["a/1.json"]),
            ("a/**/*.json", vec!["a/1.json", "a/b/3.json"]),
            (
                "a*/[0-9].json*",
                vec!["a/1.json", "a/2.json.gz", "a0/4.json"],
            ),
            ("a/.hidden/*", vec!["a/.hidden/1.json"]),
            ("a/_windrow.js*n", vec![]),
            ("a/[1].json", vec!["a/1.json"]),
            ("a/2*", vec!["a/2.json.gz"]),
            ("top.json*", vec!["top.json"]),
        ] {
            match listed(&KEYS, glob) {
                Ok(found) => assert_eq!(found, want, "{glob}"),
                Err(error) => assert!(want.is_empty(), "{glob}: {error}"),
            }
        }
    }

    #[test]
    fn the_marks_of_folders_are_no_files() {
        let keys = ["x/mark", "x/mark/1.json", "x/0mark"];
        assert_eq!(listed(&keys, "x/").unwrap(), ["x/0mark", "x/mark/1.json"]);
    }

    #[test]
    fn nothing_found_is_an_error_that_names_the_input() {
        for key in ["none/", "none/*.json", "a/1?json*x"] {
            let error = listed(&KEYS, key).unwrap_err().to_string();
            assert_eq!(error, format!("s3://b/{key}: no file matches"));
        }
    }
}
