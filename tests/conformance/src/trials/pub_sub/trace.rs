//! The trace of the publisher arrives with the message.

use std::collections::HashSet;

use bytes::Bytes;
use isobar::prelude::*;

use super::{JOBS, MAX_BACKOFF, MIN_BACKOFF, Recorded, ack, deliver_later, jobs, worker};
use crate::{HarnessResult, RunningApp, TrialResult, World};

crate::trials![
    "PS-10" => a_message_from_an_http_handler_carries_the_trace_of_the_request,
    "PS-10" => a_message_from_a_direct_call_carries_the_trace_of_the_call,
    "PS-10" => a_message_published_after_an_await_carries_the_trace_too,
    "PS-10" => a_message_from_a_message_handler_carries_the_trace_on,
    "PS-10" => all_messages_of_a_batch_carry_the_trace,
    "PS-10" => a_message_from_outside_begins_a_trace,
    "PS-10" => a_redelivery_keeps_its_trace,
    "PS-10" => handlers_that_run_together_keep_their_traces_apart,
];

/// Trace ids: of the message, of its handler's context, and of the handler that published it.
type Traces = (Option<u128>, u128, u128);

/// An app that publishes to `jobs` the trace id of the publisher, and records the messages that arrive.
async fn traced(world: &dyn World, recorded: &Recorded<Traces>) -> HarnessResult<Box<dyn RunningApp>> {
    let recorded = recorded.clone();
    let app = move |cloud: &Cloud| {
        let (jobs, relay) = (cloud.topic::<u128>(JOBS), cloud.topic::<u32>("relay"));
        let (by_http, by_call, by_message) = (jobs.clone(), jobs.clone(), jobs.clone());
        let router = Router::new().route("/", post(async move |cx: Context| publish_trace(&by_http, &cx).await));
        App::new("traced")
            .http(router)
            .on_invoke("publish", move |(), cx| {
                let jobs = by_call.clone();
                async move { publish_trace(&jobs, &cx).await }
            })
            .on_message(&relay, move |_, cx| {
                let jobs = by_message.clone();
                async move { publish_trace(&jobs, &cx).await }
            })
            .on_message(&jobs, move |job: Message<u128>, cx| {
                let of_message = job.trace_parent.map(|parent| parent.trace_id());
                recorded.add((of_message, cx.trace_parent().trace_id(), job.body));
                async {}
            })
    };
    world.run(app).await
}

async fn publish_trace(jobs: &Topic<u128>, cx: &Context) -> Result<()> {
    tokio::task::yield_now().await;
    jobs.publish(cx.trace_parent().trace_id()).await?;
    Ok(())
}

fn assert_one_trace((of_message, of_handler, of_publisher): Traces) {
    assert_eq!(of_message, Some(of_publisher), "the message has another trace than its publisher");
    assert_eq!(of_handler, of_publisher, "the handler has another trace than the publisher");
}

fn post_request() -> http::Request<Body> {
    http::Request::post("/").body(Body::empty()).unwrap()
}

async fn a_message_from_an_http_handler_carries_the_trace_of_the_request(world: Box<dyn World>) -> TrialResult {
    let recorded = Recorded::default();
    let app = traced(&*world, &recorded).await?;
    assert_eq!(app.http(post_request()).await?.status, StatusCode::OK);
    app.deliver().await?;
    assert_one_trace(recorded.only());
    Ok(())
}

async fn a_message_from_a_direct_call_carries_the_trace_of_the_call(world: Box<dyn World>) -> TrialResult {
    let recorded = Recorded::default();
    let app = traced(&*world, &recorded).await?;
    app.invoke("publish", Bytes::new()).await?;
    app.deliver().await?;
    assert_one_trace(recorded.only());
    Ok(())
}

/// `traceparent` of the request to the consumer, through a handler that awaits before it publishes.
async fn a_message_published_after_an_await_carries_the_trace_too(world: Box<dyn World>) -> TrialResult {
    let recorded = Recorded::default();
    let app = traced(&*world, &recorded).await?;
    let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let request = http::Request::post("/").header("traceparent", parent).body(Body::empty())?;
    app.http(request).await?;
    app.deliver().await?;
    let traces = recorded.only();
    assert_one_trace(traces);
    assert_eq!(traces.1, 0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736);
    Ok(())
}

async fn a_message_from_a_message_handler_carries_the_trace_on(world: Box<dyn World>) -> TrialResult {
    let recorded = Recorded::default();
    let app = traced(&*world, &recorded).await?;
    world.cloud().topic("relay").publish(1_u32).await?;
    app.deliver().await?;
    assert_one_trace(recorded.only());
    Ok(())
}

async fn all_messages_of_a_batch_carry_the_trace(world: Box<dyn World>) -> TrialResult {
    let recorded = Recorded::default();
    let sink = recorded.clone();
    let app = move |cloud: &Cloud| {
        let jobs = cloud.topic::<u128>(JOBS);
        let published = jobs.clone();
        App::new("batches")
            .on_invoke("publish", move |(), cx| {
                let jobs = published.clone();
                async move {
                    let batch = [cx.trace_parent().trace_id(); 12];
                    jobs.publish_batch(batch).await.into_iter().collect::<Result<Vec<_>>>().map(|ids| ids.len())
                }
            })
            .on_message(&jobs, move |job: Message<u128>, cx| {
                let of_message = job.trace_parent.map(|parent| parent.trace_id());
                sink.add((of_message, cx.trace_parent().trace_id(), job.body));
                async {}
            })
    };
    let app = world.run(app).await?;
    assert_eq!(app.invoke("publish", Bytes::new()).await?, "12");
    app.deliver().await?;
    assert_eq!(recorded.count(), 12);
    recorded.all().into_iter().for_each(assert_one_trace);
    Ok(())
}

async fn a_message_from_outside_begins_a_trace(world: Box<dyn World>) -> TrialResult {
    let recorded = Recorded::default();
    let app = worker::<u32>(&*world, 5, &recorded, ack).await?;
    for number in 0..3_u32 {
        jobs::<u32>(&*world).publish(number).await?;
    }
    app.deliver().await?;
    let traces: Vec<_> = recorded.all().into_iter().filter_map(|message| message.trace_parent).collect();
    assert_eq!(traces.len(), 3, "a message has no trace");
    assert_eq!(traces.iter().map(|parent| parent.trace_id()).collect::<HashSet<_>>().len(), 3);
    Ok(())
}

async fn a_redelivery_keeps_its_trace(world: Box<dyn World>) -> TrialResult {
    let recorded = Recorded::default();
    let sink = recorded.clone();
    let app = move |cloud: &Cloud| {
        let subscription = cloud.topic::<u32>(JOBS).subscription("default").with_backoff(MIN_BACKOFF, MAX_BACKOFF);
        App::new("worker").on_message(subscription, move |job: Message<u32>, cx| {
            sink.add((job.trace_parent.map(|parent| parent.trace_id()), Some(cx.trace_parent().trace_id())));
            async { Outcome::retry("no") }
        })
    };
    let app = world.run(app).await?;
    jobs::<u32>(&*world).publish(1_u32).await?;
    app.deliver().await?;
    deliver_later(&*world, &*app).await?;
    let recorded = recorded.all();
    assert_eq!(recorded.len(), 2);
    assert!(recorded[0].0.is_some() && recorded[0].0 == recorded[0].1);
    assert_eq!(recorded[0], recorded[1]);
    Ok(())
}

async fn handlers_that_run_together_keep_their_traces_apart(world: Box<dyn World>) -> TrialResult {
    let recorded = Recorded::default();
    let app = traced(&*world, &recorded).await?;
    let requests = (0..20).map(|_| app.http(post_request()));
    futures_util::future::try_join_all(requests).await?;
    app.deliver().await?;
    assert_eq!(recorded.count(), 20);
    recorded.all().into_iter().for_each(assert_one_trace);
    assert_eq!(recorded.all().into_iter().collect::<HashSet<_>>().len(), 20);
    Ok(())
}
