//! Transactions: one token for all attempts of one, and what each reason of a cancellation means.

use isobar_abstraction::driver::key_value::Write;

use super::*;

/// Cancelled, with a reason for each write.
fn cancelled(reasons: &[&str]) -> Answer {
    let message = format!("Transaction cancelled, please refer cancellation reasons [{}]", reasons.join(", "));
    let (status, mut body) = refused("TransactionCanceledException", &message);
    let reason = |code: &&str| match *code {
        "None" => json!({"Code": "None"}),
        "TooLarge" => json!({"Code": "ValidationError", "Message": "Item size has exceeded the maximum allowed size"}),
        "OtherKeys" => {
            json!({"Code": "ValidationError", "Message": "The provided key element does not match the schema"})
        }
        code => json!({"Code": code, "Message": "so it is"}),
    };
    body["CancellationReasons"] = reasons.iter().map(reason).collect();
    (status, body)
}

/// A create, an update and a delete of a version.
fn writes() -> Vec<Write> {
    let put = |sort: &str, mode| Write::Put(Put::new(("a", sort), "text").with_mode(mode));
    let delete = Write::Delete { key: Key::new("a", "3"), version: Some(Version::new("v-1")) };
    vec![put("1", PutMode::Create), put("2", update()), delete]
}

fn token(input: &Value) -> String {
    input["ClientRequestToken"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn all_attempts_of_one_transaction_are_the_same_to_the_byte() {
    let in_progress = refused("TransactionInProgressException", "the same token is at work");
    let scene = Scene::script([lost(), in_progress, done(json!({}))]).await;
    scene.table.transact(writes()).await.unwrap();
    let body = |place| scene.double.request(place, |request| request.body().clone());
    assert_eq!(scene.count(), 3);
    assert!(body(0) == body(1) && body(1) == body(2));
}

#[tokio::test]
async fn what_is_tried_after_a_cancellation_is_another_transaction_of_the_same_versions() {
    let scene = Scene::script([cancelled(&["None", "TransactionConflict", "None"]), done(json!({}))]).await;
    let versions = scene.table.transact(writes()).await.unwrap();
    let (first, second) = (scene.input(0), scene.input(1));
    assert_ne!(token(&first), token(&second));
    assert_eq!(first["TransactItems"], second["TransactItems"]);
    assert_eq!(second["TransactItems"][0]["Put"]["Item"]["version"]["S"], versions[0].as_ref().unwrap().as_str());
    assert_eq!(versions[2], None);
}

#[tokio::test]
async fn two_transactions_never_have_one_token() {
    let scene = Scene::script([done(json!({}))]).await;
    scene.table.transact(writes()).await.unwrap();
    scene.table.transact(writes()).await.unwrap();
    assert_ne!(token(&scene.input(0)), token(&scene.input(1)));
}

#[tokio::test]
async fn reasons_that_pass_are_tried_again_and_then_throttled() {
    for reason in ["TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"] {
        let scene = Scene::script([cancelled(&["None", reason, "None"])]).await;
        assert_eq!(kind_of(scene.table.transact(writes()).await), (THROTTLED, false), "{reason}");
        assert_eq!(scene.count(), TRIES as usize, "{reason}");

        let scene = Scene::script([cancelled(&["None", "None", reason]), done(json!({}))]).await;
        scene.table.transact(writes()).await.unwrap();
    }
}

/// A mark, and what it counts.
fn counted() -> Vec<Write> {
    let mark = Put::new(("a", "mark"), "1").with_mode(PutMode::Create);
    vec![Write::Put(mark), Write::Add { key: Key::new("a", "sum"), delta: 2 }]
}

#[tokio::test]
async fn an_addition_is_dynamodbs_own_and_what_it_cannot_add_to_is_written_over() {
    let scene = Scene::script([done(json!({}))]).await;
    scene.table.transact(counted()).await.unwrap();
    let update = &scene.input(0)["TransactItems"][1]["Update"];
    assert_eq!(update["ExpressionAttributeValues"][":delta"], json!({"N": "2"}));
    assert_eq!(update["ReturnValues"], Value::Null, "no transaction takes it");

    let text = json!({"Item": {"pk": {"S": "a"}, "sk": {"S": "sum"}, "value": {"S": "5"}, "version": {"S": "v-1"}}});
    let refused = cancelled(&["None", "ConditionalCheckFailed"]);
    let scene = Scene::script([refused, done(text), done(json!({}))]).await;
    let versions = scene.table.transact(counted()).await.unwrap();
    let put = &scene.input(2)["TransactItems"][1]["Put"];
    assert_eq!(
        (&put["Item"]["value"], &put["Item"]["version"]["S"]),
        (&json!({"N": "7"}), &json!(versions[1].as_ref().unwrap().as_str()))
    );
    assert_eq!(put["ExpressionAttributeValues"][":version"], json!({"S": "v-1"}));
}

#[tokio::test]
async fn an_addition_to_what_is_no_number_and_a_mark_that_is_taken_are_their_errors() {
    let text = json!({"Item": {"pk": {"S": "a"}, "sk": {"S": "sum"}, "value": {"S": "five"}, "version": {"S": "v-1"}}});
    let scene = Scene::script([cancelled(&["None", "ConditionalCheckFailed"]), done(text)]).await;
    assert_eq!(kind_of(scene.table.transact(counted()).await), (ErrorKind::InvalidInput, false));
    let both = cancelled(&["ConditionalCheckFailed", "ConditionalCheckFailed"]);
    let scene = Scene::script([both]).await;
    assert_eq!(kind_of(scene.table.transact(counted()).await), (ErrorKind::AlreadyExists, false));
    assert_eq!(scene.count(), 1);
}

#[tokio::test]
async fn a_condition_that_does_not_hold_is_the_error_of_its_write() {
    let failed = "ConditionalCheckFailed";
    for (reasons, kind, key) in [
        ([failed, "None", "None"], ErrorKind::AlreadyExists, "`a / 1`"),
        (["None", failed, "None"], ErrorKind::Conflict, "`a / 2`"),
        (["None", "None", failed], ErrorKind::Conflict, "`a / 3`"),
        (["None", failed, failed], ErrorKind::Conflict, "`a / 2`"),
    ] {
        let scene = Scene::script([cancelled(&reasons)]).await;
        let error = scene.table.transact(writes()).await.unwrap_err();
        assert_eq!((error.kind(), error.outcome_unknown()), (kind, false));
        assert!(error.message().contains(key), "{error}");
        assert_eq!(scene.count(), 1);
    }
}

#[tokio::test]
async fn a_condition_that_does_not_hold_outweighs_reasons_that_pass_and_faults() {
    for other in ["TransactionConflict", "ThrottlingError", "TooLarge"] {
        let scene = Scene::script([cancelled(&[other, "None", "ConditionalCheckFailed"])]).await;
        assert_eq!(kind_of(scene.table.transact(writes()).await), (ErrorKind::Conflict, false), "{other}");
        assert_eq!(scene.count(), 1);
    }
}

#[tokio::test]
async fn reasons_that_last_are_errors_at_once() {
    for (reason, kind) in [
        ("TooLarge", ErrorKind::TooLarge),
        ("OtherKeys", ErrorKind::Config),
        ("ValidationError", ErrorKind::InvalidInput),
        ("AccessDenied", ErrorKind::PermissionDenied),
        ("Unheard", ErrorKind::Internal),
    ] {
        for other in ["None", "TransactionConflict"] {
            let scene = Scene::script([cancelled(&[other, reason, "None"])]).await;
            assert_eq!(kind_of(scene.table.transact(writes()).await), (kind, false), "{reason}");
            assert_eq!(scene.count(), 1, "{reason}");
        }
    }
    let scene = Scene::script([cancelled(&["ItemCollectionSizeLimitExceeded", "None", "None"])]).await;
    let (kind, unknown) = kind_of(scene.table.transact(writes()).await);
    assert!(kind == ErrorKind::TooLarge && !unknown, "{kind:?}");
}

#[tokio::test]
async fn a_cancellation_after_a_lost_answer_says_that_nothing_was_written() {
    for (reason, kind) in
        [("ConditionalCheckFailed", ErrorKind::AlreadyExists), ("ValidationError", ErrorKind::InvalidInput)]
    {
        let scene = Scene::script([lost(), cancelled(&[reason, "None", "None"])]).await;
        assert_eq!(kind_of(scene.table.transact(writes()).await), (kind, false), "{reason}");
    }
}

#[tokio::test]
async fn a_later_try_whose_answer_is_lost_leaves_the_outcome_unknown() {
    let conflict = cancelled(&["TransactionConflict", "None", "None"]);
    let scene = Scene::script([conflict, lost()]).await;
    assert_eq!(kind_of(scene.table.transact(writes()).await), (ErrorKind::Unavailable, true));
    assert_eq!(scene.count(), 1 + ATTEMPTS);
}

#[tokio::test]
async fn a_cancellation_without_reasons_is_an_error_and_is_not_tried_for_ever() {
    for body in [json!({}), json!({"CancellationReasons": []}), json!({"CancellationReasons": "hush"})] {
        let (status, mut answer) = refused("TransactionCanceledException", "Transaction cancelled");
        answer.as_object_mut().unwrap().extend(body.as_object().unwrap().clone());
        let scene = Scene::script([(status, answer)]).await;
        let error = scene.table.transact(writes()).await.unwrap_err();
        assert_eq!((error.kind(), error.outcome_unknown()), (ErrorKind::Internal, false));
        assert!(!format!("{error:?}").contains("hush"));
        assert_eq!(scene.count(), 1);
    }
}
