//! The metadata server, which every machine on Google Cloud has.
//!
//! Source: "About VM metadata", and "Container runtime contract" of Cloud Run.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use isobar_abstraction::{Error, Result};
use isobar_rest::{Client, ClientConfig, Found, SystemClock};
use object_store::PutPayload;

use super::exchange::{read, refused, send};
use super::{Origin, Token};

const FLAVOR: &str = "metadata-flavor";

/// The machine's token. The inner error says why there is none.
pub(super) async fn token(origin: &Origin) -> Result<Result<Found<Token>, &'static str>> {
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
    let Ok(first) = send(&near(origin, 1), "GetMetadata", request()?).await else { return Ok(Err("does not answer")) };
    let late = first.status().is_server_error() || first.status() == StatusCode::TOO_MANY_REQUESTS;
    let answer = if late { send(&near(origin, 3), "GetMetadata", request()?).await? } else { first };
    match answer.status() {
        StatusCode::OK if answer.headers().get(FLAVOR).is_some_and(|flavor| flavor == "Google") => Ok(Ok(answer)),
        StatusCode::OK => Ok(Err("is not Google's")),
        StatusCode::NOT_FOUND => Ok(Err("the machine has no service account")),
        _ => Err(refused("the metadata server", &answer)),
    }
}

/// A client for what is one hop away: not through a proxy, and not for long.
fn near(origin: &Origin, attempts: u32) -> Client {
    let mut near = ClientConfig::default();
    near.ca_bundle.clone_from(&origin.config.client.ca_bundle);
    near.connect_timeout = Duration::from_secs(1);
    near.attempt_timeout = Duration::from_secs(5);
    near.max_attempts = attempts;
    Client::new(near, Arc::new(SystemClock))
}
