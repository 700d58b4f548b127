//! `object_store`'s S3 client on this client.

use std::time::{Duration, Instant};

use bytes::Bytes;
use http::Response;
use http::request::Parts;
use isobar_abstraction::{Clock, Error, ErrorKind};
use isobar_rest::{ClientConfig, Judgement, Refusals, StoreConnector};
use object_store::aws::{AmazonS3, AmazonS3Builder, S3ConditionalPut};
use object_store::path::Path;
use object_store::{BackoffConfig, ObjectStore, ObjectStoreExt, PutMode, PutOptions, RetryConfig};

use crate::caller::Caller;
use crate::double::{Act, Double, Nobody, always, answer, say};
use crate::tls::Identity;

mod budget;

/// 503 did nothing, other 5xx may have; 403 is final; the rest `object_store` knows.
#[derive(Debug)]
struct Plain;

impl Refusals for Plain {
    fn explain(&self, _: &Parts, answer: &Response<Bytes>) -> Option<(Error, Judgement)> {
        let error = |kind| Error::new(kind, format!("told: {}", String::from_utf8_lossy(answer.body())));
        match answer.status().as_u16() {
            403 => Some((error(ErrorKind::PermissionDenied), Judgement::Final)),
            503 => Some((error(ErrorKind::Throttled { retry_after: None }), Judgement::Refused { after: None })),
            500.. => Some((error(ErrorKind::Unavailable), Judgement::Failed)),
            200 if answer.body().starts_with(b"<Error>") => Some((error(ErrorKind::Unavailable), Judgement::Failed)),
            _ => None,
        }
    }

    fn hides(&self, request: &Parts) -> bool {
        request.headers.contains_key("x-amz-copy-source")
    }
}

/// A bucket of which calls are tried three times.
#[derive(Clone)]
struct Bucket {
    caller: Caller,
    connector: StoreConnector,
    s3: AmazonS3,
}

impl Bucket {
    fn at(url: &str, change: impl FnOnce(&mut ClientConfig)) -> Self {
        Self::waiting(Duration::from_millis(1), url, change)
    }

    /// With this wait before another attempt.
    fn waiting(wait: Duration, url: &str, change: impl FnOnce(&mut ClientConfig)) -> Self {
        Self::of(Caller::new(change), wait, url)
    }

    /// Of the same client, elsewhere.
    fn moved(self, url: &str) -> Self {
        Self::of(self.caller, Duration::from_millis(1), url)
    }

    fn of(caller: Caller, wait: Duration, url: &str) -> Self {
        let connector = StoreConnector::new(caller.client.clone(), std::sync::Arc::new(caller.clock.clone()), Plain);
        let s3 = AmazonS3Builder::new()
            .with_bucket_name("bucket")
            .with_region("region")
            .with_endpoint(url.trim_end_matches('/'))
            .with_allow_http(true)
            .with_access_key_id("key")
            .with_secret_access_key("hush-secret-key")
            .with_token("hush-session-token")
            .with_conditional_put(S3ConditionalPut::ETagMatch)
            .with_disable_bulk_delete(true)
            .with_retry(RetryConfig {
                backoff: BackoffConfig { init_backoff: wait, max_backoff: wait, base: 2.0 },
                max_retries: 2,
                retry_timeout: Duration::from_secs(60),
            })
            .with_http_connector(connector.clone())
            .build()
            .unwrap();
        Self { caller, connector, s3 }
    }

    async fn get(&self) -> Result<Bytes, Error> {
        let get = async { self.s3.get(&Path::from("a")).await?.bytes().await };
        Ok(self.connector.run(get).await?)
    }

    async fn put(&self, mode: PutMode) -> Result<(), Error> {
        let path = Path::from("a");
        let put = self.s3.put_opts(&path, "content".into(), PutOptions::from(mode));
        Ok(self.connector.run(put).await.map(drop)?)
    }

    async fn delete(&self) -> Result<(), Error> {
        Ok(self.connector.run(self.s3.delete(&Path::from("a"))).await?)
    }

    async fn copy(&self) -> Result<(), Error> {
        Ok(self.connector.run(self.s3.copy(&Path::from("a"), &Path::from("b"))).await?)
    }
}

const OBJECT: &str = "etag: \"1\"\r\nlast-modified: Thu, 01 Jan 2026 00:00:00 GMT\r\n";

fn object(length: usize, content: &str) -> Act {
    say(format!("HTTP/1.1 200 OK\r\n{OBJECT}content-length: {length}\r\n\r\n{content}"))
}

#[tokio::test]
async fn object_store_shares_the_connections_of_the_client() {
    let double = Double::start(vec![always(answer(200, OBJECT, "content"))]).await;
    let bucket = Bucket::at(&double.url("/"), |_| ());
    assert_eq!(bucket.get().await.unwrap(), "content");
    assert_eq!(bucket.caller.read(&double.url("/")).await, "content");
    bucket.put(PutMode::Overwrite).await.unwrap();
    assert_eq!(double.came_on(), [0, 0, 0]);
    let put = &double.heard()[2];
    assert!(put.head.starts_with("PUT /bucket/a HTTP/1.1\r\n"), "{}", put.head);
    assert_eq!(put.body, b"content");
}

#[tokio::test]
async fn a_write_without_an_answer_is_repeated_where_that_is_safe_and_its_outcome_is_unknown() {
    let failure = answer(500, "", "");
    for (mode, attempts) in [(PutMode::Overwrite, 3), (PutMode::Create, 1)] {
        for end in [vec![Act::Close], vec![Act::Reset], vec![say("no HTTP\r\n\r\n")], vec![failure.clone(), Act::Again]]
        {
            let double = Double::start(vec![[vec![Act::Hear], end].concat()]).await;
            let bucket = Bucket::at(&double.url("/"), |_| ());
            let error = bucket.put(mode.clone()).await.unwrap_err();
            assert_eq!((error.kind(), error.outcome_unknown()), (ErrorKind::Unavailable, true), "{error:?}");
            assert_eq!(double.heard().len(), attempts, "{mode:?}");
        }
    }
}

#[tokio::test]
async fn a_delete_is_repeated_also_after_a_timeout() {
    let double = Double::start(vec![vec![Act::Hear]]).await;
    let bucket = Bucket::at(&double.url("/"), |config| config.attempt_timeout = Duration::from_millis(200));
    let error = bucket.delete().await.unwrap_err();
    assert_eq!((error.kind(), error.outcome_unknown()), (ErrorKind::Timeout, true));
    assert_eq!(double.heard().len(), 3);
}

#[tokio::test]
async fn a_write_that_was_refused_is_repeated_and_its_outcome_known() {
    for (status, kind, attempts) in
        [(503, ErrorKind::Throttled { retry_after: None }, 3), (403, ErrorKind::PermissionDenied, 1)]
    {
        for mode in [PutMode::Overwrite, PutMode::Create] {
            let double = Double::start(vec![always(answer(status, "", "no"))]).await;
            let error = Bucket::at(&double.url("/"), |_| ()).put(mode).await.unwrap_err();
            assert_eq!((error.kind(), error.outcome_unknown(), error.message()), (kind, false, "told: no"));
            assert_eq!(double.heard().len(), attempts);
        }
    }
}

#[tokio::test]
async fn a_condition_that_does_not_hold_leaves_no_doubt_of_the_outcome() {
    let double = Double::start(vec![always(answer(412, "", ""))]).await;
    let error = Bucket::at(&double.url("/"), |_| ()).put(PutMode::Create).await.unwrap_err();
    assert_eq!((error.kind(), error.outcome_unknown()), (ErrorKind::AlreadyExists, false), "{error:?}");
}

#[tokio::test]
async fn a_refusal_does_not_excuse_an_attempt_before_it_that_had_no_answer() {
    let double = Double::start(vec![vec![Act::Hear, Act::Close], always(answer(503, "", "no"))]).await;
    let error = Bucket::at(&double.url("/"), |_| ()).put(PutMode::Overwrite).await.unwrap_err();
    assert_eq!((error.kind(), error.outcome_unknown()), (ErrorKind::Throttled { retry_after: None }, true));
    assert_eq!(double.heard().len(), 3);
}

#[tokio::test]
async fn without_a_connection_the_outcome_is_known() {
    let nobody = Nobody::listens();
    let error = Bucket::at(&nobody.url(), |_| ()).put(PutMode::Create).await.unwrap_err();
    assert_eq!((error.kind(), error.outcome_unknown()), (ErrorKind::Unavailable, false));
}

#[tokio::test]
async fn a_certificate_that_is_not_trusted_is_not_tried_again() {
    let identity = Identity::of("127.0.0.1");
    let double = Double::start(vec![vec![Act::Tls(identity.acceptor())]]).await;
    let error = Bucket::at(&double.url("/").replace("http:", "https:"), |_| ()).get().await.unwrap_err();
    assert!(error.message().contains("is not trusted"), "{error:?}");
    assert_eq!(double.connections(), 1);
}

#[tokio::test]
async fn a_read_is_repeated_and_never_of_unknown_outcome() {
    let double = Double::start(vec![vec![Act::Hear, Act::Close]]).await;
    let error = Bucket::at(&double.url("/"), |_| ()).get().await.unwrap_err();
    assert_eq!((error.kind(), error.outcome_unknown()), (ErrorKind::Unavailable, false));
    assert_eq!(double.heard().len(), 3);
}

#[tokio::test]
async fn a_download_that_breaks_off_goes_on_where_it_was() {
    let rest = "HTTP/1.1 206 Partial\r\netag: \"1\"\r\nlast-modified: Thu, 01 Jan 2026 00:00:00 GMT\r\n\
                content-range: bytes 4-7/8\r\ncontent-length: 4\r\n\r\nrest";
    for end in [Act::Close, Act::Reset] {
        let double = Double::start(vec![vec![Act::Hear, object(8, "half"), end], vec![Act::Hear, say(rest)]]).await;
        let content = Bucket::at(&double.url("/"), |_| ()).get().await;
        // A reset may overtake what was sent before it.
        let from = double.heard()[1].header("range").map(str::to_owned);
        match from.as_deref() {
            Some("bytes=4-7") => assert_eq!(content.unwrap(), "halfrest"),
            other => assert!(matches!(other, None | Some("bytes=0-7")), "{other:?}"),
        }
    }
}

#[tokio::test]
async fn a_download_may_last_longer_than_an_attempt_but_not_stand_still() {
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
async fn a_success_that_hides_an_error_is_one() {
    let double = Double::start(vec![always(answer(200, "", "<Error>later</Error>"))]).await;
    let error = Bucket::at(&double.url("/"), |_| ()).copy().await.unwrap_err();
    assert_eq!((error.kind(), error.message()), (ErrorKind::Unavailable, "told: <Error>later</Error>"));
    assert!(error.outcome_unknown());
}

#[tokio::test]
async fn an_error_answer_is_not_read_without_end() {
    let double = Double::start(vec![always(answer(403, "", &"a".repeat(1 << 20)))]).await;
    let error = Bucket::at(&double.url("/"), |_| ()).get().await.unwrap_err();
    assert_eq!((error.kind(), error.message()), (ErrorKind::PermissionDenied, "told: "));
}

#[tokio::test]
async fn the_deadline_ends_a_call_of_a_store() {
    let double = Double::start(vec![vec![Act::Hear]]).await;
    for (write, unknown) in [(true, true), (false, false)] {
        let (bucket, started) = (Bucket::at(&double.url("/"), |_| ()), Instant::now());
        let caller = bucket.caller.clone();
        let call =
            |_| async move { if write { bucket.put(PutMode::Overwrite).await } else { bucket.get().await.map(drop) } };
        let error = caller.within(Duration::from_millis(200), call).await.unwrap_err();
        assert_eq!((error.kind(), error.outcome_unknown()), (ErrorKind::Timeout, unknown), "{error:?}");
        assert!(started.elapsed() < Duration::from_secs(10));
    }
}

#[tokio::test]
async fn the_deadline_ends_the_wait_before_another_attempt_of_a_store() {
    let (double, started) = (Double::start(vec![always(answer(503, "", ""))]).await, Instant::now());
    let bucket = Bucket::waiting(Duration::from_secs(60), &double.url("/"), |_| ());
    let caller = bucket.caller.clone();
    let passing = async {
        while double.heard().is_empty() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        caller.clock.manual.advance(Duration::from_secs(30));
    };
    let call = caller.within(Duration::from_secs(30), |_| async move { bucket.get().await });
    let (result, ()) = futures_util::join!(call, passing);
    assert_eq!(result.unwrap_err().kind(), ErrorKind::Timeout);
    assert!(started.elapsed() < Duration::from_secs(10));
    assert_eq!(double.heard().len(), 1);
}

#[tokio::test]
async fn after_the_deadline_a_store_sends_nothing() {
    let double = Double::start(vec![always(answer(200, OBJECT, ""))]).await;
    let bucket = Bucket::at(&double.url("/"), |_| ());
    let caller = bucket.caller.clone();
    let late = |caller: Caller| async move {
        caller.clock.manual.advance(Duration::from_secs(2));
        assert!(caller.clock.now() > isobar_abstraction::current_deadline().unwrap());
        bucket.put(PutMode::Create).await
    };
    let error = caller.within(Duration::from_secs(1), late).await.unwrap_err();
    assert_eq!((error.kind(), error.outcome_unknown()), (ErrorKind::Timeout, false));
    assert_eq!(double.connections(), 0);
}

#[tokio::test]
async fn no_error_and_no_debug_of_a_store_holds_a_secret() {
    let double = Double::start(vec![vec![Act::Hear, Act::Close]]).await;
    let bucket = Bucket::at(&double.url("/"), |config| config.http_proxy = Some("http://u:hush@127.0.0.1:1".into()));
    let error = bucket.put(PutMode::Overwrite).await.unwrap_err();
    assert!(double.heard()[0].header("x-amz-security-token") == Some("hush-session-token"));
    let told = format!("{error} {error:?} {:?}", bucket.connector);
    assert!(!told.contains("hush"), "{told}");
}
