//! Lambda's events, as AWS's services make them, and the HTTP response that a Function URL makes of the output.

use std::collections::BTreeMap;
use std::time::SystemTime;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue};
use isobar::clock::to_rfc3339;
use isobar::{Error, Result, TestResponse};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::REGION;

/// The event of a direct call.
pub(super) fn invoke(function: &str, payload: &[u8]) -> Result<String> {
    let payload = std::str::from_utf8(payload);
    let payload = payload.map_err(|error| Error::invalid_input("the payload is not JSON").with_source(error))?;
    let payload = if payload.is_empty() { String::new() } else { format!(",\"payload\":{payload}") };
    Ok(format!("{{\"isobar\":\"invoke\",\"function\":{}{payload}}}", json!(function)))
}

/// The event that a deployment configures EventBridge Scheduler to send.
pub(super) fn tick(schedule: &str, due: SystemTime) -> String {
    json!({"isobar": "schedule", "schedule": schedule, "due": to_rfc3339(due)}).to_string()
}

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
        Err(_) => (event["body"], event["isBase64Encoded"]) = (BASE64_STANDARD.encode(body).into(), true.into()),
    }
    event
}

fn values<'a>(headers: &'a HeaderMap, name: &str) -> impl Iterator<Item = String> + use<'a> {
    headers.get_all(name).iter().map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
}

/// Headers with one value each: a Function URL joins them, and lists cookies in another member too.
fn joined(headers: &HeaderMap) -> BTreeMap<String, String> {
    let line = |name: &HeaderName| (name.to_string(), values(headers, name.as_str()).collect::<Vec<_>>().join(","));
    headers.keys().map(line).collect()
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Output {
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

/// The response of a Function URL, of the function's output.
pub(super) fn response(output: &[u8]) -> Result<TestResponse> {
    let output: Output = serde_json::from_slice(output)?;
    let mut headers = HeaderMap::new();
    let pairs = output.headers.into_iter().chain(output.cookies.into_iter().map(|it| ("set-cookie".to_owned(), it)));
    for (name, value) in pairs {
        let name = HeaderName::try_from(name).map_err(|error| Error::internal("not a header").with_source(error))?;
        let value = HeaderValue::try_from(value).map_err(|error| Error::internal("not a header").with_source(error))?;
        headers.append(name, value);
    }
    let status = http::StatusCode::from_u16(output.status_code);
    let status = status.map_err(|error| Error::internal("not a status").with_source(error))?;
    let body = match output.is_base64_encoded {
        true => {
            BASE64_STANDARD.decode(&output.body).map_err(|error| Error::internal("not base64").with_source(error))?
        }
        false => output.body.into_bytes(),
    };
    Ok(TestResponse::new(status, headers, body))
}

/// One record of an SQS event, of a message as `ReceiveMessage` returns it.
pub(super) fn record(message: &Value, queue_arn: &str) -> Value {
    let mut attributes = Map::new();
    for (name, value) in message["MessageAttributes"].as_object().into_iter().flatten() {
        let attribute = json!({
            "stringValue": value["StringValue"], "binaryValue": value["BinaryValue"], "dataType": value["DataType"],
            "stringListValues": [], "binaryListValues": [],
        });
        attributes.insert(name.clone(), attribute);
    }
    json!({
        "messageId": message["MessageId"], "receiptHandle": message["ReceiptHandle"], "body": message["Body"],
        "attributes": message["Attributes"], "messageAttributes": attributes, "md5OfBody": message["MD5OfBody"],
        "eventSource": "aws:sqs", "eventSourceARN": queue_arn, "awsRegion": REGION,
    })
}
