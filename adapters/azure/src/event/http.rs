//! HTTP in the host's JSON mode: a request that is a binding, and a response that is an output.
//!
//! The host proxies HTTP where its host.json says so; this is for those that do not.

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

/// The request of an `httpTrigger`. Errors: `InvalidInput`, naming the field and no value.
pub(crate) fn request(payload: &Payload<'_>) -> Result<Request<Body>> {
    let told =
        Fields::of(payload.only()?).ok_or_else(|| Error::invalid_input("the HTTP trigger's value is no object"))?;
    let headers = headers(&told)?;
    let mut request = Request::new(Body::from(body(&told, &headers)?));
    let method = told.text("Method").and_then(|method| Method::from_bytes(method.as_bytes()).ok());
    *request.method_mut() = method.ok_or_else(|| Error::invalid_input("the HTTP trigger's `Method` is none"))?;
    *request.uri_mut() = uri(&told.optional_text("Url")?.unwrap_or_default())?;
    *request.headers_mut() = headers;
    Ok(request)
}

/// The path and the query of the URL, as its client wrote them where it can be one.
fn uri(url: &str) -> Result<Uri> {
    let wrong = || Error::invalid_input("the HTTP trigger's `Url` is none, or too long");
    let whole = match url.parse::<Uri>() {
        Ok(uri) => uri,
        Err(_) => Url::parse(url).map_err(|_| wrong())?.as_str().parse().map_err(|_| wrong())?,
    };
    let path = whole.path_and_query().map_or("/", |path| path.as_str());
    if whole.scheme().is_some() || url.starts_with('/') { path.parse().map_err(|_| wrong()) } else { Err(wrong()) }
}

/// Values are arrays of strings; older hosts wrote strings.
fn headers(told: &Fields<'_>) -> Result<HeaderMap> {
    let wrong = || Error::invalid_input("the HTTP trigger's `Headers` are not an object of strings that HTTP takes");
    let mut headers = HeaderMap::new();
    let Some(value) = told.get("Headers") else { return Ok(headers) };
    for (name, value) in Fields::of(value).ok_or_else(wrong)?.iter() {
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| wrong())?;
        // The body is whole, and perhaps no longer as long as it was.
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

/// The host hands over text as text, and as base64 what it takes for bytes: `IsMediaTypeOctetOrMultipart`.
fn body(told: &Fields<'_>, headers: &HeaderMap) -> Result<Bytes> {
    let Some(value) = told.get("Body") else { return Ok(Bytes::new()) };
    let Some(text) = host::text(value) else { return Ok(Bytes::copy_from_slice(value.get().as_bytes())) };
    let kind = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let kind = kind.trim().to_ascii_lowercase();
    if kind.starts_with("application/octet-stream") || kind.starts_with("multipart/") {
        let decoded = BASE64_STANDARD.decode(text.as_bytes());
        return decoded.map(Bytes::from).map_err(|_| Error::invalid_input("the HTTP trigger's `Body` is not base64"));
    }
    Ok(Bytes::from(text.into_owned()))
}

/// The answer to the call of an HTTP function, as the host takes it. Errors: `Unsupported` where the body is no text, or
/// there are two cookies: this mode cannot carry them.
pub(crate) fn output(parts: &Parts, body: &[u8]) -> Result<Bytes> {
    let unfit = |what: &str| {
        let instead = format!("it answers {what} only; set `enableProxyingHttpRequest` in host.json");
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
