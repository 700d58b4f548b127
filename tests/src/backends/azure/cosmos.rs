//! What the deployment makes in Cosmos DB, spoken by hand.

use http::Request;
use isobar::{Body, Error, Result};
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

/// Source: <https://learn.microsoft.com/rest/api/cosmos-db/access-control-on-cosmosdb-resources>.
async fn make(endpoint: &str, kind: &str, parent: &str, what: &Value) -> Result<()> {
    let date = chrono::Utc::now().format("%a, %d %b %Y %H:%M:%S GMT").to_string();
    let signature = sign(COSMOS_KEY, &format!("post\n{kind}\n{parent}\n{}\n\n", date.to_lowercase()))?;
    let authorization = encoded(&format!("type=master&ver=1.0&sig={signature}"));
    let path = if parent.is_empty() { kind.to_owned() } else { format!("{parent}/{kind}") };
    let request = Request::post(format!("{endpoint}/{path}"))
        .header("authorization", authorization)
        .header("x-ms-date", date)
        .header("x-ms-version", "2020-07-15")
        .header("content-type", "application/json")
        .body(Body::from(what.to_string()));
    let answer = send(request.map_err(|error| Error::internal("not a request").with_source(error))?).await?;
    match answer.status.as_u16() {
        201 | 409 => Ok(()),
        status => Err(Error::internal(format!("POST {path}: {status} {}", answer.text()))),
    }
}
