//! Checks of the attributes of an object before a write.

use object_store::{Attribute, Attributes};

use crate::blob::PutOptions;
use crate::{Error, Result};

/// Converts the options of a write to attributes. Errors: `InvalidInput` for a name or a value that one of the services
/// rejects; `TooLarge` for more than `limit` bytes of metadata.
pub(super) fn attributes(options: &PutOptions, limit: u64) -> Result<Attributes> {
    let mut attributes = Attributes::new();
    let headers = [(Attribute::ContentType, &options.content_type), (Attribute::CacheControl, &options.cache_control)];
    for (attribute, value) in headers {
        if let Some(value) = value {
            check_header_value(value)?;
            attributes.insert(attribute, value.clone().into());
        }
    }
    let mut size = 0;
    for (name, value) in &options.metadata {
        check_metadata_name(name)?;
        check_header_value(value)?;
        size += (name.len() + value.len()) as u64;
        attributes.insert(Attribute::Metadata(name.clone().into()), value.clone().into());
    }
    if size > limit { Err(Error::too_large("the metadata", size, limit)) } else { Ok(attributes) }
}

fn check_metadata_name(name: &str) -> Result<()> {
    // Azure requires C# identifiers, S3 and Cloud Storage names of headers; all of them ignore the case.
    let good = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    if name.bytes().all(good) && name.bytes().next().is_some_and(|byte| byte.is_ascii_lowercase()) {
        return Ok(());
    }
    Err(Error::invalid_input(format!(
        "`{}` is not a metadata name: use a-z, 0-9 and _, beginning with a letter",
        name.escape_debug()
    )))
}

fn check_header_value(value: &str) -> Result<()> {
    let printable = value.bytes().all(|byte| (b' '..=b'~').contains(&byte));
    if printable && !value.is_empty() && value.trim() == value {
        return Ok(());
    }
    Err(Error::invalid_input(
        "content type, cache control and metadata values must be printable ASCII without a blank at either end",
    ))
}
