//! A queue in SQS: its dead letters and changes of visibility.

use serde_json::{Value, json};

use super::super::sqs::{SqsQueue, VisibilityChange};
use super::*;
use isobar_abstraction::driver::pub_sub::DeadLetterDetails;

async fn queue(name: &str, answers: Vec<(u16, Value)>) -> (Double, SqsQueue) {
    let answers = Mutex::new(answers.into_iter());
    let double = Double::new(move |_| {
        let (status, body) = answers.lock().next().unwrap_or((200, json!({})));
        Response::builder().status(status).body(body.to_string()).unwrap()
    })
    .await;
    let queue = SqsQueue::new(&state(&double.url), None, "123456789012", name).unwrap();
    (double, queue)
}

fn input(double: &Double, place: usize) -> (String, Value) {
    double.request(place, |request| {
        let target = request.headers()["x-amz-target"].to_str().unwrap().to_owned();
        (target, serde_json::from_slice(request.body()).unwrap())
    })
}

fn message(key: Option<&str>) -> Message<Bytes> {
    let mut message = Message::new(MessageId::new("m-1"), "body", SystemTime::UNIX_EPOCH);
    message.ordering_key = key.map(str::to_owned);
    message.attributes.insert("lang".to_owned(), "en".to_owned());
    message
}

fn details() -> DeadLetterDetails {
    DeadLetterDetails::new(5, "no such page", SystemTime::UNIX_EPOCH + Duration::from_millis(NOW), "clicks")
}

#[tokio::test]
async fn dead_letter_in_a_fifo_queue_has_its_group_and_the_delivery_id() {
    let (double, queue) = queue("clicks.fifo", vec![]).await;
    let dead = queue.dead_letter_queue();
    assert_eq!((dead.name(), dead.is_fifo(), queue.is_fifo()), ("clicks--dead.fifo", true, true));
    dead.send_dead_letter(&message(Some("k")), details(), "delivery-1").await.unwrap();
    dead.send_dead_letter(&message(None), details(), "delivery-2").await.unwrap();
    let ids = |at| {
        let (_, sent) = input(&double, at);
        (sent["MessageGroupId"].clone(), sent["MessageDeduplicationId"].clone())
    };
    assert_eq!(ids(0), (json!("k"), json!("delivery-1")));
    assert_eq!(ids(1), (json!("m-1"), json!("delivery-2")), "a message without a key is alone in its group");
}

#[tokio::test]
async fn missing_queue_is_not_found_with_the_next_step() {
    for code in ["com.amazonaws.sqs#QueueDoesNotExist", "AWS.SimpleQueueService.NonExistentQueue"] {
        let missing = (400, json!({"__type": code, "message": "The specified queue does not exist."}));
        let (_double, known) = queue("clicks", vec![missing.clone()]).await;
        let error = known.dead_letter_queue().send_dead_letter(&message(None), details(), "d").await.unwrap_err();
        assert_eq!((error.kind(), error.outcome_unknown()), (ErrorKind::NotFound, false));
        assert_eq!(error.message(), "SQS has no queue `clicks--dead`: create it");

        let (_double, known) = queue("clicks", vec![(500, json!({})), missing]).await;
        assert!(known.send_dead_letter(&message(None), details(), "d").await.unwrap_err().outcome_unknown());
    }
}

#[tokio::test]
async fn dead_letter_with_lost_response_is_sent_again() {
    let (double, queue) = queue("clicks", vec![(500, json!({})), (503, json!({}))]).await;
    queue.send_dead_letter(&message(None), details(), "d").await.unwrap();
    assert_eq!(input(&double, 0), input(&double, 2));
}

#[tokio::test]
async fn change_visibility_sets_the_timeout_of_each_message() {
    let failed =
        json!({"Successful": [], "Failed": [{"Id": "1", "Code": "InvalidParameterValue", "SenderFault": true}]});
    let (double, queue) = queue("clicks", vec![(200, failed)]).await;
    let change = |receipt: &str, seconds| VisibilityChange { receipt: receipt.to_owned(), seconds };
    queue.change_visibility(&[change("r-1", 0), change("r-2", 43_200)]).await;
    let entries = json!([
        {"Id": "0", "ReceiptHandle": "r-1", "VisibilityTimeout": 0},
        {"Id": "1", "ReceiptHandle": "r-2", "VisibilityTimeout": 43_200},
    ]);
    let expected = json!({"QueueUrl": format!("{}/123456789012/clicks", double.url), "Entries": entries});
    assert_eq!(input(&double, 0), ("AmazonSQS.ChangeMessageVisibilityBatch".to_owned(), expected));
    assert_eq!(double.requests().len(), 1);
}

#[tokio::test]
async fn change_visibility_that_fails_is_no_error() {
    for answer in [(400, json!({"__type": "x#QueueDoesNotExist"})), (403, json!({})), (200, json!("hush"))] {
        let (double, queue) = queue("clicks", vec![answer]).await;
        queue.change_visibility(&[VisibilityChange { receipt: "r".to_owned(), seconds: 1 }]).await;
        assert_eq!(double.requests().len(), 1);
    }
}
