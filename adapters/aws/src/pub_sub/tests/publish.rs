//! Messages without an order.

use super::*;

#[tokio::test]
async fn request_has_at_most_ten_messages() {
    let fixture = Fixture::script(vec![]).await;
    let results = fixture.publish((0..23).map(|number| plain(number.to_string())).collect()).await;
    assert!(results.iter().all(Result::is_ok));
    let mut sizes: Vec<_> = fixture.bodies().iter().map(Vec::len).collect();
    sizes.sort_unstable();
    assert_eq!(sizes, [3, 10, 10]);
    let mut bodies: Vec<_> =
        fixture.bodies().into_iter().flatten().map(|body| body.parse::<usize>().unwrap()).collect();
    bodies.sort_unstable();
    assert_eq!(bodies, (0..23).collect::<Vec<_>>());
}

#[tokio::test]
async fn request_has_at_most_262_144_bytes() {
    let fixture = Fixture::script(vec![]).await;
    let results = fixture.publish((0..5).map(|_| plain("x".repeat(100_000))).collect()).await;
    assert!(results.iter().all(Result::is_ok));
    let mut sizes: Vec<_> = fixture.bodies().iter().map(Vec::len).collect();
    sizes.sort_unstable();
    assert_eq!(sizes, [1, 2, 2]);
}

#[tokio::test]
async fn only_failed_messages_of_a_batch_are_sent_again() {
    let fault = |body: &str, before: usize| match (body, before) {
        ("b", 0) => Some(("InternalError", false)),
        ("d", 0 | 1) => Some(("Throttled", false)),
        _ => None,
    };
    let fixture = Fixture::faulty(fault).await;
    let results = fixture.publish(["a", "b", "c", "d"].map(plain).into()).await;
    assert!(results.iter().all(Result::is_ok));
    assert_eq!(fixture.bodies(), [vec!["a", "b", "c", "d"], vec!["b", "d"], vec!["d"]]);
    let batches = fixture.batches();
    assert_eq!(batches[0].messages[3].attributes, batches[2].messages[0].attributes, "under the same id");
}

#[tokio::test]
async fn each_message_has_its_own_result() {
    let fault = |body: &str, _| match body {
        "a" => Some(("InvalidParameter", true)),
        "c" => Some(("ThrottledException", true)),
        "d" => Some(("KMSAccessDenied", true)),
        "e" => Some(("InternalError", false)),
        "f" => Some(("Throttled", false)),
        _ => None,
    };
    let fixture = Fixture::faulty(fault).await;
    let results = fixture.publish(["a", "b", "c", "d", "e", "f"].map(plain).into()).await;
    assert_eq!(
        failures(&results),
        [
            Some((ErrorKind::InvalidInput, false)),
            None,
            Some((THROTTLED, false)),
            Some((ErrorKind::PermissionDenied, false)),
            Some((ErrorKind::Unavailable, true)),
            Some((THROTTLED, false)),
        ]
    );
    assert_eq!(fixture.count(), ATTEMPTS as usize);
    assert_eq!(fixture.bodies()[3], ["c", "e", "f"], "a permanent failure is sent once");
    assert_eq!(results[0].as_ref().unwrap_err().message(), "SNS returned InvalidParameter: so & so");
}

#[tokio::test]
async fn message_rejected_after_an_uncertain_attempt_is_outcome_unknown() {
    for (later, kind) in [("Throttled", THROTTLED), ("AuthorizationError", ErrorKind::PermissionDenied)] {
        let fault = move |_: &str, before| Some((if before == 0 { "InternalError" } else { later }, false));
        let fixture = Fixture::faulty(fault).await;
        assert_eq!(failures(&fixture.publish(vec![plain("a")]).await), [Some((kind, true))], "{later}");
    }
    let fixture =
        Fixture::script(vec![answer(&[Some(("InternalError", false))]), error_response(404, "NotFound")]).await;
    assert_eq!(failures(&fixture.publish(vec![plain("a")]).await), [Some((ErrorKind::NotFound, true))]);
}

#[tokio::test]
async fn request_with_lost_response_is_repeated_byte_by_byte() {
    let fixture = Fixture::script(vec![error_response(500, "InternalFailure")]).await;
    fixture.publish(vec![plain("a")]).await.remove(0).unwrap();
    let body = |index| fixture.double.request(index, |request| request.body().clone());
    assert!(fixture.count() == 2 && body(0) == body(1));
}

#[tokio::test]
async fn request_without_response_is_outcome_unknown() {
    let fixture = Fixture::new(|_| error_response(503, "ServiceUnavailable")).await;
    let results = fixture.publish(vec![plain("a"), plain("b")]).await;
    assert_eq!(failures(&results), [Some((ErrorKind::Unavailable, true)); 2]);
}

#[tokio::test]
async fn missing_topic_is_not_found_with_the_next_step() {
    let fixture = Fixture::new(|_| error_response(404, "NotFound")).await;
    let results = fixture.publish(vec![plain("a"), keyed("k", "b")]).await;
    assert_eq!(failures(&results), [Some((ErrorKind::NotFound, false)); 2]);
    let message = |index: usize| results[index].as_ref().unwrap_err().message().to_owned();
    assert_eq!(message(0), "SNS has no topic `clicks`: create it");
    assert_eq!(message(1), "SNS has no topic `clicks.fifo` for messages with an ordering key: create it");
    assert_eq!(fixture.count(), 2);

    let fixture = Fixture::script(vec![error_response(500, "InternalFailure"), error_response(404, "NotFound")]).await;
    let results = fixture.publish(vec![plain("a")]).await;
    assert_eq!(failures(&results), [Some((ErrorKind::NotFound, true))], "the first may have been stored");
}

#[tokio::test]
async fn message_without_result_in_the_response_is_outcome_unknown() {
    let fixture = Fixture::script(vec![answer(&[None])]).await;
    let results = fixture.publish(vec![plain("a"), plain("b")]).await;
    assert_eq!(failures(&results), [None, Some((ErrorKind::Internal, true))]);
    for body in ["", "hush", "<html>hush</html>", "<PublishBatchResponse/>", "{}"] {
        let fixture = Fixture::script(vec![Response::new(body.to_owned())]).await;
        let results = fixture.publish(vec![plain("a")]).await;
        assert_eq!(failures(&results), [Some((ErrorKind::Internal, true))], "{body}");
        assert!(!format!("{results:?}").contains("hush"));
        assert_eq!(fixture.count(), 1);
    }
}

#[tokio::test]
async fn errors_and_debug_contain_no_secret_and_no_body() {
    for response in [
        error_response(403, "AuthorizationError"),
        error_response(400, "InvalidParameter"),
        answer(&[Some(("X", true))]),
    ] {
        let response = Mutex::new(response);
        let fixture = Fixture::new(move |_| {
            let response = response.lock();
            Response::builder().status(response.status()).body(response.body().clone()).unwrap()
        })
        .await;
        let results = fixture.publish(vec![plain("hush-body")]).await;
        assert!(results[0].is_err());
        assert!(!format!("{results:?} {:?}", fixture.topic).contains("hush"));
    }
}

#[tokio::test]
async fn account_in_the_url_of_a_topic_is_in_its_arn() {
    let double = Double::new(|_| answer(&[None])).await;
    let url = isobar_abstraction::driver::ResourceUrl::parse("sns://clicks-prod?account=210987654321").unwrap();
    let at = Location::new(ResourceKind::Topic, "clicks").with_url(url);
    let topic = open(&state(&double.url), &at).unwrap();
    topic.publish(vec![plain("a")]).await.remove(0).unwrap();
    assert_eq!(double.request(0, Batch::of).topic, "arn:aws:sns:eu-west-1:210987654321:clicks-prod");
}
