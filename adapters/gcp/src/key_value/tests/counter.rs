//! Counters: Firestore's increment, reading and writing back, and lost responses.

use super::*;

fn w() -> Value {
    json!("w")
}

#[tokio::test]
async fn a_counter_stored_as_text_is_written_back_as_a_number() {
    let fixture = Fixture::script([found(text("7", &w())), written(1)]).await;
    assert_eq!(fixture.table.add(&key(), 5).await.unwrap(), 12);
    let write = fixture.body(1)["writes"][0].clone();
    assert_eq!(write["update"]["fields"]["n"], json!({"integerValue": "12"}));
    assert_eq!(write["currentDocument"], json!({"updateTime": OLD}));
}

#[tokio::test]
async fn a_counter_near_the_limit_is_written_back_with_its_expiry() {
    let limit = crate::profile::PROFILE.limits.counter_max_abs;
    let mut fields = number(limit - 1, &w());
    fields["expireAt"] = json!({"timestampValue": "2027-01-01T00:00:00Z"});
    let fixture = Fixture::script([found(fields.clone()), written(1)]).await;
    assert_eq!(fixture.table.add(&key(), 1).await.unwrap(), limit);
    let write = fixture.body(1)["writes"][0].clone();
    assert_eq!(write["update"]["fields"]["expireAt"], json!({"timestampValue": "2027-01-01T00:00:00.000Z"}));
    assert_eq!(write["currentDocument"], json!({"updateTime": OLD}));
    let fixture = Fixture::script([found(fields)]).await;
    assert_eq!(kind_of(fixture.table.add(&key(), 2).await), (ErrorKind::InvalidInput, false));
    assert_eq!(kind_of(fixture.table.add(&key(), i64::MAX).await), (ErrorKind::InvalidInput, false));
    let fixture = Fixture::script([found(number(5, &w()))]).await;
    assert_eq!(kind_of(fixture.table.add(&key(), i64::MIN).await), (ErrorKind::InvalidInput, false));
    assert_eq!(fixture.commits(), 0);
}

#[tokio::test]
async fn an_addition_is_not_repeated_and_its_mark_shows_that_it_was_applied() {
    let losing = |applied: bool| {
        let mark = Mutex::new(w());
        Fixture::new(move |request| {
            let mut mark = mark.lock();
            if request.uri().path().ends_with(":batchGet") {
                return found(number(7, &mark));
            }
            *mark = if applied { mark_of(request) } else { json!("another") };
            failed()
        })
    };
    let fixture = losing(true).await;
    assert_eq!(fixture.table.add(&key(), 1).await.unwrap(), 7);
    assert_eq!(fixture.commits(), 1);
    let fixture = losing(false).await;
    assert_eq!(kind_of(fixture.table.add(&key(), 1).await), (ErrorKind::Unavailable, true));
    assert_eq!(fixture.commits(), 1);
}

#[tokio::test]
async fn a_new_counter_whose_response_was_lost_is_not_added_to_twice() {
    let denied = rejected(403, "PERMISSION_DENIED", "no");
    let fixture = Fixture::script([missing(), failed(), exists_already(), found(number(5, &w())), denied]).await;
    assert_eq!(kind_of(fixture.table.add(&key(), 5).await), (ErrorKind::AlreadyExists, true));
    assert_eq!(fixture.count(), 4);
}

#[tokio::test]
async fn an_addition_that_lost_a_race_is_retried() {
    let lost = rejected(409, "ABORTED", "Too much contention on these documents. Please try again.");
    let fixture = Fixture::script([found(number(5, &w())), lost.clone(), lost, summed(6)]).await;
    assert_eq!(fixture.table.add(&key(), 1).await.unwrap(), 6);
    assert_eq!((fixture.count(), fixture.commits()), (4, 3), "it was not applied, so it is not read again");
    let gone = [found(number(5, &w())), does_not_exist(), missing(), written(1)];
    let fixture = Fixture::script(gone).await;
    assert_eq!(fixture.table.add(&key(), 1).await.unwrap(), 1, "another client deleted it meanwhile");
}

#[tokio::test]
async fn a_counter_that_is_replaced_by_text_meanwhile_is_an_error() {
    let both = found(json!({"v": {"stringValue": "x"}, "n": {"integerValue": "1"}}));
    let fixture = Fixture::script([found(number(5, &w())), summed(1), both]).await;
    assert_eq!(kind_of(fixture.table.add(&key(), 1).await), (ErrorKind::InvalidInput, false));
    for after in [found(number(9, &w())), found(text("x", &w())), missing()] {
        let fixture = Fixture::script([found(number(5, &w())), summed(9), after]).await;
        assert_eq!(fixture.table.add(&key(), 1).await.unwrap(), 9, "other clients added too");
    }
}

#[tokio::test]
async fn an_addition_that_loses_every_race_is_a_conflict() {
    let fixture = Fixture::new(|request| match request.uri().path().ends_with(":batchGet") {
        true => found(text("5", &w())),
        false => stale(),
    })
    .await;
    assert_eq!(kind_of(fixture.table.add(&key(), 1).await), (ErrorKind::Conflict, false));
    assert_eq!(fixture.commits(), MAX_ATTEMPTS as usize);
}

#[tokio::test]
async fn a_response_without_a_sum_has_an_unknown_outcome() {
    for result in [json!({"updateTime": NEW}), json!({"transformResults": [{"doubleValue": 6.5}]})] {
        let response = answer(200, json!({"writeResults": [result]}));
        let fixture = Fixture::script([found(number(5, &w())), response]).await;
        assert_eq!(kind_of(fixture.table.add(&key(), 1).await), (ErrorKind::Internal, true));
        assert_eq!(fixture.commits(), 1);
    }
}
