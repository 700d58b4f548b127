//! What a target cannot have, by the limits of its services.

use isobar_abstraction::driver::Limits;
use isobar_abstraction::driver::blob::key;
use isobar_abstraction::driver::key_value::Item;
use object_store::{Attribute, Attributes};

/// Why an item does not fit; `None` if it does.
pub(crate) fn item(item: &Item, limits: &Limits) -> Option<String> {
    let (partition, sort) = (item.key.partition.len() as u64, item.key.sort.len() as u64);
    let sizes = [
        ("the partition", partition, limits.partition_bytes),
        ("the sort key", sort, limits.sort_bytes),
        ("the item with its key", partition + sort + item.value.len() as u64, limits.item_bytes),
    ];
    too_large(&sizes)
}

/// Why an object of this name, with these attributes, does not fit; `None` if it does.
pub(crate) fn object(stored: &str, attributes: Option<&Attributes>, limits: &Limits) -> Option<String> {
    if let Err(error) = key::to_path(&key::decode(stored), limits.object_key_bytes) {
        return Some(error.message().to_owned());
    }
    let metadata = attributes.into_iter().flatten().filter_map(|(name, value)| match name {
        Attribute::Metadata(name) => Some((name.len() + value.len()) as u64),
        _ => None,
    });
    too_large(&[("the metadata", metadata.sum(), limits.metadata_bytes)])
}

fn too_large(sizes: &[(&str, u64, u64)]) -> Option<String> {
    let (what, size, limit) = sizes.iter().find(|(_, size, limit)| size > limit)?;
    Some(format!("{what} has {size} bytes; the target has a limit of {limit}"))
}
