//! Blob Storage's names of an object's headers.

use isobar_rest::object::WriteHeaders;

/// <https://learn.microsoft.com/rest/api/storageservices/put-blob>
pub(super) const HEADERS: WriteHeaders =
    WriteHeaders { standard: "x-ms-blob-", metadata: "x-ms-meta-", class: "x-ms-access-tier", tags: "x-ms-tags" };
