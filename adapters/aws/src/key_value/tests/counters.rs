//! Counters: added to once, or not, or nobody knows; never twice.

use super::*;
use crate::profile::PROFILE;

fn sum(sum: &str) -> Answer {
    done(json!({"Attributes": {"pk": {"S": "a"}, "sk": {"S": "!"}, "value": {"N": sum}, "version": {"S": "v-2"}}}))
}

async fn add(scene: &Scene, delta: i64) -> Result<i64> {
    scene.table.add(&Key::from("a"), delta).await
}

#[tokio::test]
async fn a_counter_is_not_begun_past_its_limit() {
    let scene = Scene::script([unmet(None)]).await;
    for delta in [i64::MAX, i64::MIN] {
        assert_eq!(kind_of(add(&scene, delta).await), (ErrorKind::InvalidInput, false));
    }
    for (_, input) in scene.requests() {
        let condition = input["ConditionExpression"].as_str().unwrap();
        assert!(!condition.contains("attribute_not_exists(pk)"), "{condition}");
    }
    assert_eq!(scene.count(), 2, "and nothing is written");
}

#[tokio::test]
async fn an_addition_without_an_answer_is_never_made_twice() {
    let scene = Scene::script([lost(), sum("1")]).await;
    assert_eq!(kind_of(add(&scene, 1).await), (ErrorKind::Unavailable, true));
    assert_eq!(scene.count(), 1);
}

#[tokio::test]
async fn an_addition_whose_sum_cannot_be_read_was_made() {
    for answer in [done(json!({})), sum("1.5"), sum("9223372036854775808"), done(json!({"Attributes": {}}))] {
        let scene = Scene::script([answer]).await;
        assert_eq!(kind_of(add(&scene, 1).await), (ErrorKind::Internal, true));
        assert_eq!(scene.count(), 1);
    }
}

#[tokio::test]
async fn a_counter_that_has_expired_is_begun_anew_and_lives_for_ever() {
    let mut expired = stored("a", "!", "40");
    expired["expires"] = json!({"N": NOW.to_string()});
    let scene = Scene::script([unmet(Some(expired)), done(json!({}))]).await;
    assert_eq!(add(&scene, 2).await.unwrap(), 2);
    let input = scene.input(1);
    assert!(input["ConditionExpression"].as_str().unwrap().starts_with("attribute_not_exists(pk) OR "));
    assert_eq!(input["Item"]["value"], json!({"N": "2"}));
    assert!(input["Item"]["expires"].is_null() && input["Item"]["ttl"].is_null());
}

#[tokio::test]
async fn a_number_that_somebody_else_wrote_as_text_becomes_a_counter_and_keeps_its_expiry() {
    let theirs = json!({"pk": {"S": "a"}, "sk": {"S": "!"}, "value": {"S": "40"}, "ttl": {"N": "1767229200"}});
    let scene = Scene::script([unmet(Some(theirs)), done(json!({}))]).await;
    assert_eq!(add(&scene, 2).await.unwrap(), 42);
    let input = scene.input(1);
    assert!(input["ConditionExpression"].as_str().unwrap().contains("attribute_not_exists(version)"));
    assert_eq!(input["Item"]["value"], json!({"N": "42"}));
    assert_eq!(input["Item"]["expires"], json!({"N": "1767229200000"}));
    assert_eq!(input["Item"]["ttl"], json!({"N": "1767229200"}));
}

#[tokio::test]
async fn what_is_no_counter_or_would_pass_its_limit_is_left_alone() {
    let limit = PROFILE.limits.counter_max_abs.to_string();
    for value in [json!({"S": "hush"}), json!({"S": "007"}), json!({"N": "1.5"}), json!({"N": limit})] {
        let item = json!({"pk": {"S": "a"}, "sk": {"S": "!"}, "value": value, "version": {"S": "v-1"}});
        let scene = Scene::script([unmet(Some(item))]).await;
        let error = add(&scene, 1).await.unwrap_err();
        assert_eq!((error.kind(), error.outcome_unknown()), (ErrorKind::InvalidInput, false), "{value}");
        assert!(!format!("{error:?}").contains("hush"));
        assert_eq!(scene.count(), 1);
    }
}

#[tokio::test]
async fn a_race_that_is_lost_every_time_is_a_conflict_that_changed_nothing() {
    let theirs = json!({"value": {"S": "40"}});
    let scene = Scene::script([unmet(Some(theirs))]).await;
    assert_eq!(kind_of(add(&scene, 2).await), (ErrorKind::Conflict, false));
    assert_eq!(scene.count(), 2 * TRIES as usize);
}

#[tokio::test]
async fn what_may_have_been_counted_is_not_counted_again() {
    let theirs = || unmet(Some(json!({"value": {"S": "40"}})));
    let scene = Scene::script([theirs(), lost(), unmet(Some(json!({"version": {"S": "v-9"}}))), sum("44")]).await;
    assert_eq!(kind_of(add(&scene, 2).await), (ErrorKind::Conflict, true));
    assert_eq!(scene.count(), 3);
}

#[tokio::test]
async fn a_written_sum_whose_answer_was_lost_is_known_by_its_version() {
    let count = Mutex::new(0);
    let scene = Scene::new(move |_, input| {
        *count.lock() += 1;
        match *count.lock() {
            1 => unmet(Some(json!({"value": {"S": "40"}}))),
            2 => lost(),
            _ => unmet(Some(input["Item"].clone())),
        }
    })
    .await;
    assert_eq!(add(&scene, 2).await.unwrap(), 42);
    assert_eq!(scene.count(), 3);
}
