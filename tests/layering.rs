//! No arrow between modules runs up.
//!
//! `src/lib.rs` declares the modules bottom to top, and each imports only from
//! those before it: in code, in tests, by `crate::` or by a climb of `super::`.
//! The command sees the root's re-exports, `frame` and `inspect`, nothing else.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// A word or a sign of Rust source; comments, strings and lifetimes are left out.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Word(String),
    Path,
    Sign(char),
}

fn tokens(source: &str) -> Vec<Token> {
    let chars: Vec<char> = source.chars().collect();
    let at = |index: usize| chars.get(index).copied().unwrap_or('\0');
    let mut found = Vec::new();
    let mut i = 0;
    while i < chars.len() {
        let c = chars[i];
        if c == '/' && at(i + 1) == '/' {
            while i < chars.len() && chars[i] != '\n' {
                i += 1;
            }
        } else if c == '/' && at(i + 1) == '*' {
            let mut depth = 1;
            i += 2;
            while i < chars.len() && depth > 0 {
                match (chars[i], at(i + 1)) {
                    ('/', '*') => (depth, i) = (depth + 1, i + 2),
                    ('*', '/') => (depth, i) = (depth - 1, i + 2),
                    _ => i += 1,
                }
            }
        } else if c == '"' {
            i = after_string(&chars, i);
        } else if c == '\'' {
            // A character is closed by a quote; a lifetime is not.
            if at(i + 1) == '\\' {
                i += 3;
                while i < chars.len() && chars[i] != '\'' {
                    i += 1;
                }
                i += 1;
            } else if at(i + 2) == '\'' {
                i += 3;
            } else {
                i += 1;
            }
        } else if c.is_alphanumeric() || c == '_' {
            let start = i;
            while at(i).is_alphanumeric() || at(i) == '_' {
                i += 1;
            }
            let word: String = chars[start..i].iter().collect();
            let hashes = chars[i..].iter().take_while(|&&c| c == '#').count();
            let raw = matches!(word.as_str(), "r" | "br" | "cr");
            if raw && at(i + hashes) == '"' {
                i = after_raw_string(&chars, i + hashes, hashes);
            } else if !(matches!(word.as_str(), "b" | "c") && at(i) == '"') {
                found.push(Token::Word(word));
            }
        } else if c == ':' && at(i + 1) == ':' {
            found.push(Token::Path);
            i += 2;
        } else {
            if !c.is_whitespace() {
                found.push(Token::Sign(c));
            }
            i += 1;
        }
    }
    found
}

fn after_string(chars: &[char], open: usize) -> usize {
    let mut i = open + 1;
    while i < chars.len() && chars[i] != '"' {
        i += if chars[i] == '\\' { 2 } else { 1 };
    }
    i + 1
}

fn after_raw_string(chars: &[char], open: usize, hashes: usize) -> usize {
    let mut i = open + 1;
    while i < chars.len() {
        let closed = chars[i] == '"'
            && chars[i + 1..]
                .iter()
                .take(hashes)
                .filter(|&&c| c == '#')
                .count()
                == hashes;
        if closed {
            return i + 1 + hashes;
        }
        i += 1;
    }
    i
}

/// What is named right below the crate's root by code in a module `depth` levels down.
fn root_names(tokens: &[Token], depth: usize) -> Vec<String> {
    let word = |index: usize| match tokens.get(index) {
        Some(Token::Word(word)) => word.as_str(),
        _ => "",
    };
    let is_path = |index: usize| tokens.get(index) == Some(&Token::Path);
    let mut names = Vec::new();
    let mut open_braces = 0usize;
    // Braces that were open where each inline module began.
    let mut inline: Vec<usize> = Vec::new();
    let mut i = 0;
    while i < tokens.len() {
        match &tokens[i] {
            Token::Sign('{') => open_braces += 1,
            Token::Sign('}') => {
                open_braces = open_braces.saturating_sub(1);
                if inline.last() == Some(&open_braces) {
                    inline.pop();
                }
            }
            Token::Word(name) if name == "mod" && tokens.get(i + 2) == Some(&Token::Sign('{')) => {
                inline.push(open_braces);
                open_braces += 1;
                i += 2;
            }
            Token::Word(name) if (name == "crate" || name == "super") && is_path(i + 1) => {
                let mut climbed = usize::from(name == "super");
                i += 2;
                while name == "super" && word(i) == "super" && is_path(i + 1) {
                    climbed += 1;
                    i += 2;
                }
                let at_root = name == "crate" || climbed == depth + inline.len();
                if at_root {
                    names.extend(first_words(&tokens[i..]));
                }
                continue;
            }
            _ => {}
        }
        i += 1;
    }
    names
}

/// The first word of a path, or of each path in a group: `{a::b, c::{d, e}}` has `a` and `c`.
fn first_words(tokens: &[Token]) -> Vec<String> {
    match tokens.first() {
        Some(Token::Word(word)) => vec![word.clone()],
        Some(Token::Sign('{')) => {
            let mut names = Vec::new();
            let mut depth = 0;
            let mut first = true;
            for token in tokens {
                match token {
                    Token::Sign('{') => depth += 1,
                    Token::Sign('}') => depth -= 1,
                    Token::Sign(',') if depth == 1 => first = true,
                    Token::Word(word) if depth == 1 && first => {
                        names.push(word.clone());
                        first = false;
                    }
                    _ => {}
                }
                if depth == 0 {
                    break;
                }
            }
            names
        }
        // `use crate::*` would hide every arrow.
        Some(Token::Sign('*')) => vec!["*".to_string()],
        _ => Vec::new(),
    }
}

/// What stands at the crate's root, and how high: 1 for the lowest module.
struct Root {
    heights: BTreeMap<String, usize>,
}

impl Root {
    fn read(lib: &str) -> Root {
        let tokens = tokens(lib);
        let mut heights = BTreeMap::new();
        let mut next = 1;
        let mut i = 0;
        while i < tokens.len() {
            match &tokens[i..] {
                [Token::Word(key), Token::Word(name), Token::Sign(';'), ..] if key == "mod" => {
                    heights.insert(name.clone(), next);
                    next += 1;
                }
                // An inline module stands as high as the highest module it shows.
                [Token::Word(key), Token::Word(name), Token::Sign('{'), ..] if key == "mod" => {
                    let end = i + 2 + group_len(&tokens[i + 2..]);
                    let height = root_names(&tokens[i + 2..end], 1)
                        .iter()
                        .filter_map(|shown| heights.get(shown))
                        .max();
                    let height = height.copied().unwrap_or(0);
                    heights.insert(name.clone(), height);
                    i = end;
                    continue;
                }
                [
                    Token::Word(key),
                    Token::Word(module),
                    Token::Path,
                    rest @ ..,
                ] if key == "use" => {
                    if let Some(&height) = heights.get(module) {
                        for name in last_words(rest) {
                            heights.insert(name, height);
                        }
                    }
                }
                _ => {}
            }
            i += 1;
        }
        Root { heights }
    }
}

/// How many tokens the group that starts here has, braces included.
fn group_len(tokens: &[Token]) -> usize {
    let mut depth = 0;
    for (index, token) in tokens.iter().enumerate() {
        match token {
            Token::Sign('{') => depth += 1,
            Token::Sign('}') => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return index + 1;
        }
    }
    tokens.len()
}

/// The names that a `use` brings in: the last word of each path before `,`, `}` or `;`.
fn last_words(tokens: &[Token]) -> Vec<String> {
    let mut names = Vec::new();
    let mut last = None;
    for token in tokens {
        match token {
            Token::Word(word) => last = Some(word.clone()),
            Token::Sign(sign) => {
                if matches!(sign, ',' | '}' | ';') {
                    names.extend(last.take());
                }
                if *sign == ';' {
                    break;
                }
            }
            Token::Path => {}
        }
    }
    names
}

fn source_files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(source_files(&path));
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// The modules a file is inside of: `src/io/json/scan.rs` is `io::json::scan`.
fn module_path(relative: &Path) -> Vec<String> {
    let mut path: Vec<String> = relative
        .with_extension("")
        .iter()
        .map(|part| part.to_str().unwrap().to_string())
        .collect();
    if path.last().is_some_and(|last| last == "mod") {
        path.pop();
    }
    path
}

/// What is wrong with one file of a module, as sentences.
fn arrows_up(root: &Root, module: &[String], source: &str) -> Vec<String> {
    let Some(&own) = root.heights.get(&module[0]) else {
        return vec![format!("src/lib.rs does not declare {}", module[0])];
    };
    let mut wrong = Vec::new();
    for name in root_names(&tokens(source), module.len()) {
        match root.heights.get(&name) {
            Some(&height) if height <= own => {}
            Some(_) => wrong.push(format!(
                "{} imports from {name}, which is above it",
                module[0]
            )),
            None => wrong.push(format!("{name} is not declared in src/lib.rs")),
        }
    }
    wrong
}

#[test]
fn modules_import_only_from_below() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let root = Root::read(&std::fs::read_to_string(src.join("lib.rs")).unwrap());
    assert!(root.heights.len() >= 13, "{:?}", root.heights);
    let mut wrong = Vec::new();
    let mut read = 0;
    for file in source_files(&src) {
        let relative = file.strip_prefix(&src).unwrap();
        if relative == Path::new("lib.rs") || relative.starts_with("bin") {
            continue;
        }
        read += 1;
        let source = std::fs::read_to_string(&file).unwrap();
        for sentence in arrows_up(&root, &module_path(relative), &source) {
            wrong.push(format!("src/{}: {sentence}", relative.display()));
        }
    }
    assert!(read >= 13, "only {read} files found");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_command_uses_only_the_public_api() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let lib = std::fs::read_to_string(src.join("lib.rs")).unwrap();
    let root = Root::read(&lib);
    let inner: Vec<&str> = lib
        .lines()
        .filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';'))
        .filter(|module| !matches!(*module, "frame" | "inspect"))
        .collect();
    let mut wrong = Vec::new();
    for file in source_files(&src.join("bin")) {
        let source = std::fs::read_to_string(&file).unwrap();
        let tokens = tokens(&source);
        for (index, token) in tokens.iter().enumerate() {
            let named = *token == Token::Word("windrow".into())
                && tokens.get(index + 1) == Some(&Token::Path)
                && (index == 0 || tokens[index - 1] != Token::Path);
            if named {
                for name in first_words(&tokens[index + 2..]) {
                    if inner.contains(&name.as_str()) || !root.heights.contains_key(&name) {
                        wrong.push(format!("{}: windrow::{name}", file.display()));
                    }
                }
            }
            if *token == Token::Word("path".into())
                && tokens.get(index + 1) == Some(&Token::Sign('='))
                && index > 0
                && tokens[index - 1] == Token::Sign('[')
            {
                wrong.push(format!("{}: takes in a file by #[path]", file.display()));
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "not part of the API:\n{}",
        wrong.join("\n")
    );
}

#[test]
fn an_arrow_up_is_found_wherever_it_hides() {
    let root = Root::read(
        "pub mod error;\npub mod io;\npub mod exec;\n\
         pub use error::{Error, Result as Outcome};\npub use exec::Session;\n\
         pub mod prelude { pub use crate::exec::Session; }\n\
         pub mod arrow { pub use arrow_array as array; }",
    );
    let up = |module: &[&str], source: &str| {
        let module: Vec<String> = module.iter().map(|part| part.to_string()).collect();
        arrows_up(&root, &module, source)
    };
    for source in [
        "use crate::exec::Session;",
        "use crate::{error::Error, exec::{self, Task}};",
        "fn f() -> crate::exec::Session { todo!() }",
        "use super::super::exec;",
        "mod tests { use super::super::super::exec; }",
        "use crate::Session;",
        "use crate::prelude::*;",
        "use crate::*;",
        "const A: char = '\"'; use crate::exec;",
        "const A: &str = r#\"\"\"#; use crate::exec;",
        "fn f<'a>(x: &'a str) { crate::exec::run() }",
        "use crate::unheard_of::Thing;",
    ] {
        assert_eq!(up(&["io", "json"], source).len(), 1, "{source}");
    }
    for source in [
        "use crate::error::Error; use crate::{Outcome, arrow::array};",
        "// use crate::exec;\n/* crate::exec /* crate::exec */ */",
        "//! [`crate::exec`]",
        "const A: &str = \"crate::exec \\\" crate::exec\";",
        "const A: &str = r#\"crate::exec \" \"#; const B: &[u8] = b\"crate::exec\";",
        "use super::scan; use super::super::error;",
        "mod tests { use super::exec; }",
    ] {
        assert!(up(&["io", "json"], source).is_empty(), "{source}");
    }
    assert_eq!(up(&["io"], "use super::exec;").len(), 1);
    assert_eq!(up(&["stray"], "").len(), 1);
}
