//! Trials of secrets and configuration.

// An unwrap or an assertion that panics fails its trial.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::time::Duration;

use isobar::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{BAD_NAMES, full_text, start_error};
use crate::{Provided, TrialResult, World};

crate::trials! {
    "SE-1" => a_secret_is_read_as_it_was_set,
    "SE-1" => a_configuration_is_read_as_its_type,
    "SE-2" => a_rotated_value_is_read_after_five_minutes,
    "SE-2" => a_removed_value_is_missing_after_five_minutes,
    "SE-3" => a_missing_value_is_a_config_error_with_the_next_step,
    "SE-3" => an_app_with_missing_values_names_all_that_it_knows,
    "SE-3" => an_app_starts_without_an_optional_value,
    "SE-3" => a_value_that_is_set_later_is_found,
    "SE-4" => a_configuration_that_does_not_fit_names_its_field,
    "SE-5" => a_declaration_of_wrong_names_does_not_start,
    "SE-6" => a_value_that_was_not_declared_is_refused,
    "SE-7" => no_value_is_in_an_error_or_in_debug,
    "SE-8" => a_value_over_the_limit_is_too_large,
}

/// The age at which a value is read again.
const LIFETIME: Duration = Duration::from_secs(5 * 60);

async fn a_secret_is_read_as_it_was_set(world: Box<dyn World>) -> TrialResult {
    let cloud = world.cloud();
    let values = [
        ("plain", "hunter2"),
        ("spaces", " a  b\t"),
        ("quotes", r#"{"a": "b"} 'c' $d `e` \f %g"#),
        ("unicode", "käse \u{1F600}"),
        ("lines", "-----BEGIN KEY-----\nabc\n-----END KEY-----"),
        ("number-7", "007"),
    ];
    for (name, value) in values {
        world.set_secret(name, Some(value)).await?;
        let secret = cloud.secret(name).get().await?;
        assert_eq!(secret.reveal(), value, "{name}");
        assert!(secret.matches(value), "{name}");
        for other in ["other", "", &format!("{value} "), &value.replace(char::is_alphanumeric, "x")] {
            assert!(!secret.matches(other), "{name}: {other}");
        }
        assert!(!secret.matches(&value.as_bytes()[..1]), "{name}");
    }
    let largest = "x".repeat(4_096);
    world.set_secret("largest", Some(&largest)).await?;
    assert_eq!(cloud.secret("largest").get().await?.reveal(), largest);
    world.set_secret("with-line-break", Some("hunter2\n")).await?;
    assert_eq!(cloud.secret("with-line-break").get().await?.reveal(), "hunter2");
    Ok(())
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Settings {
    api: String,
    retries: u32,
    tags: Vec<String>,
}

async fn a_configuration_is_read_as_its_type(world: Box<dyn World>) -> TrialResult {
    let settings = Settings { api: "https://api.example.org".to_owned(), retries: 3, tags: vec!["ä".to_owned()] };
    world.set_secret("settings", Some(&json!(settings).to_string())).await?;
    assert_eq!(*world.cloud().config::<Settings>("settings").get().await?, settings);
    assert_eq!(world.cloud().config::<Settings>("other-settings").optional().find().await?, None);
    Ok(())
}

async fn a_rotated_value_is_read_after_five_minutes(world: Box<dyn World>) -> TrialResult {
    world.set_secret("token", Some("first")).await?;
    let token = world.cloud().secret("token");
    assert_eq!(token.get().await?.reveal(), "first");
    world.set_secret("token", Some("second")).await?;
    world.advance(LIFETIME - Duration::from_secs(1))?;
    assert_eq!(token.get().await?.reveal(), "first");
    world.advance(Duration::from_secs(1))?;
    assert_eq!(token.get().await?.reveal(), "second");
    Ok(())
}

async fn a_removed_value_is_missing_after_five_minutes(world: Box<dyn World>) -> TrialResult {
    world.set_secret("token", Some("first")).await?;
    let token = world.cloud().secret("token");
    assert_eq!(token.get().await?.reveal(), "first");
    world.set_secret("token", None).await?;
    world.advance(LIFETIME)?;
    assert_eq!(token.get().await.unwrap_err().kind(), ErrorKind::Config);
    Ok(())
}

async fn a_missing_value_is_a_config_error_with_the_next_step(world: Box<dyn World>) -> TrialResult {
    let missing = world.cloud().secret("api-token").get().await.unwrap_err();
    assert_eq!(missing.kind(), ErrorKind::Config, "{missing:?}");
    assert_eq!((missing.operation(), missing.resource()), (Some("get"), Some("secret `api-token`")));
    assert!(missing.message().contains("set ISOBAR_SECRET_API_TOKEN"), "{missing}");
    assert!(missing.message().starts_with("it has no value; "), "{missing}");
    assert!(world.cloud().secret("api-token").find().await?.is_none());
    let missing = world.cloud().config::<u32>("limit").get().await.unwrap_err();
    assert!(missing.message().contains("set ISOBAR_CONFIG_LIMIT"), "{missing}");
    Ok(())
}

/// Some providers know it at the start, the others at the first use.
async fn an_app_with_missing_values_names_all_that_it_knows(world: Box<dyn World>) -> TrialResult {
    let app = |cloud: &Cloud| {
        let values = (cloud.secret("api-token"), cloud.config::<u32>("limit"));
        App::new("caller")
            .with_state(values)
            .on_invoke("token", async |(token, limit), (): (), _cx| {
                let limit = limit.get().await?;
                Ok::<_, Error>((token.get().await?.reveal().len(), *limit))
            })
            .build()
    };
    match world.run(app).await.provided()? {
        Err(error) => {
            for part in ["secret `api-token`", "ISOBAR_SECRET_API_TOKEN", "config `limit`", "ISOBAR_CONFIG_LIMIT"] {
                assert!(error.message().contains(part), "{error}");
            }
        }
        Ok(running) => {
            let error = running.invoke("token", "null".into()).await.provided()?.unwrap_err();
            assert!(full_text(&error).contains("ISOBAR_CONFIG_LIMIT"), "{error:?}");
        }
    }
    Ok(())
}

async fn an_app_starts_without_an_optional_value(world: Box<dyn World>) -> TrialResult {
    let app = |cloud: &Cloud| {
        App::new("caller")
            .with_state(cloud.secret("api-token").optional())
            .on_invoke("has-token", async |token, (): (), _cx| Ok::<_, Error>(token.find().await?.is_some()))
            .build()
    };
    let running = world.run_on_any_host(app).await?;
    assert_eq!(running.invoke("has-token", "null".into()).await?, "false");
    let declared = &running.manifest().resources[0];
    assert_eq!((&*declared.kind, &*declared.name, declared.options.get("required")), ("secret", "api-token", None));
    Ok(())
}

async fn a_value_that_is_set_later_is_found(world: Box<dyn World>) -> TrialResult {
    let token = world.cloud().secret("api-token");
    assert!(token.find().await?.is_none());
    world.set_secret("api-token", Some("hunter2")).await?;
    world.advance(Duration::from_secs(10))?;
    assert_eq!(token.get().await?.reveal(), "hunter2");
    Ok(())
}

async fn a_configuration_that_does_not_fit_names_its_field(world: Box<dyn World>) -> TrialResult {
    let wrong = [
        (r#"{"api": "hunter2", "retries": "hunter2", "tags": []}"#, "the field `retries`"),
        (r#"{"api": "hunter2", "retries": 3, "tags": ["a", 7]}"#, "the field `tags[1]`"),
        (r#"{"api": "hunter2", "retries": 3}"#, "missing field `tags`"),
        (r#"{"api": "hunter2""#, "not JSON"),
    ];
    for (number, (json, expected)) in wrong.into_iter().enumerate() {
        let name = format!("settings-{number}");
        world.set_secret(&name, Some(json)).await?;
        let error = world.cloud().config::<Settings>(&name).get().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config, "{error:?}");
        assert!(error.message().contains(expected) && !full_text(&error).contains("hunter2"), "{error:?}");
    }
    Ok(())
}

async fn a_declaration_of_wrong_names_does_not_start(world: Box<dyn World>) -> TrialResult {
    for name in ["shared", "first", "second"] {
        world.set_secret(name, Some("1")).await?;
    }
    let error = start_error(&*world, |cloud| {
        BAD_NAMES.iter().for_each(|name| drop(cloud.secret(name)));
        drop((cloud.secret("shared"), cloud.config::<u32>("shared")));
        App::new("caller")
    })
    .await?;
    for name in BAD_NAMES {
        assert!(error.contains(&format!("secret `{name}`")), "{error}");
    }
    assert!(error.contains("secret `shared` and config `shared`"), "{error}");
    Ok(())
}

async fn a_value_that_was_not_declared_is_refused(world: Box<dyn World>) -> TrialResult {
    world.set_secret("declared", Some("1")).await?;
    world.set_secret("other", Some("2")).await?;
    let app = |cloud: &Cloud| {
        drop(cloud.secret("declared"));
        App::new("caller")
            .with_state(cloud.clone())
            .on_invoke("read", async |cloud: Cloud, name: String, _cx| {
                cloud.secret(&name).get().await.map(|secret| secret.reveal().to_owned())
            })
            .build()
    };
    let running = world.run_on_any_host(app).await?;
    assert_eq!(running.invoke("read", r#""declared""#.into()).await?, r#""1""#);
    let refused = running.invoke("read", r#""other""#.into()).await.provided()?.unwrap_err();
    assert!(full_text(&refused).contains("not declared"), "{refused:?}");
    Ok(())
}

async fn no_value_is_in_an_error_or_in_debug(world: Box<dyn World>) -> TrialResult {
    const VALUE: &str = "hunter2-correct-horse";
    world.set_secret("token", Some(VALUE)).await?;
    world.set_secret("long", Some(&VALUE.repeat(200))).await?;
    let cloud = world.cloud();
    let (token, limit, long) = (cloud.secret("token"), cloud.config::<u32>("token"), cloud.secret("long"));
    let value = token.get().await?;
    let errors = [limit.get().await.unwrap_err(), long.get().await.unwrap_err()];
    let printed = format!("{token:?} {token:#?} {limit:?} {value:?} {value:#?} {errors:?} {cloud:?}");
    assert!(!printed.contains("hunter2"), "{printed}");
    assert_eq!(value.hide_in(&format!("a {VALUE} b")), "a *** b");
    Ok(())
}

async fn a_value_over_the_limit_is_too_large(world: Box<dyn World>) -> TrialResult {
    world.set_secret("long", Some(&"x".repeat(4_097))).await?;
    let error = world.cloud().secret("long").get().await.unwrap_err();
    assert_eq!((error.kind(), error.limit()), (ErrorKind::TooLarge, Some(4_096)), "{error:?}");
    Ok(())
}
