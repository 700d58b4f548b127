//! What a deployment sets for the fields of a table: no index but that of `s`, and the time to live.
//!
//! No query goes by the other fields, so their indexes would only make each write dearer; and the times of
//! `expireAt`, which rise, would all go to one end of an index, which Firestore calls a hotspot.

use serde_json::{Value, json};

/// A field, and the body of `PATCH /v1/projects/P/databases/D/collectionGroups/COLLECTION/fields/FIELD`, whose
/// `updateMask` names what the body has. Each begins an operation that may run for minutes, and may be repeated.
///
/// Source: <https://docs.cloud.google.com/firestore/docs/reference/rest/v1/projects.databases.collectionGroups.fields/patch>.
pub(super) fn fields() -> [(&'static str, Value); 5] {
    let unindexed = || json!({"indexConfig": {"indexes": []}});
    let expiry = json!({"indexConfig": {"indexes": []}, "ttlConfig": {}});
    [("p", unindexed()), ("v", unindexed()), ("n", unindexed()), ("w", unindexed()), ("expireAt", expiry)]
}
