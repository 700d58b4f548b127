//! What exactly is asked. DynamoDB refuses a request that names what no expression uses.

use isobar_abstraction::key_value::{PutMode, Version, Write};

use super::*;

const EXPIRED: &str = "(expires <= :now OR #ttl <= :second)";

fn put_at(sort: &str, value: &[u8], mode: PutMode, expires_at: Option<u64>) -> Put {
    let value = Bytes::copy_from_slice(value);
    Put { key: Key::new("a", sort), value, mode, expires_at: expires_at.map(at) }
}

/// The input of one put, without its version, which is checked.
async fn input_of(put: Put) -> Value {
    let scene = Scene::script([done(json!({}))]).await;
    let version = scene.table.put(put).await.unwrap();
    let mut input = scene.input(0);
    let sent = input["Item"].as_object_mut().unwrap().remove("version").unwrap();
    assert_eq!(sent, json!({"S": version.as_str()}));
    assert_eq!(version.as_str().len(), 22, "128 bits");
    input
}

#[tokio::test]
async fn a_get_reads_consistently() {
    let scene = Scene::script([done(json!({}))]).await;
    assert_eq!(scene.table.get(&Key::new("a", "b")).await.unwrap(), None);
    let input = json!({"TableName": "links", "Key": {"pk": {"S": "a"}, "sk": {"S": "b"}}, "ConsistentRead": true});
    assert_eq!(scene.asked(), [("GetItem".to_owned(), input)]);
    scene.double.request(0, |request| {
        assert_eq!(request.headers()["x-amz-target"], "DynamoDB_20120810.GetItem");
        assert!(request.headers()["authorization"].to_str().unwrap().contains("/eu-west-1/dynamodb/aws4_request"));
    });
}

#[tokio::test]
async fn a_put_without_a_condition_sends_none() {
    let input = input_of(put_at("b", b"text", PutMode::Overwrite, None)).await;
    let item = json!({"pk": {"S": "a"}, "sk": {"S": "b"}, "value": {"S": "text"}});
    assert_eq!(input, json!({"TableName": "links", "Item": item}));
}

#[tokio::test]
async fn text_is_s_and_a_counter_n_and_all_else_b() {
    for (value, sent) in [
        (&b""[..], json!({"S": ""})),
        (b"caf\xc3\xa9\t\r\n", json!({"S": "caf\u{e9}\t\r\n"})),
        (b"{\"a\":1}", json!({"S": "{\"a\":1}"})),
        (b"0", json!({"N": "0"})),
        (b"-42", json!({"N": "-42"})),
        (b"9223372036854775807", json!({"N": "9223372036854775807"})),
        (b"9223372036854775808", json!({"S": "9223372036854775808"})),
        (b"007", json!({"S": "007"})),
        (b"-0", json!({"S": "-0"})),
        (b"1.0", json!({"S": "1.0"})),
        (b"\0", json!({"B": "AA=="})),
        (b"\xff\xfe", json!({"B": "//4="})),
    ] {
        let input = input_of(put_at("", value, PutMode::Overwrite, None)).await;
        assert_eq!(input["Item"]["value"], sent, "{value:?}");
    }
}

#[tokio::test]
async fn the_second_at_which_dynamodb_deletes_is_rounded_up() {
    for (expires, second) in [
        (1_767_225_661_000_u64, "1767225661"),
        (1_767_225_661_001, "1767225662"),
        (1_767_225_661_999, "1767225662"),
        (0, "0"),
    ] {
        let input = input_of(put_at("", b"x", PutMode::Overwrite, Some(expires))).await;
        assert_eq!(input["Item"]["expires"], json!({"N": expires.to_string()}));
        assert_eq!(input["Item"]["ttl"], json!({"N": second}), "{expires}");
    }
}

#[tokio::test]
async fn a_create_names_what_its_condition_uses_and_nothing_else() {
    let input = input_of(put_at("", b"x", PutMode::Create, None)).await;
    assert_eq!(input["ConditionExpression"], format!("attribute_not_exists(pk) OR {EXPIRED}"));
    assert_eq!(input["ExpressionAttributeNames"], json!({"#ttl": "ttl"}));
    let values = json!({":now": {"N": "1767225600250"}, ":second": {"N": "1767225600"}});
    assert_eq!(input["ExpressionAttributeValues"], values);
    assert_eq!(input["ReturnValuesOnConditionCheckFailure"], "ALL_OLD");
}

#[tokio::test]
async fn an_update_asks_for_its_version_of_what_lives() {
    let input = input_of(put_at("", b"x", update(), None)).await;
    assert_eq!(input["ConditionExpression"], format!("version = :version AND NOT {EXPIRED}"));
    assert_eq!(input["ExpressionAttributeNames"], json!({"#ttl": "ttl"}));
    let values = json!({":now": {"N": "1767225600250"}, ":second": {"N": "1767225600"}, ":version": {"S": "v-1"}});
    assert_eq!(input["ExpressionAttributeValues"], values);
}

#[tokio::test]
async fn an_update_of_what_somebody_else_wrote_asks_that_it_has_no_version_yet() {
    let mode = PutMode::Update(Version::new("unversioned"));
    let input = input_of(put_at("", b"x", mode, None)).await;
    let wanted = format!("attribute_exists(pk) AND attribute_not_exists(version) AND NOT {EXPIRED}");
    assert_eq!(input["ConditionExpression"], wanted);
    let values = json!({":now": {"N": "1767225600250"}, ":second": {"N": "1767225600"}});
    assert_eq!(input["ExpressionAttributeValues"], values);
}

#[tokio::test]
async fn a_delete_is_conditional_only_where_a_version_is_asked_for() {
    let scene = Scene::script([done(json!({}))]).await;
    let (key, version) = (Key::new("a", ""), Version::new("v-1"));
    scene.table.delete(&key, None).await.unwrap();
    scene.table.delete(&key, Some(&version)).await.unwrap();
    let key = json!({"pk": {"S": "a"}, "sk": {"S": "!"}});
    assert_eq!(scene.asked()[0], ("DeleteItem".to_owned(), json!({"TableName": "links", "Key": key})));
    let input = scene.input(1);
    assert_eq!(input["ConditionExpression"], format!("version = :version AND NOT {EXPIRED}"));
    assert_eq!(input["ExpressionAttributeValues"][":version"], json!({"S": "v-1"}));
}

#[tokio::test]
async fn a_transaction_sends_each_write_with_its_own_condition() {
    let scene = Scene::script([done(json!({}))]).await;
    let writes = vec![
        Write::Put(put_at("1", b"7", PutMode::Overwrite, None)),
        Write::Put(put_at("2", b"x", PutMode::Create, None)),
        Write::Delete { key: Key::new("a", "3"), version: None },
        Write::Delete { key: Key::new("a", "4"), version: Some(Version::new("v-1")) },
    ];
    let versions = scene.table.transact(writes).await.unwrap();
    let (operation, input) = scene.asked().remove(0);
    assert_eq!(operation, "TransactWriteItems");
    let token = input["ClientRequestToken"].as_str().unwrap();
    assert!((1..=36).contains(&token.len()), "DynamoDB takes up to 36 characters");
    let items = input["TransactItems"].as_array().unwrap();
    assert_eq!(items.len(), 4);
    let sent = |place: usize| Some(Version::new(items[place]["Put"]["Item"]["version"]["S"].as_str().unwrap()));
    assert_eq!(versions, [sent(0), sent(1), None, None]);
    assert_ne!(versions[0], versions[1]);
    assert_eq!(items[0]["Put"].as_object().unwrap().len(), 2, "table and item, no condition");
    assert_eq!(items[1]["Put"]["ConditionExpression"], format!("attribute_not_exists(pk) OR {EXPIRED}"));
    let third = json!({"Delete": {"TableName": "links", "Key": {"pk": {"S": "a"}, "sk": {"S": "3"}}}});
    assert_eq!(items[2], third);
    assert_eq!(items[3]["Delete"]["ConditionExpression"], format!("version = :version AND NOT {EXPIRED}"));
}

#[tokio::test]
async fn conditions_use_no_reserved_word_by_its_bare_name() {
    let scene = Scene::new(|operation, _| match operation {
        "UpdateItem" => done(json!({"Attributes": {"value": {"N": "1"}}})),
        _ => done(json!({})),
    })
    .await;
    scene.table.add(&Key::from("a"), 1).await.unwrap();
    scene.table.put(put(PutMode::Create)).await.unwrap();
    scene.table.put(put(update())).await.unwrap();
    for (_, input) in scene.asked() {
        let said = |name: &str| input[name].as_str().unwrap_or_default().to_owned();
        let text = format!("{} {}", said("ConditionExpression"), said("UpdateExpression"));
        let words = text.split(|character: char| !(character.is_alphanumeric() || "#:_".contains(character)));
        let words: Vec<_> = words.collect();
        assert!(!words.contains(&"ttl") && !words.contains(&"value"), "{text}");
        for name in ["ExpressionAttributeNames", "ExpressionAttributeValues"] {
            for used in input[name].as_object().unwrap().keys() {
                assert!(words.contains(&used.as_str()), "{used} is sent, and not used in {text}");
            }
        }
        let placed = words.iter().filter(|word| word.starts_with([':', '#']));
        for word in placed {
            let known =
                &input[if word.starts_with('#') { "ExpressionAttributeNames" } else { "ExpressionAttributeValues" }];
            assert!(!known[*word].is_null(), "{word} is used, and not sent");
        }
    }
}
