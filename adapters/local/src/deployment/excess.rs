//! What is stored beyond the limits of another provider.

use std::time::SystemTime;

use bytes::Bytes;
use isobar_abstraction::Result;
use isobar_abstraction::blob::key::decode;
use isobar_abstraction::clock::to_millis;
use isobar_abstraction::driver::Limits;
use isobar_abstraction::driver::pub_sub::{Message, plain_text};
use object_store::{Attribute, Attributes};

use crate::secret::SecretFile;
use crate::state::State;
use crate::{blob, key_value, pub_sub};

/// A stored value beyond a limit, for tools.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Excess {
    /// The resource with its stored name, such as ``table `links` ``.
    pub of: String,
    /// The key of the item, object or secret, or the id of the message.
    pub entry: String,
    /// What has the limit, such as `sort key`.
    pub what: &'static str,
    /// The row of `mappings.md` with the limit.
    pub row: &'static str,
    /// The size, or the number, of the stored value.
    pub size: u64,
    /// The limit.
    pub limit: u64,
}

/// What has a limit, the row of the limit, the stored size, the limit.
type Measured = (&'static str, &'static str, u64, u64);

/// The data file, then the secrets. Errors: those of [`Store::look`](crate::store::Store::look) and of the file of secrets.
pub(crate) fn beyond(state: &State, limits: &Limits, found: &mut dyn FnMut(Excess)) -> Result<()> {
    let mut report = |kind: &str, name: &str, entry: &dyn Fn() -> String, measured: &[Measured]| {
        for &(what, row, size, limit) in measured.iter().filter(|(.., size, limit)| size > limit) {
            found(Excess { of: format!("{kind} `{name}`"), entry: entry(), what, row, size, limit });
        }
    };
    if let Some(look) = state.store.look()? {
        let now_ms = to_millis(SystemTime::now());
        key_value::each_item(&look.read, now_ms, |table, (partition, sort), value| {
            let entry = || [partition, sort].join("/").trim_end_matches('/').to_owned();
            report("table", table, &entry, &of_item(partition, sort, value, limits));
        })?;
        blob::each_record(&look.read, |bucket, name, attributes| {
            report("bucket", bucket, &|| decode(name), &of_object(name, attributes, limits));
        })?;
        pub_sub::each_message(&look.read, |topic, message| {
            report("topic", topic, &|| format!("message {}", message.id), &of_message(message, limits));
        })?;
    }
    SecretFile::new(&state.config.secrets, state.config.prefix.clone()).each(|key, length| {
        let measured = ("secret or configuration", "SE-8", length as u64, limits.secret_bytes);
        report("secret", key, &|| key.to_owned(), &[measured]);
    })
}

fn of_item(partition: &str, sort: &str, value: &[u8], limits: &Limits) -> [Measured; 4] {
    let item = partition.len() + sort.len() + value.len();
    // A counter is a number in decimal digits; no other value is as short.
    let digits = std::str::from_utf8(value).ok().filter(|text| text.len() <= 20);
    let counter = digits.and_then(|digits| digits.parse::<i64>().ok()).unwrap_or_default();
    [
        ("partition key", "KV-18", partition.len() as u64, limits.partition_bytes),
        ("sort key", "KV-18", sort.len() as u64, limits.sort_bytes),
        ("item, keys and value", "KV-18", item as u64, limits.item_bytes),
        ("counter", "KV-15", counter.unsigned_abs(), limits.counter_max_abs.unsigned_abs()),
    ]
}

fn of_object(name: &str, attributes: &Attributes, limits: &Limits) -> [Measured; 2] {
    let metadata = attributes.iter().filter_map(|(attribute, value)| match attribute {
        Attribute::Metadata(name) => Some(name.len() + value.len()),
        _ => None,
    });
    [
        ("object key, as stored", "BL-17", name.len() as u64, limits.object_key_bytes),
        ("metadata of an object", "BL-17", metadata.sum::<usize>() as u64, limits.metadata_bytes),
    ]
}

fn of_message(message: &Message<Bytes>, limits: &Limits) -> [Measured; 3] {
    // Some services carry text only.
    let body = match plain_text(&message.body) {
        Some(text) => text.len(),
        None => message.body.len().div_ceil(3) * 4,
    };
    let attributes: usize = message.attributes.iter().map(|(name, value)| name.len() + value.len()).sum();
    let ordering_key = message.ordering_key.as_deref().map_or(0, str::len);
    [
        ("message, body and attributes", "PS-9", (body + attributes) as u64, limits.message_bytes),
        ("attributes of a message", "PS-9", message.attributes.len() as u64, limits.message_attributes),
        ("ordering key", "PS-9", ordering_key as u64, limits.ordering_key_bytes),
    ]
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use isobar_abstraction::blob::PutOptions;
    use isobar_abstraction::clock::ManualClock;
    use isobar_abstraction::pub_sub::Outgoing;
    use isobar_abstraction::{Cloud, EventQueue};
    use serde_json::json;

    use super::*;
    use crate::{LocalConfig, LocalProvider, set_secret};

    async fn write(provider: &LocalProvider) -> Result<()> {
        provider.0.queue.subscribe(vec![EventQueue::topic("mail"), EventQueue::topic("mail").named("log")]).await?;
        let cloud = Cloud::new(Arc::new(provider.clone()));
        let table = cloud.table::<serde_json::Value>("links");
        table.put(("partition", "sort-key"), &json!("value")).await?;
        table.put("p", &json!(1)).await?;
        table.add("count", 1_000).await?;
        let metadata = PutOptions::default().with_metadata("title", "a cat");
        cloud.bucket("scans").put_with("a/long/key", "x", metadata).await?;
        cloud.bucket("scans").put("key", "x").await?;
        let mail = Outgoing::new("a body".to_owned()).with_ordering_key("ann-bob").with_attribute("kind", "short");
        cloud.topic::<String>("mail").publish(mail).await?;
        Ok(())
    }

    #[tokio::test]
    async fn each_value_beyond_a_limit_is_found_and_the_folder_is_as_before() {
        let folder = tempfile::tempdir().unwrap();
        let config = LocalConfig::new(folder.path().join("data"));
        let provider = LocalProvider::with_clock(config.clone(), Arc::new(ManualClock::default()));
        write(&provider).await.unwrap();
        set_secret(&config.secrets, "token", json!("s3cret-value")).unwrap();
        let found = |provider: &LocalProvider, limits: &Limits| {
            let mut all = Vec::new();
            provider.beyond(limits, &mut |it| all.push((it.of, it.entry, it.what, it.size, it.limit))).map(|()| all)
        };
        let other = LocalProvider::new(config.clone());
        assert!(other.is_in_use() && found(&other, &Limits::PORTABLE).is_err());
        drop(provider);
        assert!(!other.is_in_use());
        let file = std::fs::read(config.data.join("isobar.redb")).unwrap();
        assert_eq!(found(&other, &Limits::PORTABLE).unwrap(), []);

        let mut limits = Limits::PORTABLE;
        (limits.partition_bytes, limits.sort_bytes, limits.item_bytes, limits.counter_max_abs) = (8, 7, 23, 999);
        (limits.object_key_bytes, limits.metadata_bytes, limits.secret_bytes) = (9, 9, 11);
        (limits.message_bytes, limits.message_attributes, limits.ordering_key_bytes) = (16, 0, 6);
        let row = |of: &str, entry: &str, what, size, limit| (of.to_owned(), entry.to_owned(), what, size, limit);
        let message = |what, size, limit| row("topic `mail`", "message 1767225600000-1", what, size, limit);
        let expected = [
            row("table `links`", "count", "counter", 1_000, 999),
            row("table `links`", "partition/sort-key", "partition key", 9, 8),
            row("table `links`", "partition/sort-key", "sort key", 8, 7),
            row("table `links`", "partition/sort-key", "item, keys and value", 24, 23),
            row("bucket `scans`", "a/long/key", "object key, as stored", 10, 9),
            row("bucket `scans`", "a/long/key", "metadata of an object", 10, 9),
            message("message, body and attributes", 17, 16),
            message("attributes of a message", 1, 0),
            message("ordering key", 7, 6),
            message("message, body and attributes", 17, 16),
            message("attributes of a message", 1, 0),
            message("ordering key", 7, 6),
            row("secret `token`", "token", "secret or configuration", 12, 11),
        ];
        assert_eq!(found(&other, &limits).unwrap(), expected);
        assert!(std::fs::read(config.data.join("isobar.redb")).unwrap() == file, "it changed the file");
    }
}
