//! Lambda's events, as its services make them, and what they make of the answers.

use std::collections::BTreeMap;

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue};
use isobar::{Error, Result, TestResponse};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::REGION;

/// The event of a Function URL.
pub(super) fn http(parts: &Parts, body: &Bytes) -> Value {
    let (path, query) = (parts.uri.path(), parts.uri.query().unwrap_or_default());
    let method = parts.method.as_str();
    let cookies: Vec<_> = values(&parts.headers, "cookie").collect();
    let cookies: Vec<_> = cookies.iter().flat_map(|line| line.split(';')).map(str::trim).collect();
    let mut event = json!({
        "version": "2.0", "routeKey": "$default", "rawPath": path, "rawQueryString": query,
        "headers": joined(&parts.headers), "isBase64Encoded": false,
        "requestContext": {
            "accountId": "anonymous", "apiId": "u", "domainName": format!("u.lambda-url.{REGION}.on.aws"),
            "http": {"method": method, "path": path, "protocol": "HTTP/1.1", "sourceIp": "127.0.0.1", "userAgent": "-"},
            "requestId": "1", "routeKey": "$default", "stage": "$default", "timeEpoch": 1_767_225_600_000_u64,
        },
    });
    if !cookies.is_empty() {
        event["cookies"] = json!(cookies);
    }
    match std::str::from_utf8(body) {
        Ok("") => {}
        Ok(text) => event["body"] = text.into(),
        Err(_) => (event["body"], event["isBase64Encoded"]) = (base64(body).into(), true.into()),
    }
    event
}

fn values<'a>(headers: &'a HeaderMap, name: &str) -> impl Iterator<Item = String> + use<'a> {
    headers.get_all(name).iter().map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
}

/// Headers with one value each; a Function URL joins them, and shows cookies apart too.
fn joined(headers: &HeaderMap) -> BTreeMap<String, String> {
    let line = |name: &HeaderName| (name.to_string(), values(headers, name.as_str()).collect::<Vec<_>>().join(","));
    headers.keys().map(line).collect()
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    status_code: u16,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    #[serde(default)]
    cookies: Vec<String>,
    #[serde(default)]
    body: String,
    #[serde(default)]
    is_base64_encoded: bool,
}

/// What a Function URL makes of the function's answer.
pub(super) fn response(answer: &[u8]) -> Result<TestResponse> {
    let answer: Answer = serde_json::from_slice(answer)?;
    let mut headers = HeaderMap::new();
    let pairs = answer.headers.into_iter().chain(answer.cookies.into_iter().map(|it| ("set-cookie".to_owned(), it)));
    for (name, value) in pairs {
        let name = HeaderName::try_from(name).map_err(|error| Error::internal("not a header").with_source(error))?;
        let value = HeaderValue::try_from(value).map_err(|error| Error::internal("not a header").with_source(error))?;
        headers.append(name, value);
    }
    let status = http::StatusCode::from_u16(answer.status_code);
    let status = status.map_err(|error| Error::internal("not a status").with_source(error))?;
    let body = if answer.is_base64_encoded { unbase64(&answer.body)? } else { answer.body.into_bytes() };
    Ok(TestResponse::new(status, headers, body))
}

/// One record of an SQS event, of a message as `ReceiveMessage` answers it.
pub(super) fn record(message: &Value, queue_arn: &str) -> Value {
    let mut attributes = Map::new();
    for (name, value) in message["MessageAttributes"].as_object().into_iter().flatten() {
        let told = json!({
            "stringValue": value["StringValue"], "binaryValue": value["BinaryValue"], "dataType": value["DataType"],
            "stringListValues": [], "binaryListValues": [],
        });
        attributes.insert(name.clone(), told);
    }
    json!({
        "messageId": message["MessageId"], "receiptHandle": message["ReceiptHandle"], "body": message["Body"],
        "attributes": message["Attributes"], "messageAttributes": attributes, "md5OfBody": message["MD5OfBody"],
        "eventSource": "aws:sqs", "eventSourceARN": queue_arn, "awsRegion": REGION,
    })
}

fn base64(bytes: &[u8]) -> String {
    use base64::Engine;
    base64::prelude::BASE64_STANDARD.encode(bytes)
}

fn unbase64(text: &str) -> Result<Vec<u8>> {
    use base64::Engine;
    let decoded = base64::prelude::BASE64_STANDARD.decode(text);
    decoded.map_err(|error| Error::internal("not base64").with_source(error))
}
