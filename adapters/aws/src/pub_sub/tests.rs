//! What emulators do not show: partly failed batches, order after a failure, lost answers.

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

/// Where the clock stands, in milliseconds.
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

/// One message as SNS was given it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Given {
    id: String,
    body: String,
    attributes: BTreeMap<String, String>,
    group: Option<String>,
    deduplication: Option<String>,
}

/// One request as SNS was given it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Batch {
    topic: String,
    messages: Vec<Given>,
}

impl Batch {
    fn of(request: &Request<Bytes>) -> Self {
        let form: BTreeMap<_, _> = form_urlencoded::parse(request.body()).into_owned().collect();
        assert_eq!((form["Action"].as_str(), form["Version"].as_str()), ("PublishBatch", "2010-03-31"));
        let given = |number: usize| Given::of(&form, &format!("PublishBatchRequestEntries.member.{number}."));
        Self { topic: form["TopicArn"].clone(), messages: (1..).map_while(given).collect() }
    }

    fn bodies(&self) -> Vec<&str> {
        self.messages.iter().map(|given| given.body.as_str()).collect()
    }
}

impl Given {
    fn of(form: &BTreeMap<String, String>, begin: &str) -> Option<Self> {
        let field = |name: &str| form.get(&format!("{begin}{name}")).cloned();
        let attribute = |number: usize| {
            let begin = format!("MessageAttributes.entry.{number}.");
            let name = field(&format!("{begin}Name"))?;
            assert_eq!(field(&format!("{begin}Value.DataType")).unwrap(), "String");
            Some((name, field(&format!("{begin}Value.StringValue")).unwrap()))
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

/// What SNS says of a message that it did not take: a code, and whether it is the sender's fault.
type Fault = Option<(&'static str, bool)>;

/// SNS's answer, with a fault or none for each message.
fn answer(faults: &[Fault]) -> Response<String> {
    let (mut taken, mut failed) = (String::new(), String::new());
    for (place, fault) in faults.iter().enumerate() {
        match fault {
            None => taken.push_str(&format!("<member><MessageId>m-{place}</MessageId><Id>{place}</Id></member>")),
            Some((code, sender)) => failed.push_str(&format!(
                "<member><Id>{place}</Id><Code>{code}</Code><Message>so &amp; so</Message>\
                 <SenderFault>{sender}</SenderFault></member>"
            )),
        }
    }
    let body = format!(
        "<PublishBatchResponse xmlns=\"http://sns.amazonaws.com/doc/2010-03-31/\"><PublishBatchResult>\
         <Successful>{taken}</Successful><Failed>{failed}</Failed></PublishBatchResult>\
         <ResponseMetadata><RequestId>r</RequestId></ResponseMetadata></PublishBatchResponse>"
    );
    Response::new(body)
}

fn refused(status: u16, code: &str) -> Response<String> {
    let body = format!(
        "<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>no</Message></Error></ErrorResponse>"
    );
    Response::builder().status(status).body(body).unwrap()
}

/// A topic in an SNS that answers what a test says.
struct Scene {
    double: Double,
    topic: Arc<dyn PubSub>,
}

impl Scene {
    async fn new(answer: impl Fn(&Batch) -> Response<String> + Send + Sync + 'static) -> Self {
        let double = Double::new(move |request| answer(&Batch::of(request))).await;
        let topic = open(&state(&double.url), &Location::new(ResourceKind::Topic, "clicks")).unwrap();
        Self { double, topic }
    }

    /// One answer after the other; then everything is taken.
    async fn script(answers: Vec<Response<String>>) -> Self {
        let answers = Mutex::new(answers.into_iter());
        Self::new(move |batch| answers.lock().next().unwrap_or_else(|| answer(&vec![None; batch.messages.len()]))).await
    }

    /// The fault of a message is what `fault` says of its body and of how often it came before.
    async fn faulty(fault: impl Fn(&str, usize) -> Fault + Send + Sync + 'static) -> Self {
        let came: Mutex<HashMap<String, usize>> = Mutex::default();
        Self::new(move |batch| {
            let mut came = came.lock();
            let faults = batch.messages.iter().map(|given| {
                let count = came.entry(given.body.clone()).or_default();
                *count += 1;
                fault(&given.body, *count - 1)
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

/// Kind and unknown outcome of each, `None` for what was stored.
fn told(results: &[Result<MessageId>]) -> Vec<Option<(ErrorKind, bool)>> {
    results.iter().map(|result| result.as_ref().err().map(|error| (error.kind(), error.outcome_unknown()))).collect()
}

const THROTTLED: ErrorKind = ErrorKind::Throttled;
