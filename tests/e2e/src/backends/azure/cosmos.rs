//! What a deployment makes in Cosmos DB, by its REST API.

use http::request::Builder;
use http::{Method, Request};
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
        200..=299 => Ok(response),
        409 => Err(Error::new(ErrorKind::AlreadyExists, response.text())),
        status => Err(Error::internal(format!("Cosmos DB answers {status}: {}", response.text()))),
    }
}
