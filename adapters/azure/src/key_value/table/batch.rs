//! The wire format of entity group transactions: a `multipart/mixed` of HTTP requests, and the response.
//!
//! Source: <https://learn.microsoft.com/rest/api/storageservices/performing-entity-group-transactions>.

use http::StatusCode;

use super::change::{ACCEPT, Change, VERSION_OF_DATA};

/// The body of a transaction. No entity may contain `boundary`.
pub(super) fn body(boundary: &str, changes: &[Change], url: impl Fn(&Change) -> String) -> Vec<u8> {
    let mut body =
        format!("--batch_{boundary}\r\nContent-Type: multipart/mixed; boundary=changeset_{boundary}\r\n\r\n")
            .into_bytes();
    for change in changes {
        let (method, url) = (&change.method, url(change));
        let head = format!(
            "--changeset_{boundary}\r\nContent-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n\r\n\
             {method} {url} HTTP/1.1\r\nAccept: {ACCEPT}\r\nDataServiceVersion: {VERSION_OF_DATA}\r\n"
        );
        body.extend(head.as_bytes());
        for (name, value) in change.headers() {
            body.extend(format!("{name}: {value}\r\n").as_bytes());
        }
        if !change.entity.is_empty() {
            body.extend(format!("Content-Length: {}\r\n", change.entity.len()).as_bytes());
        }
        body.extend(b"\r\n");
        body.extend(&change.entity);
        body.extend(b"\r\n");
    }
    body.extend(format!("--changeset_{boundary}--\r\n--batch_{boundary}--\r\n").as_bytes());
    body
}

/// The response to one write, or to all of them where one failed.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) status: StatusCode,
    pub(super) etag: Option<String>,
    pub(super) body: String,
}

/// The parts of the response to a transaction.
pub(super) fn parts(body: &[u8]) -> Vec<Part> {
    let text = String::from_utf8_lossy(body);
    let mut lines = text.lines();
    let mut parts = Vec::new();
    while let Some(line) = lines.next() {
        if let Some(status) = status(line) {
            parts.push(part(status, &mut lines));
        }
    }
    parts
}

fn status(line: &str) -> Option<StatusCode> {
    let code = line.strip_prefix("HTTP/1.1 ")?.split_whitespace().next()?;
    code.parse().ok()
}

fn part<'a>(status: StatusCode, lines: &mut impl Iterator<Item = &'a str>) -> Part {
    let mut etag = None;
    for line in lines.by_ref().take_while(|line| !line.is_empty()) {
        let header = line.split_once(':').filter(|(name, _)| name.eq_ignore_ascii_case("etag"));
        etag = header.map(|(_, value)| value.trim().to_owned()).or(etag);
    }
    // An error's body is one line of JSON.
    let body = lines.by_ref().take_while(|line| !line.starts_with("--")).collect::<Vec<_>>().join("\n");
    Part { status, etag, body }
}
