//! The metadata server of machines on Google Cloud.
//!
//! Source: "About VM metadata", and "Container runtime contract" of Cloud Run.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use isobar_abstraction::{Error, Result};
use isobar_rest::{Client, RetryDecision, TemporaryCredential, Unsigned};
use object_store::PutPayload;

use super::exchange::read;
use super::{Source, Token};

const FLAVOR: &str = "metadata-flavor";

/// The token of the machine. The inner error is the reason why there is none.
pub(super) async fn token(source: &Source) -> Result<Result<TemporaryCredential<Token>, &'static str>> {
    let answer = request(source, "instance/service-accounts/default/token").await?;
    answer
        .map(|answer| read("the metadata server", answer.body()))
        .map_or_else(|reason| Ok(Err(reason)), |found| found.map(Ok))
}

/// The text at one path. The inner error is the reason why there is none.
pub(super) async fn text(source: &Source, path: &str) -> Result<Result<Arc<str>, &'static str>> {
    let answer = match request(source, path).await? {
        Ok(answer) => answer,
        Err(reason) => return Ok(Err(reason)),
    };
    let text = std::str::from_utf8(answer.body()).map(str::trim).ok();
    let text =
        text.filter(|text| !text.is_empty() && text.len() < 256 && text.bytes().all(|byte| byte.is_ascii_graphic()));
    let text = text.ok_or_else(|| Error::internal(format!("the metadata server did not return a word for {path}")))?;
    Ok(Ok(text.into()))
}

async fn request(source: &Source, path: &str) -> Result<Result<Response<Bytes>, &'static str>> {
    let Some(at) = &source.config.sources.metadata else { return Ok(Err("not tried")) };
    let new_request = || {
        let request = Request::get(format!("{at}/computeMetadata/v1/{path}")).header(FLAVOR, "Google");
        request.body(PutPayload::new()).map_err(|_| Error::config("GCE_METADATA_HOST is malformed"))
    };
    // Most machines that get here are not on Google Cloud, so a server that does not respond is not tried twice.
    let send = async |attempts, request| {
        let near = Client::for_metadata_server(&source.config.client, Duration::from_secs(5), attempts);
        near.call_unsigned("GetMetadata", request, Unsigned::default()).await
    };
    let Ok(first) = send(1, new_request()?).await else { return Ok(Err("does not respond")) };
    let answer = match first {
        Err(service_error) if service_error.decision != RetryDecision::Final => send(3, new_request()?).await?,
        first => first,
    };
    match answer {
        Ok(answer) if answer.headers().get(FLAVOR).is_some_and(|flavor| flavor == "Google") => Ok(Ok(answer)),
        Ok(_) => Ok(Err("is not Google's")),
        Err(service_error) if service_error.status() == StatusCode::NOT_FOUND => {
            Ok(Err("the machine has no service account"))
        }
        Err(service_error) => Err(service_error.credential_error("the metadata server")),
    }
}
