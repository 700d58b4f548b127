//! Writes whose condition does not hold, and writes whose response was lost.

use super::*;

/// Loses the response to the first write; the second fails with a condition, and reads return this row.
async fn after_a_lost_answer(
    condition: (u16, &'static str),
    stored: impl Fn(&str) -> Option<Value> + Send + Sync + 'static,
) -> Scene {
    let write = Mutex::new((0, String::new()));
    Scene::new(move |request| {
        let mut write = write.lock();
        if request.method() == "GET" {
            return stored(&write.1).map_or_else(|| error_answer(404, "ResourceNotFound"), |row| found(&row));
        }
        if request.method() != "DELETE" {
            write.1 = write_of(request);
        }
        write.0 += 1;
        if write.0 == 1 { lost() } else { error_answer(condition.0, condition.1) }
    })
    .await
}

const TAKEN: (u16, &str) = (409, "EntityAlreadyExists");
const CHANGED: (u16, &str) = (412, "UpdateConditionNotSatisfied");

#[tokio::test]
async fn a_put_that_finds_its_own_write_is_a_success() {
    for (mode, condition) in [(PutMode::Create, TAKEN), (PutMode::Update(version("")), CHANGED)] {
        let scene = after_a_lost_answer(condition, |write| Some(row("", write, None))).await;
        let version = scene.table.put(put(mode)).await.unwrap();
        assert_eq!(scene.count(), 3, "two writes and a read");
        assert!(version.as_str().ends_with(ETAG), "{version:?}");
        assert_eq!(scene.double.request(0, write_of), scene.double.request(1, write_of));
    }
}

#[tokio::test]
async fn a_put_that_finds_another_write_after_a_lost_response_has_an_unknown_outcome() {
    for (mode, condition, kind) in [
        (PutMode::Create, TAKEN, ErrorKind::AlreadyExists),
        (PutMode::Update(version("")), CHANGED, ErrorKind::Conflict),
    ] {
        for exists in [true, false] {
            let stored = move |_: &str| exists.then(|| row("", "w-2", None));
            let scene = after_a_lost_answer(condition, stored).await;
            assert_eq!(kind_of(scene.table.put(put(mode.clone())).await), (kind, true), "{exists}");
        }
    }
}

#[tokio::test]
async fn a_create_replaces_an_expired_row_and_nothing_else() {
    let gone = found(&row("", "w-1", Some(NOW)));
    let scene = Scene::script([error_answer(409, "EntityAlreadyExists"), gone, written()]).await;
    scene.table.put(put(PutMode::Create)).await.unwrap();
    assert_eq!(scene.methods(), ["POST", "GET", "PUT"]);
    scene.double.request(2, |request| assert_eq!(request.headers()["if-match"], ETAG));

    let lives = found(&row("", "w-1", Some(NOW + 1)));
    let scene = Scene::script([error_answer(409, "EntityAlreadyExists"), lives]).await;
    assert_eq!(kind_of(scene.table.put(put(PutMode::Create)).await), (ErrorKind::AlreadyExists, false));
}

#[tokio::test]
async fn an_expired_or_malformed_version_is_a_conflict_without_a_request() {
    let scene = Scene::script([written()]).await;
    let others =
        ["*", "", "1", ETAG, "w@@*", "w.m@@W/\"x\"", "w@x@y", "w@@W/\"datetime''\"", "w@@W/\"datetime'a\r\nb'\""];
    let altered = [version("").as_str().replace("w-1", "w-2"), format!("x{}", version("").as_str())];
    let versions = others.into_iter().map(Version::new).chain(altered.map(Version::new));
    let versions = versions.chain([expired(), version("neighbour")]);
    for version in versions {
        let update = scene.table.put(put(PutMode::Update(version.clone()))).await;
        assert_eq!(kind_of(update), (ErrorKind::Conflict, false), "{version:?}");
        let delete = scene.table.delete(&Key::from("a"), Some(&version)).await;
        assert_eq!(kind_of(delete), (ErrorKind::Conflict, false), "{version:?}");
    }
    assert_eq!(scene.count(), 0);
}

#[tokio::test]
async fn a_delete_after_a_lost_response_is_ok_or_has_an_unknown_outcome() {
    let scene = Scene::script([lost(), error_answer(404, "ResourceNotFound")]).await;
    scene.table.delete(&Key::from("a"), None).await.unwrap();
    let scene = Scene::script([lost(), error_answer(404, "ResourceNotFound")]).await;
    let delete = scene.table.delete(&Key::from("a"), Some(&version(""))).await;
    assert_eq!(kind_of(delete), (ErrorKind::Conflict, true));
}

#[tokio::test]
async fn an_addition_whose_response_was_lost_is_counted_once() {
    let mut five = row("", "w-1", None);
    five["value"] = json!("5");
    let count = Mutex::new((0, String::new()));
    let ours = five.clone();
    let scene = Scene::new(move |request| {
        let mut count = count.lock();
        count.0 += 1;
        match (count.0, request.method().as_str()) {
            (1, _) => found(&five),
            (2, _) => {
                count.1 = write_of(request);
                lost()
            }
            (_, "PUT") => error_answer(412, "UpdateConditionNotSatisfied"),
            _ => {
                let mut ours = ours.clone();
                ours["write"] = json!(count.1);
                found(&ours)
            }
        }
    })
    .await;
    assert_eq!(scene.table.add(&Key::from("a"), 2).await.unwrap(), 7);
    assert_eq!(scene.methods(), ["GET", "PUT", "PUT", "GET"]);
}

#[tokio::test]
async fn an_addition_that_may_have_been_applied_is_not_repeated() {
    let mut five = row("", "w-1", None);
    five["value"] = json!("5");
    let stale = || error_answer(412, "UpdateConditionNotSatisfied");
    let scene = Scene::script([found(&five), lost(), stale(), found(&five), found(&five), written()]).await;
    assert_eq!(kind_of(scene.table.add(&Key::from("a"), 2).await), (ErrorKind::Conflict, true));
    assert_eq!(scene.methods(), ["GET", "PUT", "PUT", "GET"]);
}

#[tokio::test]
async fn an_addition_that_loses_every_race_fails_and_changes_nothing() {
    let mut five = row("", "w-1", None);
    five["value"] = json!("5");
    let scene = Scene::new(move |request| match request.method().as_str() {
        "GET" => found(&five),
        _ => error_answer(412, "UpdateConditionNotSatisfied"),
    })
    .await;
    assert_eq!(kind_of(scene.table.add(&Key::from("a"), 2).await), (ErrorKind::Conflict, false));
    assert_eq!(scene.count(), 200);
}
