//! What a deployment sets for the fields of a table: no index but that of `s`, and the time to live.
//!
//! No query goes by the other fields, so their indexes would only make each write dearer; and the times of
//! `expireAt`, which rise, would all go to one end of an index, which Firestore calls a hotspot.

use serde_json::{Value, json};

/// The settings of a table's fields: `PATCH` each body to `/v1/projects/P/databases/D/` and this path, with its
/// query. Each begins an operation that may run for minutes, and may be repeated.
///
/// Source: <https://docs.cloud.google.com/firestore/docs/reference/rest/v1/projects.databases.collectionGroups.fields/patch>.
#[allow(dead_code, reason = "the host's list of what a deployment needs is to take it")]
pub(crate) fn fields(collection: &str) -> Vec<(String, Value)> {
    let path = |field: &str, mask: &str| format!("collectionGroups/{collection}/fields/{field}?updateMask={mask}");
    let unindexed = |field| (path(field, "indexConfig"), json!({"indexConfig": {"indexes": []}}));
    let expiry = json!({"indexConfig": {"indexes": []}, "ttlConfig": {}});
    let mut fields = Vec::from(["p", "n", "v", "w"].map(unindexed));
    fields.push((path("expireAt", "indexConfig,ttlConfig"), expiry));
    fields
}
