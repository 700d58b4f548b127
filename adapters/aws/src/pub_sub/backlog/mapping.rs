//! The event source mappings of a queue, through which Lambda polls it.
//!
//! <https://docs.aws.amazon.com/lambda/latest/api/API_UpdateEventSourceMapping.html>

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request};
use isobar_abstraction::{Error, ErrorKind, Result};
use isobar_rest::Safety;
use isobar_rest::object::encode;
use serde::Deserialize;

use crate::State;
use crate::service::{AwsService, read_json};

const PATH: &str = "/2015-03-31/event-source-mappings/";

/// How often the state of a mapping that is being disabled is read, with a pause of [`PAUSE`] before.
const READS: u32 = 120;

const PAUSE: Duration = Duration::from_secs(1);

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct List {
    event_source_mappings: Vec<Mapping>,
    #[serde(default)]
    next_marker: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Mapping {
    #[serde(rename = "UUID")]
    id: String,
    #[serde(default)]
    state: String,
}

impl Mapping {
    fn is_disabled(&self) -> bool {
        self.state == "Disabled"
    }
}

/// The mappings of a queue that are not disabled.
pub(super) async fn enabled(state: &Arc<State>, region: &str, queue_arn: &str) -> Result<Vec<String>> {
    let mut found = Vec::new();
    let mut marker = String::new();
    loop {
        let query = format!("?EventSourceArn={}{marker}", encode(queue_arn));
        let list: List = call(state, region, "ListEventSourceMappings", Method::GET, &query, "").await?;
        found.extend(list.event_source_mappings.into_iter().filter(|it| !it.is_disabled()).map(|it| it.id));
        match list.next_marker.filter(|next| !next.is_empty()) {
            Some(next) => marker = format!("&Marker={}", encode(&next)),
            None => return Ok(found),
        }
    }
}

/// Disables mappings, and waits until Lambda has stopped to poll. Errors: `Timeout`.
pub(super) async fn disable(state: &Arc<State>, region: &str, mappings: &[String]) -> Result<()> {
    set(state, region, mappings, false).await?;
    for id in mappings {
        let mut reads = 0;
        loop {
            let mapping: Mapping = call(state, region, "GetEventSourceMapping", Method::GET, id, "").await?;
            if mapping.is_disabled() {
                break;
            }
            if reads == READS {
                let message =
                    format!("the event source mapping {id} of Lambda is still `{}`: try again later", mapping.state);
                return Err(Error::new(ErrorKind::Timeout, message));
            }
            reads += 1;
            state.clock.pause(PAUSE).await;
        }
    }
    Ok(())
}

/// Enables mappings; Lambda begins to poll within a minute.
pub(super) async fn enable(state: &Arc<State>, region: &str, mappings: &[String]) -> Result<()> {
    set(state, region, mappings, true).await
}

async fn set(state: &Arc<State>, region: &str, mappings: &[String], enabled: bool) -> Result<()> {
    for id in mappings {
        let body = format!(r#"{{"Enabled":{enabled}}}"#);
        let _: Mapping = call(state, region, "UpdateEventSourceMapping", Method::PUT, &encode(id), &body).await?;
    }
    Ok(())
}

async fn call<T: for<'a> Deserialize<'a>>(
    state: &Arc<State>,
    region: &str,
    operation: &'static str,
    method: Method,
    rest: &str,
    body: &str,
) -> Result<T> {
    let service = AwsService::new(Arc::clone(state), "lambda", Some(region))?;
    let request =
        Request::builder().method(method).uri(format!("{PATH}{rest}")).header("content-type", "application/json");
    let request = request.body(Bytes::from(body.to_owned()));
    let request =
        request.map_err(|error| Error::invalid_input("not the id of an event source mapping").with_source(error))?;
    let answer = service.call(operation, Safety::Idempotent, request).await?;
    read_json("Lambda", answer.body())
}
