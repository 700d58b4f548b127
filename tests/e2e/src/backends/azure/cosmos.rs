//! What a deployment makes in Cosmos DB, and what the Cosmos DB trigger reads there, by the REST API.

use http::request::Builder;
use http::{Method, Request, StatusCode};
use isobar::{Body, Error, ErrorKind, Result, TestResponse};
use serde_json::{Value, json};

use super::storage::{encoded, sign};
use crate::backends::send;
use crate::emulators::COSMOS_KEY;
use crate::server::not_a_request;

/// The database of isobar's tables, unless another is configured.
const DATABASE: &str = "isobar";

/// Makes the database, if it does not exist, and a container in it.
pub(super) async fn create_container(endpoint: &str, name: &str) -> Result<()> {
    create(endpoint, "dbs", "", &json!({ "id": DATABASE })).await?;
    // -1 lets an item have a time to live; an item without one does not expire.
    let key = json!({"paths": ["/p"], "kind": "Hash", "version": 2});
    let container = json!({"id": name, "partitionKey": key, "defaultTtl": -1});
    create(endpoint, "colls", &format!("dbs/{DATABASE}"), &container).await
}

/// The ranges of partition keys of a container.
pub(super) async fn ranges(endpoint: &str, container: &str) -> Result<Vec<String>> {
    let resource = format!("dbs/{DATABASE}/colls/{container}");
    let request = signed(endpoint, Method::GET, "pkranges", &resource, &format!("{resource}/pkranges"))?;
    let found = call(request, String::new()).await?.json::<Value>()?;
    let ranges = found["PartitionKeyRanges"].as_array().into_iter().flatten();
    Ok(ranges.filter_map(|range| range["id"].as_str().map(str::to_owned)).collect())
}

/// The changed documents of a range after a position, `*` for now, and the position after them.
///
/// Source: <https://learn.microsoft.com/rest/api/cosmos-db/list-documents>.
pub(super) async fn changes(
    endpoint: &str,
    container: &str,
    range: &str,
    position: &str,
) -> Result<(String, Vec<Value>)> {
    let resource = format!("dbs/{DATABASE}/colls/{container}");
    let request = signed(endpoint, Method::GET, "docs", &resource, &format!("{resource}/docs"))?
        .header("a-im", "Incremental Feed")
        .header("if-none-match", position)
        .header("x-ms-max-item-count", "100")
        .header("x-ms-documentdb-partitionkeyrangeid", range);
    let response = call(request, String::new()).await?;
    let etag = response.headers.get("etag").and_then(|etag| etag.to_str().ok());
    let next = etag.ok_or_else(|| Error::internal("the feed has no position"))?.to_owned();
    if response.status == StatusCode::NOT_MODIFIED {
        return Ok((next, Vec::new()));
    }
    let mut page = response.json::<Value>()?;
    let documents = page["Documents"].as_array_mut().map(std::mem::take);
    Ok((next, documents.unwrap_or_default()))
}

async fn create(endpoint: &str, kind: &str, parent: &str, resource: &Value) -> Result<()> {
    let path = if parent.is_empty() { kind.to_owned() } else { format!("{parent}/{kind}") };
    let request = signed(endpoint, Method::POST, kind, parent, &path)?.header("content-type", "application/json");
    match call(request, resource.to_string()).await {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        created => created.map(drop),
    }
}

/// A signed request. Source: <https://learn.microsoft.com/rest/api/cosmos-db/access-control-on-cosmosdb-resources>.
fn signed(endpoint: &str, method: Method, kind: &str, resource: &str, path: &str) -> Result<Builder> {
    let date = chrono::Utc::now().format("%a, %d %b %Y %H:%M:%S GMT").to_string();
    let verb = method.as_str().to_lowercase();
    let signature = sign(COSMOS_KEY, &format!("{verb}\n{kind}\n{resource}\n{}\n\n", date.to_lowercase()))?;
    let authorization = encoded(&format!("type=master&ver=1.0&sig={signature}"));
    Ok(Request::builder()
        .method(method)
        .uri(format!("{endpoint}/{path}"))
        .header("authorization", authorization)
        .header("x-ms-date", date)
        .header("x-ms-version", "2020-07-15"))
}

/// Errors: `AlreadyExists`, and `Internal` for any other service error.
async fn call(request: Builder, body: String) -> Result<TestResponse> {
    let response = send(request.body(Body::from(body)).map_err(not_a_request)?).await?;
    match response.status.as_u16() {
        200..=299 | 304 => Ok(response),
        409 => Err(Error::new(ErrorKind::AlreadyExists, response.text())),
        status => Err(Error::internal(format!("Cosmos DB answers {status}: {}", response.text()))),
    }
}
