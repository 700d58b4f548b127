//! Messages without an order.

use super::*;

#[tokio::test]
async fn a_request_has_ten_messages_at_most() {
    let scene = Scene::script(vec![]).await;
    let results = scene.publish((0..23).map(|number| plain(number.to_string())).collect()).await;
    assert!(results.iter().all(Result::is_ok));
    let mut sizes: Vec<_> = scene.bodies().iter().map(Vec::len).collect();
    sizes.sort_unstable();
    assert_eq!(sizes, [3, 10, 10]);
    let mut bodies: Vec<_> = scene.bodies().into_iter().flatten().map(|body| body.parse::<usize>().unwrap()).collect();
    bodies.sort_unstable();
    assert_eq!(bodies, (0..23).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_request_has_no_more_bytes_than_sns_takes() {
    let scene = Scene::script(vec![]).await;
    let results = scene.publish((0..5).map(|_| plain("x".repeat(100_000))).collect()).await;
    assert!(results.iter().all(Result::is_ok));
    let mut sizes: Vec<_> = scene.bodies().iter().map(Vec::len).collect();
    sizes.sort_unstable();
    assert_eq!(sizes, [1, 2, 2]);
}

#[tokio::test]
async fn of_a_partly_failed_batch_only_what_failed_is_sent_again() {
    let fault = |body: &str, before: usize| match (body, before) {
        ("b", 0) => Some(("InternalError", false)),
        ("d", 0 | 1) => Some(("Throttled", false)),
        _ => None,
    };
    let scene = Scene::faulty(fault).await;
    let results = scene.publish(["a", "b", "c", "d"].map(plain).into()).await;
    assert!(results.iter().all(Result::is_ok));
    assert_eq!(scene.bodies(), [vec!["a", "b", "c", "d"], vec!["b", "d"], vec!["d"]]);
    let batches = scene.batches();
    assert_eq!(batches[0].messages[3].attributes, batches[2].messages[0].attributes, "under the id that it had");
}

#[tokio::test]
async fn each_message_has_a_result_of_its_own() {
    let fault = |body: &str, _| match body {
        "a" => Some(("InvalidParameter", true)),
        "c" => Some(("ThrottledException", true)),
        "d" => Some(("KMSAccessDenied", true)),
        "e" => Some(("InternalError", false)),
        "f" => Some(("Throttled", false)),
        _ => None,
    };
    let scene = Scene::faulty(fault).await;
    let results = scene.publish(["a", "b", "c", "d", "e", "f"].map(plain).into()).await;
    assert_eq!(
        told(&results),
        [
            Some((ErrorKind::InvalidInput, false)),
            None,
            Some((THROTTLED, false)),
            Some((ErrorKind::PermissionDenied, false)),
            Some((ErrorKind::Unavailable, true)),
            Some((THROTTLED, false)),
        ]
    );
    assert_eq!(scene.count(), ATTEMPTS as usize);
    assert_eq!(scene.bodies()[3], ["c", "e", "f"], "what lasts is sent once");
    assert_eq!(results[0].as_ref().unwrap_err().message(), "SNS answers InvalidParameter: so & so");
}

#[tokio::test]
async fn a_message_that_is_refused_after_it_may_have_been_stored_stays_unknown() {
    for (later, kind) in [("Throttled", THROTTLED), ("AuthorizationError", ErrorKind::PermissionDenied)] {
        let fault = move |_: &str, before| Some((if before == 0 { "InternalError" } else { later }, false));
        let scene = Scene::faulty(fault).await;
        assert_eq!(told(&scene.publish(vec![plain("a")]).await), [Some((kind, true))], "{later}");
    }
    let scene = Scene::script(vec![answer(&[Some(("InternalError", false))]), refused(404, "NotFound")]).await;
    assert_eq!(told(&scene.publish(vec![plain("a")]).await), [Some((ErrorKind::NotFound, true))]);
}

#[tokio::test]
async fn a_request_whose_answer_was_lost_is_repeated_to_the_byte() {
    let scene = Scene::script(vec![refused(500, "InternalFailure")]).await;
    scene.publish(vec![plain("a")]).await.remove(0).unwrap();
    let body = |place| scene.double.request(place, |request| request.body().clone());
    assert!(scene.count() == 2 && body(0) == body(1));
}

#[tokio::test]
async fn a_request_that_never_has_an_answer_leaves_the_outcome_unknown() {
    let scene = Scene::new(|_| refused(503, "ServiceUnavailable")).await;
    let results = scene.publish(vec![plain("a"), plain("b")]).await;
    assert_eq!(told(&results), [Some((ErrorKind::Unavailable, true)); 2]);
}

#[tokio::test]
async fn a_missing_topic_is_named_and_is_to_be_created() {
    let scene = Scene::new(|_| refused(404, "NotFound")).await;
    let results = scene.publish(vec![plain("a"), keyed("k", "b")]).await;
    assert_eq!(told(&results), [Some((ErrorKind::NotFound, false)); 2]);
    let message = |place: usize| results[place].as_ref().unwrap_err().message().to_owned();
    assert_eq!(message(0), "SNS has no topic `clicks`: create it");
    assert_eq!(message(1), "SNS has no topic `clicks.fifo` for messages with an ordering key: create it");
    assert_eq!(scene.count(), 2);

    let scene = Scene::script(vec![refused(500, "InternalFailure"), refused(404, "NotFound")]).await;
    let results = scene.publish(vec![plain("a")]).await;
    assert_eq!(told(&results), [Some((ErrorKind::NotFound, true))], "the first may have been stored");
}

#[tokio::test]
async fn an_answer_that_does_not_tell_of_a_message_leaves_its_outcome_unknown() {
    let scene = Scene::script(vec![answer(&[None])]).await;
    let results = scene.publish(vec![plain("a"), plain("b")]).await;
    assert_eq!(told(&results), [None, Some((ErrorKind::Internal, true))]);
    for body in ["", "hush", "<html>hush</html>", "<PublishBatchResponse/>", "{}"] {
        let scene = Scene::script(vec![Response::new(body.to_owned())]).await;
        let results = scene.publish(vec![plain("a")]).await;
        assert_eq!(told(&results), [Some((ErrorKind::Internal, true))], "{body}");
        assert!(!format!("{results:?}").contains("hush"));
        assert_eq!(scene.count(), 1);
    }
}

#[tokio::test]
async fn no_error_and_no_debug_shows_a_secret_or_a_body() {
    for response in [refused(403, "AuthorizationError"), refused(400, "InvalidParameter"), answer(&[Some(("X", true))])]
    {
        let response = Mutex::new(response);
        let scene = Scene::new(move |_| {
            let response = response.lock();
            Response::builder().status(response.status()).body(response.body().clone()).unwrap()
        })
        .await;
        let results = scene.publish(vec![plain("hush-body")]).await;
        assert!(results[0].is_err());
        assert!(!format!("{results:?} {:?}", scene.topic).contains("hush"));
    }
}

#[tokio::test]
async fn the_account_of_the_url_of_a_topic_is_that_of_its_arn() {
    let double = Double::new(|_| answer(&[None])).await;
    let url = isobar_abstraction::driver::ResourceUrl::parse("sns://clicks-prod?account=210987654321").unwrap();
    let at = Location::new(ResourceKind::Topic, "clicks").with_url(url);
    let topic = open(&state(&double.url), &at).unwrap();
    topic.publish(vec![plain("a")]).await.remove(0).unwrap();
    assert_eq!(double.request(0, Batch::of).topic, "arn:aws:sns:eu-west-1:210987654321:clicks-prod");
}
