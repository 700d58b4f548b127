//! Interrupted downloads.

use super::*;
use crate::double::Script;

/// Reads an object whose first response ends after `half` of 8 bytes, and then these connections.
async fn after_half(first: &str, then: Vec<Script>) -> (Double, Result<Bytes>) {
    let half = say(format!("HTTP/1.1 200 OK\r\n{first}content-length: 8\r\n\r\nhalf"));
    let double = Double::start([vec![vec![Act::Hear, half, Act::Close]], then].concat()).await;
    let content = Bucket::at(&double.url("/"), |_| ()).get().await;
    (double, content)
}

#[tokio::test]
async fn a_download_that_breaks_off_goes_on_where_it_was() {
    for end in [Act::Close, Act::Reset] {
        let rest = vec![Act::Hear, part(OBJECT, "4-7/8", "rest")];
        let double = Double::start(vec![vec![Act::Hear, object(8, "half"), end], rest]).await;
        let content = Bucket::at(&double.url("/"), |_| ()).get().await;
        // A reset may overtake what was sent before it.
        let heard = double.heard();
        match heard[1].header("range") {
            Some("bytes=4-7") => assert_eq!(content.unwrap(), "halfrest"),
            other => assert!(matches!(other, None | Some("bytes=0-7")), "{other:?}"),
        }
    }
}

#[tokio::test]
async fn the_rest_is_requested_in_the_version_of_the_first_part() {
    let (double, content) = after_half(OBJECT, vec![vec![Act::Hear, part(OBJECT, "4-7/8", "rest")]]).await;
    assert_eq!(content.unwrap(), "halfrest");
    let heard = double.heard();
    assert_eq!((heard[1].header("if-match"), heard[1].header("range")), (Some("\"1\""), Some("bytes=4-7")));
}

#[tokio::test]
async fn the_rest_of_a_range_ends_where_the_range_does() {
    let broken = "HTTP/1.1 206 Partial\r\netag: \"1\"\r\nlast-modified: Thu, 01 Jan 2026 00:00:00 GMT\r\n\
                  content-range: bytes 2-5/8\r\ncontent-length: 4\r\n\r\ncd";
    let rest = vec![Act::Hear, part(OBJECT, "4-5/8", "ef")];
    let double = Double::start(vec![vec![Act::Hear, say(broken), Act::Close], rest]).await;
    let content = Bucket::at(&double.url("/"), |_| ()).part(GetRange::Bounded(2..6)).await;
    assert_eq!(content.unwrap(), "cdef");
    assert_eq!(double.heard()[1].header("range"), Some("bytes=4-5"));
}

#[tokio::test]
async fn a_download_may_break_off_often_as_long_as_it_gets_on() {
    let piece = |at: usize| vec![Act::Hear, say_part(at), Act::Close];
    let scripts = [vec![vec![Act::Hear, object(8, "a"), Act::Close]], (1..8).map(piece).collect()].concat();
    let double = Double::start(scripts).await;
    assert_eq!(Bucket::at(&double.url("/"), |_| ()).get().await.unwrap(), "abcdefgh");
    assert_eq!(double.heard().len(), 8);
}

/// The rest from here on, of which one byte comes.
fn say_part(at: usize) -> Act {
    let (left, byte) = (8 - at, char::from(b'a' + at as u8));
    say(format!(
        "HTTP/1.1 206 Partial\r\n{OBJECT}content-range: bytes {at}-7/8\r\ncontent-length: {left}\r\n\r\n{byte}"
    ))
}

#[tokio::test]
async fn a_download_that_does_not_get_on_ends() {
    let nothing = "HTTP/1.1 206 Partial\r\netag: \"1\"\r\nlast-modified: Thu, 01 Jan 2026 00:00:00 GMT\r\n\
                   content-range: bytes 4-7/8\r\ncontent-length: 4\r\n\r\n";
    let (double, content) = after_half(OBJECT, vec![vec![Act::Hear, say(nothing), Act::Close]]).await;
    let error = content.unwrap_err();
    assert!(error.kind() == ErrorKind::Unavailable && error.message().contains("was interrupted"), "{error:?}");
    assert_eq!(double.heard().len(), 3);
}

#[tokio::test]
async fn an_object_that_was_written_or_deleted_meanwhile_is_not_mixed_with_another() {
    let versioned = |version: &str| format!("{OBJECT}x-version: {version}\r\n");
    let other = format!("{TIME}etag: \"2\"\r\n");
    for (first, then, kind) in [
        (OBJECT, answer(412, "", ""), ErrorKind::Conflict),
        (OBJECT, answer(404, "", ""), ErrorKind::NotFound),
        (OBJECT, part(&other, "4-7/8", "rest"), ErrorKind::Conflict),
        (OBJECT, part(TIME, "4-7/8", "rest"), ErrorKind::Conflict),
        (OBJECT, part(OBJECT, "4-8/9", "rest!"), ErrorKind::Conflict),
        (&versioned("1"), part(&versioned("2"), "4-7/8", "rest"), ErrorKind::Conflict),
    ] {
        let (double, content) = after_half(first, vec![vec![Act::Hear, then]]).await;
        assert_eq!(content.unwrap_err().kind(), kind);
        assert_eq!(double.heard().len(), 2);
    }
}

#[tokio::test]
async fn another_rest_than_that_which_was_asked_for_is_not_taken() {
    for then in [part(OBJECT, "3-7/8", "frest"), part(OBJECT, "4-6/8", "res"), object(8, "halfrest")] {
        let (_double, content) = after_half(OBJECT, vec![vec![Act::Hear, then]]).await;
        let error = content.unwrap_err();
        assert!(
            error.kind() == ErrorKind::Unavailable && error.message().contains("at another byte than requested"),
            "{error:?}"
        );
    }
}

#[tokio::test]
async fn without_an_identified_version_a_download_does_not_resume() {
    let weak = format!("{TIME}etag: W/\"1\"\r\n");
    for first in [TIME, &weak] {
        let (double, content) = after_half(first, vec![vec![Act::Hear, part(first, "4-7/8", "rest")]]).await;
        assert_eq!(content.unwrap_err().kind(), ErrorKind::Unavailable);
        assert_eq!(double.heard().len(), 1);
    }
    let weak = format!("{weak}x-version: 7\r\n");
    let (double, content) = after_half(&weak, vec![vec![Act::Hear, part(&weak, "4-7/8", "rest")]]).await;
    assert_eq!(content.unwrap(), "halfrest");
    assert_eq!(double.heard()[1].header("if-match"), None);
}

#[tokio::test]
async fn more_than_the_object_is_an_error_and_what_breaks_off_behind_its_end_is_none() {
    let chunked = |chunks: &str| {
        say(format!(
            "HTTP/1.1 206 Partial\r\n{OBJECT}content-range: bytes 0-3/4\r\ntransfer-encoding: chunked\r\n\r\n{chunks}"
        ))
    };
    let double = Double::start(vec![vec![Act::Hear, chunked("5\r\nwhole\r\n0\r\n\r\n")]]).await;
    assert_eq!(Bucket::at(&double.url("/"), |_| ()).get().await.unwrap_err().kind(), ErrorKind::Internal);
    let double = Double::start(vec![vec![Act::Hear, chunked("4\r\nfull\r\n"), Act::Close]]).await;
    assert_eq!(Bucket::at(&double.url("/"), |_| ()).get().await.unwrap(), "full");
    assert_eq!(double.heard().len(), 1);
}

#[tokio::test]
async fn a_download_may_last_longer_than_an_attempt_but_not_stop() {
    let slow = Act::Drip(b"slow content of an object".to_vec(), Duration::from_millis(20));
    let double = Double::start(vec![vec![Act::Hear, object(25, ""), slow]]).await;
    let timeout = |config: &mut ClientConfig| config.attempt_timeout = Duration::from_millis(300);
    assert_eq!(Bucket::at(&double.url("/"), timeout).get().await.unwrap(), "slow content of an object");
    let double = Double::start(vec![vec![Act::Hear, object(25, "half")], vec![Act::Hear]]).await;
    let started = Instant::now();
    let error = Bucket::at(&double.url("/"), timeout).get().await.unwrap_err();
    assert_eq!((error.kind(), error.outcome_unknown()), (ErrorKind::Timeout, false));
    assert!(started.elapsed() < Duration::from_secs(10));
}

#[tokio::test]
async fn a_download_that_breaks_off_goes_on_only_where_that_is_paid_for() {
    let double = Double::start(vec![vec![Act::Hear, object(8, "half"), Act::Close]]).await;
    let bucket = Bucket::at(&double.url("/"), |_| ());
    // The budget has 500 tokens, of which a retry takes 5.
    for _ in 0..100 {
        assert!(bucket.caller.client.pause(1).await);
    }
    let error = bucket.get().await.unwrap_err();
    assert!(error.kind() == ErrorKind::Unavailable && error.message().contains("was interrupted"), "{error:?}");
    assert_eq!(double.heard().len(), 1);
}

#[tokio::test]
async fn a_download_that_gets_on_by_single_bytes_uses_the_budget_up() {
    let head = |at: usize| format!("{OBJECT}content-range: bytes {at}-999/1000\r\ncontent-length: {}\r\n", 1_000 - at);
    let first = vec![Act::Hear, object(1_000, "a"), Act::Close];
    let piece = |at| vec![Act::Hear, say(format!("HTTP/1.1 206 Partial\r\n{}\r\na", head(at))), Act::Close];
    let double = Double::start([vec![first], (1..500).map(piece).collect()].concat()).await;
    let error = Bucket::at(&double.url("/"), |_| ()).get().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    // Each takes 5 tokens to go on, and gives 1 back.
    assert!((100..130).contains(&double.heard().len()), "{}", double.heard().len());
}
