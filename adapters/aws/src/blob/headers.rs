//! S3's names of an object's headers.

use http::HeaderMap;
use isobar_rest::object::{WriteHeaders, header_text};

pub(super) const HEADERS: WriteHeaders =
    WriteHeaders { standard: "", metadata: "x-amz-meta-", class: "x-amz-storage-class", tags: "x-amz-tagging" };

/// The version of an object. Without versioning S3 calls the only version `null` or returns no version.
pub(super) fn version(headers: &HeaderMap) -> Option<String> {
    header_text(headers, "x-amz-version-id").filter(|version| *version != "null").map(str::to_owned)
}
