//! The context that a handler receives with its invocation.

use std::collections::HashSet;
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use isobar::driver::Limits;
use isobar::prelude::*;

use super::serve;
use crate::trials::pub_sub::Recorded;
use crate::{HarnessResult, RunningApp, TrialResult, World};

crate::trials![
    "FN-6" => every_kind_of_handler_receives_its_context,
    "FN-6" => every_invocation_has_an_id_of_its_own,
    "FN-6" => the_deadline_of_an_http_handler_is_ahead_and_within_its_limit,
    "FN-6" => the_deadline_of_an_event_handler_is_ahead_and_within_its_limit,
    "FN-6" => the_time_left_shrinks_with_the_clock,
    "FN-6" => a_request_or_a_call_is_a_first_attempt,
    "FN-6" => the_provider_is_the_one_that_the_app_runs_on,
    "FN-6" => the_trace_of_a_request_is_kept,
    "FN-6" => a_request_without_a_valid_trace_begins_one,
    "FN-6" => the_context_has_the_time_of_the_provider,
];

/// An app of every kind of trigger that notes the context of each of its invocations.
async fn noting(world: &dyn World, recorded: &Recorded<(&'static str, Context)>) -> HarnessResult<Box<dyn RunningApp>> {
    let [by_http, by_message, by_object, by_tick, by_call] = std::array::from_fn(|_| recorded.clone());
    let app = move |cloud: &Cloud| {
        let note = async move |cx: Context| by_http.add(("http", cx));
        App::new("noting")
            .http(Router::new().route("/", get(note)))
            .on_message(&cloud.topic::<u32>("jobs"), move |_, cx| {
                by_message.add(("message", cx));
                async {}
            })
            .on_object(&cloud.bucket("pages"), move |_, cx| {
                by_object.add(("object", cx));
                async {}
            })
            .on_schedule("sweep", "0 3 * * *", move |_, cx| {
                by_tick.add(("schedule", cx));
                async {}
            })
            .on_invoke("stats", move |(), cx| {
                by_call.add(("invoke", cx));
                async { Ok::<_, Error>(()) }
            })
    };
    world.run(app).await
}

/// Sends one event of each kind, and returns the contexts of their handlers.
async fn one_of_each(world: &dyn World) -> HarnessResult<Vec<(&'static str, Context)>> {
    let recorded = Recorded::default();
    let app = noting(world, &recorded).await?;
    assert_eq!(app.get("/").await?.status, StatusCode::OK);
    app.invoke("stats", Bytes::new()).await?;
    app.tick("sweep").await?;
    world.cloud().topic("jobs").publish(1_u32).await?;
    world.cloud().bucket("pages").put("a", "hello").await?;
    app.deliver().await?;
    Ok(recorded.all())
}

async fn every_kind_of_handler_receives_its_context(world: Box<dyn World>) -> TrialResult {
    let mut kinds: Vec<_> = one_of_each(&*world).await?.into_iter().map(|(kind, _)| kind).collect();
    kinds.sort_unstable();
    assert_eq!(kinds, ["http", "invoke", "message", "object", "schedule"]);
    Ok(())
}

async fn every_invocation_has_an_id_of_its_own(world: Box<dyn World>) -> TrialResult {
    let mut ids: HashSet<String> = HashSet::new();
    for (kind, cx) in one_of_each(&*world).await? {
        assert!(!cx.invocation_id().is_empty(), "{kind}");
        assert!(ids.insert(cx.invocation_id().to_owned()), "{kind} has the id of another");
    }
    let app = serve(&*world, Router::new().route("/", get(async |cx: Context| cx.invocation_id().to_owned()))).await?;
    for response in futures_util::future::try_join_all((0..50).map(|_| app.get("/"))).await? {
        assert!(ids.insert(response.text()), "two requests have one id");
    }
    Ok(())
}

fn assert_deadline(kind: &str, cx: &Context, limit: Duration) {
    let left = cx.remaining().unwrap_or_else(|| panic!("{kind} has no deadline"));
    assert!(!left.is_zero() && left <= limit, "{kind} has {left:?} left");
    assert!(cx.deadline().is_some_and(|deadline| deadline > cx.now()), "{kind}: {:?}", cx.deadline());
}

async fn the_deadline_of_an_http_handler_is_ahead_and_within_its_limit(world: Box<dyn World>) -> TrialResult {
    for (kind, cx) in one_of_each(&*world).await?.into_iter().filter(|(kind, _)| *kind == "http") {
        assert_deadline(kind, &cx, Limits::PORTABLE.http_timeout);
    }
    Ok(())
}

async fn the_deadline_of_an_event_handler_is_ahead_and_within_its_limit(world: Box<dyn World>) -> TrialResult {
    for (kind, cx) in one_of_each(&*world).await? {
        assert_deadline(kind, &cx, Limits::PORTABLE.event_timeout);
    }
    Ok(())
}

async fn the_time_left_shrinks_with_the_clock(world: Box<dyn World>) -> TrialResult {
    for (kind, cx) in one_of_each(&*world).await? {
        let before = cx.remaining().unwrap();
        world.advance(Duration::from_secs(1))?;
        assert!(cx.remaining().unwrap() <= before.saturating_sub(Duration::from_secs(1)), "{kind}");
    }
    let contexts = one_of_each(&*world).await?;
    world.advance(Limits::PORTABLE.event_timeout * 2)?;
    assert!(contexts.iter().all(|(_, cx)| cx.remaining() == Some(Duration::ZERO)));
    Ok(())
}

async fn a_request_or_a_call_is_a_first_attempt(world: Box<dyn World>) -> TrialResult {
    for (kind, cx) in one_of_each(&*world).await? {
        assert_eq!(cx.attempt(), 1, "{kind}");
    }
    Ok(())
}

async fn the_provider_is_the_one_that_the_app_runs_on(world: Box<dyn World>) -> TrialResult {
    let provider = world.cloud().profile().provider;
    for (kind, cx) in one_of_each(&*world).await? {
        assert_eq!(cx.provider(), provider, "{kind}");
    }
    Ok(())
}

/// An app that answers the trace id of each request.
async fn tracing(world: &dyn World) -> HarnessResult<Box<dyn RunningApp>> {
    let trace = async |cx: Context| format!("{:032x}", cx.trace_parent().trace_id());
    serve(world, Router::new().route("/", get(trace))).await
}

async fn trace_of(app: &dyn RunningApp, header: &str) -> HarnessResult<String> {
    let request = Request::get("/").header("traceparent", header).body(Body::empty()).unwrap();
    Ok(app.http(request).await?.text())
}

async fn the_trace_of_a_request_is_kept(world: Box<dyn World>) -> TrialResult {
    let app = tracing(&*world).await?;
    for flags in ["00", "01"] {
        let header = format!("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-{flags}");
        assert_eq!(trace_of(&*app, &header).await?, "4bf92f3577b34da6a3ce929d0e0e4736");
    }
    Ok(())
}

async fn a_request_without_a_valid_trace_begins_one(world: Box<dyn World>) -> TrialResult {
    let app = tracing(&*world).await?;
    let zero = "00-00000000000000000000000000000000-00f067aa0ba902b7-01";
    let upper = "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01";
    let mut traces = HashSet::from([app.get("/").await?.text()]);
    for header in ["nonsense", "00-4bf92f-00f067aa0ba902b7-01", zero, upper] {
        let trace = trace_of(&*app, header).await?;
        assert_ne!(trace.trim_start_matches('0').to_ascii_lowercase(), "4bf92f3577b34da6a3ce929d0e0e4736");
        assert_eq!((trace.len(), traces.insert(trace)), (32, true));
    }
    Ok(())
}

async fn the_context_has_the_time_of_the_provider(world: Box<dyn World>) -> TrialResult {
    world.advance(Duration::from_secs(30 * 24 * 3_600))?;
    for (kind, cx) in one_of_each(&*world).await? {
        assert_eq!(cx.now(), world.now(), "{kind}");
    }
    Ok(())
}
