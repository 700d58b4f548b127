//! The items of tables: lists, and reading and writing one.

use std::sync::Arc;
use std::time::SystemTime;

use axum::body::Bytes;
use axum::extract::{Path, State};
use isobar_abstraction::Error;
use isobar_abstraction::clock::{parse, to_rfc3339};
use isobar_abstraction::driver::ResourceKind;
use isobar_abstraction::key_value::{Cursor, Entry, Key, PutMode, PutOptions, Table, Version};
use serde_json::{Value, json};

use super::{Answer, Failure, Indented, Inspector, Parameters};
use crate::history::hex;

/// How many characters of a value a list has.
const PREVIEW: usize = 200;

/// How many bytes a preview reads.
const LOOK: usize = 4 * PREVIEW;

/// The largest JSON value that counts as `json` only if it is valid: a list must not parse 100 values of 390 KB.
const LARGEST_JSON: usize = 16 * 1024;

pub(super) async fn items(
    State(inspector): State<Arc<Inspector>>,
    Path(table): Path<String>,
    parameters: Parameters,
) -> Answer {
    let table = inspector.cloud().table::<Bytes>(&table);
    let after = parameters.after.as_deref().map(str::parse::<Cursor>).transpose()?;
    let page = match &parameters.partition {
        Some(partition) => {
            table
                .query(partition.as_str())
                .prefix(&parameters.prefix)
                .limit(parameters.limit())
                .after(after)
                .page()
                .await?
        }
        None => table.scan().limit(parameters.limit()).after(after).page().await?,
    };
    let item = |entry: &Entry<Bytes>| {
        let mut item = json!({
            "partition": entry.key.partition,
            "sort": entry.key.sort,
            "version": entry.version,
            "expires_at": entry.expires_at.map(to_rfc3339),
        });
        match parameters.brief {
            0 => item["value"] = readable(&entry.value),
            _ => preview(&mut item, &entry.value),
        }
        item
    };
    Ok(Indented(json!({"items": page.items.iter().map(item).collect::<Vec<_>>(), "next": page.next})))
}

/// JSON as JSON, text as text, and of everything else its size.
pub(super) fn readable(bytes: &[u8]) -> Value {
    let text = || std::str::from_utf8(bytes).ok().map(Value::from);
    serde_json::from_slice(bytes).ok().or_else(text).unwrap_or_else(|| json!(format!("{} bytes", bytes.len())))
}

/// Adds the size, the type and the beginning of a value.
pub(super) fn preview(object: &mut Value, bytes: &[u8]) {
    let kind = kind_of(bytes);
    let beginning = &bytes[..bytes.len().min(LOOK)];
    let text = match kind {
        "binary" => hex(&beginning[..beginning.len().min(PREVIEW / 2)]),
        _ => String::from_utf8_lossy(beginning).chars().take(PREVIEW).collect(),
    };
    (object["size"], object["type"], object["preview"]) = (bytes.len().into(), kind.into(), text.into());
}

fn kind_of(bytes: &[u8]) -> &'static str {
    let looks_like_json = bytes.len() <= LARGEST_JSON || matches!(bytes.first(), Some(b'{' | b'['));
    match std::str::from_utf8(bytes) {
        Err(_) => "binary",
        Ok(_) if looks_like_json && (bytes.len() > LARGEST_JSON || is_json(bytes)) => "json",
        Ok(_) => "text",
    }
}

fn is_json(bytes: &[u8]) -> bool {
    serde_json::from_slice::<serde::de::IgnoredAny>(bytes).is_ok()
}

pub(super) async fn item(
    State(inspector): State<Arc<Inspector>>,
    Path(table): Path<String>,
    parameters: Parameters,
) -> Answer {
    let key = key(&parameters)?;
    let entry = inspector.cloud().table::<Bytes>(&table).get_entry(key.clone()).await?;
    let entry = entry.ok_or_else(|| Error::not_found(format!("the table `{table}` has no item {key}")))?;
    let mut item = json!({
        "partition": entry.key.partition,
        "sort": entry.key.sort,
        "version": entry.version,
        "expires_at": entry.expires_at.map(to_rfc3339),
        "size": entry.value.len(),
        "type": if is_json(&entry.value) { "json" } else { kind_of(&entry.value) },
    });
    match std::str::from_utf8(&entry.value) {
        Ok(text) => item["text"] = text.into(),
        Err(_) => item["hex"] = hex(&entry.value).into(),
    }
    Ok(Indented(item))
}

pub(super) async fn put_item(
    State(inspector): State<Arc<Inspector>>,
    Path(name): Path<String>,
    parameters: Parameters,
    value: Bytes,
) -> Answer {
    let key = key(&parameters)?;
    let table = table(&inspector, &name)?;
    let mut options = PutOptions::from(match (&parameters.version, parameters.create) {
        (Some(version), _) => PutMode::Update(Version::new(version.as_str())),
        (None, 0) => PutMode::Overwrite,
        (None, _) => PutMode::Create,
    });
    if let Some(time) = &parameters.expires_at {
        options = options.with_ttl(until(time, inspector.state.clock.now())?);
    }
    let version = table.put_with(key, &value, options).await?;
    Ok(Indented(json!({"version": version})))
}

/// The time to live of an item that expires at this time.
fn until(time: &str, now: SystemTime) -> Result<std::time::Duration, Error> {
    let wrong = || {
        let time = isobar_abstraction::driver::host::excerpt(time);
        Error::invalid_input(format!("`expires_at` is `{time}`; it must be a later time, such as 2030-01-31T12:00:00Z"))
    };
    parse(time).and_then(|time| time.duration_since(now).ok()).filter(|left| !left.is_zero()).ok_or_else(wrong)
}

pub(super) async fn delete_item(
    State(inspector): State<Arc<Inspector>>,
    Path(table): Path<String>,
    parameters: Parameters,
) -> Answer {
    let (key, table) = (key(&parameters)?, inspector.cloud().table::<Bytes>(&table));
    match &parameters.version {
        Some(version) => table.delete_version(key, &Version::new(version.as_str())).await?,
        None => table.delete(key).await?,
    }
    Ok(Indented(json!({})))
}

/// A table to write to: one that the app uses.
fn table(inspector: &Inspector, name: &str) -> Result<Table<Bytes>, Failure> {
    inspector.check_declared(ResourceKind::Table, name)?;
    Ok(inspector.cloud().table(name))
}

pub(super) fn key(parameters: &Parameters) -> Result<Key, Error> {
    let partition = parameters.partition.as_deref();
    let partition = partition.ok_or_else(|| Error::invalid_input("an item has a key: add `?partition=`"))?;
    Ok(Key::new(partition, parameters.sort.as_str()))
}
