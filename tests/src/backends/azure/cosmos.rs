//! What the deployment makes in Cosmos DB, and what a trial makes older there: spoken by hand.

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

/// Makes all items of a container that expire older by so many milliseconds.
pub(super) async fn move_expiry_back(endpoint: &str, container: &str, by: u64) -> Result<()> {
    let parent = format!("dbs/{DATABASE}/colls/{container}");
    let query = json!({"query": "SELECT * FROM c WHERE IS_DEFINED(c.x)", "parameters": []}).to_string();
    let asked = call(endpoint, Method::POST, "docs", &parent, &format!("{parent}/docs"))?
        .header("content-type", "application/query+json")
        .header("x-ms-documentdb-isquery", "true")
        .header("x-ms-documentdb-query-enablecrosspartition", "true");
    let found: Value = answered(asked, query).await?.json()?;
    for item in found["Documents"].as_array().into_iter().flatten() {
        let mut older = item.clone();
        older["x"] = item["x"].as_u64().unwrap_or_default().saturating_sub(by).into();
        let resource = format!("{parent}/docs/{}", item["id"].as_str().unwrap_or_default());
        let replace = call(endpoint, Method::PUT, "docs", &resource, &resource)?
            .header("content-type", "application/json")
            .header("x-ms-documentdb-partitionkey", json!([item["p"]]).to_string());
        answered(replace, older.to_string()).await?;
    }
    Ok(())
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

/// Errors: `AlreadyExists`, and `Internal` for any other refusal.
async fn answered(request: Builder, body: String) -> Result<TestResponse> {
    let request = request.body(Body::from(body));
    let answer = send(request.map_err(|error| Error::internal("not a request").with_source(error))?).await?;
    match answer.status.as_u16() {
        200..=299 => Ok(answer),
        409 => Err(Error::new(ErrorKind::AlreadyExists, answer.text())),
        status => Err(Error::internal(format!("Cosmos DB answers {status} {}", answer.text()))),
    }
}
