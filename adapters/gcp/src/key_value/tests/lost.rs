//! Answers that were lost, conditions that others broke, and what has expired.

use super::*;

/// A service that applies a write of which the answer is lost, and refuses its repetition so. Readings show
/// what `read` makes of the write's mark.
async fn losing(repeated: Answer, read: impl Fn(&Value) -> Answer + Send + Sync + 'static) -> Scene {
    let mark = Mutex::new(Value::Null);
    Scene::new(move |request| {
        let mut mark = mark.lock();
        if request.uri().path().ends_with(":batchGet") {
            return read(&mark);
        }
        if mark.is_null() {
            *mark = mark_of(request);
            return failed();
        }
        assert_eq!(*mark, mark_of(request), "a write keeps its mark");
        repeated.clone()
    })
    .await
}

/// A reading of what was written since.
fn later(found: Answer) -> Answer {
    Response::new(found.into_body().replace(OLD, NEW))
}

#[tokio::test]
async fn a_put_whose_answer_was_lost_is_known_by_its_mark() {
    for (mode, repeated) in [(PutMode::Create, taken_there()), (update(), stale()), (update(), absent_there())] {
        let scene = losing(repeated.clone(), |mark| found(text("text", mark))).await;
        assert_eq!(scene.table.put(put(mode.clone())).await.unwrap(), version(OLD), "that of what is stored");
        assert_eq!(scene.commits(), 2);
        let scene = losing(repeated, |_| later(found(text("text", &json!("another"))))).await;
        let kind = if mode == PutMode::Create { ErrorKind::AlreadyExists } else { ErrorKind::Conflict };
        assert_eq!(kind_of(scene.table.put(put(mode)).await), (kind, true), "it may have been written over");
    }
}

#[tokio::test]
async fn a_put_whose_answer_was_lost_may_have_expired_since() {
    let scene = losing(taken_there(), |mark| {
        let mut fields = expiring(NOW - 1);
        fields["w"] = json!({"stringValue": mark});
        found(fields)
    })
    .await;
    let version = scene.table.put(put(PutMode::Create)).await.unwrap();
    assert_eq!(version, stored::version(OLD, PLACE, Some(NOW - 1)));
    assert_eq!(scene.commits(), 2, "it is not written once more");
}

#[tokio::test]
async fn an_overwrite_whose_answer_was_lost_is_written_again() {
    let scene = Scene::script([failed(), written(1)]).await;
    assert_eq!(scene.table.put(put(PutMode::Overwrite)).await.unwrap(), version(NEW));
    assert_eq!(scene.double.request(0, mark_of), scene.double.request(1, mark_of));
    let scene = Scene::script([failed()]).await;
    assert_eq!(kind_of(scene.table.put(put(PutMode::Overwrite)).await), (ErrorKind::Unavailable, true));
    assert_eq!(scene.count(), 3);
}

#[tokio::test]
async fn a_transaction_whose_answer_was_lost_is_known_by_its_marks() {
    let writes = || {
        let gone = Write::Delete { key: Key::new("a", "b"), version: None };
        vec![Write::Put(put(PutMode::Create)), gone]
    };
    let both = |mark: &Value| {
        let first: Value = serde_json::from_str(found(text("text", mark)).body()).unwrap();
        answer(200, json!([first[0], {"missing": format!("{ALL}/links/ca97a/links/sb")}]))
    };
    let scene = losing(taken_there(), move |mark| both(mark)).await;
    assert_eq!(scene.table.transact(writes()).await.unwrap(), [Some(version(OLD)), None]);
    let scene = losing(taken_there(), move |_| both(&json!("another"))).await;
    assert_eq!(kind_of(scene.table.transact(writes()).await), (ErrorKind::AlreadyExists, true));
}

#[tokio::test]
async fn one_put_that_is_seen_shows_that_its_transaction_was_applied() {
    let other = Put::new(("a", "b"), "text").with_mode(PutMode::Create);
    let scene = losing(taken_there(), |mark| {
        let first: Value = serde_json::from_str(found(text("text", mark)).body()).unwrap();
        answer(200, json!([first[0], {"missing": format!("{ALL}/links/ca97a/links/sb")}]))
    })
    .await;
    let versions = scene.table.transact(vec![Write::Put(put(PutMode::Create)), Write::Put(other)]).await.unwrap();
    assert_eq!(versions[0], Some(version(OLD)));
    // The other was deleted since: its version is one that nothing has.
    let put = put(PutMode::Update(versions[1].clone().unwrap()));
    assert_eq!(kind_of(scene.table.put(put).await), (ErrorKind::Conflict, false));
}

#[tokio::test]
async fn an_addition_is_sent_again_only_beside_a_condition() {
    let add = Write::Add { key: Key::new("a", "b"), delta: 1 };
    let none = || answer(200, json!([{"missing": format!("{ALL}/links/ca97a/links/sb")}]));
    let scene = Scene::script([none(), failed(), written(2)]).await;
    let overwrite = Write::Put(put(PutMode::Overwrite));
    let outcome = kind_of(scene.table.transact(vec![overwrite, add.clone()]).await);
    assert_eq!((outcome, scene.commits()), ((ErrorKind::Unavailable, true), 1));
    let scene = Scene::script([none(), failed(), written(2)]).await;
    scene.table.transact(vec![Write::Put(put(PutMode::Create)), add]).await.unwrap();
    assert_eq!(scene.commits(), 2);
}

/// The mark of another delivery must not be written over, or one effect would count twice.
#[tokio::test]
async fn a_mark_that_is_there_after_contention_is_taken() {
    let scene = Scene::new(|request| {
        let body = String::from_utf8_lossy(request.body()).into_owned();
        let none = json!({"missing": format!("{ALL}/links/ca97a/links/sb")});
        match (request.uri().path().ends_with(":batchGet"), body.contains(&format!("{PLACE}\""))) {
            (false, _) => refused(409, "ABORTED", "too much contention"),
            (true, false) => answer(200, json!([none])),
            (true, true) => {
                let mark: Value = serde_json::from_str(found(text("text", &json!("another"))).body()).unwrap();
                answer(200, json!([mark[0], none]))
            }
        }
    })
    .await;
    let writes = vec![Write::Put(put(PutMode::Create)), Write::Add { key: Key::new("a", "b"), delta: 1 }];
    assert_eq!(kind_of(scene.table.transact(writes).await), (ErrorKind::AlreadyExists, false));
}

/// Somebody may have deleted the mark since, and counted too: to send it again could count twice.
#[tokio::test]
async fn an_addition_whose_mark_is_gone_after_a_lost_answer_is_unknown() {
    let writes = || vec![Write::Put(put(PutMode::Create)), Write::Add { key: Key::new("a", "b"), delta: 1 }];
    let none = || answer(200, json!([{"missing": format!("{ALL}/links/ca97a/links/sb")}]));
    let both =
        answer(200, json!([{"missing": format!("{ALL}/{PLACE}")}, {"missing": format!("{ALL}/links/ca97a/links/sb")}]));
    let scene = Scene::script([none(), failed(), taken_there(), both]).await;
    assert_eq!(kind_of(scene.table.transact(writes()).await), (ErrorKind::Unavailable, true));
    assert_eq!(scene.commits(), 2);
}

#[tokio::test]
async fn a_delete_of_a_version_whose_answer_was_lost_is_unknown() {
    let scene = Scene::script([failed(), absent_there(), missing()]).await;
    assert_eq!(kind_of(scene.table.delete(&key(), Some(&version(OLD))).await), (ErrorKind::Conflict, true));
    let scene = Scene::script([failed(), answer(200, json!({"writeResults": [{}]}))]).await;
    scene.table.delete(&key(), None).await.unwrap();
}

#[tokio::test]
async fn what_is_not_told_after_a_lost_answer_stays_unknown() {
    let denied = || refused(403, "PERMISSION_DENIED", "no");
    let scene = Scene::script([failed(), denied()]).await;
    assert_eq!(kind_of(scene.table.put(put(update())).await), (ErrorKind::PermissionDenied, true));
    let scene = Scene::script([failed(), stale(), denied()]).await;
    assert_eq!(kind_of(scene.table.put(put(update())).await), (ErrorKind::PermissionDenied, true), "the reading");
}

#[tokio::test]
async fn a_create_writes_over_what_has_expired_and_nothing_else() {
    let scene = Scene::script([taken_there(), found(expiring(NOW)), written(1)]).await;
    scene.table.put(put(PutMode::Create)).await.unwrap();
    assert_eq!(scene.body(2)["writes"][0]["currentDocument"], json!({"updateTime": OLD}));
    let scene = Scene::script([taken_there(), found(expiring(NOW + 1))]).await;
    assert_eq!(kind_of(scene.table.put(put(PutMode::Create)).await), (ErrorKind::AlreadyExists, false));
    assert_eq!(scene.count(), 2);
}

#[tokio::test]
async fn a_create_that_others_overtake_every_time_is_throttled() {
    let scene = Scene::new(|request| match request.uri().path().ends_with(":batchGet") {
        true => found(expiring(NOW)),
        false => stale(),
    })
    .await;
    let error = scene.table.put(put(PutMode::Create)).await.unwrap_err();
    assert_eq!((error.kind(), error.outcome_unknown()), (ErrorKind::Throttled, false));
    assert_eq!(scene.commits(), TRIES as usize);
}

#[tokio::test]
async fn versions_that_nothing_can_have_are_a_conflict_without_a_question() {
    let scene = Scene::script([written(1)]).await;
    let mark = version(OLD).as_str().rsplit_once('.').unwrap().1.to_owned();
    for wrong in [
        String::new(),
        "*".to_owned(),
        OLD.to_owned(),
        stored::version(OLD, "links/ca97a/links/sb", None).as_str().to_owned(),
        stored::version(OLD, PLACE, Some(NOW)).as_str().to_owned(),
        format!("{OLD}.{mark}@"),
        format!("{OLD}.{mark}@x"),
        format!("yesterday.{mark}"),
        format!("2026-01-01T00:00:00.1234567Z.{mark}"),
        format!("2026-01-01T23:59:60Z.{mark}"),
        format!("2026-01-01T00:00:00+01:00.{mark}"),
        format!("2026-13-01T00:00:00Z.{mark}"),
    ] {
        let version = Version::new(wrong);
        let put = scene.table.put(put(PutMode::Update(version.clone()))).await;
        assert_eq!(kind_of(put), (ErrorKind::Conflict, false), "{version:?}");
        assert_eq!(kind_of(scene.table.delete(&key(), Some(&version)).await), (ErrorKind::Conflict, false));
        let write = Write::Delete { key: key(), version: Some(version) };
        assert_eq!(kind_of(scene.table.transact(vec![write]).await), (ErrorKind::Conflict, false));
    }
    assert_eq!(scene.count(), 0);
    let alive = stored::version(OLD, PLACE, Some(NOW + 1));
    scene.table.put(put(PutMode::Update(alive))).await.unwrap();
    assert_eq!(scene.count(), 1);
}

#[tokio::test]
async fn the_error_of_a_transaction_is_that_of_the_write_that_failed() {
    let other = Put::new(("a", "b"), "text");
    let pair = |first: Answer| {
        let first: Value = serde_json::from_str(first.body()).unwrap();
        answer(200, json!([first[0], {"missing": format!("{ALL}/links/ca97a/links/sb")}]))
    };
    let version = stored::version(OLD, "links/ca97a/links/sb", None);
    let other = other.with_mode(PutMode::Update(version));
    let writes = || vec![Write::Put(put(PutMode::Overwrite)), Write::Put(other.clone())];
    let scene = Scene::script([stale(), pair(found(text("x", &json!("w"))))]).await;
    let error = scene.table.transact(writes()).await.unwrap_err();
    assert_eq!((error.kind(), error.outcome_unknown(), scene.count()), (ErrorKind::Conflict, false, 2));
    assert!(error.message().contains("a / b"), "{error}");
}
