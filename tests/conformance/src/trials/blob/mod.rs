//! Trials of blobs.

// An unwrap or an assertion that panics fails its trial.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

pub mod access;
pub mod attributes;
pub mod cancelling;
pub mod content;
pub mod copy;
pub mod durability;
pub mod events;
pub mod filters;
pub mod groups;
pub mod keys;
pub mod lists;
pub mod modes;
pub mod names;
pub mod paging;
pub mod races;
pub mod ranges;
pub mod serve;
pub mod signed;
pub mod store;
pub mod streaming;
pub mod triggers;
pub mod versions;

use std::convert::Infallible;

use bytes::Bytes;
use futures_util::{Stream, stream};
use isobar::Result;
use isobar::blob::{Bucket, ListCursor, ListPage, ListQuery};

use crate::Trial;
use crate::strange::STRANGE_KEYS;

/// All of them.
pub fn all() -> Vec<Trial> {
    [
        content::all(),
        keys::all(),
        names::all(),
        modes::all(),
        versions::all(),
        attributes::all(),
        ranges::all(),
        lists::all(),
        groups::all(),
        paging::all(),
        copy::all(),
        streaming::all(),
        signed::all(),
        serve::all(),
        events::all(),
        filters::all(),
        triggers::all(),
        store::all(),
        access::all(),
        races::all(),
        cancelling::all(),
        durability::all(),
    ]
    .concat()
}

/// Content of this size in which no two words are the same.
fn content(size: usize) -> Bytes {
    let mut bytes = Vec::with_capacity(size + 8);
    let mut word = 0_u64;
    while bytes.len() < size {
        word = word.wrapping_add(0x9E37_79B9_7F4A_7C15);
        bytes.extend_from_slice(&word.to_le_bytes());
    }
    bytes.truncate(size);
    Bytes::from(bytes)
}

/// Content as a stream of pieces of this size. It must not be polled after its end.
fn in_pieces(content: Bytes, size: usize) -> impl Stream<Item = Result<Bytes, Infallible>> + Send {
    stream::unfold(content, move |mut rest| async move {
        let piece = rest.split_to(size.min(rest.len()));
        if piece.is_empty() { None } else { Some((Ok(piece), rest)) }
    })
}

/// Puts an object at each key; its content is the key.
async fn fill(bucket: &Bucket, keys: &[impl AsRef<str>]) -> Result<()> {
    for key in keys {
        bucket.put(key, key.as_ref().to_owned()).await?;
    }
    Ok(())
}

/// The keys of all objects with a prefix, as the bucket lists them.
async fn keys_of(bucket: &Bucket, prefix: &str) -> Result<Vec<String>> {
    Ok(bucket.list(prefix).all().await?.into_iter().map(|object| object.key).collect())
}

/// The content of an object.
async fn text(bucket: &Bucket, key: &str) -> Result<String> {
    let content = bucket.get(key).await?.bytes().await?;
    Ok(String::from_utf8_lossy(&content).into_owned())
}

/// The pages of a list, each begun from the printed cursor of the one before.
async fn pages(list: ListQuery) -> Result<Vec<ListPage>> {
    let (mut pages, mut list) = (Vec::new(), list);
    loop {
        let page = list.page().await?;
        let next = page.next.clone();
        pages.push(page);
        assert!(pages.len() < 10_000, "the list does not end");
        let Some(next) = next else { return Ok(pages) };
        list = list.after(next.to_string().parse::<ListCursor>()?);
    }
}
