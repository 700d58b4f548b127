//! Messages with an ordering key.

use super::*;

#[tokio::test]
async fn the_next_request_of_a_key_waits_for_the_last() {
    let double = Double::new(taken).await;
    let messages: Vec<_> = (0..2_500).map(|number| keyed("k", &number.to_string())).collect();
    let results = publish(&double, messages).await;
    assert_eq!(ids(&results).len(), 2_500);
    let sent: Vec<_> = requests(&double).concat();
    assert_eq!(sent, (0..2_500).map(|number| number.to_string()).collect::<Vec<_>>());
    assert_eq!(double.requests().len(), 3);
}

#[tokio::test]
async fn none_overtakes_one_that_failed() {
    let double = Double::new(|request| match bodies(request).iter().any(|body| body == "bad") {
        true => refused(400, "INVALID_ARGUMENT", "no"),
        false => taken(request),
    })
    .await;
    let messages = vec![keyed("k", "a"), keyed("k", "bad"), keyed("k", "b"), keyed("l", "c"), plain("d")];
    let results = publish(&double, messages).await;
    let invalid = Some((ErrorKind::InvalidInput, false));
    assert_eq!(told(&results), [None, invalid, invalid, None, None]);
    assert!(results[2].as_ref().unwrap_err().message().contains("earlier message"));
    assert!(!requests(&double).contains(&vec!["b".to_owned()]));
}

#[tokio::test]
async fn what_follows_a_request_that_failed_is_not_sent() {
    let double = Double::new(|request| match bodies(request).iter().any(|body| body == "1500") {
        true => refused(503, "UNAVAILABLE", "later"),
        false => taken(request),
    })
    .await;
    let messages: Vec<_> = (0..3_000).map(|number| keyed("k", &number.to_string())).collect();
    let results = told(&publish(&double, messages).await);
    assert_eq!(results[..1_000], vec![None; 1_000]);
    assert_eq!(results[1_000..2_000], vec![Some((ErrorKind::Unavailable, true)); 1_000]);
    assert_eq!(results[2_000..], vec![Some((ErrorKind::Unavailable, false)); 1_000], "these are surely not stored");
    assert!(requests(&double).iter().all(|bodies| bodies[0] != "2000"));
}

#[tokio::test]
async fn many_keys_share_the_requests_that_a_call_may_have_at_once() {
    let double = Double::new(taken).await;
    let messages: Vec<_> = (0..200).map(|number| keyed(&format!("k{number}"), &number.to_string())).collect();
    let results = publish(&double, messages).await;
    assert_eq!(ids(&results), (0..200).map(|number| format!("id-{number}")).collect::<Vec<_>>());
    assert_eq!(double.requests().len(), 200);
}
