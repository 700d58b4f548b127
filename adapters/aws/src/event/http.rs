//! Converts the HTTP events of four gateways to one form of request.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use http::header::{COOKIE, HOST};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri};
use isobar_abstraction::driver::host::{Fields, text};
use isobar_abstraction::{Body, Error, Result};
use percent_encoding::percent_decode_str;
use serde_json::value::RawValue;

use super::shape::Gateway;
use super::{Incoming, uri};

/// The request in an event. Errors: `InvalidInput` with the field, without its value, for a request that is
/// not valid HTTP: the client's fault, reported as status 400.
pub(crate) fn request(gateway: Gateway, event: &Incoming<'_>) -> Result<Request<Body>> {
    let mut request = Request::new(Body::from(body(&event.fields)?));
    *request.method_mut() = method(gateway, event)?;
    *request.uri_mut() = match gateway {
        Gateway::HttpApi | Gateway::FunctionUrl => uri_of_format_2(event)?,
        Gateway::Rest => uri::uri(&rest_path(event)?, &query(&event.fields, uri::push_decoded)?)?,
        Gateway::LoadBalancer => {
            let path = event.fields.optional_text("path")?.unwrap_or_default();
            // "If the query parameters are URL-encoded, the load balancer does not decode them": the
            // guide to Application Load Balancers, "Lambda functions as targets".
            uri::uri(&path, &query(&event.fields, uri::push_encoded)?)?
        }
    };
    *request.headers_mut() = headers(event)?;
    Ok(request)
}

fn method(gateway: Gateway, event: &Incoming<'_>) -> Result<Method> {
    let method = match gateway {
        // `cargo lambda` adds an `httpMethod` that is always GET.
        Gateway::HttpApi | Gateway::FunctionUrl => event.context.object("http").and_then(|http| http.text("method")),
        Gateway::Rest | Gateway::LoadBalancer => event.fields.text("httpMethod"),
    };
    let method = method.and_then(|method| Method::from_bytes(method.as_bytes()).ok());
    method.ok_or_else(|| Error::invalid_input("the event's HTTP method is missing or malformed"))
}

fn body(fields: &Fields<'_>) -> Result<Bytes> {
    let body = fields.optional_text("body")?.unwrap_or_default();
    if !fields.flag("isBase64Encoded") {
        return Ok(Bytes::from(body.into_owned()));
    }
    // Without its source, since the text of `base64` quotes the body.
    let decoded = BASE64_STANDARD.decode(body.as_bytes());
    decoded
        .map(Bytes::from)
        .map_err(|_| Error::invalid_input("the event's `body` is not valid base64, although `isBase64Encoded` is true"))
}

/// The URI in payload format 2.0. `rawPath` begins with the stage, unless that is `$default`.
fn uri_of_format_2(event: &Incoming<'_>) -> Result<Uri> {
    let path = event.fields.optional_text("rawPath")?.unwrap_or_default();
    let query = event.fields.optional_text("rawQueryString")?.unwrap_or_default();
    let stage = event.context.text("stage").unwrap_or_default();
    uri::uri(without_stage(&path, &stage), &query)
}

fn without_stage<'a>(path: &'a str, stage: &str) -> &'a str {
    if stage.is_empty() || stage == "$default" {
        return path;
    }
    let rest = path.strip_prefix('/').and_then(|path| path.strip_prefix(stage));
    rest.filter(|rest| rest.is_empty() || rest.starts_with('/')).unwrap_or(path)
}

/// The path below the API's root. In `path` it follows a custom domain's base path, and the stage in
/// HTTP APIs of payload format 1.0; `resource` with its parameters contains neither.
fn rest_path(event: &Incoming<'_>) -> Result<String> {
    let path = event.fields.optional_text("path")?.unwrap_or_default();
    let resource = event.fields.text("resource").unwrap_or_default();
    if resource == "/" {
        return Ok(resource.into_owned());
    }
    let parameters = event.fields.object("pathParameters").unwrap_or_default();
    if let Some(filled) = filled(&resource, &parameters) {
        // The parameter does not contain a slash at the end of the path.
        let end = if path.ends_with('/') && !filled.ends_with('/') { "/" } else { "" };
        if let Some(tail) = tail(&path, &format!("{filled}{end}")) {
            return Ok(tail.to_owned());
        }
    }
    let stage = event.context.text("stage").unwrap_or_default();
    let is_http_api = event.fields.text("version").as_deref() == Some("1.0");
    Ok(if is_http_api { without_stage(&path, &stage) } else { &path }.to_owned())
}

/// The end of `path` that equals `resource_path`; either may be decoded.
fn tail<'a>(path: &'a str, resource_path: &str) -> Option<&'a str> {
    let slashes = resource_path.matches('/').count();
    let (start, _) = path.rmatch_indices('/').nth(slashes.checked_sub(1)?)?;
    let end = &path[start..];
    percent_decode_str(end).eq(percent_decode_str(resource_path)).then_some(end)
}

/// A resource such as `/users/{id}/{proxy+}` with the values of its parameters.
fn filled(resource: &str, parameters: &Fields<'_>) -> Option<String> {
    let parts = resource.strip_prefix('/')?.split('/').map(|part| {
        let name = part.strip_prefix('{').and_then(|part| part.strip_suffix('}'));
        match name {
            Some(name) => parameters.text(name.trim_end_matches('+')).map(|value| format!("/{value}")),
            None => Some(format!("/{part}")),
        }
    });
    parts.collect()
}

/// The query from parameters with one or several values.
///
/// REST APIs and load balancers send an empty value for both `?a` and `?a=`. It becomes `?a=`, which parsers of
/// queries treat alike; HTTP APIs and Function URLs send the original query.
fn query(fields: &Fields<'_>, push: impl Fn(&mut String, &str, &str)) -> Result<String> {
    let wrong = || Error::invalid_input("a query parameter of the event is not a string");
    let mut query = String::new();
    each(fields, ["multiValueQueryStringParameters", "queryStringParameters"], |name, value| {
        push(&mut query, name, &text(value).ok_or_else(wrong)?);
        Ok(())
    })?;
    Ok(query)
}

fn headers(event: &Incoming<'_>) -> Result<HeaderMap> {
    let mut headers = HeaderMap::with_capacity(16);
    each(&event.fields, ["multiValueHeaders", "headers"], |name, value| {
        let value = text(value).and_then(|value| HeaderValue::from_str(&value).ok());
        append(&mut headers, HeaderName::from_bytes(name.as_bytes()).ok(), value)
    })?;
    // Format 2.0 takes the cookies out of the headers.
    if let Some(cookies) = event.fields.array("cookies").filter(|cookies| !cookies.is_empty()) {
        let cookies: Option<Vec<_>> = cookies.into_iter().map(text).collect();
        let value = cookies.and_then(|cookies| HeaderValue::from_str(&cookies.join("; ")).ok());
        headers.remove(COOKIE);
        append(&mut headers, Some(COOKIE), value)?;
    }
    join_cookies(&mut headers);
    if !headers.contains_key(HOST)
        && let Some(domain) = event.context.text("domainName")
    {
        append(&mut headers, Some(HOST), HeaderValue::from_str(&domain).ok())?;
    }
    Ok(headers)
}

/// Joins several headers of cookies into one (RFC 6265, 5.4). HTTP/2 may split the header, and load balancers
/// with multi-value headers forward the pieces, which must be joined (RFC 9113, 8.2.3).
fn join_cookies(headers: &mut HeaderMap) {
    if headers.get_all(COOKIE).iter().nth(1).is_none() {
        return;
    }
    let cookies: Vec<_> = headers.get_all(COOKIE).iter().map(HeaderValue::as_bytes).collect();
    if let Ok(joined) = HeaderValue::from_bytes(&cookies.join(&b"; "[..])) {
        headers.insert(COOKIE, joined);
    }
}

fn append(headers: &mut HeaderMap, name: Option<HeaderName>, value: Option<HeaderValue>) -> Result<()> {
    let wrong = || Error::invalid_input("the name or value of a header of the event is not valid in HTTP");
    let (name, value) = (name.ok_or_else(wrong)?, value.ok_or_else(wrong)?);
    // `append` panics on more headers than a map can hold.
    headers.try_append(name, value).map(drop).map_err(|_| Error::invalid_input("the event has too many headers"))
}

/// Calls `one` for all values of the first field that is a non-empty object. Values are strings or arrays of
/// strings.
fn each(fields: &Fields<'_>, names: [&str; 2], mut one: impl FnMut(&str, &RawValue) -> Result<()>) -> Result<()> {
    let wrong = |name: &str| Error::invalid_input(format!("the event's `{name}` is not an object of strings"));
    for field in names {
        let Some(value) = fields.get(field) else { continue };
        let values = Fields::of(value).ok_or_else(|| wrong(field))?;
        for (name, value) in values.iter() {
            match value.get().starts_with('[') {
                false => one(name, value)?,
                true => {
                    let many: Vec<&RawValue> = serde_json::from_str(value.get()).map_err(|_| wrong(field))?;
                    many.into_iter().try_for_each(|value| one(name, value))?;
                }
            }
        }
        if values.iter().next().is_some() {
            return Ok(());
        }
    }
    Ok(())
}
