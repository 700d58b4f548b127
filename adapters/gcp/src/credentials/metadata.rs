//! The metadata server, which every machine on Google Cloud has.
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
use super::{Origin, Token};

const FLAVOR: &str = "metadata-flavor";

/// The machine's token. The inner error says why there is none.
pub(super) async fn token(origin: &Origin) -> Result<Result<TemporaryCredential<Token>, &'static str>> {
    let answer = ask(origin, "instance/service-accounts/default/token").await?;
    answer
        .map(|answer| read("the metadata server", answer.body()))
        .map_or_else(|why| Ok(Err(why)), |found| found.map(Ok))
}

/// What the server says of one path. The inner error says why it says nothing.
pub(super) async fn text(origin: &Origin, path: &str) -> Result<Result<Arc<str>, &'static str>> {
    let answer = match ask(origin, path).await? {
        Ok(answer) => answer,
        Err(why) => return Ok(Err(why)),
    };
    let text = std::str::from_utf8(answer.body()).map(str::trim).ok();
    let text =
        text.filter(|text| !text.is_empty() && text.len() < 256 && text.bytes().all(|byte| byte.is_ascii_graphic()));
    let text =
        text.ok_or_else(|| Error::internal(format!("the metadata server did not answer with a word to {path}")))?;
    Ok(Ok(text.into()))
}

async fn ask(origin: &Origin, path: &str) -> Result<Result<Response<Bytes>, &'static str>> {
    let Some(at) = &origin.config.sources.metadata else { return Ok(Err("not asked")) };
    let request = || {
        let request = Request::get(format!("{at}/computeMetadata/v1/{path}")).header(FLAVOR, "Google");
        request.body(PutPayload::new()).map_err(|_| Error::config("GCE_METADATA_HOST is malformed"))
    };
    // Most machines that come here are not on Google Cloud at all: nobody is asked twice who does not answer.
    let ask = async |attempts, request| {
        let near = Client::for_metadata_server(&origin.config.client, Duration::from_secs(5), attempts);
        near.call_unsigned("GetMetadata", request, Unsigned::default()).await
    };
    let Ok(first) = ask(1, request()?).await else { return Ok(Err("does not answer")) };
    let answer = match first {
        Err(service_error) if service_error.decision != RetryDecision::Final => ask(3, request()?).await?,
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
