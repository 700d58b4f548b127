//! The objects of buckets: lists, and reading and deleting one.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::response::{IntoResponse as _, Response};
use http::header::{CONTENT_DISPOSITION, CONTENT_SECURITY_POLICY};
use http::{HeaderMap, HeaderValue, Method};
use isobar_abstraction::Error;
use isobar_abstraction::blob::{ListCursor, ObjectInfo};
use isobar_abstraction::clock::to_rfc3339;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::json;

use super::{Answer, Failure, Indented, Inspector, Parameters};

/// An object is content of users: as a page it has no scripts, no rights and no connections.
const POLICY: HeaderValue = HeaderValue::from_static(
    "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; media-src 'self'; frame-ancestors 'self'",
);

pub(super) async fn objects(
    State(inspector): State<Arc<Inspector>>,
    Path(bucket): Path<String>,
    parameters: Parameters,
) -> Answer {
    let after = parameters.after.as_deref().map(str::parse::<ListCursor>).transpose()?;
    let list = inspector.cloud().bucket(&bucket).list(&parameters.prefix);
    let list = match parameters.delimiter.as_deref() {
        None | Some("") => list,
        Some("/") => list.delimited(),
        Some(_) => return Err(Error::invalid_input("`delimiter` must be `/`").into()),
    };
    let page = list.limit(parameters.limit()).after(after).page().await?;
    let object = |info: &ObjectInfo| json!({"key": info.key, "size": info.size, "modified": to_rfc3339(info.modified)});
    Ok(Indented(json!({
        "objects": page.objects.iter().map(object).collect::<Vec<_>>(),
        "prefixes": page.prefixes,
        "next": page.next,
    })))
}

pub(super) async fn about(
    State(inspector): State<Arc<Inspector>>,
    Path(bucket): Path<String>,
    parameters: Parameters,
) -> Answer {
    let key = key(&parameters)?;
    // `get` without reading the content: `head` has neither its type nor its metadata.
    let object = inspector.cloud().bucket(&bucket).get(key).await?;
    let info = &object.info;
    Ok(Indented(json!({
        "key": info.key,
        "size": info.size,
        "modified": to_rfc3339(info.modified),
        "version": info.version,
        "content_type": object.content_type,
        "cache_control": object.cache_control,
        "metadata": object.metadata,
    })))
}

pub(super) async fn content(
    State(inspector): State<Arc<Inspector>>,
    Path(bucket): Path<String>,
    parameters: Parameters,
    method: Method,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let key = key(&parameters)?;
    let mut response = inspector.cloud().bucket(&bucket).serve(key).request(&method, &headers).await?.into_response();
    response.headers_mut().insert(CONTENT_SECURITY_POLICY, POLICY);
    if parameters.download != 0 {
        let name = key.rsplit('/').find(|part| !part.is_empty()).unwrap_or("object");
        let name = utf8_percent_encode(name, NON_ALPHANUMERIC);
        if let Ok(value) = format!("attachment; filename*=UTF-8''{name}").parse() {
            response.headers_mut().insert(CONTENT_DISPOSITION, value);
        }
    }
    Ok(response)
}

pub(super) async fn delete_object(
    State(inspector): State<Arc<Inspector>>,
    Path(bucket): Path<String>,
    parameters: Parameters,
) -> Answer {
    inspector.cloud().bucket(&bucket).delete(key(&parameters)?).await?;
    Ok(Indented(json!({})))
}

pub(super) fn key(parameters: &Parameters) -> Result<&str, Error> {
    parameters.key.as_deref().ok_or_else(|| Error::invalid_input("an object has a key: add `?key=`"))
}
