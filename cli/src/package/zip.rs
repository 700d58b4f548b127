//! Archives whose bytes depend on the names and the contents of their files only.

use std::io::{Cursor, Write};

use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipWriter};

use crate::failure::Failure;

/// A file in an archive.
pub(super) struct Entry<'a> {
    pub(super) name: String,
    pub(super) content: &'a [u8],
    /// Its rights, such as `0o755`.
    pub(super) mode: u32,
}

/// The archive of these files, with the date 1980-01-01.
pub(super) fn archive(mut entries: Vec<Entry<'_>>) -> Result<Vec<u8>, Failure> {
    let failed = |error: &dyn std::error::Error| Failure::new("the archive cannot be made").because(error);
    entries.sort_by(|a, b| a.name.cmp(&b.name));
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    for entry in entries {
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Deflated)
            .compression_level(Some(9))
            .last_modified_time(DateTime::DEFAULT)
            .system(zip::System::Unix)
            .unix_permissions(entry.mode);
        archive.start_file(entry.name, options).map_err(|error| failed(&error))?;
        archive.write_all(entry.content).map_err(|error| failed(&error))?;
    }
    Ok(archive.finish().map_err(|error| failed(&error))?.into_inner())
}
