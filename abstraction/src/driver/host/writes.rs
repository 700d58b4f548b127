//! The writes of a table, from the feed of a database.

use std::collections::BTreeSet;

use bytes::Bytes;

use crate::key_value::{Key, is_own};
use crate::{Result, WriteEvent};

/// The bodies of the messages that a host puts into the queue of a table's writes, for the keys in a part of its feed: one for
/// each key, and none for isobar's own items. The host must acknowledge the feed only after the queue has stored them all.
///
/// Errors: `Internal`.
///
/// ```
/// use isobar_abstraction::driver::host::write_messages;
/// use isobar_abstraction::key_value::Key;
///
/// let own = Key::new("ada", "\u{10FFFF}\u{10FFFF}flow/step");
/// let bodies = write_messages("notes", [Key::from("ada"), Key::from("ada"), own])?;
/// assert_eq!(bodies, [r#"{"table":"notes","key":{"partition":"ada","sort":""}}"#]);
/// # Ok::<(), isobar_abstraction::Error>(())
/// ```
pub fn write_messages(table: &str, keys: impl IntoIterator<Item = Key>) -> Result<Vec<Bytes>> {
    let keys: BTreeSet<Key> = keys.into_iter().filter(|key| !is_own(&key.sort)).collect();
    let body = |key| Ok(serde_json::to_vec(&WriteEvent::new(table, key))?.into());
    keys.into_iter().map(body).collect()
}
