//! Counters: what is added natively, what is not, and what of it was lost.

use super::*;

fn w() -> Value {
    json!("w")
}

#[tokio::test]
async fn a_counter_that_others_wrote_as_text_is_written_back_as_a_number() {
    let scene = Scene::script([found(text("7", &w())), written(1)]).await;
    assert_eq!(scene.table.add(&key(), 5).await.unwrap(), 12);
    let write = scene.body(1)["writes"][0].clone();
    assert_eq!(write["update"]["fields"]["n"], json!({"integerValue": "12"}));
    assert_eq!(write["currentDocument"], json!({"updateTime": OLD}));
}

#[tokio::test]
async fn what_is_near_the_limit_is_read_and_written_back_with_its_expiry() {
    let limit = crate::profile::PROFILE.limits.counter_max_abs;
    let mut fields = number(limit - 1, &w());
    fields["expireAt"] = json!({"timestampValue": "2027-01-01T00:00:00Z"});
    let scene = Scene::script([found(fields.clone()), written(1)]).await;
    assert_eq!(scene.table.add(&key(), 1).await.unwrap(), limit);
    let write = scene.body(1)["writes"][0].clone();
    assert_eq!(write["update"]["fields"]["expireAt"], json!({"timestampValue": "2027-01-01T00:00:00.000Z"}));
    assert_eq!(write["currentDocument"], json!({"updateTime": OLD}));
    let scene = Scene::script([found(fields)]).await;
    assert_eq!(kind_of(scene.table.add(&key(), 2).await), (ErrorKind::InvalidInput, false));
    assert_eq!(kind_of(scene.table.add(&key(), i64::MAX).await), (ErrorKind::InvalidInput, false));
    let scene = Scene::script([found(number(5, &w()))]).await;
    assert_eq!(kind_of(scene.table.add(&key(), i64::MIN).await), (ErrorKind::InvalidInput, false));
    assert_eq!(scene.commits(), 0);
}

#[tokio::test]
async fn an_addition_is_not_repeated_and_its_mark_tells_that_it_was_made() {
    let losing = |ours: bool| {
        let mark = Mutex::new(w());
        Scene::new(move |request| {
            let mut mark = mark.lock();
            if request.uri().path().ends_with(":batchGet") {
                return found(number(7, &mark));
            }
            *mark = if ours { mark_of(request) } else { json!("another") };
            failed()
        })
    };
    let scene = losing(true).await;
    assert_eq!(scene.table.add(&key(), 1).await.unwrap(), 7);
    assert_eq!(scene.commits(), 1);
    let scene = losing(false).await;
    assert_eq!(kind_of(scene.table.add(&key(), 1).await), (ErrorKind::Unavailable, true));
    assert_eq!(scene.commits(), 1);
}

#[tokio::test]
async fn a_counter_begun_whose_answer_was_lost_is_not_added_to_twice() {
    let denied = refused(403, "PERMISSION_DENIED", "no");
    let scene = Scene::script([missing(), failed(), taken_there(), found(number(5, &w())), denied]).await;
    assert_eq!(kind_of(scene.table.add(&key(), 5).await), (ErrorKind::AlreadyExists, true));
    assert_eq!(scene.count(), 4);
}

#[tokio::test]
async fn an_addition_that_lost_a_race_is_made_again() {
    let lost = refused(409, "ABORTED", "Too much contention on these documents. Please try again.");
    let scene = Scene::script([found(number(5, &w())), lost.clone(), lost, summed(6)]).await;
    assert_eq!(scene.table.add(&key(), 1).await.unwrap(), 6);
    assert_eq!((scene.count(), scene.commits()), (4, 3), "surely not applied, so it is not read again");
    let gone = [found(number(5, &w())), absent_there(), missing(), written(1)];
    let scene = Scene::script(gone).await;
    assert_eq!(scene.table.add(&key(), 1).await.unwrap(), 1, "somebody deleted it in between");
}

#[tokio::test]
async fn a_counter_that_became_text_in_between_is_none() {
    let both = found(json!({"v": {"stringValue": "x"}, "n": {"integerValue": "1"}}));
    let scene = Scene::script([found(number(5, &w())), summed(1), both]).await;
    assert_eq!(kind_of(scene.table.add(&key(), 1).await), (ErrorKind::InvalidInput, false));
    for after in [found(number(9, &w())), found(text("x", &w())), missing()] {
        let scene = Scene::script([found(number(5, &w())), summed(9), after]).await;
        assert_eq!(scene.table.add(&key(), 1).await.unwrap(), 9, "others added too");
    }
}

#[tokio::test]
async fn a_counter_that_others_write_every_time_is_a_conflict() {
    let scene = Scene::new(|request| match request.uri().path().ends_with(":batchGet") {
        true => found(text("5", &w())),
        false => stale(),
    })
    .await;
    assert_eq!(kind_of(scene.table.add(&key(), 1).await), (ErrorKind::Conflict, false));
    assert_eq!(scene.commits(), TRIES as usize);
}

#[tokio::test]
async fn a_sum_that_is_not_told_is_unknown() {
    for result in [json!({"updateTime": NEW}), json!({"transformResults": [{"doubleValue": 6.5}]})] {
        let told = answer(200, json!({"writeResults": [result]}));
        let scene = Scene::script([found(number(5, &w())), told]).await;
        assert_eq!(kind_of(scene.table.add(&key(), 1).await), (ErrorKind::Internal, true));
        assert_eq!(scene.commits(), 1);
    }
}
