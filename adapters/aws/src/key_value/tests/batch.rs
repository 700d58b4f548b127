//! Reads of many keys: none is lost.

use super::*;

/// The keys of a request in DynamoDB's form.
fn keys(input: &Value) -> Vec<Value> {
    input["RequestItems"]["links"]["Keys"].as_array().unwrap().clone()
}

/// The items at some keys, with their sort keys as values.
fn items(keys: &[Value]) -> Vec<Value> {
    let item = |key: &Value| json!({"pk": key["pk"], "sk": key["sk"], "value": key["sk"], "version": {"S": "v-1"}});
    keys.iter().map(item).collect()
}

/// A response with the first items and the other keys as unprocessed.
fn some(input: &Value, count: usize) -> Answer {
    let keys = keys(input);
    let (processed, unprocessed) = keys.split_at(count.min(keys.len()));
    let unprocessed = json!({"Keys": unprocessed, "ConsistentRead": true});
    let unprocessed = if count >= keys.len() { json!({}) } else { json!({"links": unprocessed}) };
    success(json!({"Responses": {"links": items(processed)}, "UnprocessedKeys": unprocessed}))
}

fn numbered(count: usize) -> Vec<Key> {
    (0..count).map(|number| Key::new("a", format!("{number:04}"))).collect()
}

fn sorts(found: &[Option<Item>]) -> Vec<Option<&str>> {
    found.iter().map(|item| item.as_ref().map(|item| std::str::from_utf8(&item.value).unwrap())).collect()
}

#[tokio::test]
async fn get_many_requests_100_keys_each_and_returns_items_in_the_order_of_keys() {
    let fixture = Fixture::new(|_, input| some(input, 100)).await;
    let mut all = numbered(250);
    all.reverse();
    let items = fixture.table.get_many(&all).await.unwrap();
    let expected: Vec<_> = all.iter().map(|key| Some(key.sort.as_str())).collect();
    assert_eq!(sorts(&items), expected);
    let mut sizes: Vec<_> = fixture.requests().iter().map(|(_, input)| keys(input).len()).collect();
    sizes.sort_unstable();
    assert_eq!(sizes, [50, 100, 100]);
    assert_eq!(fixture.input(0)["RequestItems"]["links"]["ConsistentRead"], true);
}

#[tokio::test]
async fn unprocessed_keys_are_requested_again_until_there_are_none() {
    // More rounds than attempts: only rounds without progress count.
    let fixture = Fixture::new(|_, input| some(input, 1)).await;
    let all = numbered(25);
    let items = fixture.table.get_many(&all).await.unwrap();
    assert!(items.iter().all(Option::is_some));
    let sizes: Vec<_> = fixture.requests().iter().map(|(_, input)| keys(input).len()).collect();
    assert_eq!(sizes, (1..=25).rev().collect::<Vec<_>>(), "processed keys are not requested again");
}

#[tokio::test]
async fn keys_unprocessed_in_all_attempts_are_throttled_and_not_missing() {
    let fixture = Fixture::new(|_, input| some(input, 0)).await;
    assert_eq!(kind_of(fixture.table.get_many(&numbered(3)).await), (THROTTLED, false));
    assert_eq!(fixture.count(), TRIES as usize);
}

#[tokio::test]
async fn attempts_restart_after_progress() {
    let rounds = Mutex::new(0_usize);
    let fixture = Fixture::new(move |_, input| {
        *rounds.lock() += 1;
        some(input, usize::from(rounds.lock().is_multiple_of(TRIES as usize)))
    })
    .await;
    assert!(fixture.table.get_many(&numbered(3)).await.unwrap().iter().all(Option::is_some));
    assert_eq!(fixture.count(), 3 * TRIES as usize);
}

#[tokio::test]
async fn unprocessed_marked_sort_keys_are_requested_unchanged() {
    let count = Mutex::new(0);
    let fixture = Fixture::new(move |_, input| {
        *count.lock() += 1;
        some(input, if *count.lock() == 1 { 0 } else { 100 })
    })
    .await;
    let all = [Key::from("a"), Key::new("a", "!"), Key::new("a", "\0")];
    let items = fixture.table.get_many(&all).await.unwrap();
    assert_eq!(fixture.requests()[0], fixture.requests()[1]);
    assert!(items.iter().zip(&all).all(|(item, key)| item.as_ref().is_some_and(|item| item.key == *key)));
}

#[tokio::test]
async fn response_with_the_arn_of_the_table_is_read() {
    let arn = "arn:aws:dynamodb:eu-west-1:123456789012:table/links";
    let count = Mutex::new(0);
    let fixture = Fixture::new(move |_, input| {
        *count.lock() += 1;
        let keys = keys(input);
        let (processed, unprocessed) = if *count.lock() == 1 { keys.split_at(1) } else { keys.split_at(keys.len()) };
        success(json!({"Responses": {arn: items(processed)}, "UnprocessedKeys": {arn: {"Keys": unprocessed}}}))
    })
    .await;
    assert_eq!(sorts(&fixture.table.get_many(&numbered(2)).await.unwrap()), [Some("0000"), Some("0001")]);
}

#[tokio::test]
async fn malformed_unprocessed_key_is_an_error_and_not_missing() {
    for (key, kind) in [
        (json!({"pk": {"S": "a"}, "sk": {"S": " 1"}}), ErrorKind::Internal),
        (json!({"pk": {"S": "a"}}), ErrorKind::Config),
    ] {
        let fixture = Fixture::script([success(json!({"UnprocessedKeys": {"links": {"Keys": [key]}}}))]).await;
        assert_eq!(kind_of(fixture.table.get_many(&numbered(1)).await).0, kind);
    }
}

#[tokio::test]
async fn malformed_item_fails_get_many_and_is_in_the_error() {
    let malformed = json!({"pk": {"S": "a"}, "sk": {"S": "2"}, "value": {"L": [{"S": "hush"}]}});
    let fixture = Fixture::script([success(json!({"Responses": {"links": [stored("a", "1", "x"), malformed]}}))]).await;
    let error = fixture.table.get_many(&[Key::new("a", "1"), Key::new("a", "2")]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Internal);
    assert!(error.message().contains("`a / 2`"), "{error}");
    assert!(!format!("{error:?}").contains("hush"));
}

/// The response to a write of many items: the first ones are processed.
fn put_some(input: &Value, count: usize) -> Answer {
    let items = input["RequestItems"]["links"].as_array().unwrap();
    match items.get(count..) {
        None | Some([]) => success(json!({"UnprocessedItems": {}})),
        Some(unprocessed) => success(json!({"UnprocessedItems": {"links": unprocessed}})),
    }
}

fn puts(count: usize) -> Vec<Put> {
    numbered(count).into_iter().map(|key| Put::new(key, "text")).collect()
}

/// The sort keys and versions of the items of a request.
fn sent(input: &Value) -> Vec<(String, String)> {
    let text = |item: &Value, name: &str| item["PutRequest"]["Item"][name]["S"].as_str().unwrap().to_owned();
    let items = input["RequestItems"]["links"].as_array().unwrap();
    items.iter().map(|item| (text(item, "sk"), text(item, "version"))).collect()
}

#[tokio::test]
async fn put_many_sends_25_items_each_and_the_unprocessed_ones_again_with_their_versions() {
    let count = Mutex::new(0);
    let fixture = Fixture::new(move |operation, input| {
        if operation == "PutItem" {
            return success(json!({}));
        }
        *count.lock() += 1;
        put_some(input, if *count.lock() == 1 { 10 } else { 25 })
    })
    .await;
    let results = fixture.table.put_many(puts(26)).await;
    let versions: Vec<_> = results.into_iter().map(|result| result.unwrap().as_str().to_owned()).collect();
    let requests = fixture.requests();
    let batches: Vec<_> = requests.iter().filter(|(operation, _)| operation == "BatchWriteItem").collect();
    assert_eq!((requests.len(), batches.len()), (3, 2), "the last item alone is a put");
    let (first, second) = (sent(&batches[0].1), sent(&batches[1].1));
    assert_eq!((first.len(), &first[10..]), (25, &second[..]));
    assert!(first.iter().zip(&versions).all(|((_, sent), version)| sent == version));
}

#[tokio::test]
async fn items_unprocessed_in_all_attempts_are_throttled_and_the_others_are_written() {
    let fixture = Fixture::new(|_, input| {
        let items = input["RequestItems"]["links"].as_array().unwrap().len();
        put_some(input, items.saturating_sub(2))
    })
    .await;
    let results = fixture.table.put_many(puts(5)).await;
    let kinds: Vec<_> = results.into_iter().map(|result| result.err().map(|error| error.kind())).collect();
    assert_eq!(kinds, [None, None, None, Some(THROTTLED), Some(THROTTLED)]);
    assert_eq!(fixture.count(), 1 + TRIES as usize);
}

#[tokio::test]
async fn the_puts_of_a_rejected_batch_are_sent_one_by_one() {
    let fixture = Fixture::new(|operation, input| match operation {
        "PutItem" if input["Item"]["sk"]["S"] != "0001" => success(json!({})),
        _ => failure("ValidationException", "Item size has exceeded the maximum allowed size"),
    })
    .await;
    let results = fixture.table.put_many(puts(3)).await;
    let kinds: Vec<_> = results.into_iter().map(|result| result.err().map(|error| error.kind())).collect();
    assert_eq!(kinds, [None, Some(ErrorKind::TooLarge), None]);
    assert_eq!(fixture.count(), 4);
}

#[tokio::test]
async fn the_puts_of_a_batch_that_may_not_be_written_are_not_sent_one_by_one() {
    let fixture = Fixture::script([failure("AccessDeniedException", "not authorized")]).await;
    for result in fixture.table.put_many(puts(3)).await {
        assert_eq!(kind_of(result), (ErrorKind::PermissionDenied, false));
    }
    assert_eq!(fixture.count(), 1);
}
