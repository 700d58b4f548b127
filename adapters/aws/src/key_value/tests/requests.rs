//! The exact requests. DynamoDB rejects a request with a placeholder that no expression uses.

use isobar_abstraction::driver::key_value::{PutMode, Version};

use super::*;

const EXPIRED: &str = "(expires <= :now OR #ttl <= :second)";

fn put_at(sort: &str, value: &[u8], mode: PutMode, expires_at: Option<u64>) -> Put {
    let value = Bytes::copy_from_slice(value);
    Put::new(("a", sort), value).with_mode(mode).with_expires_at(expires_at.map(at))
}

/// The input of one put without its version, which is checked here.
async fn input_of(put: Put) -> Value {
    let fixture = Fixture::script([success(json!({}))]).await;
    let version = fixture.table.put(put).await.unwrap();
    let mut input = fixture.input(0);
    let sent = input["Item"].as_object_mut().unwrap().remove("version").unwrap();
    assert_eq!(sent, json!({"S": version.as_str()}));
    assert_eq!(version.as_str().len(), 22, "128 bits");
    input
}

#[tokio::test]
async fn ttl_is_rounded_up_to_seconds() {
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
async fn update_of_an_unversioned_item_requires_that_it_has_no_version() {
    let mode = PutMode::Update(Version::new("unversioned"));
    let input = input_of(put_at("", b"x", mode, None)).await;
    let expected = format!("attribute_exists(pk) AND attribute_not_exists(version) AND NOT {EXPIRED}");
    assert_eq!(input["ConditionExpression"], expected);
    let values = json!({":now": {"N": "1767225600250"}, ":second": {"N": "1767225600"}});
    assert_eq!(input["ExpressionAttributeValues"], values);
}

#[tokio::test]
async fn conditions_use_placeholders_for_reserved_words() {
    let fixture = Fixture::new(|operation, _| match operation {
        "UpdateItem" => success(json!({"Attributes": {"value": {"N": "1"}}})),
        _ => success(json!({})),
    })
    .await;
    fixture.table.add(&Key::from("a"), 1).await.unwrap();
    fixture.table.put(put(PutMode::Create)).await.unwrap();
    fixture.table.put(put(update())).await.unwrap();
    for (_, input) in fixture.requests() {
        let expression = |name: &str| input[name].as_str().unwrap_or_default().to_owned();
        let text = format!("{} {}", expression("ConditionExpression"), expression("UpdateExpression"));
        let words = text.split(|character: char| !(character.is_alphanumeric() || "#:_".contains(character)));
        let words: Vec<_> = words.collect();
        assert!(!words.contains(&"ttl") && !words.contains(&"value"), "{text}");
        for name in ["ExpressionAttributeNames", "ExpressionAttributeValues"] {
            for used in input[name].as_object().unwrap().keys() {
                assert!(words.contains(&used.as_str()), "{used} is sent but not used in {text}");
            }
        }
        let placeholders = words.iter().filter(|word| word.starts_with([':', '#']));
        for word in placeholders {
            let values =
                &input[if word.starts_with('#') { "ExpressionAttributeNames" } else { "ExpressionAttributeValues" }];
            assert!(!values[*word].is_null(), "{word} is used but not sent");
        }
    }
}
