//! Messages with an ordering key.

use super::*;

#[tokio::test]
async fn the_requests_of_a_key_are_sent_one_after_the_other() {
    let double = Double::new(accepted).await;
    let messages: Vec<_> = (0..2_500).map(|number| keyed("k", &number.to_string())).collect();
    let results = publish(&double, messages).await;
    assert_eq!(ids(&results).len(), 2_500);
    let sent: Vec<_> = requests(&double).concat();
    assert_eq!(sent, (0..2_500).map(|number| number.to_string()).collect::<Vec<_>>());
    assert_eq!(double.requests().len(), 3);
}

#[tokio::test]
async fn no_message_overtakes_a_failed_one_of_its_key() {
    let double = Double::new(|request| match bodies(request).iter().any(|body| body == "bad") {
        true => rejected(400, "INVALID_ARGUMENT", "no"),
        false => accepted(request),
    })
    .await;
    let messages = vec![keyed("k", "a"), keyed("k", "bad"), keyed("k", "b"), keyed("l", "c"), plain("d")];
    let results = publish(&double, messages).await;
    let invalid = Some((ErrorKind::InvalidInput, false));
    assert_eq!(errors(&results), [None, invalid, invalid, None, None]);
    assert!(results[2].as_ref().unwrap_err().message().contains("earlier message"));
    assert!(!requests(&double).contains(&vec!["b".to_owned()]));
}

#[tokio::test]
async fn messages_after_a_failed_request_are_not_sent() {
    let double = Double::new(|request| match bodies(request).iter().any(|body| body == "1500") {
        true => rejected(503, "UNAVAILABLE", "later"),
        false => accepted(request),
    })
    .await;
    let messages: Vec<_> = (0..3_000).map(|number| keyed("k", &number.to_string())).collect();
    let results = errors(&publish(&double, messages).await);
    assert_eq!(results[..1_000], vec![None; 1_000]);
    assert_eq!(results[1_000..2_000], vec![Some((ErrorKind::Unavailable, true)); 1_000]);
    assert_eq!(results[2_000..], vec![Some((ErrorKind::Unavailable, false)); 1_000], "these were not sent");
    assert!(requests(&double).iter().all(|bodies| bodies[0] != "2000"));
}

#[tokio::test]
async fn many_keys_share_the_concurrent_requests_of_a_call() {
    let double = Double::new(accepted).await;
    let messages: Vec<_> = (0..200).map(|number| keyed(&format!("k{number}"), &number.to_string())).collect();
    let results = publish(&double, messages).await;
    assert_eq!(ids(&results), (0..200).map(|number| format!("id-{number}")).collect::<Vec<_>>());
    assert_eq!(double.requests().len(), 200);
}
