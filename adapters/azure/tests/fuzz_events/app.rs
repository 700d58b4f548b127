//! An app with all triggers, with unreachable Azure services.

use http::{Request, Response};
use isobar_abstraction::driver::Environment;
use isobar_abstraction::{Body, Cloud};
use isobar_azure::{AzureConfig, AzureProvider, CustomHandler};
use isobar_testkit::{Acknowledgements, shop};

/// The secret in the functions' names. No response and no log contains it.
pub(crate) const KEY: &str = "k3yk3yk3yk3yk3yk3yk3yk3yk3yk3yk3";

/// The previous secret.
pub(crate) const OLD_KEY: &str = "0ld0ld0ld0ld0ld0ld0ld0ld0ld0ld0l";

/// The functions, without the secret.
pub(crate) const FUNCTIONS: [&str; 9] = [
    "topic-clicks",
    "fifo-clicks",
    "bucket-pages",
    "feed-links",
    "writes-links",
    "schedule-sweep",
    "invoke-size",
    "invoke-none",
    "http",
];

/// The host, and the number of messages that its app has acknowledged.
pub(crate) struct Target {
    handler: CustomHandler,
    #[allow(dead_code)] // only one of the two targets that include this file reads it
    pub(crate) acknowledged: Acknowledgements,
}

impl Target {
    pub(crate) fn new(topic: &str) -> Self {
        let environment = Environment::default()
            .with_var(
                "AZURE_STORAGE_CONNECTION_STRING",
                "AccountName=acc;AccountKey=aHVzaA==;BlobEndpoint=http://127.0.0.1:1/acc;\
                 QueueEndpoint=http://127.0.0.1:1/acc;TableEndpoint=http://127.0.0.1:1/acc",
            )
            .with_var(
                "AZURE_SERVICEBUS_CONNECTION_STRING",
                "Endpoint=sb://127.0.0.1:1;SharedAccessKeyName=all;SharedAccessKey=aHVzaA==;UseDevelopmentEmulator=true",
            )
            .with_var("AZURE_COSMOS_CONNECTION_STRING", "AccountEndpoint=http://127.0.0.1:1;AccountKey=aHVzaA==")
            .with_var("ISOBAR_TRIGGER_SECRET", KEY)
            .with_var("ISOBAR_TRIGGER_SECRET_OLD", OLD_KEY)
            .with_var("ISOBAR_TOPIC_CLICKS", topic);
        let mut config = AzureConfig::from_environment(&environment).unwrap();
        config.client.max_attempts = 1;
        let (hosted, acknowledged) = shop(&Cloud::memory());
        Self { handler: AzureProvider::new(config).handler(hosted), acknowledged }
    }

    pub(crate) async fn handle(&self, function: &str, call: &[u8]) -> Response<Body> {
        let key = if call.len().is_multiple_of(2) { KEY } else { OLD_KEY };
        let request = Request::post(format!("/{function}-{key}")).header("x-azure-functions-invocationid", "inv-1");
        self.handler.handle(request.body(Body::from(call.to_vec())).unwrap()).await
    }
}
