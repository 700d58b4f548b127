//! The commands that move data, between folders and files of this machine.

#![cfg(unix)]
#![allow(clippy::unwrap_used)] // a test fails by panicking

mod support;

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use isobar::Cloud;
use isobar::local::{LocalConfig, LocalProvider};
use tempfile::TempDir;

use support::Transcript;

/// What an app stores in a folder.
fn with_data<T>(folder: &Path, work: impl AsyncFnOnce(Cloud) -> isobar::Result<T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let provider = LocalProvider::new(LocalConfig::new(folder));
        work(Cloud::new(Arc::new(provider))).await.unwrap()
    })
}

fn fill(folder: &Path) {
    with_data(folder, async |cloud| {
        let links = cloud.table::<Bytes>("links");
        for n in 0..5 {
            links.put((format!("link/{n}"), "url"), &Bytes::from(format!("https://example.org/{n}"))).await?;
        }
        links.add(("link/0", "clicks"), 7).await?;
        let pages = cloud.bucket("pages");
        pages.put("index.html", "<h1>hi</h1>").await?;
        pages.put("a//b", "two slashes").await
    });
}

/// Transcripts in a folder whose times differ.
fn transcript(folder: &TempDir) -> Transcript {
    let mut transcript = Transcript::of(folder.path());
    for tenths in 0..100 {
        transcript.hide(format!("after {}.{} s", tenths / 10, tenths % 10), "after TIME");
    }
    transcript
}

#[test]
fn data_move_between_folders_and_files() {
    let folder = TempDir::new().unwrap();
    let (from, to) = (folder.path().join("from"), folder.path().join("to"));
    fill(&from);
    let mut shell = transcript(&folder);
    assert_eq!(shell.run(&["migrate", "--from", "local:from", "--to", "local:to", "--plan"]), 0);
    assert_eq!(shell.run(&["migrate", "--from", "local:from", "--to", "local:to"]), 1);
    assert_eq!(shell.run(&["migrate", "--from", "local:from", "--to", "local:to", "--yes"]), 0);
    assert_eq!(shell.run(&["migrate", "--from", "local:from", "--to", "local:to", "--yes"]), 0);

    with_data(&from, async |cloud| {
        cloud.table::<Bytes>("links").delete(("link/1", "url")).await?;
        cloud.table::<i64>("links").add(("link/0", "clicks"), 1).await?;
        cloud.bucket("pages").put("index.html", "<h1>bye</h1>").await
    });
    with_data(&to, async |cloud| cloud.bucket("pages").put("extra", "x").await);
    assert_eq!(shell.run(&["verify", "--from", "local:from", "--to", "local:to"]), 1);
    assert_eq!(shell.run(&["migrate", "--from", "local:from", "--to", "local:to", "--yes"]), 1);
    assert_eq!(shell.run(&["migrate", "--from", "local:from", "--to", "local:to", "--yes", "--delete-extra"]), 0);
    // With the seconds that it took.
    let mut json = transcript(&folder);
    assert_eq!(json.run(&["verify", "--from", "local:from", "--to", "local:to", "--json"]), 0);
    assert!(
        json.text().contains(r#"{"equal":true,"event":"report","resources":[{"compared":{"different":0,"equal":5,"#)
    );

    assert_eq!(shell.run(&["backup", "all.isobar", "--from", "local:from"]), 0);
    assert_eq!(shell.run(&["restore", "all.isobar", "--to", "local:new", "--yes"]), 0);
    assert_eq!(shell.run(&["verify", "--from", "file:all.isobar", "--to", "local:new"]), 0);
    let clicks = with_data(&folder.path().join("new"), async |cloud| {
        cloud.table::<i64>("links").get(("link/0", "clicks")).await
    });
    assert_eq!(clicks, Some(8));
    shell.compare("moving");
}

#[test]
fn wrong_input_of_a_move_is_explained() {
    let folder = TempDir::new().unwrap();
    fill(&folder.path().join("from"));
    std::fs::write(folder.path().join("text.isobar"), "no backup").unwrap();
    let mut shell = transcript(&folder);
    for (code, args) in [
        (2, &["migrate", "--from", "local"][..]),
        (2, &["migrate", "--from", "lokal", "--to", "aws"]),
        (2, &["migrate", "--from", "aws:No", "--to", "gcp"]),
        (2, &["migrate", "--from", "local:a", "--to", "local:b", "--max-rps", "0"]),
        (1, &["migrate", "--from", "local:from", "--to", "local:from", "--yes"]),
        (1, &["migrate", "--from", "local:none", "--to", "local:to", "--yes"]),
        (1, &["migrate", "--from", "local:from", "--to", "local:to", "--yes", "--only", "orders"]),
        (1, &["migrate", "--table", "links", "redb://other", "--yes"]),
        (1, &["migrate", "--table", "links=redis://links", "redb://other", "--yes"]),
        (1, &["restore", "none.isobar", "--to", "local:to", "--yes"]),
        (1, &["restore", "text.isobar", "--to", "local:to", "--yes"]),
        (1, &["backup", "none/all.isobar", "--from", "local:from"]),
    ] {
        assert_eq!(shell.run(args), code, "{}", shell.text());
    }
    shell.compare("moving_wrong_input");
}
