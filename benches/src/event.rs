//! Events of API Gateway's HTTP API (payload format 2.0) of about 1 KB, as a browser causes them.

use serde_json::json;

/// A request that names no link: 7 characters that no link has. One `get`, and nothing else.
pub fn unknown_link() -> Vec<u8> {
    request("GET", "/{id}", "/bench00", None)
}

/// A URL that the shortener rejects before any service is called.
pub fn rejected_url() -> Vec<u8> {
    request("POST", "/", "/", Some(r#"{"url": "gopher://example.org/a/long/way/to/go?with=a&query=and#more"}"#))
}

fn request(method: &str, route: &str, path: &str, body: Option<&str>) -> Vec<u8> {
    let mut event = json!({
        "version": "2.0",
        "routeKey": format!("{method} {route}"),
        "rawPath": path,
        "rawQueryString": "",
        "headers": {
            "accept": "*/*",
            "accept-encoding": "gzip, deflate, br",
            "content-length": body.map_or(0, str::len).to_string(),
            "content-type": "application/json",
            "host": "abcdefghij.execute-api.us-east-1.amazonaws.com",
            "user-agent": "Mozilla/5.0 (X11; Linux x86_64; rv:143.0) Gecko/20100101 Firefox/143.0",
            "x-amzn-trace-id": "Root=1-5e6722a7-cc56xmpl46db7ae02d4da47e",
            "x-forwarded-for": "203.0.113.7",
            "x-forwarded-port": "443",
            "x-forwarded-proto": "https"
        },
        "requestContext": {
            "accountId": "123456789012",
            "apiId": "abcdefghij",
            "domainName": "abcdefghij.execute-api.us-east-1.amazonaws.com",
            "domainPrefix": "abcdefghij",
            "http": {
                "method": method,
                "path": path,
                "protocol": "HTTP/1.1",
                "sourceIp": "203.0.113.7",
                "userAgent": "Mozilla/5.0 (X11; Linux x86_64; rv:143.0) Gecko/20100101 Firefox/143.0"
            },
            "requestId": "JKJaXmPLvHcESHA=",
            "routeKey": format!("{method} {route}"),
            "stage": "$default",
            "time": "24/Nov/2026:04:00:00 +0000",
            "timeEpoch": 1_795_492_800_000_i64
        },
        "isBase64Encoded": false
    });
    if let Some(body) = body {
        event["body"] = body.into();
    }
    event.to_string().into_bytes()
}
