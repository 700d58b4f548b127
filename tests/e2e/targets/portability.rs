//! The transcripts of the apps are the same on every host that needs only this machine. Those of the clouds' hosts are
//! compared in their end-to-end trials.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a test fails by panicking

use isobar_conformance::memory::Memory;
use isobar_e2e::backends::local::Local;
use isobar_e2e::transcript;

#[tokio::test(flavor = "multi_thread")]
async fn the_shortener_does_the_same_on_every_host() {
    let expected = transcript::shortener(&Memory, shortener::app).await.unwrap();
    let local = transcript::shortener(&Local, shortener::app).await.unwrap();
    transcript::assert_same(&expected, &local, "local");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_notes_do_the_same_on_every_host() {
    let expected = transcript::notes(&Memory, notes::app).await.unwrap();
    let local = transcript::notes(&Local, notes::app).await.unwrap();
    transcript::assert_same(&expected, &local, "local");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_chatbot_does_the_same_on_every_host() {
    let expected = transcript::chatbot(&Memory, chatbot::app).await.unwrap();
    let local = transcript::chatbot(&Local, chatbot::app).await.unwrap();
    transcript::assert_same(&expected, &local, "local");
}
