//! Data that are hard to move.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use isobar::Cloud;
use isobar::blob::key;
use isobar::driver::key_value::Put;
use isobar::driver::{Location, ResourceKind};
use isobar::object_store::{Attribute, Attributes, PutMultipartOptions, PutOptions};
use isobar_conformance::strange::{STRANGE_KEYS, STRANGE_SORTS};

use crate::backends::Opened;

/// Writes items and objects that are hard to move.
pub(crate) async fn fill(opened: &Opened) -> isobar::Result<()> {
    let cloud = Cloud::new(Arc::clone(&opened.provider));
    let items = opened.provider.key_value(&Location::new(ResourceKind::Table, "items"))?;
    let now = SystemTime::UNIX_EPOCH + Duration::from_millis(1_767_225_600_000);
    let mut puts: Vec<Put> =
        STRANGE_SORTS.iter().map(|sort| Put::new(("p'\"/\0", *sort), format!("value of {sort:?}"))).collect();
    puts.extend(STRANGE_SORTS.iter().filter(|it| !it.is_empty()).map(|partition| Put::new(*partition, Bytes::new())));
    puts.extend([
        Put::new(("values", "binary"), (0..=255).collect::<Vec<u8>>()),
        Put::new(("values", "no text"), vec![0xff, 0xfe, 0x00]),
        Put::new(("values", "json"), r#"{"a": [1, 2.50, "\u0000"]}"#),
        Put::new(("values", "large"), "x".repeat(389_000)),
        Put::new(("values", "large binary"), vec![0xe9; 389_000]),
        Put::new(("values", "to the millisecond"), "x").with_expires_at(now + Duration::from_millis(86_400_123)),
        Put::new(("values", "expired"), "x").with_expires_at(now + Duration::from_secs(30)),
        // isobar's own item, which no app sees.
        Put::new(("values", "\u{10FFFF}\u{10FFFF}once/7"), "done"),
        Put::new("p".repeat(256), "longest partition"),
        Put::new(("longest sort key", "s".repeat(512).as_str()), "x"),
    ]);
    for done in items.put_many(puts).await {
        done?;
    }
    for _ in 0..3 {
        items.add(&("counters", "clicks").into(), 1 << 40).await?;
    }
    opened.clock.advance(Duration::from_secs(60));

    let files = cloud.bucket("files");
    let store = opened.provider.blob(&Location::new(ResourceKind::Bucket, "files"))?.object_store();
    for name in STRANGE_KEYS {
        files.put(name, format!("content of {name:?}")).await?;
    }
    files.put("a//b", "two slashes").await?;
    files.put("dir/", "a name like a folder").await?;
    files.put("empty", "").await?;
    let gzip: &[u8] = &[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 0x4b, 4, 0, 0x43, 0xbe, 0xb7, 0xe8, 1, 0, 0, 0];
    let attributes = || {
        Attributes::from_iter([
            (Attribute::ContentType, "text/css; charset=utf-8"),
            (Attribute::ContentEncoding, "gzip"),
            (Attribute::ContentLanguage, "de-CH"),
            (Attribute::ContentDisposition, "attachment; filename=\"a.css\""),
            (Attribute::CacheControl, "public, max-age=60"),
            (Attribute::Metadata("owner".into()), "ada"),
            (Attribute::Metadata("kind".into()), "~x y"),
        ])
    };
    let options = PutOptions { attributes: attributes(), ..PutOptions::default() };
    store.put_opts(&key::to_path("style.css.gz", 1_024)?, gzip.to_vec().into(), options).await?;
    for size in [(5 << 20) + 1, (8 << 20) + 1] {
        let options = PutMultipartOptions { attributes: attributes(), ..PutMultipartOptions::default() };
        let mut upload = store.put_multipart_opts(&key::to_path(&format!("parts/{size}"), 1_024)?, options).await?;
        let content: Vec<u8> = (0..size).map(|at| u8::try_from(at % 251).unwrap()).collect();
        for part in content.chunks(5 << 20) {
            upload.put_part(part.to_vec().into()).await?;
        }
        upload.complete().await?;
    }
    Ok(())
}
