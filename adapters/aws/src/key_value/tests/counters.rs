//! Counters: an addition happens once, not at all, or with unknown outcome; never twice.

use super::*;
use crate::profile::PROFILE;

fn sum(sum: &str) -> Answer {
    success(json!({"Attributes": {"pk": {"S": "a"}, "sk": {"S": "!"}, "value": {"N": sum}, "version": {"S": "v-2"}}}))
}

async fn add(fixture: &Fixture, delta: i64) -> Result<i64> {
    fixture.table.add(&Key::from("a"), delta).await
}

#[tokio::test]
async fn counter_over_its_limit_is_not_created() {
    let fixture = Fixture::script([unmet(None)]).await;
    for delta in [i64::MAX, i64::MIN] {
        assert_eq!(kind_of(add(&fixture, delta).await), (ErrorKind::InvalidInput, false));
    }
    for (_, input) in fixture.requests() {
        let condition = input["ConditionExpression"].as_str().unwrap();
        assert!(!condition.contains("attribute_not_exists(pk)"), "{condition}");
    }
    assert_eq!(fixture.count(), 2, "nothing is written");
}

#[tokio::test]
async fn addition_with_lost_response_is_not_repeated() {
    let fixture = Fixture::script([lost(), sum("1")]).await;
    assert_eq!(kind_of(add(&fixture, 1).await), (ErrorKind::Unavailable, true));
    assert_eq!(fixture.count(), 1);
}

#[tokio::test]
async fn addition_with_malformed_sum_is_outcome_unknown() {
    for answer in [success(json!({})), sum("1.5"), sum("9223372036854775808"), success(json!({"Attributes": {}}))] {
        let fixture = Fixture::script([answer]).await;
        assert_eq!(kind_of(add(&fixture, 1).await), (ErrorKind::Internal, true));
        assert_eq!(fixture.count(), 1);
    }
}

#[tokio::test]
async fn expired_counter_restarts_without_expiry() {
    let mut expired = stored("a", "!", "40");
    expired["expires"] = json!({"N": NOW.to_string()});
    let fixture = Fixture::script([unmet(Some(expired)), success(json!({}))]).await;
    assert_eq!(add(&fixture, 2).await.unwrap(), 2);
    let input = fixture.input(1);
    assert!(input["ConditionExpression"].as_str().unwrap().starts_with("attribute_not_exists(pk) OR "));
    assert_eq!(input["Item"]["value"], json!({"N": "2"}));
    assert!(input["Item"]["expires"].is_null() && input["Item"]["ttl"].is_null());
}

#[tokio::test]
async fn number_of_another_writer_as_text_becomes_a_counter_with_its_expiry() {
    let other = json!({"pk": {"S": "a"}, "sk": {"S": "!"}, "value": {"S": "40"}, "ttl": {"N": "1767229200"}});
    let fixture = Fixture::script([unmet(Some(other)), success(json!({}))]).await;
    assert_eq!(add(&fixture, 2).await.unwrap(), 42);
    let input = fixture.input(1);
    assert!(input["ConditionExpression"].as_str().unwrap().contains("attribute_not_exists(version)"));
    assert_eq!(input["Item"]["value"], json!({"N": "42"}));
    assert_eq!(input["Item"]["expires"], json!({"N": "1767229200000"}));
    assert_eq!(input["Item"]["ttl"], json!({"N": "1767229200"}));
}

#[tokio::test]
async fn addition_to_no_counter_or_over_the_limit_changes_nothing() {
    let limit = PROFILE.limits.counter_max_abs.to_string();
    for value in [json!({"S": "hush"}), json!({"S": "007"}), json!({"N": "1.5"}), json!({"N": limit})] {
        let item = json!({"pk": {"S": "a"}, "sk": {"S": "!"}, "value": value, "version": {"S": "v-1"}});
        let fixture = Fixture::script([unmet(Some(item))]).await;
        let error = add(&fixture, 1).await.unwrap_err();
        assert_eq!((error.kind(), error.outcome_unknown()), (ErrorKind::InvalidInput, false), "{value}");
        assert!(!format!("{error:?}").contains("hush"));
        assert_eq!(fixture.count(), 1);
    }
}

#[tokio::test]
async fn race_lost_in_all_attempts_is_a_conflict_without_a_change() {
    let other = json!({"value": {"S": "40"}});
    let fixture = Fixture::script([unmet(Some(other))]).await;
    assert_eq!(kind_of(add(&fixture, 2).await), (ErrorKind::Conflict, false));
    assert_eq!(fixture.count(), 2 * TRIES as usize);
}

#[tokio::test]
async fn addition_that_may_have_happened_is_not_repeated() {
    let other = || unmet(Some(json!({"value": {"S": "40"}})));
    let fixture = Fixture::script([other(), lost(), unmet(Some(json!({"version": {"S": "v-9"}}))), sum("44")]).await;
    assert_eq!(kind_of(add(&fixture, 2).await), (ErrorKind::Conflict, true));
    assert_eq!(fixture.count(), 3);
}

#[tokio::test]
async fn sum_written_with_lost_response_is_detected_by_its_version() {
    let count = Mutex::new(0);
    let fixture = Fixture::new(move |_, input| {
        *count.lock() += 1;
        match *count.lock() {
            1 => unmet(Some(json!({"value": {"S": "40"}}))),
            2 => lost(),
            _ => unmet(Some(input["Item"].clone())),
        }
    })
    .await;
    assert_eq!(add(&fixture, 2).await.unwrap(), 42);
    assert_eq!(fixture.count(), 3);
}
