//! Lost responses, failed conditions, and expired items.

use super::*;

/// A service that applies a write, loses the response, and answers its repetition with `repeated`. Reads return what
/// `read` creates from the mark of the write.
async fn losing(repeated: Answer, read: impl Fn(&Value) -> Answer + Send + Sync + 'static) -> Fixture {
    let mark = Mutex::new(Value::Null);
    Fixture::new(move |request| {
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

/// A read of an item that was written since.
fn later(found: Answer) -> Answer {
    Response::new(found.into_body().replace(OLD, NEW))
}

#[tokio::test]
async fn a_put_whose_response_was_lost_is_recognized_by_its_mark() {
    for (mode, repeated) in [(PutMode::Create, exists_already()), (update(), stale()), (update(), does_not_exist())] {
        let fixture = losing(repeated.clone(), |mark| found(text("text", mark))).await;
        assert_eq!(fixture.table.put(put(mode.clone())).await.unwrap(), version(OLD), "the stored version");
        assert_eq!(fixture.commits(), 2);
        let fixture = losing(repeated, |_| later(found(text("text", &json!("another"))))).await;
        let kind = if mode == PutMode::Create { ErrorKind::AlreadyExists } else { ErrorKind::Conflict };
        assert_eq!(kind_of(fixture.table.put(put(mode)).await), (kind, true), "it may have been overwritten");
    }
}

#[tokio::test]
async fn a_put_whose_response_was_lost_may_have_expired_since() {
    let fixture = losing(exists_already(), |mark| {
        let mut fields = expiring(NOW - 1);
        fields["w"] = json!({"stringValue": mark});
        found(fields)
    })
    .await;
    let version = fixture.table.put(put(PutMode::Create)).await.unwrap();
    assert_eq!(version, stored::version(OLD, PATH, Some(NOW - 1)));
    assert_eq!(fixture.commits(), 2, "it is not written once more");
}

#[tokio::test]
async fn an_overwrite_whose_response_was_lost_is_repeated() {
    let fixture = Fixture::script([failed(), written(1)]).await;
    assert_eq!(fixture.table.put(put(PutMode::Overwrite)).await.unwrap(), version(NEW));
    assert_eq!(fixture.double.request(0, mark_of), fixture.double.request(1, mark_of));
    let fixture = Fixture::script([failed()]).await;
    assert_eq!(kind_of(fixture.table.put(put(PutMode::Overwrite)).await), (ErrorKind::Unavailable, true));
    assert_eq!(fixture.count(), 3);
}

#[tokio::test]
async fn a_transaction_whose_response_was_lost_is_recognized_by_its_marks() {
    let writes = || {
        let gone = Write::Delete { key: Key::new("a", "b"), version: None };
        vec![Write::Put(put(PutMode::Create)), gone]
    };
    let both = |mark: &Value| {
        let first: Value = serde_json::from_str(found(text("text", mark)).body()).unwrap();
        answer(200, json!([first[0], {"missing": format!("{ALL}/links/ca97a/links/sb")}]))
    };
    let fixture = losing(exists_already(), move |mark| both(mark)).await;
    assert_eq!(fixture.table.transact(writes()).await.unwrap(), [Some(version(OLD)), None]);
    let fixture = losing(exists_already(), move |_| both(&json!("another"))).await;
    assert_eq!(kind_of(fixture.table.transact(writes()).await), (ErrorKind::AlreadyExists, true));
}

#[tokio::test]
async fn one_stored_put_shows_that_its_transaction_was_applied() {
    let other = Put::new(("a", "b"), "text").with_mode(PutMode::Create);
    let fixture = losing(exists_already(), |mark| {
        let first: Value = serde_json::from_str(found(text("text", mark)).body()).unwrap();
        answer(200, json!([first[0], {"missing": format!("{ALL}/links/ca97a/links/sb")}]))
    })
    .await;
    let versions = fixture.table.transact(vec![Write::Put(put(PutMode::Create)), Write::Put(other)]).await.unwrap();
    assert_eq!(versions[0], Some(version(OLD)));
    // The other was deleted since: no item has its version.
    let put = put(PutMode::Update(versions[1].clone().unwrap()));
    assert_eq!(kind_of(fixture.table.put(put).await), (ErrorKind::Conflict, false));
}

#[tokio::test]
async fn an_addition_is_repeated_only_with_a_condition() {
    let add = Write::Add { key: Key::new("a", "b"), delta: 1 };
    let none = || answer(200, json!([{"missing": format!("{ALL}/links/ca97a/links/sb")}]));
    let fixture = Fixture::script([none(), failed(), written(2)]).await;
    let overwrite = Write::Put(put(PutMode::Overwrite));
    let outcome = kind_of(fixture.table.transact(vec![overwrite, add.clone()]).await);
    assert_eq!((outcome, fixture.commits()), ((ErrorKind::Unavailable, true), 1));
    let fixture = Fixture::script([none(), failed(), written(2)]).await;
    fixture.table.transact(vec![Write::Put(put(PutMode::Create)), add]).await.unwrap();
    assert_eq!(fixture.commits(), 2);
}

/// The mark of another delivery must not be overwritten, or one effect would count twice.
#[tokio::test]
async fn a_create_after_contention_finds_an_existing_item() {
    let fixture = Fixture::new(|request| {
        let body = String::from_utf8_lossy(request.body()).into_owned();
        let none = json!({"missing": format!("{ALL}/links/ca97a/links/sb")});
        match (request.uri().path().ends_with(":batchGet"), body.contains(&format!("{PATH}\""))) {
            (false, _) => rejected(409, "ABORTED", "too much contention"),
            (true, false) => answer(200, json!([none])),
            (true, true) => {
                let mark: Value = serde_json::from_str(found(text("text", &json!("another"))).body()).unwrap();
                answer(200, json!([mark[0], none]))
            }
        }
    })
    .await;
    let writes = vec![Write::Put(put(PutMode::Create)), Write::Add { key: Key::new("a", "b"), delta: 1 }];
    assert_eq!(kind_of(fixture.table.transact(writes).await), (ErrorKind::AlreadyExists, false));
}

/// Another client may have deleted the item with the mark: a repetition could count twice.
#[tokio::test]
async fn an_addition_without_its_mark_after_a_lost_response_has_an_unknown_outcome() {
    let writes = || vec![Write::Put(put(PutMode::Create)), Write::Add { key: Key::new("a", "b"), delta: 1 }];
    let none = || answer(200, json!([{"missing": format!("{ALL}/links/ca97a/links/sb")}]));
    let both =
        answer(200, json!([{"missing": format!("{ALL}/{PATH}")}, {"missing": format!("{ALL}/links/ca97a/links/sb")}]));
    let fixture = Fixture::script([none(), failed(), exists_already(), both]).await;
    assert_eq!(kind_of(fixture.table.transact(writes()).await), (ErrorKind::Unavailable, true));
    assert_eq!(fixture.commits(), 2);
}

#[tokio::test]
async fn a_delete_of_a_version_whose_response_was_lost_has_an_unknown_outcome() {
    let fixture = Fixture::script([failed(), does_not_exist(), missing()]).await;
    assert_eq!(kind_of(fixture.table.delete(&key(), Some(&version(OLD))).await), (ErrorKind::Conflict, true));
    let fixture = Fixture::script([failed(), answer(200, json!({"writeResults": [{}]}))]).await;
    fixture.table.delete(&key(), None).await.unwrap();
}

#[tokio::test]
async fn an_error_after_a_lost_response_has_an_unknown_outcome() {
    let denied = || rejected(403, "PERMISSION_DENIED", "no");
    let fixture = Fixture::script([failed(), denied()]).await;
    assert_eq!(kind_of(fixture.table.put(put(update())).await), (ErrorKind::PermissionDenied, true));
    let fixture = Fixture::script([failed(), stale(), denied()]).await;
    assert_eq!(kind_of(fixture.table.put(put(update())).await), (ErrorKind::PermissionDenied, true), "of the read");
}

#[tokio::test]
async fn a_create_overwrites_only_an_expired_item() {
    let fixture = Fixture::script([exists_already(), found(expiring(NOW)), written(1)]).await;
    fixture.table.put(put(PutMode::Create)).await.unwrap();
    assert_eq!(fixture.body(2)["writes"][0]["currentDocument"], json!({"updateTime": OLD}));
    let fixture = Fixture::script([exists_already(), found(expiring(NOW + 1))]).await;
    assert_eq!(kind_of(fixture.table.put(put(PutMode::Create)).await), (ErrorKind::AlreadyExists, false));
    assert_eq!(fixture.count(), 2);
}

#[tokio::test]
async fn a_create_that_loses_every_race_is_throttled() {
    let fixture = Fixture::new(|request| match request.uri().path().ends_with(":batchGet") {
        true => found(expiring(NOW)),
        false => stale(),
    })
    .await;
    let error = fixture.table.put(put(PutMode::Create)).await.unwrap_err();
    assert_eq!((error.kind(), error.outcome_unknown()), (ErrorKind::Throttled, false));
    assert_eq!(fixture.commits(), MAX_ATTEMPTS as usize);
}

#[tokio::test]
async fn a_version_that_no_item_can_have_is_a_conflict_without_a_request() {
    let fixture = Fixture::script([written(1)]).await;
    let hash = version(OLD).as_str().rsplit_once('.').unwrap().1.to_owned();
    for wrong in [
        String::new(),
        "*".to_owned(),
        OLD.to_owned(),
        stored::version(OLD, "links/ca97a/links/sb", None).as_str().to_owned(),
        stored::version(OLD, PATH, Some(NOW)).as_str().to_owned(),
        format!("{OLD}.{hash}@"),
        format!("{OLD}.{hash}@x"),
        format!("yesterday.{hash}"),
        format!("2026-01-01T00:00:00.1234567Z.{hash}"),
        format!("2026-01-01T23:59:60Z.{hash}"),
        format!("2026-01-01T00:00:00+01:00.{hash}"),
        format!("2026-13-01T00:00:00Z.{hash}"),
    ] {
        let version = Version::new(wrong);
        let put = fixture.table.put(put(PutMode::Update(version.clone()))).await;
        assert_eq!(kind_of(put), (ErrorKind::Conflict, false), "{version:?}");
        assert_eq!(kind_of(fixture.table.delete(&key(), Some(&version)).await), (ErrorKind::Conflict, false));
        let write = Write::Delete { key: key(), version: Some(version) };
        assert_eq!(kind_of(fixture.table.transact(vec![write]).await), (ErrorKind::Conflict, false));
    }
    assert_eq!(fixture.count(), 0);
    let live = stored::version(OLD, PATH, Some(NOW + 1));
    fixture.table.put(put(PutMode::Update(live))).await.unwrap();
    assert_eq!(fixture.count(), 1);
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
    let fixture = Fixture::script([stale(), pair(found(text("x", &json!("w"))))]).await;
    let error = fixture.table.transact(writes()).await.unwrap_err();
    assert_eq!((error.kind(), error.outcome_unknown(), fixture.count()), (ErrorKind::Conflict, false, 2));
    assert!(error.message().contains("a / b"), "{error}");
}
