//! An app with all triggers and an unreachable AWS.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use isobar_abstraction::driver::Environment;
use isobar_abstraction::{Cloud, Result};
use isobar_aws::{AwsConfig, AwsProvider, Lambda, LambdaCall, LambdaReply};
use isobar_testkit::{Acknowledgements, shop};

/// The host and the number of messages that its app acknowledged.
pub(crate) struct Target {
    lambda: Lambda,
    #[allow(dead_code)] // one of the two files that include this one does not read it
    pub(crate) acknowledged: Acknowledgements,
}

impl Target {
    pub(crate) fn new(invoke_mode: &str) -> Self {
        let environment = Environment::default()
            .with_var("AWS_REGION", "eu-west-1")
            .with_var("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
            .with_var("AWS_MAX_ATTEMPTS", "1")
            .with_var("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
            .with_var("AWS_SECRET_ACCESS_KEY", "hush")
            .with_var("ISOBAR_LAMBDA_INVOKE_MODE", invoke_mode);
        let provider = AwsProvider::new(AwsConfig::from_environment(&environment).unwrap());
        let (hosted, acknowledged) = shop(&Cloud::new(Arc::new(provider.clone())));
        Self { lambda: provider.lambda(hosted), acknowledged }
    }

    pub(crate) async fn handle(&self, event: &[u8]) -> Result<LambdaReply> {
        let deadline = SystemTime::now() + Duration::from_secs(60);
        let call = LambdaCall::new("req-1", deadline, "arn:aws:lambda:eu-west-1:123456789012:function:shop");
        self.lambda.handle(event, call).await
    }
}
