//! HTTP in the host's JSON mode: the request is a binding, and the response is an output.
//!
//! The host uses this mode where its host.json enables neither proxying nor forwarding.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, SET_COOKIE, TRANSFER_ENCODING};
use http::response::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri};
use isobar_abstraction::driver::host;
use isobar_abstraction::driver::host::Fields;
use isobar_abstraction::{Body, Error, Result};
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};
use url::Url;

use super::Payload;

/// The request of an `httpTrigger`. Errors: `InvalidInput`, with the field, without values.
pub(crate) fn request(payload: &Payload<'_>) -> Result<Request<Body>> {
    let fields =
        Fields::of(payload.only()?).ok_or_else(|| Error::invalid_input("the HTTP trigger's value is not an object"))?;
    let headers = headers(&fields)?;
    let mut request = Request::new(Body::from(body(&fields, &headers)?));
    let method = fields.text("Method").and_then(|method| Method::from_bytes(method.as_bytes()).ok());
    *request.method_mut() =
        method.ok_or_else(|| Error::invalid_input("the HTTP trigger's `Method` is missing or malformed"))?;
    *request.uri_mut() = uri(&fields.optional_text("Url")?.unwrap_or_default())?;
    *request.headers_mut() = headers;
    Ok(request)
}

/// The path and the query of the URL, as the client wrote them where they are valid.
fn uri(url: &str) -> Result<Uri> {
    let wrong = || Error::invalid_input("the HTTP trigger's `Url` is missing, malformed or too long");
    let whole = match url.parse::<Uri>() {
        Ok(uri) => uri,
        Err(_) => Url::parse(url).map_err(|_| wrong())?.as_str().parse().map_err(|_| wrong())?,
    };
    let path = whole.path_and_query().map_or("/", |path| path.as_str());
    if whole.scheme().is_some() || url.starts_with('/') { path.parse().map_err(|_| wrong()) } else { Err(wrong()) }
}

/// The headers. Values are arrays of strings; older hosts wrote strings.
fn headers(fields: &Fields<'_>) -> Result<HeaderMap> {
    let wrong = || Error::invalid_input("the HTTP trigger's `Headers` are not an object of valid HTTP headers");
    let mut headers = HeaderMap::new();
    let Some(value) = fields.get("Headers") else { return Ok(headers) };
    for (name, value) in Fields::of(value).ok_or_else(wrong)?.iter() {
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| wrong())?;
        // The body is buffered, and its length may differ from the original.
        if name == TRANSFER_ENCODING || name == CONTENT_LENGTH {
            continue;
        }
        let many: Vec<&RawValue> = match value.get().starts_with('[') {
            true => serde_json::from_str(value.get()).map_err(|_| wrong())?,
            false => vec![value],
        };
        for value in many {
            let value = host::text(value).and_then(|text| HeaderValue::from_str(&text).ok()).ok_or_else(wrong)?;
            headers.try_append(&name, value).map_err(|_| wrong())?;
        }
    }
    Ok(headers)
}

/// The body. The host passes text as text, and binary media types in base64: `IsMediaTypeOctetOrMultipart`.
fn body(fields: &Fields<'_>, headers: &HeaderMap) -> Result<Bytes> {
    let Some(value) = fields.get("Body") else { return Ok(Bytes::new()) };
    let Some(text) = host::text(value) else { return Ok(Bytes::copy_from_slice(value.get().as_bytes())) };
    let kind = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let kind = kind.trim().to_ascii_lowercase();
    if kind.starts_with("application/octet-stream") || kind.starts_with("multipart/") {
        let decoded = BASE64_STANDARD.decode(text.as_bytes());
        let invalid = |_| Error::invalid_input("the HTTP trigger's `Body` is not valid base64");
        return decoded.map(Bytes::from).map_err(invalid);
    }
    Ok(Bytes::from(text.into_owned()))
}

/// The response of an HTTP function in the host's JSON. Errors: `Unsupported` for a body that is not text, and for two
/// cookies, which this mode cannot contain.
pub(crate) fn output(parts: &Parts, body: &[u8]) -> Result<Bytes> {
    let unfit = |what: &str| {
        let instead = format!("its responses contain only {what}; set `enableProxyingHttpRequest` in host.json");
        Error::unsupported("http", "azure in JSON mode", &instead)
    };
    let text = std::str::from_utf8(body).map_err(|_| unfit("text"))?;
    if parts.headers.get_all(SET_COOKIE).iter().nth(1).is_some() {
        // Other headers may be folded into one line (RFC 9110, 5.3).
        return Err(unfit("one `set-cookie`"));
    }
    let own = |name: &&HeaderName| ![CONTENT_LENGTH, TRANSFER_ENCODING].contains(name);
    let header = |name: &HeaderName| {
        let values = parts.headers.get_all(name).iter().map(|value| String::from_utf8_lossy(value.as_bytes()));
        (name.as_str().to_owned(), Value::String(values.collect::<Vec<_>>().join(", ")))
    };
    let headers: Map<_, _> = parts.headers.keys().filter(own).map(header).collect();
    let response = json!({"statusCode": parts.status.as_str(), "headers": headers, "body": text});
    Ok(json!({"Outputs": {"res": response}, "Logs": [], "ReturnValue": null}).to_string().into())
}
