//! The settlement of messages.

use isobar_abstraction::Outcome;
use isobar_abstraction::driver::{RetryPolicy, Settlement};

use super::super::settle::{Settled, carry_out};
use super::super::wire::{Arrived, envelope, open as arrived};
use super::*;
use crate::profile::PROFILE;

fn message(key: Option<&str>) -> Arrived {
    let mut message = identified(plain("work"), SystemTime::UNIX_EPOCH);
    message.ordering_key = key.map(str::to_owned);
    arrived(&envelope::write(&message, Default::default()).unwrap(), vec![], 2).unwrap()
}

async fn settled(double: &Double, url: &str, arrived: &Arrived, outcome: Outcome, most: u32) -> Result<Settled> {
    let attempt = arrived.message.attempt;
    let settlement =
        RetryPolicy::default().with_max_attempts(most).settle(attempt, outcome, PROFILE.limits.retry_after);
    let state = state(&double.url);
    carry_out(&state, &state.config.place(&at(url))?, arrived, settlement, attempt, false).await
}

/// The only message that was sent to Service Bus: its broker properties, its decoded form, its user properties and its
/// body.
fn only(double: &Double) -> (Value, Arrived, Vec<(String, String)>, Bytes) {
    double.request(0, |request| {
        let items: Vec<Value> = serde_json::from_slice(request.body()).unwrap();
        let properties = items[0]["UserProperties"].as_object().unwrap().iter();
        let properties: Vec<_> =
            properties.map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned())).collect();
        let body = items[0]["Body"].as_str().unwrap().to_owned();
        let opened = arrived(body.as_bytes(), properties.clone(), 1).unwrap();
        (items[0]["BrokerProperties"].clone(), opened, properties, body.into())
    })
}

#[tokio::test]
async fn a_retry_is_a_later_copy_for_one_subscription() {
    let double = Double::new(|_| status(201, "")).await;
    let (url, first) = ("servicebus://clicks?subscription=count", message(None));
    let outcome = Outcome::retry_after(Duration::from_secs(7), "busy");
    assert_eq!(settled(&double, url, &first, outcome, 5).await.unwrap(), Settled::Done);
    assert_eq!(double.requests(), ["POST /clicks/messages"]);
    let (broker, copy, properties, _) = only(&double);
    assert_eq!(broker["ScheduledEnqueueTimeUtc"], "Thu, 01 Jan 2026 00:00:08 GMT", "never too early");
    assert_eq!(broker["MessageId"], format!("{}~2", first.message.id));
    assert!(properties.contains(&(wire::FOR.to_owned(), "count".to_owned())), "{properties:?}");
    let mut expected = first.message;
    expected.attempt = 3;
    assert_eq!(copy.message, expected);
}

#[tokio::test]
async fn a_retry_waits_at_most_six_hours() {
    let double = Double::new(|_| status(201, "")).await;
    let outcome = Outcome::retry_after(Duration::MAX, "never");
    assert_eq!(settled(&double, "servicebus://clicks", &message(None), outcome, 5).await.unwrap(), Settled::Done);
    assert_eq!(only(&double).0["ScheduledEnqueueTimeUtc"], "Thu, 01 Jan 2026 06:00:01 GMT");
}

#[tokio::test]
async fn a_retry_in_a_queue_is_a_copy_that_is_hidden() {
    let double = Double::new(|_| status(201, "")).await;
    let outcome = Outcome::retry_after(Duration::from_secs(9_999_999), "busy");
    assert_eq!(
        settled(&double, "azqueue://clicks?subscriptions=a-1,b-1", &message(None), outcome, 5).await.unwrap(),
        Settled::Done
    );
    assert_eq!(double.requests(), ["POST /devstore/clicks/messages?messagettl=-1&visibilitytimeout=21600"]);
}

#[tokio::test]
async fn a_message_of_a_session_stays_in_place_and_one_with_only_a_key_does_not() {
    let double = Double::new(|_| status(201, "")).await;
    let (state, keyed) = (state(&double.url), message(Some("k")));
    let at = state.config.place(&at("servicebus://clicks")).unwrap();
    let again = Settlement::Retry(Duration::from_secs(7));
    assert_eq!(carry_out(&state, &at, &keyed, again.clone(), 2, true).await.unwrap(), Settled::Again);
    assert!(double.requests().is_empty());
    assert_eq!(carry_out(&state, &at, &keyed, again, 2, false).await.unwrap(), Settled::Done);
    assert_eq!(double.requests(), ["POST /clicks/messages"]);
    let (broker, copy, ..) = only(&double);
    assert_eq!(broker["ScheduledEnqueueTimeUtc"], "Thu, 01 Jan 2026 00:00:08 GMT");
    assert_eq!(copy.message.ordering_key.as_deref(), Some("k"));
}

#[tokio::test]
async fn a_dead_letter_has_its_reason_and_no_attempts_after_a_redrive() {
    let double = Double::new(|_| status(201, "")).await;
    let first = message(Some("k"));
    let outcome = Outcome::retry("busy");
    assert_eq!(
        settled(&double, "servicebus://clicks?subscription=count", &first, outcome, 2).await.unwrap(),
        Settled::Done
    );
    assert_eq!(double.requests(), ["POST /count--dead/messages"]);
    let (broker, opened, properties, body) = only(&double);
    assert!(broker.get("SessionId").is_none());
    let only = properties.iter().find(|(name, _)| name == wire::FOR).map(|(_, value)| value.as_str());
    assert_eq!(only, Some("count"), "a redrive to the topic reaches this subscription alone");
    let dead = dead::dead_letter(&body, properties).unwrap();
    assert_eq!((dead.id.as_str(), dead.attempts, &*dead.body), (first.message.id.as_str(), 2, &b"work"[..]));
    assert_eq!(dead.reason, "gave up after 2 attempts: busy");
    assert_eq!(dead.died_at, SystemTime::UNIX_EPOCH + Duration::from_millis(NOW));
    assert_eq!((opened.message.attempt, opened.message.ordering_key.as_deref()), (1, Some("k")));
}

#[tokio::test]
async fn a_dead_letter_of_a_queue_fits_whatever_the_reason() {
    let double = Double::new(|_| status(201, "")).await;
    let mut large = message(None);
    let size = storage_queue::LARGEST - envelope::write(&large.message, Default::default()).unwrap().len();
    large.message.body = "x".repeat(size + 4).into();
    let reject = Outcome::reject("\"\n".repeat(9_000));
    assert_eq!(settled(&double, "azqueue://clicks", &large, reject, 5).await.unwrap(), Settled::Done);
    assert_eq!(double.requests(), ["POST /devstore/clicks-poison/messages?messagettl=-1"]);
    double.request(0, |request| {
        let xml = std::str::from_utf8(request.body()).unwrap();
        let text = xml.strip_prefix("<QueueMessage><MessageText>").unwrap().split('<').next().unwrap();
        assert!(text.len() <= storage_queue::TEXT_BYTES, "{}", text.len());
        let dead = dead::dead_letter(text.as_bytes(), []).unwrap();
        assert!(dead.reason.starts_with("\"\n") && dead.reason.ends_with('…') && dead.body == large.message.body);
    });
}

#[tokio::test]
async fn a_message_that_cannot_be_settled_is_delivered_again() {
    let double = Double::new(|_| status(404, "")).await;
    for url in ["servicebus://clicks", "azqueue://clicks"] {
        for outcome in [Outcome::reject("no"), Outcome::retry("busy")] {
            assert!(settled(&double, url, &message(None), outcome, 5).await.is_err(), "{url}");
        }
        assert_eq!(settled(&double, url, &message(None), Outcome::Ack, 5).await.unwrap(), Settled::Done);
    }
}

#[test]
fn a_message_that_the_platform_moved_itself_is_a_dead_letter_too() {
    let properties = [("DeadLetterReason", "MaxDeliveryCountExceeded"), ("lang", "en")];
    let dead = dead::dead_letter(b"x", properties.map(|(name, value)| (name.to_owned(), value.to_owned()))).unwrap();
    assert_eq!((dead.reason.as_str(), dead.attributes["lang"].as_str()), ("MaxDeliveryCountExceeded", "en"));
    assert!(dead::dead_letter(b"x", []).unwrap().reason.starts_with("the platform gave up"));
}
