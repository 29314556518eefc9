//! A web server and an object store in one, made of a listener and threads.
//!
//! Serves bytes by path with ranges, ETags and conditions, answers S3's
//! listing (two keys a page, so that paging is always run), keeps a log of
//! what it was asked, and misbehaves as it is told.
#![allow(dead_code)] // Each test file uses its part.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// What goes wrong with an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// This status instead, with an XML error that repeats a secret.
    Status(u16),
    /// The connection is closed after so many bytes of the body.
    Drop(usize),
    /// The whole file, whatever part was asked for.
    IgnoreRange,
    /// The ETag of another version.
    OtherETag,
    /// A server that knows no ETags at all.
    NoETag,
    /// The bytes of another version of the same length, under the same ETag or none.
    OtherSize,
}

/// A fault, and how often it happens to requests whose path holds `path`.
struct Planned {
    path: String,
    skip: usize,
    times: usize,
    fault: Fault,
}

/// One request that was answered.
#[derive(Debug, Clone)]
pub struct Asked {
    pub method: String,
    pub path: String,
    pub query: String,
    pub range: Option<(u64, u64)>,
    /// Bytes of the body that was sent.
    pub sent: usize,
}

#[derive(Default)]
struct Shared {
    files: Mutex<BTreeMap<String, Arc<Vec<u8>>>>,
    faults: Mutex<Vec<Planned>>,
    log: Mutex<Vec<Asked>>,
}

/// A server on a port of its own, until the process ends.
pub struct Server {
    pub address: String,
    shared: Arc<Shared>,
}

impl Server {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let shared = Arc::new(Shared::default());
        let theirs = Arc::clone(&shared);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = Arc::clone(&theirs);
                // A client that goes away ends its thread with an error.
                std::thread::spawn(move || shared.serve(stream));
            }
        });
        Server { address, shared }
    }

    /// Puts a file at `path`, which begins with a slash. In S3's words the
    /// first name is the bucket.
    pub fn put(&self, path: &str, bytes: impl Into<Vec<u8>>) {
        let mut files = self.shared.files.lock().unwrap();
        files.insert(path.into(), Arc::new(bytes.into()));
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Lets `fault` happen `times` times to what holds `path`, after `skip` good answers.
    pub fn plan(&self, path: &str, skip: usize, times: usize, fault: Fault) {
        self.shared.faults.lock().unwrap().push(Planned {
            path: path.into(),
            skip,
            times,
            fault,
        });
    }

    pub fn log(&self) -> Vec<Asked> {
        self.shared.log.lock().unwrap().clone()
    }

    pub fn forget_log(&self) {
        self.shared.log.lock().unwrap().clear();
    }

    /// Faults that were planned and have not happened.
    pub fn faults_left(&self) -> usize {
        let faults = self.shared.faults.lock().unwrap();
        faults.iter().map(|planned| planned.times).sum()
    }
}

struct Request {
    method: String,
    path: String,
    query: String,
    headers: BTreeMap<String, String>,
}

struct Answer {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
    cut_at: Option<usize>,
}

impl Answer {
    fn empty(status: u16) -> Self {
        Answer {
            status,
            headers: Vec::new(),
            body: Vec::new(),
            cut_at: None,
        }
    }
}

impl Shared {
    fn serve(&self, stream: TcpStream) -> std::io::Result<()> {
        let mut reader = BufReader::new(stream.try_clone()?);
        let mut stream = stream;
        while let Some(request) = read_request(&mut reader)? {
            let answer = self.answer(&request);
            let body = match request.method.as_str() {
                "HEAD" => &[],
                _ => {
                    &answer.body[..answer
                        .cut_at
                        .unwrap_or(answer.body.len())
                        .min(answer.body.len())]
                }
            };
            self.log.lock().unwrap().push(Asked {
                method: request.method.clone(),
                path: request.path.clone(),
                query: request.query.clone(),
                range: range_of(&request),
                sent: body.len(),
            });
            let mut head = format!("HTTP/1.1 {} Answer\r\n", answer.status);
            for (name, value) in &answer.headers {
                head.push_str(&format!("{name}: {value}\r\n"));
            }
            head.push_str(&format!("Content-Length: {}\r\n\r\n", answer.body.len()));
            stream.write_all(head.as_bytes())?;
            stream.write_all(body)?;
            if answer.cut_at.is_some() {
                return stream.shutdown(std::net::Shutdown::Both);
            }
        }
        Ok(())
    }

    fn fault(&self, path: &str) -> Option<Fault> {
        let mut faults = self.faults.lock().unwrap();
        let planned = faults
            .iter_mut()
            .find(|planned| planned.times > 0 && path.contains(&planned.path))?;
        if planned.skip > 0 {
            planned.skip -= 1;
            return None;
        }
        planned.times -= 1;
        Some(planned.fault)
    }

    fn answer(&self, request: &Request) -> Answer {
        let fault = self.fault(&request.path);
        if let Some(Fault::Status(status)) = fault {
            let mut answer = Answer::empty(status);
            answer.body = b"<?xml version=\"1.0\"?><Error><Code>Planned</Code><Message>As planned.</Message><CanonicalRequest>x-amz-security-token:canary-token</CanonicalRequest></Error>".to_vec();
            return answer;
        }
        if request.query.contains("list-type=2") {
            return self.list(request);
        }
        let Some(bytes) = self.files.lock().unwrap().get(&request.path).cloned() else {
            let mut answer = Answer::empty(404);
            answer.body = b"<Error><Code>NoSuchKey</Code></Error>".to_vec();
            return answer;
        };
        file_answer(request, &bytes, fault)
    }

    /// S3's ListObjectsV2.
    fn list(&self, request: &Request) -> Answer {
        let query = |name: &str| {
            request.query.split('&').find_map(|pair| {
                let (key, value) = pair.split_once('=')?;
                (key == name).then(|| percent_decoded(value))
            })
        };
        let bucket = format!("{}/", request.path.trim_end_matches('/'));
        let prefix = query("prefix").unwrap_or_default();
        let after = query("continuation-token")
            .or(query("start-after"))
            .unwrap_or_default();
        let files = self.files.lock().unwrap();
        let mut keys = files.iter().filter_map(|(path, bytes)| {
            let key = path.strip_prefix(&bucket)?;
            (key.starts_with(&prefix) && key > after.as_str()).then_some((key, bytes))
        });
        let page: Vec<_> = keys.by_ref().take(2).collect();
        let more = keys.next().is_some();
        let mut xml =
            format!("<?xml version=\"1.0\"?><ListBucketResult><IsTruncated>{more}</IsTruncated>");
        for (key, bytes) in &page {
            let (key, etag) = (
                key.replace('&', "&amp;"),
                etag(bytes).replace('"', "&quot;"),
            );
            xml.push_str(&format!(
                "<Contents><Key>{key}</Key><LastModified>2026-01-02T03:04:05.000Z</LastModified><ETag>{etag}</ETag><Size>{}</Size></Contents>",
                bytes.len()
            ));
        }
        if let (true, Some((last, _))) = (more, page.last()) {
            xml.push_str(&format!(
                "<NextContinuationToken>{last}</NextContinuationToken>"
            ));
        }
        xml.push_str("</ListBucketResult>");
        let mut answer = Answer::empty(200);
        answer.body = xml.into_bytes();
        answer
    }
}

fn file_answer(request: &Request, bytes: &[u8], fault: Option<Fault>) -> Answer {
    let tag = match fault {
        Some(Fault::OtherETag) => "\"another\"".to_string(),
        _ => etag(bytes),
    };
    let mut answer = Answer::empty(200);
    if fault != Some(Fault::NoETag) {
        if request
            .headers
            .get("if-match")
            .is_some_and(|wanted| *wanted != tag)
        {
            return Answer::empty(412);
        }
        answer.headers.push(("ETag", tag));
    }
    answer
        .headers
        .push(("Last-Modified", "Fri, 02 Jan 2026 03:04:05 GMT".into()));
    if let Some(Fault::Drop(at)) = fault {
        answer.cut_at = Some(at);
    }
    let whole = bytes.len() as u64;
    let Some((start, end)) = range_of(request).filter(|_| fault != Some(Fault::IgnoreRange)) else {
        answer.body = bytes.to_vec();
        return answer;
    };
    if start >= whole {
        return Answer::empty(416);
    }
    let end = (end + 1).min(whole);
    answer.status = 206;
    let told = match fault {
        Some(Fault::OtherSize) => whole + 1,
        _ => whole,
    };
    answer
        .headers
        .push(("Content-Range", format!("bytes {start}-{}/{told}", end - 1)));
    answer.body = bytes[start as usize..end as usize].to_vec();
    answer
}

fn etag(bytes: &[u8]) -> String {
    let sum = bytes.iter().fold(7u64, |sum, byte| {
        sum.wrapping_mul(31).wrapping_add(u64::from(*byte))
    });
    format!("\"{sum:016x}\"")
}

fn range_of(request: &Request) -> Option<(u64, u64)> {
    let (start, end) = request
        .headers
        .get("range")?
        .strip_prefix("bytes=")?
        .split_once('-')?;
    Some((start.parse().ok()?, end.parse().ok()?))
}

fn read_request(reader: &mut BufReader<TcpStream>) -> std::io::Result<Option<Request>> {
    let mut line = String::new();
    if reader.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let mut words = line.split_whitespace();
    let method = words.next().unwrap_or_default().to_string();
    let target = words.next().unwrap_or_default();
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let (path, query) = (percent_decoded(path), query.to_string());
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(": ") else {
            break;
        };
        headers.insert(name.to_ascii_lowercase(), value.to_string());
    }
    Ok(Some(Request {
        method,
        path,
        query,
        headers,
    }))
}

fn percent_decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let hex = (bytes[at] == b'%')
            .then(|| u8::from_str_radix(text.get(at + 1..at + 3)?, 16).ok())
            .flatten();
        out.push(hex.unwrap_or(if bytes[at] == b'+' { b' ' } else { bytes[at] }));
        at += if hex.is_some() { 3 } else { 1 };
    }
    String::from_utf8(out).unwrap()
}
