//! Calls of functions in JSON mode, as the Functions host makes them of what a browser sends.

use serde_json::{Value, json};

/// A direct call of the shortener's function `stats`, about an id that cannot be one: no service is called.
pub fn unknown_stats() -> String {
    let body = r#"{"id": "no such link"}"#;
    http("invoke-stats", "POST", "https://bench.azurewebsites.net/.isobar/functions/stats", Some(body))
}

/// A URL that the shortener rejects before any service is called.
pub fn rejected_url() -> String {
    let body = r#"{"url": "gopher://example.org/a/long/way/to/go?with=a&query=and#more"}"#;
    http("http", "POST", "https://bench.azurewebsites.net/", Some(body))
}

/// A copy of a message for another subscription of the topic: it is read, and left to that.
pub fn message_of_others() -> String {
    let properties =
        json!({"isobar-for": "audit", "traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"});
    let metadata = json!({
        "ApplicationProperties": properties, "UserProperties": properties, "ContentType": doubled("application/json"),
        "DeadLetterSource": null, "DeliveryCount": "1", "EnqueuedSequenceNumber": "0",
        "EnqueuedTimeUtc": "2026-11-26T00:00:00.123Z", "ExpiresAtUtc": "2026-12-10T00:00:00.123Z",
        "LockToken": doubled("1b6a9f5e-7d4b-4c7a-8a35-5d7f2f1d6a10"), "LockedUntil": "2026-11-26T00:01:00.123Z",
        "MessageId": doubled("8476a536e9f411e89739f67bd6b2a1c3"), "PartitionKey": null, "SequenceNumber": "12",
        "SessionId": null, "To": null, "sys": sys("topic-clicks"),
    });
    json!({"Data": {"message": "eyJpZCI6ImJlbmNoMDAifQ=="}, "Metadata": metadata}).to_string()
}

fn http(function: &str, method: &str, url: &str, body: Option<&str>) -> String {
    let headers = json!({
        "Accept": ["*/*"],
        "Accept-Encoding": ["gzip, deflate, br"],
        "Content-Length": [body.map_or(0, str::len).to_string()],
        "Content-Type": ["application/json"],
        "Host": ["bench.azurewebsites.net"],
        "User-Agent": ["Mozilla/5.0 (X11; Linux x86_64; rv:143.0) Gecko/20100101 Firefox/143.0"],
        "X-Forwarded-For": ["203.0.113.7:51234"],
        "X-Forwarded-Proto": ["https"],
    });
    let request = json!({"Url": url, "Method": method, "Query": {}, "Headers": headers, "Params": {}, "Identities": [], "Body": body});
    json!({"Data": {"req": request}, "Metadata": {"Query": {}, "Headers": headers, "sys": sys(function)}}).to_string()
}

fn sys(function: &str) -> Value {
    let name = format!("{function}-{}", crate::handler::SECRET);
    json!({"MethodName": name, "UtcNow": "2026-11-26T00:00:00.1234567Z", "RandGuid": "3a1f4a4d-3c7a-4a3f-9a0e-b9e0a2d8c0e4"})
}

/// What the host makes of a string.
fn doubled(text: &str) -> String {
    Value::from(text).to_string()
}
