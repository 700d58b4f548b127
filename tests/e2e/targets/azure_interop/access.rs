//! Forbidden requests are rejected, and throttled requests are retried.

use std::sync::Arc;
use std::time::Duration;

use isobar::driver::blob::{SignRequest, SignedAccess};
use isobar::driver::pub_sub::RawMessage;
use isobar::driver::{Environment, Location, Provider, ResourceKind, ResourceUrl};
use isobar::prelude::*;
use isobar::{ErrorKind, TraceParent};
use isobar_azure::{AzureConfig, AzureProvider};
use isobar_conformance::TrialResult;
use isobar_e2e::backends::azure::service_bus::{ServiceBus, Sessions};
use isobar_e2e::emulators::{ACCOUNT, Azurite, COSMOS_KEY, CosmosEmulator, Identity, Issued, Library};
use object_store::ObjectStoreExt;
use object_store::path::Path;
use serde_json::json;

use super::certificates::Certificates;
use super::{Both, settings};

/// A key of the right form that belongs to no account.
const WRONG: &str = "d3Jvbmcgd3Jvbmcgd3Jvbmcgd3Jvbmcgd3Jvbmcgd3Jvbmcgd3Jvbmcgd3Jvbmcgd3Jvbmcgd3Jvbmcgd3Jvbmc=";

pub(super) fn provider(vars: &[(&str, &str)]) -> isobar::Result<AzureProvider> {
    let environment = vars.iter().fold(Environment::default(), |all, (name, value)| all.with_var(*name, *value));
    Ok(AzureProvider::new(AzureConfig::from_environment(&environment)?))
}

fn at(kind: ResourceKind, url: &str) -> isobar::Result<Location> {
    Ok(Location::new(kind, "resource").with_url(ResourceUrl::parse(url)?))
}

/// The results of a read of a table, a list of a bucket, and a published message.
async fn attempts(azure: &AzureProvider, urls: [&str; 3]) -> [(&'static str, Option<ErrorKind>); 3] {
    let kind = |error: Option<isobar::Error>| error.map(|error| error.kind());
    let [table, bucket, topic] = urls;
    let table = azure.key_value(&at(ResourceKind::Table, table).unwrap()).unwrap();
    let bucket = azure.blob(&at(ResourceKind::Bucket, bucket).unwrap()).unwrap();
    let topic = azure.pub_sub(&at(ResourceKind::Topic, topic).unwrap()).unwrap();
    let read = table.get(&isobar::key_value::Key::from("a")).await.err();
    let listed = bucket.list(&isobar::driver::blob::ListRequest::new("", 10)).await.err();
    let message = RawMessage::new("a", TraceParent::random());
    let sent = topic.publish(vec![message]).await.into_iter().find_map(Result::err);
    [("table", kind(read)), ("bucket", kind(listed)), ("topic", kind(sent))]
}

pub(super) async fn a_wrong_key_is_rejected(both: Arc<Both>) -> TrialResult {
    let world = both.full.open_as("xa-").await?;
    world.cloud().bucket("pages").put("a", "b").await?;
    world.cloud().table::<u32>("items").put("a", &1).await?;
    let services = &both.full.services;
    let cosmos = services.cosmos.as_deref().unwrap();
    let storage = format!(
        "AccountName={ACCOUNT};AccountKey={WRONG};BlobEndpoint={}/{ACCOUNT};QueueEndpoint={}/{ACCOUNT};TableEndpoint={}/{ACCOUNT}",
        services.blob, services.queue, services.table
    );
    let cosmos = format!("AccountEndpoint={cosmos};AccountKey={WRONG}");
    let azure =
        provider(&[("AZURE_STORAGE_CONNECTION_STRING", &storage), ("AZURE_COSMOS_CONNECTION_STRING", &cosmos)])?;
    for table in ["cosmos://xa-items", "aztable://items"] {
        for (what, kind) in attempts(&azure, [table, "az://xa-pages", "azqueue://clicks"]).await {
            let rejections = [Some(ErrorKind::Unauthenticated), Some(ErrorKind::PermissionDenied)];
            assert!(rejections.contains(&kind), "{what} at {table}: {kind:?}");
        }
    }
    Ok(())
}

/// Azurite with HTTPS, and a client with tokens of the double of the identity endpoint.
struct ByIdentity {
    certificates: Certificates,
    azurite: Azurite,
    identity: Identity,
    sdk: Library,
}

impl ByIdentity {
    async fn start(both: &Both) -> isobar::Result<Self> {
        let certificates = Certificates::make();
        let azurite = Azurite::start_with_tokens(&both.installed.node, &certificates.server, &certificates.key)?;
        let identity = Identity::start(Issued::default()).await?;
        let mut settings = settings(&azurite, "");
        settings["key"] = json!(null);
        settings["ca"] = json!(certificates.authority.display().to_string());
        let sdk = Library::start(&both.installed.python, "azure_sdk.py", &settings, &identity.variables())?;
        Ok(Self { certificates, azurite, identity, sdk })
    }

    /// Calls the library, which requests tokens from the double on this runtime.
    fn call(&self, operation: &str, input: &serde_json::Value) -> isobar::Result<serde_json::Value> {
        tokio::task::block_in_place(|| self.sdk.call(operation, input))
    }

    fn provider(&self) -> isobar::Result<AzureProvider> {
        let [endpoint, header] = self.identity.variables();
        let authority = self.certificates.authority.display().to_string();
        provider(&[endpoint, header, ("SSL_CERT_FILE", &authority), ("AZURE_STORAGE_ACCOUNT", ACCOUNT)])
    }
}

/// Both isobar's client and Azure's libraries.
pub(super) async fn an_identity_opens_the_account(both: Arc<Both>) -> TrialResult {
    let opened = ByIdentity::start(&both).await?;
    opened.call("blob.make", &json!({"container": "pages"}))?;
    opened.call("table.make", &json!({"table": "items"}))?;
    opened.call("queue.make", &json!({"queue": "clicks"}))?;
    let (of_python, azure) = (opened.identity.audiences().len(), opened.provider()?);
    let Azurite { table, blob, queue, .. } = &opened.azurite;
    let urls = [("aztable://items", table), ("az://pages", blob), ("azqueue://clicks", queue)]
        .map(|(name, endpoint)| format!("{name}?endpoint={endpoint}/{ACCOUNT}"));
    for (what, kind) in attempts(&azure, urls.each_ref().map(String::as_str)).await {
        assert_eq!(kind, None, "{what}");
    }
    let audiences = opened.identity.audiences().split_off(of_python);
    assert_eq!(audiences.len(), 1, "one token suffices for all three services: {audiences:?}");
    let received = opened.call("queue.receive", &json!({"queue": "clicks"}))?;
    assert_eq!(received["messages"].as_array().unwrap().len(), 1);
    Ok(())
}

/// With a user delegation key: Azurite checks the signature, and Azure's library follows the URL.
pub(super) async fn an_identity_signs_urls(both: Arc<Both>) -> TrialResult {
    let opened = ByIdentity::start(&both).await?;
    opened.call("blob.make", &json!({"container": "pages"}))?;
    let url = format!("az://pages?endpoint={}/{ACCOUNT}", opened.azurite.blob);
    let blob = opened.provider()?.blob(&at(ResourceKind::Bucket, &url)?)?;
    let stored = "docs/käse 1%&+.html".to_owned();
    blob.object_store().put(&Path::parse(&stored)?, "<p>cheese</p>".into()).await?;
    let request = SignRequest::new(stored, SignedAccess::Get, Duration::from_secs(600));
    let signed = blob.sign(&request).await?.url;
    assert!(signed.contains("&spr=https&skoid="), "not signed with a user delegation key");
    let read = |url: &str| opened.call("blob.get_url", &json!({"url": url}));
    assert_eq!(read(&signed)?["body"], super::bytes(b"<p>cheese</p>"));
    assert!(read(&signed.replace("docs/", "other/")).unwrap_err().message().contains("AuthorizationFailure"));
    Ok(())
}

/// The double of Service Bus checks audience, expiry and signature of the token.
pub(super) async fn an_identity_publishes_to_service_bus(_: Arc<Both>) -> TrialResult {
    let bus = ServiceBus::start(Arc::new(isobar::clock::ManualClock::default())).await?;
    bus.create_subscription("clicks", "clicks", Sessions::None);
    let identity = Identity::start(Issued::default()).await?;
    let azure = provider(&identity.variables())?;
    let topic = azure.pub_sub(&at(ResourceKind::Topic, &format!("servicebus://clicks?endpoint={}", bus.url()))?)?;
    let message = RawMessage::new("a", TraceParent::random());
    let id = topic.publish(vec![message]).await.remove(0)?;
    assert_eq!(bus.receive("clicks/subscriptions/clicks").unwrap().id, id.as_str());
    Ok(())
}

/// A few writes use up 100 request units a second. Cosmos DB answers later requests with 429, and the time after which to
/// retry.
pub(super) async fn throttled_requests_are_retried(both: Arc<Both>) -> TrialResult {
    let emulator = CosmosEmulator::start_throttled(&both.installed.cosmos)?;
    let settings = json!({"cosmos": emulator.endpoint, "cosmos_key": COSMOS_KEY});
    let sdk = Library::start(&both.installed.python, "azure_sdk.py", &settings, &[])?;
    sdk.call("cosmos.make", &json!({"database": "isobar", "container": "items", "throughput": 400}))?;
    let account = format!("AccountEndpoint={};AccountKey={COSMOS_KEY}", emulator.endpoint);
    let azure = provider(&[("AZURE_COSMOS_CONNECTION_STRING", &account)])?;
    let items = Cloud::new(Arc::new(azure)).table::<u32>("items");
    let started = std::time::Instant::now();
    for number in 0..30 {
        items.put(("p", number.to_string()), &number).await?;
    }
    assert_eq!(items.query("p").all().await?.len(), 30);
    assert!(started.elapsed() > Duration::from_millis(500), "no request was throttled");
    Ok(())
}
