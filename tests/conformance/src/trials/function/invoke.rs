//! A direct call takes a typed request and gives a typed answer, both JSON.

use std::sync::Arc;

use bytes::Bytes;
use isobar::driver::Limits;
use isobar::prelude::*;
use serde::{Deserialize, Serialize};
use tokio::sync::Barrier;

use crate::trials::full_text;
use crate::{HarnessResult, Lacks, Provided, RunningApp, TrialResult, World};

crate::trials![
    "FN-4" => a_call_takes_and_answers_typed_json,
    "FN-4" => a_call_keeps_large_numbers_and_any_text,
    "FN-4" => an_empty_payload_counts_as_null,
    "FN-4" => a_malformed_request_is_invalid_input_with_its_position,
    "FN-4" => a_request_of_another_type_is_invalid_input_with_its_position,
    "FN-4" => a_request_followed_by_more_is_invalid,
    "FN-4" => a_handler_is_not_called_with_a_bad_request,
    "FN-4" => an_error_of_the_handler_keeps_its_kind_and_message,
    "FN-4" => an_error_of_another_library_is_internal_and_keeps_its_text,
    "FN-4" => an_error_names_the_function_that_was_called,
    "FN-4" => a_request_of_just_the_limit_is_handled_and_one_byte_more_is_too_large,
    "FN-4" => an_answer_past_the_limit_is_too_large,
    "FN-4" => calls_are_handled_at_the_same_time,
    "FN-8" => a_call_of_an_unknown_function_names_it_and_what_is_handled,
    "FN-8" => a_call_of_an_app_that_handles_nothing_says_so,
    "FN-8" => a_request_to_an_app_without_http_is_not_found,
    "FN-8" => a_name_handled_by_another_trigger_is_not_a_function,
];

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Order {
    id: u64,
    #[serde(default)]
    lines: Vec<String>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Receipt {
    order: u64,
    first: Option<String>,
    balance: i64,
}

/// An app of one function, of orders to receipts.
async fn shop(world: &dyn World) -> HarnessResult<Box<dyn RunningApp>> {
    let app = |_: &Cloud| {
        App::new("shop").on_invoke("order", |order: Order, _cx| async move {
            let first = order.lines.into_iter().next();
            Ok::<_, Error>(Receipt { order: order.id, first, balance: i64::MIN })
        })
    };
    world.run(app).await
}

async fn a_call_takes_and_answers_typed_json(world: Box<dyn World>) -> TrialResult {
    let app = shop(&*world).await?;
    let order = Order { id: 7, lines: vec!["tea".to_owned(), "milk".to_owned()] };
    let answer = app.invoke("order", serde_json::to_vec(&order)?.into()).await?;
    let receipt: Receipt = serde_json::from_slice(&answer)?;
    assert_eq!(receipt, Receipt { order: 7, first: Some("tea".to_owned()), balance: i64::MIN });
    let answer = app.invoke("order", Bytes::from_static(b" {\"id\": 8, \"unknown\": [1, {}]}\n")).await?;
    assert_eq!(serde_json::from_slice::<Receipt>(&answer)?.order, 8);
    Ok(())
}

async fn a_call_keeps_large_numbers_and_any_text(world: Box<dyn World>) -> TrialResult {
    let app = shop(&*world).await?;
    let text = "käse 🧀 \0 \u{2028} \"\\ </script>".to_owned();
    let order = Order { id: u64::MAX, lines: vec![text.clone()] };
    let answer = app.invoke("order", serde_json::to_vec(&order)?.into()).await?;
    let receipt: Receipt = serde_json::from_slice(&answer)?;
    assert_eq!(receipt, Receipt { order: u64::MAX, first: Some(text), balance: i64::MIN });
    Ok(())
}

async fn an_empty_payload_counts_as_null(world: Box<dyn World>) -> TrialResult {
    let app = |_: &Cloud| {
        App::new("calls")
            .on_invoke("unit", |(), _cx| async { Ok::<_, Error>(()) })
            .on_invoke("option", |it: Option<u32>, _cx| async move { Ok::<_, Error>(it.is_none()) })
    };
    let app = world.run(app).await?;
    for payload in ["", "null", " null "] {
        assert_eq!(app.invoke("unit", payload.into()).await?, "null");
        assert_eq!(app.invoke("option", payload.into()).await?, "true");
    }
    assert_eq!(app.invoke("option", "7".into()).await?, "false");
    Ok(())
}

async fn refused(app: &dyn RunningApp, payload: &'static str) -> Result<String, Lacks> {
    let error = app.invoke("order", payload.into()).await.provided()?.expect_err("it was answered");
    assert_eq!(error.kind(), ErrorKind::InvalidInput, "{payload:?}");
    Ok(full_text(&error))
}

async fn a_malformed_request_is_invalid_input_with_its_position(world: Box<dyn World>) -> TrialResult {
    let app = shop(&*world).await?;
    for (payload, position) in
        [("{\"id\": 7,}", "line 1 column 10"), ("{\n  \"id\": x}", "line 2 column 9"), ("{", "line 1 column 1")]
    {
        let report = refused(&*app, payload).await?;
        assert!(report.contains(position), "{payload:?}: {report}");
    }
    Ok(())
}

async fn a_request_of_another_type_is_invalid_input_with_its_position(world: Box<dyn World>) -> TrialResult {
    let app = shop(&*world).await?;
    for payload in ["7", "[]", "{}", "null", "", "{\"id\": -1}", "{\"id\": \"7\"}", "{\"id\": 18446744073709551616}"] {
        let report = refused(&*app, payload).await?;
        assert!(report.contains("line 1 column"), "{payload:?}: {report}");
    }
    Ok(())
}

async fn a_request_followed_by_more_is_invalid(world: Box<dyn World>) -> TrialResult {
    let app = shop(&*world).await?;
    refused(&*app, "{\"id\": 7} {\"id\": 8}").await?;
    refused(&*app, "{\"id\": 7}}").await?;
    Ok(())
}

async fn a_handler_is_not_called_with_a_bad_request(world: Box<dyn World>) -> TrialResult {
    let recorded = crate::trials::pub_sub::Recorded::default();
    let sink = recorded.clone();
    let app = move |_: &Cloud| {
        App::new("shop").on_invoke("order", move |order: Order, _cx| {
            sink.add(order.id);
            async { Ok::<_, Error>(()) }
        })
    };
    let app = world.run(app).await?;
    refused(&*app, "{").await?;
    refused(&*app, "7").await?;
    app.invoke("order", "{\"id\": 9}".into()).await?;
    assert_eq!(recorded.all(), [9]);
    Ok(())
}

async fn an_error_of_the_handler_keeps_its_kind_and_message(world: Box<dyn World>) -> TrialResult {
    let app = |_: &Cloud| {
        let conflict = || Error::conflict("the order has changed; read it again");
        let missing = || Error::not_found("no such order");
        App::new("shop")
            .on_invoke("conflict", move |(), _cx| async move { Err::<(), _>(conflict()) })
            .on_invoke("missing", move |(), _cx| async move { Err::<(), _>(missing()) })
            .on_invoke("invalid", |(), _cx| async { Err::<(), _>(Error::invalid_input("not an order")) })
    };
    let app = world.run(app).await?;
    for (function, kind, message) in [
        ("conflict", ErrorKind::Conflict, "the order has changed"),
        ("missing", ErrorKind::NotFound, "no such order"),
        ("invalid", ErrorKind::InvalidInput, "not an order"),
    ] {
        let error = app.invoke(function, Bytes::new()).await.provided()?.expect_err("it was answered");
        assert_eq!(error.kind(), kind, "{function}");
        assert!(full_text(&error).contains(message), "{}", full_text(&error));
    }
    Ok(())
}

async fn an_error_of_another_library_is_internal_and_keeps_its_text(world: Box<dyn World>) -> TrialResult {
    let app = |_: &Cloud| App::new("shop").on_invoke("parse", |text: String, _cx| async move { text.parse::<u32>() });
    let app = world.run(app).await?;
    assert_eq!(app.invoke("parse", "\"7\"".into()).await?, "7");
    let error = app.invoke("parse", "\"x\"".into()).await.provided()?.expect_err("it was answered");
    assert_eq!(error.kind(), ErrorKind::Internal);
    assert!(full_text(&error).contains("invalid digit"), "{}", full_text(&error));
    Ok(())
}

async fn an_error_names_the_function_that_was_called(world: Box<dyn World>) -> TrialResult {
    let app = shop(&*world).await?;
    let report = refused(&*app, "{").await?;
    assert!(report.contains("`order`"), "{report}");
    Ok(())
}

/// An app that counts and makes characters.
async fn lengths(world: &dyn World) -> HarnessResult<Box<dyn RunningApp>> {
    let app = |_: &Cloud| {
        App::new("lengths")
            .on_invoke("count", |text: String, _cx| async move { Ok::<_, Error>(text.len()) })
            .on_invoke("make", |count: usize, _cx| async move { Ok::<_, Error>("x".repeat(count)) })
    };
    world.run(app).await
}

const LIMIT: u64 = Limits::PORTABLE.invoke_bytes;

async fn a_request_of_just_the_limit_is_handled_and_one_byte_more_is_too_large(world: Box<dyn World>) -> TrialResult {
    let app = lengths(&*world).await?;
    // Two of them are the quotes.
    let text = |size: u64| Bytes::from(format!("\"{}\"", "x".repeat(size as usize - 2)));
    assert_eq!(app.invoke("count", text(LIMIT)).await?, (LIMIT - 2).to_string());
    let error = app.invoke("count", text(LIMIT + 1)).await.provided()?.expect_err("it was answered");
    assert!(error.kind() == ErrorKind::TooLarge, "{error:?}");
    Ok(())
}

async fn an_answer_past_the_limit_is_too_large(world: Box<dyn World>) -> TrialResult {
    let app = lengths(&*world).await?;
    assert_eq!(app.invoke("make", (LIMIT - 2).to_string().into()).await?.len() as u64, LIMIT);
    let error = app.invoke("make", (LIMIT - 1).to_string().into()).await.provided()?.expect_err("it was answered");
    assert!(error.kind() == ErrorKind::TooLarge, "{error:?}");
    Ok(())
}

async fn calls_are_handled_at_the_same_time(world: Box<dyn World>) -> TrialResult {
    let all_here = Arc::new(Barrier::new(5));
    let app = move |_: &Cloud| {
        App::new("meeting").on_invoke("meet", move |(), _cx| {
            let all_here = Arc::clone(&all_here);
            async move {
                all_here.wait().await;
                Ok::<_, Error>(())
            }
        })
    };
    let app = world.run(app).await?;
    futures_util::future::try_join_all((0..5).map(|_| app.invoke("meet", Bytes::new()))).await?;
    Ok(())
}

async fn a_call_of_an_unknown_function_names_it_and_what_is_handled(world: Box<dyn World>) -> TrialResult {
    let app = |cloud: &Cloud| {
        App::new("mixed")
            .http(Router::new())
            .on_message(&cloud.topic::<u32>("jobs"), |_, _cx| async {})
            .on_object(&cloud.bucket("pages"), |_, _cx| async {})
            .on_schedule("sweep", "0 3 * * *", |_, _cx| async {})
            .on_invoke("stats", |(), _cx| async { Ok::<_, Error>(()) })
    };
    let app = world.run(app).await?;
    let error = app.invoke("statistics", Bytes::new()).await.provided()?.expect_err("it was answered");
    assert_eq!(error.kind(), ErrorKind::NotFound);
    let report = full_text(&error);
    for named in ["`mixed`", "`statistics`", "HTTP", "topic `jobs`", "bucket `pages`", "`sweep`", "function `stats`"] {
        assert!(report.contains(named), "{named} is not named in: {report}");
    }
    Ok(())
}

async fn a_call_of_an_app_that_handles_nothing_says_so(world: Box<dyn World>) -> TrialResult {
    let app = world.run(|_| App::new("idle")).await?;
    let error = app.invoke("stats", Bytes::new()).await.provided()?.expect_err("it was answered");
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(full_text(&error).contains("`stats`") && full_text(&error).contains("nothing"), "{}", full_text(&error));
    Ok(())
}

/// Behind a server the client gets 404, without one the caller gets the error. Neither says what the app is made of.
async fn a_request_to_an_app_without_http_is_not_found(world: Box<dyn World>) -> TrialResult {
    let app = world.run(|_| App::new("secret").on_invoke("stats", |(), _cx| async { Ok::<_, Error>(()) })).await?;
    let answer = match app.get("/some/path").await.provided()? {
        Ok(response) => {
            assert_eq!(response.status, StatusCode::NOT_FOUND);
            response.text()
        }
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::NotFound);
            full_text(&error)
        }
    };
    assert!(!answer.contains("secret") && !answer.contains("stats"), "{answer}");
    Ok(())
}

async fn a_name_handled_by_another_trigger_is_not_a_function(world: Box<dyn World>) -> TrialResult {
    let app = |cloud: &Cloud| {
        App::new("mixed").on_message(&cloud.topic::<()>("sweep"), |_, _cx| async {}).on_schedule(
            "sweep",
            "0 3 * * *",
            |_, _cx| async {},
        )
    };
    let app = world.run(app).await?;
    let error = app.invoke("sweep", Bytes::new()).await.provided()?.expect_err("it was answered");
    assert_eq!(error.kind(), ErrorKind::NotFound);
    app.tick("sweep").await?;
    Ok(())
}
