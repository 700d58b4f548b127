//! What S3 calls the headers of an object.

use http::HeaderMap;
use isobar_rest::object::{WriteHeaders, text};

pub(super) const HEADERS: WriteHeaders =
    WriteHeaders { standard: "", metadata: "x-amz-meta-", class: "x-amz-storage-class", tags: "x-amz-tagging" };

/// The version of an object. Without versioning S3 calls the only version `null`, or does not speak of it.
pub(super) fn version(headers: &HeaderMap) -> Option<String> {
    text(headers, "x-amz-version-id").filter(|version| *version != "null").map(str::to_owned)
}
