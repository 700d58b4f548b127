//! Cases that emulators do not produce: partly failed batches, order after a failure, lost responses.

mod order;
mod publish;
mod queue;

use std::collections::BTreeMap;

use http::{Request, Response};
use isobar_abstraction::TraceParent;
use isobar_abstraction::clock::ManualClock;
use isobar_abstraction::driver::{Environment, ResourceKind};
use parking_lot::Mutex;
use url::form_urlencoded;

use super::*;
use crate::{AwsConfig, AwsProvider};
use isobar_testkit::Double;

/// Attempts of the client for one request.
const REQUESTS: usize = 3;

/// The time of the clock in milliseconds.
const NOW: u64 = 1_767_225_600_250;

const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

fn state(endpoint: &str) -> Arc<State> {
    let environment = Environment::default()
        .with_var("AWS_REGION", "eu-west-1")
        .with_var("AWS_ACCOUNT_ID", "123456789012")
        .with_var("AWS_ENDPOINT_URL", endpoint)
        .with_var("AWS_MAX_ATTEMPTS", REQUESTS.to_string())
        .with_var("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
        .with_var("AWS_SECRET_ACCESS_KEY", "hush-secret");
    let clock = ManualClock::new(SystemTime::UNIX_EPOCH + Duration::from_millis(NOW));
    AwsProvider::with_clock(AwsConfig::from_environment(&environment).unwrap(), Arc::new(clock)).0
}

/// One message in a request to SNS.
#[derive(Debug, Clone, PartialEq, Eq)]
struct SentMessage {
    id: String,
    body: String,
    attributes: BTreeMap<String, String>,
    group: Option<String>,
    deduplication: Option<String>,
}

/// One request to SNS.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Batch {
    topic: String,
    messages: Vec<SentMessage>,
}

impl Batch {
    fn of(request: &Request<Bytes>) -> Self {
        let form: BTreeMap<_, _> = form_urlencoded::parse(request.body()).into_owned().collect();
        assert_eq!((form["Action"].as_str(), form["Version"].as_str()), ("PublishBatch", "2010-03-31"));
        let message = |number: usize| SentMessage::of(&form, &format!("PublishBatchRequestEntries.member.{number}."));
        Self { topic: form["TopicArn"].clone(), messages: (1..).map_while(message).collect() }
    }

    fn bodies(&self) -> Vec<&str> {
        self.messages.iter().map(|message| message.body.as_str()).collect()
    }
}

impl SentMessage {
    fn of(form: &BTreeMap<String, String>, prefix: &str) -> Option<Self> {
        let field = |name: &str| form.get(&format!("{prefix}{name}")).cloned();
        let attribute = |number: usize| {
            let prefix = format!("MessageAttributes.entry.{number}.");
            let name = field(&format!("{prefix}Name"))?;
            assert_eq!(field(&format!("{prefix}Value.DataType")).unwrap(), "String");
            Some((name, field(&format!("{prefix}Value.StringValue")).unwrap()))
        };
        Some(Self {
            id: field("Id")?,
            body: field("Message").unwrap(),
            attributes: (1..).map_while(attribute).collect(),
            group: field("MessageGroupId"),
            deduplication: field("MessageDeduplicationId"),
        })
    }
}

/// The error of a message that SNS rejected: a code, and whether it is the sender's fault.
type Fault = Option<(&'static str, bool)>;

/// SNS's response with a fault or none for each message.
fn answer(faults: &[Fault]) -> Response<String> {
    let (mut successful, mut failed) = (String::new(), String::new());
    for (place, fault) in faults.iter().enumerate() {
        match fault {
            None => successful.push_str(&format!("<member><MessageId>m-{place}</MessageId><Id>{place}</Id></member>")),
            Some((code, sender)) => failed.push_str(&format!(
                "<member><Id>{place}</Id><Code>{code}</Code><Message>so &amp; so</Message>\
                 <SenderFault>{sender}</SenderFault></member>"
            )),
        }
    }
    let body = format!(
        "<PublishBatchResponse xmlns=\"http://sns.amazonaws.com/doc/2010-03-31/\"><PublishBatchResult>\
         <Successful>{successful}</Successful><Failed>{failed}</Failed></PublishBatchResult>\
         <ResponseMetadata><RequestId>r</RequestId></ResponseMetadata></PublishBatchResponse>"
    );
    Response::new(body)
}

fn error_response(status: u16, code: &str) -> Response<String> {
    let body = format!(
        "<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>no</Message></Error></ErrorResponse>"
    );
    Response::builder().status(status).body(body).unwrap()
}

/// A topic in an SNS whose responses a test sets.
struct Fixture {
    double: Double,
    topic: Arc<dyn PubSub>,
}

impl Fixture {
    async fn new(answer: impl Fn(&Batch) -> Response<String> + Send + Sync + 'static) -> Self {
        let double = Double::new(move |request| answer(&Batch::of(request))).await;
        let topic = open(&state(&double.url), &Location::new(ResourceKind::Topic, "clicks")).unwrap();
        Self { double, topic }
    }

    /// Returns these responses in order, then a success for every message.
    async fn script(answers: Vec<Response<String>>) -> Self {
        let answers = Mutex::new(answers.into_iter());
        Self::new(move |batch| answers.lock().next().unwrap_or_else(|| answer(&vec![None; batch.messages.len()]))).await
    }

    /// Computes the fault of a message by `fault` from its body and its number of earlier attempts.
    async fn faulty(fault: impl Fn(&str, usize) -> Fault + Send + Sync + 'static) -> Self {
        let attempts: Mutex<HashMap<String, usize>> = Mutex::default();
        Self::new(move |batch| {
            let mut attempts = attempts.lock();
            let faults = batch.messages.iter().map(|message| {
                let count = attempts.entry(message.body.clone()).or_default();
                *count += 1;
                fault(&message.body, *count - 1)
            });
            answer(&faults.collect::<Vec<_>>())
        })
        .await
    }

    fn batches(&self) -> Vec<Batch> {
        (0..self.count()).map(|place| self.double.request(place, Batch::of)).collect()
    }

    /// The bodies of each request.
    fn bodies(&self) -> Vec<Vec<String>> {
        self.batches().iter().map(|batch| batch.bodies().into_iter().map(str::to_owned).collect()).collect()
    }

    fn count(&self) -> usize {
        self.double.requests().len()
    }

    async fn publish(&self, messages: Vec<RawMessage>) -> Vec<Result<MessageId>> {
        self.topic.publish(messages).await
    }
}

fn plain(body: impl Into<Bytes>) -> RawMessage {
    let trace_parent = TRACE.parse::<TraceParent>().unwrap();
    RawMessage::new(body, trace_parent)
}

fn keyed(key: &str, body: &str) -> RawMessage {
    plain(body.to_owned()).with_ordering_key(key)
}

/// Kind and unknown outcome of each failed message, `None` for a stored one.
fn failures(results: &[Result<MessageId>]) -> Vec<Option<(ErrorKind, bool)>> {
    results.iter().map(|result| result.as_ref().err().map(|error| (error.kind(), error.outcome_unknown()))).collect()
}

const THROTTLED: ErrorKind = ErrorKind::Throttled;
