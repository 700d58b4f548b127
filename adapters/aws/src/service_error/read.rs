//! Reads the code and message of an error response in each protocol.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::header::DATE;
use http::{HeaderMap, Response};
use isobar_abstraction::clock;
use quick_xml::events::{BytesRef, Event};
use serde_json::Value;

/// The prefixes of access key ids and their least length.
const KEY_MARKS: [&str; 2] = ["AKIA", "ASIA"];
const KEY_SIZE: usize = 16;

/// The code and the message of an error from JSON (`__type`, `message`), XML (`<Code>`, `<Message>`) or a header.
pub(crate) fn code_and_message(answer: &Response<Bytes>) -> (String, String) {
    let body = answer.body();
    let (code, message) = json(body).or_else(|| xml(body)).unwrap_or_default();
    let header = answer.headers().get("x-amzn-errortype").and_then(|value| value.to_str().ok());
    (bare(header.filter(|code| !code.is_empty()).unwrap_or(&code)), message)
}

fn json(body: &[u8]) -> Option<(String, String)> {
    let error: Value = serde_json::from_slice(body).ok()?;
    let text = |names: &[&str]| names.iter().find_map(|name| error[*name].as_str()).unwrap_or_default().to_owned();
    error.is_object().then(|| (text(&["__type", "code", "Code"]), text(&["message", "Message"])))
}

/// The first `<Code>` and the first `<Message>` at any depth, since services nest them differently.
fn xml(body: &[u8]) -> Option<(String, String)> {
    let mut reader = quick_xml::Reader::from_reader(body);
    let (mut code, mut message) = (String::new(), String::new());
    let mut inside = Vec::new();
    // Stops at the first error in the document and uses the part before it.
    while let Ok(event) = reader.read_event() {
        let text = match event {
            Event::Start(start) => {
                inside = start.local_name().as_ref().to_vec();
                continue;
            }
            Event::End(_) => {
                inside.clear();
                continue;
            }
            Event::Eof => break,
            Event::Text(text) => text.decode().map(String::from).unwrap_or_default(),
            Event::CData(text) => text.decode().map(String::from).unwrap_or_default(),
            Event::GeneralRef(reference) => character(&reference),
            _ => continue,
        };
        match inside.as_slice() {
            b"Code" => code.push_str(&text),
            b"Message" => message.push_str(&text),
            _ => {}
        }
    }
    (!code.is_empty()).then_some((code, message))
}

/// The text of a reference such as `&amp;`.
fn character(reference: &BytesRef<'_>) -> String {
    if let Ok(Some(character)) = reference.resolve_char_ref() {
        return character.to_string();
    }
    let name = reference.decode().unwrap_or_default();
    quick_xml::escape::resolve_xml_entity(&name).unwrap_or_default().to_owned()
}

/// A code without its namespace (`com.amazonaws.dynamodb.v20120810#…`) and without a URL after it.
fn bare(code: &str) -> String {
    let code = code.rsplit('#').next().unwrap_or_default();
    let code = code.split(':').next().unwrap_or_default().chars();
    code.filter(|character| character.is_ascii_alphanumeric() || "._-".contains(*character)).take(100).collect()
}

/// The first line of a message without access key ids.
pub(super) fn redacted(message: &str) -> String {
    let line = message.trim().lines().next().unwrap_or_default();
    let mut redacted = String::new();
    for word in line.split_inclusive(|character: char| !character.is_ascii_alphanumeric()) {
        let bare = word.trim_end_matches(|character: char| !character.is_ascii_alphanumeric());
        let is_key = bare.len() >= KEY_SIZE && KEY_MARKS.iter().any(|mark| bare.starts_with(mark));
        redacted.push_str(if is_key { "******" } else { bare });
        redacted.push_str(&word[bare.len()..]);
    }
    redacted
}

/// The delay in AWS's header (milliseconds) or in `Retry-After` (seconds).
pub(super) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let number = |name: &str| headers.get(name)?.to_str().ok()?.trim().parse::<u64>().ok();
    let millis = number("x-amz-retry-after").map(Duration::from_millis);
    millis.or_else(|| number("retry-after").map(Duration::from_secs))
}

pub(super) fn date(headers: &HeaderMap) -> Option<SystemTime> {
    let text = headers.get(DATE)?.to_str().ok()?;
    clock::parse(text)
}
