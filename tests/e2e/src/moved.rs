//! Data that was moved to a cloud, for trials in which the cloud's own library counts and reads it.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use isobar::blob::PutOptions;
use isobar::driver::{Provider, ResourceKind};
use isobar::memory::MemoryProvider;
use isobar::{Cloud, Error, Result, key_value};
use isobar_moving::{Journal, Options, Report, Side, migrate};

/// The items in the table `items`: of them `text`, `bytes`, `a` with the sort key `b`, which expires, and `count` are not plain.
pub const ITEMS: usize = 304;

/// The objects in the bucket `pages`: of them [`PAGE`] and `large` are not plain.
pub const OBJECTS: usize = 27;

/// An object with attributes.
pub const PAGE: &str = "docs/käse 1.html";

/// The content of `large`, which is sent in parts.
pub fn large() -> Vec<u8> {
    (0..(8_u32 << 20) + 1).map(|at| u8::try_from(at % 251).unwrap_or_default()).collect()
}

/// Moves items and objects from memory to a cloud.
pub async fn move_to(provider: &dyn Provider) -> Result<()> {
    let memory = Arc::new(MemoryProvider::default());
    let cloud = Cloud::new(Arc::<MemoryProvider>::clone(&memory));
    let (items, pages) = (cloud.table::<Bytes>("items"), cloud.bucket("pages"));
    for n in 0..ITEMS - 4 {
        items.put((format!("p{}", n % 7), format!("{n:04}")), &format!("value {n}").into()).await?;
    }
    let expiry = key_value::PutOptions::default().with_ttl(Duration::from_millis(1_500));
    items.put("text", &Bytes::from_static("käse".as_bytes())).await?;
    items.put("bytes", &Bytes::from_static(b"\0\xff")).await?;
    items.put_with(("a", "b"), &Bytes::from_static(b"soon gone"), expiry).await?;
    cloud.table::<i64>("items").add("count", 41).await?;
    for n in 0..OBJECTS - 2 {
        pages.put(format!("o/{n}"), format!("content {n}")).await?;
    }
    let attributes = PutOptions::default().with_content_type("text/x-cheese").with_metadata("colour", "gelb");
    pages.put_with(PAGE, "<p>cheese</p>", attributes).await?;
    pages.put("large", large()).await?;
    let resources = [(ResourceKind::Table, "items"), (ResourceKind::Bucket, "pages")];
    let (from, to) = (Side::new("from").with(&*memory, &resources)?, Side::new("to").with(provider, &resources)?);
    let moved = migrate(&from, &to, &Journal::in_memory()?, &Options::default(), &()).await?;
    match moved.iter().all(Report::is_equal) {
        true => Ok(()),
        false => Err(Error::internal(format!("the sides differ: {moved:?}"))),
    }
}
