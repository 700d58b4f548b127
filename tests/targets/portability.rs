//! One app, on every host that needs nothing but this machine: the transcripts are the same. Those
//! of the clouds' hosts are compared in their end-to-end trials.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a test fails by panicking

use isobar_conformance::backends::{local::Local, memory::Memory};
use isobar_conformance::transcript;

#[tokio::test(flavor = "multi_thread")]
async fn the_shortener_does_the_same_on_every_host() {
    let expected = transcript::shortener(&Memory, shortener::app).await.unwrap();
    assert!(expected.len() > 20, "the transcript is short: {expected:#?}");
    let local = transcript::shortener(&Local, shortener::app).await.unwrap();
    for (place, (expected, found)) in expected.iter().zip(&local).enumerate() {
        assert_eq!(expected, found, "line {place} differs on `local`");
    }
    assert_eq!(expected.len(), local.len());
}
