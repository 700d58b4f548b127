//! Many keys at once: none is ever lost.

use super::*;

/// The keys of a request, as DynamoDB has them.
fn keys(input: &Value) -> Vec<Value> {
    input["RequestItems"]["links"]["Keys"].as_array().unwrap().clone()
}

/// The items at some keys, with their sort keys for values.
fn items(keys: &[Value]) -> Vec<Value> {
    let item = |key: &Value| json!({"pk": key["pk"], "sk": key["sk"], "value": key["sk"], "version": {"S": "v-1"}});
    keys.iter().map(item).collect()
}

/// The first keys are answered, the others left.
fn some(input: &Value, count: usize) -> Answer {
    let keys = keys(input);
    let (now, later) = keys.split_at(count.min(keys.len()));
    let left = if later.is_empty() { json!({}) } else { json!({"links": {"Keys": later, "ConsistentRead": true}}) };
    done(json!({"Responses": {"links": items(now)}, "UnprocessedKeys": left}))
}

fn numbered(count: usize) -> Vec<Key> {
    (0..count).map(|number| Key::new("a", format!("{number:04}"))).collect()
}

fn sorts(found: &[Option<Item>]) -> Vec<Option<&str>> {
    found.iter().map(|item| item.as_ref().map(|item| std::str::from_utf8(&item.value).unwrap())).collect()
}

#[tokio::test]
async fn many_keys_are_asked_for_by_the_hundred_and_answered_in_the_order_asked() {
    let scene = Scene::new(|_, input| some(input, 100)).await;
    let mut asked = numbered(250);
    asked.reverse();
    let found = scene.table.get_many(&asked).await.unwrap();
    let wanted: Vec<_> = asked.iter().map(|key| Some(key.sort.as_str())).collect();
    assert_eq!(sorts(&found), wanted);
    let mut sizes: Vec<_> = scene.requests().iter().map(|(_, input)| keys(input).len()).collect();
    sizes.sort_unstable();
    assert_eq!(sizes, [50, 100, 100]);
    assert_eq!(scene.input(0)["RequestItems"]["links"]["ConsistentRead"], true);
}

#[tokio::test]
async fn keys_that_are_left_are_asked_for_again_until_none_is() {
    // More rounds than there are tries: only those in vain count.
    let scene = Scene::new(|_, input| some(input, 1)).await;
    let asked = numbered(25);
    let found = scene.table.get_many(&asked).await.unwrap();
    assert!(found.iter().all(Option::is_some));
    let sizes: Vec<_> = scene.requests().iter().map(|(_, input)| keys(input).len()).collect();
    assert_eq!(sizes, (1..=25).rev().collect::<Vec<_>>(), "what was answered is not asked for again");
}

#[tokio::test]
async fn keys_that_are_left_every_time_are_throttled_and_not_missing() {
    let scene = Scene::new(|_, input| some(input, 0)).await;
    assert_eq!(kind_of(scene.table.get_many(&numbered(3)).await), (THROTTLED, false));
    assert_eq!(scene.count(), TRIES as usize);
}

#[tokio::test]
async fn tries_in_vain_are_counted_anew_when_some_key_was_answered() {
    let rounds = Mutex::new(0_usize);
    let scene = Scene::new(move |_, input| {
        *rounds.lock() += 1;
        some(input, usize::from(rounds.lock().is_multiple_of(TRIES as usize)))
    })
    .await;
    assert!(scene.table.get_many(&numbered(3)).await.unwrap().iter().all(Option::is_some));
    assert_eq!(scene.count(), 3 * TRIES as usize);
}

#[tokio::test]
async fn marked_sort_keys_that_are_left_are_asked_for_as_they_were() {
    let count = Mutex::new(0);
    let scene = Scene::new(move |_, input| {
        *count.lock() += 1;
        some(input, if *count.lock() == 1 { 0 } else { 100 })
    })
    .await;
    let asked = [Key::from("a"), Key::new("a", "!"), Key::new("a", "\0")];
    let found = scene.table.get_many(&asked).await.unwrap();
    assert_eq!(scene.requests()[0], scene.requests()[1]);
    assert!(found.iter().zip(&asked).all(|(item, key)| item.as_ref().is_some_and(|item| item.key == *key)));
}

#[tokio::test]
async fn a_table_whose_name_comes_back_as_its_arn_is_the_one_that_was_asked() {
    let arn = "arn:aws:dynamodb:eu-west-1:123456789012:table/links";
    let count = Mutex::new(0);
    let scene = Scene::new(move |_, input| {
        *count.lock() += 1;
        let keys = keys(input);
        let (now, left) = if *count.lock() == 1 { keys.split_at(1) } else { keys.split_at(keys.len()) };
        done(json!({"Responses": {arn: items(now)}, "UnprocessedKeys": {arn: {"Keys": left}}}))
    })
    .await;
    assert_eq!(sorts(&scene.table.get_many(&numbered(2)).await.unwrap()), [Some("0000"), Some("0001")]);
}

#[tokio::test]
async fn a_key_that_is_left_and_cannot_be_read_is_an_error_and_not_missing() {
    for (key, kind) in [
        (json!({"pk": {"S": "a"}, "sk": {"S": " 1"}}), ErrorKind::Internal),
        (json!({"pk": {"S": "a"}}), ErrorKind::Config),
    ] {
        let scene = Scene::script([done(json!({"UnprocessedKeys": {"links": {"Keys": [key]}}}))]).await;
        assert_eq!(kind_of(scene.table.get_many(&numbered(1)).await).0, kind);
    }
}

#[tokio::test]
async fn one_item_that_cannot_be_read_fails_all_and_is_named() {
    let strange = json!({"pk": {"S": "a"}, "sk": {"S": "2"}, "value": {"L": [{"S": "hush"}]}});
    let scene = Scene::script([done(json!({"Responses": {"links": [stored("a", "1", "x"), strange]}}))]).await;
    let error = scene.table.get_many(&[Key::new("a", "1"), Key::new("a", "2")]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Internal);
    assert!(error.message().contains("`a / 2`"), "{error}");
    assert!(!format!("{error:?}").contains("hush"));
}
