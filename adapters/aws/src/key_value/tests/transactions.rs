//! Transactions: one token for all attempts, and the error of each reason for a cancellation.

use isobar_abstraction::driver::key_value::Write;

use super::*;

/// A cancellation with a reason for each write.
fn cancelled(reasons: &[&str]) -> Answer {
    let message = format!("Transaction cancelled, please refer cancellation reasons [{}]", reasons.join(", "));
    let (status, mut body) = failure("TransactionCanceledException", &message);
    let reason = |code: &&str| match *code {
        "None" => json!({"Code": "None"}),
        "TooLarge" => json!({"Code": "ValidationError", "Message": "Item size has exceeded the maximum allowed size"}),
        "OtherKeys" => {
            json!({"Code": "ValidationError", "Message": "The provided key element does not match the schema"})
        }
        code => json!({"Code": code, "Message": "details"}),
    };
    body["CancellationReasons"] = reasons.iter().map(reason).collect();
    (status, body)
}

/// A create, an update, and a delete of a version.
fn writes() -> Vec<Write> {
    let put = |sort: &str, mode| Write::Put(Put::new(("a", sort), "text").with_mode(mode));
    let delete = Write::Delete { key: Key::new("a", "3"), version: Some(Version::new("v-1")) };
    vec![put("1", PutMode::Create), put("2", update()), delete]
}

fn token(input: &Value) -> String {
    input["ClientRequestToken"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn attempts_of_a_transaction_are_equal_byte_by_byte() {
    let in_progress = failure("TransactionInProgressException", "the same token is in progress");
    let fixture = Fixture::script([lost(), in_progress, success(json!({}))]).await;
    fixture.table.transact(writes()).await.unwrap();
    let body = |place| fixture.double.request(place, |request| request.body().clone());
    assert_eq!(fixture.count(), 3);
    assert!(body(0) == body(1) && body(1) == body(2));
}

#[tokio::test]
async fn repeat_after_a_cancellation_has_another_token_and_the_same_versions() {
    let fixture = Fixture::script([cancelled(&["None", "TransactionConflict", "None"]), success(json!({}))]).await;
    let versions = fixture.table.transact(writes()).await.unwrap();
    let (first, second) = (fixture.input(0), fixture.input(1));
    assert_ne!(token(&first), token(&second));
    assert_eq!(first["TransactItems"], second["TransactItems"]);
    assert_eq!(second["TransactItems"][0]["Put"]["Item"]["version"]["S"], versions[0].as_ref().unwrap().as_str());
    assert_eq!(versions[2], None);
}

#[tokio::test]
async fn two_transactions_have_different_tokens() {
    let fixture = Fixture::script([success(json!({}))]).await;
    fixture.table.transact(writes()).await.unwrap();
    fixture.table.transact(writes()).await.unwrap();
    assert_ne!(token(&fixture.input(0)), token(&fixture.input(1)));
}

#[tokio::test]
async fn temporary_reasons_are_repeated_and_then_throttled() {
    for reason in ["TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"] {
        let fixture = Fixture::script([cancelled(&["None", reason, "None"])]).await;
        assert_eq!(kind_of(fixture.table.transact(writes()).await), (THROTTLED, false), "{reason}");
        assert_eq!(fixture.count(), TRIES as usize, "{reason}");

        let fixture = Fixture::script([cancelled(&["None", "None", reason]), success(json!({}))]).await;
        fixture.table.transact(writes()).await.unwrap();
    }
}

/// The cancellation of [`create_and_add`] because of this stored text.
fn refused(text: &str) -> Answer {
    let (status, mut body) = cancelled(&["None", "ConditionalCheckFailed"]);
    body["CancellationReasons"][1]["Item"] =
        json!({"pk": {"S": "a"}, "sk": {"S": "sum"}, "value": {"S": text}, "version": {"S": "v-1"}});
    (status, body)
}

/// A create and an addition.
fn create_and_add() -> Vec<Write> {
    let mark = Put::new(("a", "mark"), "1").with_mode(PutMode::Create);
    vec![Write::Put(mark), Write::Add { key: Key::new("a", "sum"), delta: 2 }]
}

#[tokio::test]
async fn addition_is_an_update_or_a_put_of_the_sum() {
    let fixture = Fixture::script([success(json!({}))]).await;
    fixture.table.transact(create_and_add()).await.unwrap();
    let update = &fixture.input(0)["TransactItems"][1]["Update"];
    assert_eq!(update["ExpressionAttributeValues"][":delta"], json!({"N": "2"}));
    assert_eq!(update["ReturnValues"], Value::Null, "transactions do not support it");

    assert_eq!(update["ReturnValuesOnConditionCheckFailure"], "ALL_OLD");

    let fixture = Fixture::script([refused("5"), success(json!({}))]).await;
    let versions = fixture.table.transact(create_and_add()).await.unwrap();
    assert_eq!(fixture.count(), 2, "an app that may only write cannot read the item");
    let put = &fixture.input(1)["TransactItems"][1]["Put"];
    assert_eq!(
        (&put["Item"]["value"], &put["Item"]["version"]["S"]),
        (&json!({"N": "7"}), &json!(versions[1].as_ref().unwrap().as_str()))
    );
    assert_eq!(put["ExpressionAttributeValues"][":version"], json!({"S": "v-1"}));
}

#[tokio::test]
async fn addition_to_no_number_is_invalid_input_and_create_on_existing_key_already_exists() {
    let fixture = Fixture::script([refused("five")]).await;
    assert_eq!(kind_of(fixture.table.transact(create_and_add()).await), (ErrorKind::InvalidInput, false));
    let both = cancelled(&["ConditionalCheckFailed", "ConditionalCheckFailed"]);
    let fixture = Fixture::script([both]).await;
    assert_eq!(kind_of(fixture.table.transact(create_and_add()).await), (ErrorKind::AlreadyExists, false));
    assert_eq!(fixture.count(), 1);
}

#[tokio::test]
async fn failed_condition_is_the_error_of_its_write() {
    let failed = "ConditionalCheckFailed";
    for (reasons, kind, key) in [
        ([failed, "None", "None"], ErrorKind::AlreadyExists, "`a / 1`"),
        (["None", failed, "None"], ErrorKind::Conflict, "`a / 2`"),
        (["None", "None", failed], ErrorKind::Conflict, "`a / 3`"),
        (["None", failed, failed], ErrorKind::Conflict, "`a / 2`"),
    ] {
        let fixture = Fixture::script([cancelled(&reasons)]).await;
        let error = fixture.table.transact(writes()).await.unwrap_err();
        assert_eq!((error.kind(), error.outcome_unknown()), (kind, false));
        assert!(error.message().contains(key), "{error}");
        assert_eq!(fixture.count(), 1);
    }
}

#[tokio::test]
async fn failed_condition_has_priority_over_other_reasons() {
    for other in ["TransactionConflict", "ThrottlingError", "TooLarge"] {
        let fixture = Fixture::script([cancelled(&[other, "None", "ConditionalCheckFailed"])]).await;
        assert_eq!(kind_of(fixture.table.transact(writes()).await), (ErrorKind::Conflict, false), "{other}");
        assert_eq!(fixture.count(), 1);
    }
}

#[tokio::test]
async fn permanent_reasons_are_errors_without_repeat() {
    for (reason, kind) in [
        ("TooLarge", ErrorKind::TooLarge),
        ("OtherKeys", ErrorKind::Config),
        ("ValidationError", ErrorKind::InvalidInput),
        ("AccessDenied", ErrorKind::PermissionDenied),
        ("Unheard", ErrorKind::Internal),
    ] {
        for other in ["None", "TransactionConflict"] {
            let fixture = Fixture::script([cancelled(&[other, reason, "None"])]).await;
            assert_eq!(kind_of(fixture.table.transact(writes()).await), (kind, false), "{reason}");
            assert_eq!(fixture.count(), 1, "{reason}");
        }
    }
    let fixture = Fixture::script([cancelled(&["ItemCollectionSizeLimitExceeded", "None", "None"])]).await;
    let (kind, unknown) = kind_of(fixture.table.transact(writes()).await);
    assert!(kind == ErrorKind::TooLarge && !unknown, "{kind:?}");
}

#[tokio::test]
async fn cancellation_after_a_lost_response_means_nothing_was_written() {
    for (reason, kind) in
        [("ConditionalCheckFailed", ErrorKind::AlreadyExists), ("ValidationError", ErrorKind::InvalidInput)]
    {
        let fixture = Fixture::script([lost(), cancelled(&[reason, "None", "None"])]).await;
        assert_eq!(kind_of(fixture.table.transact(writes()).await), (kind, false), "{reason}");
    }
}

#[tokio::test]
async fn repeat_with_lost_response_is_outcome_unknown() {
    let conflict = cancelled(&["TransactionConflict", "None", "None"]);
    let fixture = Fixture::script([conflict, lost()]).await;
    assert_eq!(kind_of(fixture.table.transact(writes()).await), (ErrorKind::Unavailable, true));
    assert_eq!(fixture.count(), 1 + ATTEMPTS);
}

#[tokio::test]
async fn cancellation_without_reasons_is_an_error_without_repeat() {
    for body in [json!({}), json!({"CancellationReasons": []}), json!({"CancellationReasons": "hush"})] {
        let (status, mut answer) = failure("TransactionCanceledException", "Transaction cancelled");
        answer.as_object_mut().unwrap().extend(body.as_object().unwrap().clone());
        let fixture = Fixture::script([(status, answer)]).await;
        let error = fixture.table.transact(writes()).await.unwrap_err();
        assert_eq!((error.kind(), error.outcome_unknown()), (ErrorKind::Internal, false));
        assert!(!format!("{error:?}").contains("hush"));
        assert_eq!(fixture.count(), 1);
    }
}
