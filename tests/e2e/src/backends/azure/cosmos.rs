//! What the deployment makes in Cosmos DB: spoken by hand.

use http::request::Builder;
use http::{Method, Request};
use isobar::{Body, Error, ErrorKind, Result, TestResponse};
use serde_json::{Value, json};

use super::storage::{encoded, sign};
use crate::backends::send;
use crate::emulators::COSMOS_KEY;

/// The database that isobar's tables are in without another setting.
const DATABASE: &str = "isobar";

/// Makes the database, which is there already but for the first time, and a container in it.
pub(super) async fn make_container(endpoint: &str, name: &str) -> Result<()> {
    make(endpoint, "dbs", "", &json!({ "id": DATABASE })).await?;
    // Without a time to live of its own an item has none; -1 lets items have one.
    let key = json!({"paths": ["/p"], "kind": "Hash", "version": 2});
    let container = json!({"id": name, "partitionKey": key, "defaultTtl": -1});
    make(endpoint, "colls", &format!("dbs/{DATABASE}"), &container).await
}

async fn make(endpoint: &str, kind: &str, parent: &str, what: &Value) -> Result<()> {
    let path = if parent.is_empty() { kind.to_owned() } else { format!("{parent}/{kind}") };
    let request = call(endpoint, Method::POST, kind, parent, &path)?.header("content-type", "application/json");
    match answered(request, what.to_string()).await {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        made => made.map(drop),
    }
}

/// A signed request. Source: <https://learn.microsoft.com/rest/api/cosmos-db/access-control-on-cosmosdb-resources>.
fn call(endpoint: &str, method: Method, kind: &str, resource: &str, path: &str) -> Result<Builder> {
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
async fn answered(request: Builder, body: String) -> Result<TestResponse> {
    let request = request.body(Body::from(body));
    let answer = send(request.map_err(|error| Error::internal("not a request").with_source(error))?).await?;
    match answer.status.as_u16() {
        200..=299 => Ok(answer),
        409 => Err(Error::new(ErrorKind::AlreadyExists, answer.text())),
        status => Err(Error::internal(format!("Cosmos DB answers {status} {}", answer.text()))),
    }
}
