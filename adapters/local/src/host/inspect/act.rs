//! The endpoints of the inspector that write data and call handlers.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_TYPE, HeaderMap};
use isobar_abstraction::blob::PutOptions;
use isobar_abstraction::driver::ResourceKind;
use isobar_abstraction::pub_sub::Outgoing;
use isobar_abstraction::{Error, Event, Invocation, Tick, WriteEvent};
use serde_json::json;

use super::queues::kind_of;
use super::{Answer, Failure, Indented, Inspector, Parameters, items, objects};
use crate::event;
use crate::host::recorded;

pub(super) async fn publish(
    State(inspector): State<Arc<Inspector>>,
    Path(topic): Path<String>,
    parameters: Parameters,
    body: Bytes,
) -> Answer {
    let mut message = Outgoing::new(body);
    message.ordering_key = parameters.ordering_key;
    message.delay = Duration::from_secs(parameters.delay);
    if let Some(attributes) = &parameters.attributes {
        let wrong = |error| {
            Error::invalid_input(r#"`attributes` must be a JSON object of texts: {"NAME": "VALUE"}"#).with_source(error)
        };
        message.attributes = serde_json::from_str(attributes).map_err(wrong)?;
    }
    inspector.check_declared(ResourceKind::Topic, &topic)?;
    let id = inspector.cloud().topic::<Bytes>(&topic).publish(message).await?;
    Ok(Indented(json!({"id": id})))
}

pub(super) async fn put_object(
    State(inspector): State<Arc<Inspector>>,
    Path(bucket): Path<String>,
    parameters: Parameters,
    content: Body,
) -> Answer {
    inspector.check_declared(ResourceKind::Bucket, &bucket)?;
    let key = objects::key(&parameters)?;
    let mut options = PutOptions::default();
    options.content_type.clone_from(&parameters.content_type);
    let version = inspector.cloud().bucket(&bucket).put_stream(key, content.into_data_stream(), options).await?;
    Ok(Indented(json!({"key": key, "version": version})))
}

pub(super) async fn fire(State(inspector): State<Arc<Inspector>>, Path(schedule): Path<String>) -> Answer {
    let tick = Tick::new(schedule.as_str(), inspector.state.clock.now());
    handle(&inspector, Event::Schedule(tick)).await?;
    Ok(Indented(json!({"schedule": schedule, "outcome": "ack"})))
}

pub(super) async fn written(
    State(inspector): State<Arc<Inspector>>,
    Path(table): Path<String>,
    parameters: Parameters,
) -> Answer {
    let key = items::key(&parameters)?;
    // No table can have a key that is not valid, which is an error of the client.
    inspector.cloud().table::<Bytes>(&table).get_entry(key.clone()).await?;
    handle(&inspector, Event::Write(WriteEvent::new(table.as_str(), key.clone()))).await?;
    Ok(Indented(json!({"table": table, "key": key, "outcome": "ack"})))
}

async fn handle(inspector: &Inspector, event: Event) -> Result<(), Error> {
    let cx = event::context(&inspector.state.clock, inspector.state.profile.limits.event_timeout);
    recorded::handle(&inspector.state, inspector.app.function.as_ref(), event, cx).await?.into_result()
}

pub(super) async fn invoke(
    State(inspector): State<Arc<Inspector>>,
    Path(function): Path<String>,
    headers: HeaderMap,
    payload: Bytes,
) -> Result<Response, Failure> {
    let cx =
        event::context(&inspector.state.clock, inspector.state.profile.limits.event_timeout).with_trace_of(&headers);
    let call = Invocation::new(function, payload);
    let answer = recorded::invoke(&inspector.state, inspector.app.function.as_ref(), call, cx).await?;
    Ok(([(CONTENT_TYPE, "application/json")], answer).into_response())
}

pub(super) async fn redrive(
    State(inspector): State<Arc<Inspector>>,
    Path((kind, name)): Path<(String, String)>,
    parameters: Parameters,
) -> Answer {
    let queue = inspector.queue(kind_of(&kind)?, &name, &parameters)?;
    let redriven = inspector.state.queue.redrive(&queue, parameters.ids()?).await?;
    Ok(Indented(json!({"redriven": redriven})))
}

pub(super) async fn drop_dead_letters(
    State(inspector): State<Arc<Inspector>>,
    Path((kind, name)): Path<(String, String)>,
    parameters: Parameters,
) -> Answer {
    let queue = inspector.queue(kind_of(&kind)?, &name, &parameters)?;
    let dropped = inspector.state.queue.drop_dead_letters(&queue, parameters.ids()?).await?;
    Ok(Indented(json!({"dropped": dropped})))
}
