#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use bytes::Bytes;
use http::Request;
use isobar::clock::ManualClock;
use isobar::driver::pub_sub::RawMessage;
use isobar::driver::{Environment, Location, Provider, ResourceKind, ResourceUrl};
use isobar::prelude::*;
use isobar::pub_sub::MessageId;
use isobar::{Body, TestResponse, TraceParent};
use isobar_azure::{AzureConfig, AzureProvider};

use super::*;
use crate::backends::send;
use crate::emulators::{Identity, Issued};

async fn double() -> (ServiceBus, ManualClock) {
    let clock = ManualClock::default();
    let bus = ServiceBus::start(Arc::new(clock.clone())).await.unwrap();
    bus.create_subscription("clicks", "clicks", Sessions::None);
    bus.create_subscription("clicks--fifo", "clicks", Sessions::Required);
    (bus, clock)
}

fn cloud(connection: &str, clock: &ManualClock) -> Cloud {
    let environment = Environment::default().with_var("AZURE_SERVICEBUS_CONNECTION_STRING", connection);
    let config = AzureConfig::from_environment(&environment).unwrap();
    Cloud::new(Arc::new(AzureProvider::with_clock(config, Arc::new(clock.clone()))))
}

/// In 2100.
const END: &str = "4102444800";

async fn call(bus: &ServiceBus, method: &str, path: &str, token: &str, body: &'static str) -> TestResponse {
    let request = Request::builder().method(method).uri(format!("{}{path}", bus.url())).header("authorization", token);
    let request = request.header("lang", "\"en\"").header("BrokerProperties", "{\"MessageId\":\"m\"}");
    send(request.body(Body::from(body)).unwrap()).await.unwrap()
}

fn token(bus: &ServiceBus, path: &str, end: &str) -> String {
    use base64::Engine;
    use hmac::{Hmac, KeyInit, Mac};
    let escaped = |text: &str| url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    let resource = escaped(&format!("{}{path}", bus.url()));
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(bus.shared.key.as_bytes()).unwrap();
    mac.update(format!("{resource}\n{end}").as_bytes());
    let sig = base64::engine::general_purpose::STANDARD.encode(mac.finalize().into_bytes());
    format!("SharedAccessSignature sr={resource}&sig={}&se={end}&skn={POLICY}", escaped(&sig))
}

#[tokio::test]
async fn messages_of_the_adapter_are_received() {
    let (bus, clock) = double().await;
    let topic = cloud(&bus.connection_string(), &clock).topic::<Bytes>("clicks");
    let plain = Outgoing::new(Bytes::from_static(b"a \"b\" \xc3\xa9")).with_attribute("Lang", "käse");
    let id = topic.publish(plain).await.unwrap();
    let keyed = (0..150).map(|number| Outgoing::new(Bytes::from(format!("{number}"))).with_ordering_key("k"));
    assert!(topic.publish_batch(keyed).await.iter().all(isobar::Result::is_ok));
    let message = bus.receive("clicks/subscriptions/clicks").unwrap();
    assert_eq!((message.id.as_str(), &*message.body, message.count), (id.as_str(), "a \"b\" é".as_bytes(), 1));
    assert_eq!(message.properties["Lang"], "käse");
    assert!(bus.receive("clicks/subscriptions/clicks").is_none() && bus.complete(&message));
    let path = "clicks--fifo/subscriptions/clicks";
    let first = bus.receive(path).unwrap();
    assert!(bus.receive(path).is_none(), "the session is locked");
    assert!(bus.abandon(&first, Duration::from_secs(30)));
    assert!(bus.receive(path).is_none(), "the session waits");
    clock.advance(Duration::from_secs(30));
    let again = bus.receive(path).unwrap();
    assert_eq!((again.sequence, again.count, &*again.body), (first.sequence, 2, &b"0"[..]));
    assert!(!bus.complete(&first) && bus.complete(&again));
    assert_eq!(&*bus.receive(path).unwrap().body, b"1");
}

#[tokio::test]
async fn a_wrong_key_and_a_missing_topic_are_errors_of_the_adapter() {
    let (bus, clock) = double().await;
    let wrong = bus.connection_string().replace("a key", "hush");
    let error = cloud(&wrong, &clock).topic::<u32>("clicks").publish(1_u32).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unauthenticated);
    assert!(!format!("{error:?}").contains("hush"));
    let listener = bus.connection_string().replace(POLICY, LISTENER);
    let error = cloud(&listener, &clock).topic::<u32>("clicks").publish(1_u32).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PermissionDenied);
    let error = cloud(&bus.connection_string(), &clock).topic::<u32>("others").publish(1_u32).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

/// The result of a message that is sent with the tokens of an identity, and the audiences of the token requests.
async fn by_identity(bus: &ServiceBus, issued: Issued) -> (isobar::Result<MessageId>, Vec<String>) {
    let identity = Identity::start(issued).await.unwrap();
    let set = |environment: Environment, (name, value)| environment.with_var(name, value);
    let environment = identity.variables().into_iter().fold(Environment::default(), set);
    let azure = AzureProvider::new(AzureConfig::from_environment(&environment).unwrap());
    let url = ResourceUrl::parse(&format!("servicebus://clicks?endpoint={}", bus.url())).unwrap();
    let topic = azure.pub_sub(&Location::new(ResourceKind::Topic, "clicks").with_url(url)).unwrap();
    let message = RawMessage::new("by identity", TraceParent::random());
    (topic.publish(vec![message]).await.remove(0), identity.audiences())
}

#[tokio::test]
async fn an_identity_publishes_by_a_token_for_service_bus() {
    let (bus, _) = double().await;
    let (sent, audiences) = by_identity(&bus, Issued::default()).await;
    let message = bus.receive("clicks/subscriptions/clicks").unwrap();
    assert_eq!((message.id.as_str(), &*message.body), (sent.unwrap().as_str(), &b"by identity"[..]));
    assert_eq!(audiences, ["https://servicebus.azure.net"]);
}

#[tokio::test]
async fn a_token_for_another_audience_an_expired_one_and_a_forged_one_are_rejected() {
    let (bus, _) = double().await;
    let good = Issued::default;
    for issued in [
        Issued { audience: Some("https://storage.azure.com"), ..good() },
        Issued { life: Duration::ZERO, ..good() },
        Issued { forged: true, ..good() },
    ] {
        let (sent, audiences) = by_identity(&bus, issued).await;
        let error = sent.unwrap_err();
        assert_eq!((error.kind(), error.outcome_unknown()), (ErrorKind::Unauthenticated, false), "{issued:?}");
        assert!(error.message().contains("this machine's clock") && !format!("{error:?}").contains("eyJ"), "{error:?}");
        assert_eq!(audiences.len(), 1, "a new token is not requested again: {issued:?}");
    }
    assert!(bus.peek("clicks/subscriptions/clicks").is_empty());
}

#[tokio::test]
async fn every_part_of_a_token_is_checked() {
    let (bus, _) = double().await;
    let good = token(&bus, "/clicks", END);
    for (sent, status, why) in [
        (good.clone(), 201, ""),
        (token(&bus, "", END), 201, ""),
        (token(&bus, "/click", END), 401, "InvalidAudience"),
        (token(&bus, "/clicks", "1000"), 401, "ExpiredToken"),
        (good.replace(END, "4102444801"), 401, "InvalidSignature"),
        (good.replace(POLICY, "other"), 401, "InvalidPolicy"),
        (format!("{good}&skn={POLICY}"), 401, "MalformedToken"),
        ("Bearer a.b.c".to_owned(), 401, "MalformedToken"),
        ("Basic x".to_owned(), 401, "MalformedToken"),
    ] {
        let response = call(&bus, "POST", "/clicks/messages", &sent, "x").await;
        assert_eq!(response.status, status, "{sent}");
        assert!(response.text().contains(why), "{sent}: {}", response.text());
    }
}

#[tokio::test]
async fn messages_are_received_by_rest_as_documented() {
    let (bus, clock) = double().await;
    let (all, head) = (token(&bus, "", END), "/clicks/subscriptions/clicks/messages/head");
    assert_eq!(call(&bus, "POST", head, &all, "").await.status, 204);
    for _ in 0..3 {
        assert_eq!(call(&bus, "POST", "/clicks/messages", &all, "hello").await.status, 201);
    }
    let message = call(&bus, "POST", head, &all, "").await;
    assert_eq!(
        (message.status.as_u16(), message.text(), &message.headers["lang"]),
        (201, "hello".to_owned(), &"\"en\"".parse().unwrap())
    );
    let place = message.headers["location"].to_str().unwrap().strip_prefix(bus.url()).unwrap().to_owned();
    assert_eq!(call(&bus, "PUT", &place, &all, "").await.status, 200);
    assert_eq!(call(&bus, "DELETE", &place, &all, "").await.status, 404, "the lock was released");
    let message = call(&bus, "POST", head, &all, "").await;
    assert!(message.headers["brokerproperties"].to_str().unwrap().contains("\"DeliveryCount\":2"));
    clock.advance(Duration::from_secs(61));
    assert_eq!(call(&bus, "DELETE", head, &all, "").await.status, 200);
    assert_eq!(bus.peek("clicks/subscriptions/clicks").len(), 2);
    assert_eq!(call(&bus, "POST", "/clicks--fifo/subscriptions/clicks/messages/head", &all, "").await.status, 400);
}

#[tokio::test]
async fn a_copy_reaches_its_subscription_alone_and_its_dead_letter_is_kept() {
    let (bus, clock) = double().await;
    bus.create_subscription("clicks", "audit", Sessions::None);
    let sent = store::Sent {
        body: Bytes::from_static(b"x"),
        properties: [("isobar-for".to_owned(), "audit".to_owned())].into(),
        id: String::new(),
        session: None,
        scheduled: Some(clock.now() + Duration::from_secs(9)),
    };
    assert!(bus.shared.store.lock().send("clicks", &[sent], clock.now()));
    assert!(bus.peek("clicks/subscriptions/clicks").is_empty());
    assert!(bus.receive("clicks/subscriptions/audit").is_none(), "it is scheduled");
    clock.advance(Duration::from_secs(9));
    for count in 1..=10 {
        let message = bus.receive("clicks/subscriptions/audit").unwrap();
        assert_eq!(message.count, count);
        assert!(bus.abandon(&message, Duration::ZERO));
    }
    assert!(bus.receive("clicks/subscriptions/audit").is_none());
    let dead = bus.receive("clicks/subscriptions/audit/$deadletterqueue").unwrap();
    assert_eq!(dead.properties["DeadLetterReason"], "MaxDeliveryCountExceeded");
}

/// `generate_sas_token("http://127.0.0.1:7/q", …)` of azure-servicebus 7.15.0, in `azure.servicebus._base_handler`.
#[tokio::test]
async fn the_token_of_azures_own_library_is_accepted() {
    let clock = Arc::new(ManualClock::default());
    let key = "a key of the double=+/".to_owned();
    let shared = Shared { host: "127.0.0.1:7".to_owned(), key, store: Mutex::default(), clock };
    let token = "SharedAccessSignature sr=http%3A%2F%2F127.0.0.1%3A7%2Fq\
                 &sig=SjARTVwyuOdNtTwY6HWHRtcwAsrzp%2F3xepbcsbHc6hk%3D&se=4102444800&skn=RootManageSharedAccessKey";
    assert_eq!(auth::check(&shared, Some(token), "/q/messages"), Ok(()));
    assert!(auth::check(&shared, Some(token), "/queue/messages").is_err());
}
