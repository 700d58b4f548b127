//! Transactions: requests, failures, and lost responses.

use super::*;

fn batch(parts: &[String]) -> Answer {
    let parts: String = parts
        .iter()
        .map(|part| format!("--changesetresponse_1\r\nContent-Type: application/http\r\n\r\n{part}\r\n"))
        .collect();
    Answer(202, None, format!("--batchresponse_1\r\n\r\n{parts}--changesetresponse_1--\r\n--batchresponse_1--\r\n"))
}

fn done(count: usize) -> Answer {
    batch(&vec![format!("HTTP/1.1 204 No Content\r\nETag: {ETAG}\r\n\r\n"); count])
}

fn failed(status: u16, code: &str, write: usize) -> Answer {
    let body = error(code, &format!("{write}:no"));
    batch(&[format!("HTTP/1.1 {status} No\r\nContent-Type: application/json\r\n\r\n{body}")])
}

fn put_at(sort: &str, mode: PutMode) -> Write {
    Write::Put(Put::new(("a", sort), "text").with_mode(mode))
}

fn delete_at(sort: &str, version: Option<Version>) -> Write {
    Write::Delete { key: Key::new("a", sort), version }
}

#[tokio::test]
async fn the_error_is_that_of_the_failed_write() {
    let writes = || {
        let update = put_at("2", PutMode::Update(version("2")));
        vec![put_at("1", PutMode::Overwrite), update, delete_at("3", Some(version("3")))]
    };
    for (write, sort) in [(1, "a / 2"), (2, "a / 3")] {
        for (status, code) in [(412, "UpdateConditionNotSatisfied"), (404, "ResourceNotFound")] {
            let scene = Scene::script([failed(status, code, write)]).await;
            let error = scene.table.transact(writes()).await.unwrap_err();
            assert_eq!((error.kind(), error.outcome_unknown()), (ErrorKind::Conflict, false));
            assert!(error.message().contains(sort), "{error}");
            assert_eq!(scene.count(), 1);
        }
    }
    let conflict = [failed(409, "EntityAlreadyExists", 0), found(&row("1", "w-2", None))];
    let scene = Scene::script(conflict).await;
    let error = scene.table.transact(vec![put_at("1", PutMode::Create)]).await.unwrap_err();
    assert_eq!((error.kind(), error.outcome_unknown()), (ErrorKind::AlreadyExists, false));
}

#[tokio::test]
async fn a_delete_of_an_absent_item_is_written_as_expired_and_then_removed() {
    let scene = Scene::script([failed(404, "ResourceNotFound", 1), done(2), done(1)]).await;
    scene.table.transact(vec![put_at("1", PutMode::Overwrite), delete_at("2", None)]).await.unwrap();
    assert_eq!(scene.count(), 3);
    assert!(scene.body(0).contains("DELETE ") && !scene.body(1).contains("DELETE "));
    assert!(scene.body(1).contains(r#""expires":"0""#), "{}", scene.body(1));
    assert!(scene.body(2).contains("DELETE ") && scene.body(2).contains(&format!("if-match: {ETAG}")));
}

#[tokio::test]
async fn a_create_replaces_an_expired_item() {
    let gone = found(&row("1", "w-1", Some(NOW)));
    let scene = Scene::script([failed(409, "EntityAlreadyExists", 0), gone, done(1)]).await;
    scene.table.transact(vec![put_at("1", PutMode::Create)]).await.unwrap();
    assert!(scene.body(2).contains(&format!("if-match: {ETAG}")));
}

#[tokio::test]
async fn a_transaction_that_finds_its_own_write_is_a_success() {
    let write = Mutex::new((0, String::new()));
    let scene = Scene::new(move |request| {
        let mut write = write.lock();
        if request.method() == "GET" {
            return found(&row("1", &write.1, None));
        }
        let body = String::from_utf8_lossy(request.body()).into_owned();
        let (_, rest) = body.split_once(r#""write":""#).unwrap();
        rest.split('"').next().unwrap_or_default().clone_into(&mut write.1);
        write.0 += 1;
        if write.0 == 1 { failed(500, "InternalError", 0) } else { failed(409, "EntityAlreadyExists", 0) }
    })
    .await;
    let versions = scene.table.transact(vec![put_at("1", PutMode::Create), delete_at("2", None)]).await.unwrap();
    assert_eq!(versions.len(), 2);
    assert!(versions[0].is_some() && versions[1].is_none());
}

#[tokio::test]
async fn an_addition_is_read_first_and_repeated_only_with_a_condition() {
    let add = || Write::Add { key: Key::new("a", "2"), delta: 1 };
    let lost = || failed(500, "InternalError", 0);
    let missing = || Answer(404, None, error("ResourceNotFound", "no such row"));
    let scene = Scene::script([missing(), lost()]).await;
    let outcome = kind_of(scene.table.transact(vec![put_at("1", PutMode::Overwrite), add()]).await);
    assert_eq!((outcome, scene.count()), ((ErrorKind::Unavailable, true), 2));
    let scene = Scene::script([missing(), lost(), done(2)]).await;
    scene.table.transact(vec![put_at("1", PutMode::Create), add()]).await.unwrap();
    assert_eq!(scene.count(), 3);
    assert!(scene.body(2).contains(r#""value":"1""#), "{}", scene.body(2));
}

#[tokio::test]
async fn a_failed_part_of_an_accepted_response_is_an_error() {
    let scene = Scene::script([failed(503, "ServerBusy", 0)]).await;
    assert_eq!(kind_of(scene.table.transact(vec![put_at("1", PutMode::Create)]).await), (THROTTLED, false));
    assert_eq!(scene.count(), ATTEMPTS);
    let scene = Scene::script([failed(500, "OperationTimedOut", 0)]).await;
    let lost = scene.table.transact(vec![put_at("1", PutMode::Create)]).await;
    assert_eq!(kind_of(lost), (ErrorKind::Unavailable, true));
    let scene = Scene::script([done(1)]).await;
    let lost = scene.table.transact(vec![delete_at("1", None), delete_at("2", None)]).await;
    assert_eq!(kind_of(lost), (ErrorKind::Internal, true), "a response with too few parts");
}

#[tokio::test]
async fn the_message_of_a_failure_without_a_write_is_complete() {
    let body = error("InvalidInput", "Bad boundary: none");
    let answer = batch(&[format!("HTTP/1.1 400 No\r\nContent-Type: application/json\r\n\r\n{body}")]);
    let scene = Scene::script([answer]).await;
    let error = scene.table.transact(vec![put_at("1", PutMode::Create)]).await.unwrap_err();
    assert_eq!((error.kind(), error.outcome_unknown()), (ErrorKind::InvalidInput, false));
    assert!(error.message().contains("Bad boundary: none"), "{error}");
}

#[tokio::test]
async fn the_largest_transaction_stays_under_four_mebibytes() {
    for unit in ["\"", "x", "\\\"\n", "é", "\u{0}"] {
        let scene = Scene::script([done(100)]).await;
        let value = Bytes::from(unit.repeat(19_232 / unit.len()));
        let key = |number: usize| Key::new("/".repeat(256), format!("{number:03}{}", "\"".repeat(509)));
        let write = |number| Write::Put(Put::new(key(number), value.clone()));
        scene.table.transact((0..100).map(write).collect()).await.unwrap();
        let size = scene.double.request(0, |request| request.body().len());
        assert!(size < 4 * 1024 * 1024, "{unit:?}: {size}");
    }
}
