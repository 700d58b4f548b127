//! The `condition` of a patch, such as `FROM c WHERE c.n < 10`, evaluated as a query for the item.
//!
//! Source: <https://learn.microsoft.com/azure/cosmos-db/partial-document-update>.

use azure_core::http::headers::{HeaderName, HeaderValue};
use azure_core::http::{Method, Request};
use http_body_util::BodyExt;
use hyper::http::request::Parts;
use serde_json::{Value, json};

use crate::server::{ServiceError, Server, decoded};

/// The condition in the body of a patch.
pub(crate) fn of(body: &[u8]) -> Option<String> {
    let body: Value = serde_json::from_slice(body).ok()?;
    Some(body.get("condition")?.as_str()?.to_owned())
}

impl Server {
    /// Does the item of a patch meet the condition? True also if there is no such item: the emulator answers 404 then.
    pub(crate) async fn holds(&self, parts: &Parts, condition: &str) -> Result<bool, ServiceError> {
        let malformed = || (400, format!("the condition is not of the form FROM c WHERE …: {condition}"));
        let at = condition.to_ascii_lowercase().find(" where ").ok_or_else(malformed)?;
        let (from, filter) = (&condition[..at], &condition[at + " where ".len()..]);
        let item = from.split_whitespace().nth(1).ok_or_else(malformed)?;
        let one = format!("SELECT {item}.id {from} WHERE {item}.id = @id");
        Ok(self.count(parts, &format!("{one} AND ({filter})")).await? > 0 || self.count(parts, &one).await? == 0)
    }

    /// The number of items in the patch's container and partition that a query finds.
    async fn count(&self, parts: &Parts, query: &str) -> Result<usize, ServiceError> {
        let path = parts.uri.path().trim_end_matches('/');
        let (container, id) = path.rsplit_once('/').ok_or((400, "no item in the path".to_owned()))?;
        let partition = parts.headers.get("x-ms-documentdb-partitionkey").map_or(&b"[]"[..], |it| it.as_bytes());
        let mut request = Request::new(self.url(container)?, Method::Post);
        let headers = [
            ("x-ms-documentdb-isquery", "True".to_owned()),
            ("x-ms-documentdb-partitionkey", String::from_utf8_lossy(partition).into_owned()),
        ];
        for (name, value) in headers {
            request.headers_mut().insert(HeaderName::from_static(name), HeaderValue::from(value));
        }
        let body = json!({"query": query, "parameters": [{"name": "@id", "value": decoded(id)}]});
        request.set_body(body.to_string().into_bytes());
        let response = self.execute(&request).await?;
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.map_err(|never| (500, never.to_string()))?.to_bytes();
        let result: Value = serde_json::from_slice(&body).map_err(|error| (500, error.to_string()))?;
        match result["Documents"].as_array() {
            Some(documents) if status == 200 => Ok(documents.len()),
            _ => Err((status, result.to_string())),
        }
    }
}
