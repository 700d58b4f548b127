//! The request of one write, alone or in a transaction.

use bytes::Bytes;
use http::Method;

use super::key::RowKey;

pub(super) const ACCEPT: &str = "application/json;odata=minimalmetadata";
pub(super) const VERSION_OF_DATA: &str = "3.0;NetFx";

/// One write, alone or in a transaction.
#[derive(Debug, Clone)]
pub(super) struct Change {
    pub(super) method: Method,
    /// The row; `None` for an insert, whose entity contains the key.
    pub(super) row: Option<RowKey>,
    if_match: Option<String>,
    /// Empty for a delete.
    pub(super) entity: Bytes,
}

impl Change {
    /// Inserts a row where none exists.
    pub(super) fn insert(entity: Bytes) -> Self {
        Self { method: Method::POST, row: None, if_match: None, entity }
    }

    /// Inserts or replaces a row.
    pub(super) fn upsert(row: RowKey, entity: Bytes) -> Self {
        Self { method: Method::PUT, row: Some(row), if_match: None, entity }
    }

    /// Replaces a row of this version.
    pub(super) fn replace(row: RowKey, etag: &str, entity: Bytes) -> Self {
        Self { if_match: Some(etag.to_owned()), ..Self::upsert(row, entity) }
    }

    /// Deletes a row of this version; `*` is any.
    pub(super) fn delete(row: RowKey, etag: &str) -> Self {
        Self { method: Method::DELETE, row: Some(row), if_match: Some(etag.to_owned()), entity: Bytes::new() }
    }

    pub(super) fn headers(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let insert = self.row.is_none().then_some(("prefer", "return-no-content"));
        let json = (!self.entity.is_empty()).then_some(("content-type", "application/json"));
        insert.into_iter().chain(json).chain(self.if_match.as_deref().map(|etag| ("if-match", etag)))
    }
}
