//! Bare `lambda_runtime`: reads past the event and gives a constant answer of API Gateway's form.

use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde::de::IgnoredAny;
use serde_json::{Value, json};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    lambda_runtime::run(service_fn(answer)).await
}

async fn answer(_event: LambdaEvent<IgnoredAny>) -> Result<Value, Error> {
    Ok(json!({
        "statusCode": 404,
        "headers": { "content-type": "application/json" },
        "body": r#"{"error":"not-found","detail":"no such link; it may have expired"}"#,
        "isBase64Encoded": false,
    }))
}
