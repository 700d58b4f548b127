use super::*;
use crate::host::tests::{Host, SECRET, config};

fn functions_of(vars: &[(&str, &str)]) -> Vec<(String, Value)> {
    let host = Host::new();
    functions(host.manifest(), &config(vars)).unwrap()
}

fn trigger<'a>(functions: &'a [(String, Value)], name: &str) -> &'a Value {
    let full_name = format!("{name}-{SECRET}");
    let found = functions.iter().find(|(name, _)| *name == full_name);
    &found.unwrap_or_else(|| panic!("no {full_name}")).1["bindings"][0]
}

#[test]
fn each_trigger_has_its_function() {
    let functions = functions_of(&[]);
    assert_eq!(trigger(&functions, "http")["route"], "{*route}");
    let (plain, ordered) = (trigger(&functions, "topic-clicks"), trigger(&functions, "fifo-clicks"));
    assert_eq!((&plain["topicName"], &plain["isSessionsEnabled"]), (&json!("clicks"), &json!(false)));
    assert_eq!((&ordered["topicName"], &ordered["isSessionsEnabled"]), (&json!("clicks--fifo"), &json!(true)));
    assert_eq!(plain["connection"], "AZURE_SERVICEBUS_CONNECTION_STRING");
    assert_eq!(trigger(&functions, "bucket-pages")["queueName"], "0events-pages");
    assert_eq!(trigger(&functions, "schedule-sweep")["schedule"], "0 0 3 * * *");
    assert_eq!(trigger(&functions, "invoke-echo")["authLevel"], "function");
    let (plain, ordered) = (trigger(&functions, "topic-orders--index"), trigger(&functions, "fifo-orders--index"));
    assert_eq!((&plain["topicName"], &plain["subscriptionName"]), (&json!("orders"), &json!("orders--index")));
    assert_eq!(
        (&ordered["topicName"], &ordered["subscriptionName"]),
        (&json!("orders--fifo"), &json!("orders--index"))
    );
    assert_eq!(trigger(&functions, "bucket-pages--thumbs")["queueName"], "0events6-thumbs-pages");
    assert_eq!(trigger(&functions, "writes-links")["queueName"], "0writes-links");
    assert_eq!(functions.len(), 13);
    // The host's pattern of names: `Utility.IsValidFunctionName`.
    assert!(functions.iter().all(|(name, _)| name.len() <= 128 && name.starts_with(char::is_alphabetic)));
}

#[test]
fn a_queue_topic_has_a_queue_trigger_of_the_configured_queue() {
    let functions =
        functions_of(&[("ISOBAR_TOPIC_CLICKS", "azqueue://clicks-prod"), ("ISOBAR_BUCKET_PAGES", "az://web")]);
    let queue = trigger(&functions, "topic-clicks");
    assert_eq!((&queue["type"], &queue["queueName"]), (&json!("queueTrigger"), &json!("clicks-prod")));
    assert_eq!((&queue["direction"], &queue["connection"]), (&json!("in"), &json!("AZURE_STORAGE_CONNECTION_STRING")));
    assert_eq!(trigger(&functions, "bucket-pages")["queueName"], "0events-web");
    assert_eq!(functions.len(), 12, "queues have no order, so no second topic");
}

/// Without the retry policy, the host would acknowledge a feed whose keys were not stored.
#[test]
fn the_function_of_a_feed_is_retried_without_an_end() {
    let functions = functions_of(&[("ISOBAR_TABLE_LINKS", "cosmos://links-prod?database=shop")]);
    let binding = json!({
        "type": "cosmosDBTrigger", "direction": "in", "name": "documents", "connection": "AZURE_COSMOS_CONNECTION_STRING",
        "databaseName": "shop", "containerName": "links-prod", "startFromBeginning": false,
        "leaseContainerName": "isobar--leases", "leaseContainerPrefix": "shop--",
    });
    assert_eq!(*trigger(&functions, "feed-links"), binding);
    let function = functions.iter().find(|(name, _)| name.starts_with("feed-")).unwrap();
    assert_eq!(function.1["retry"]["maxRetryCount"], -1);
    assert_eq!(trigger(&functions, "writes-links")["queueName"], "0writes-links-prod");
}

#[test]
fn invocations_are_never_forwarded_and_http_always_can_be() {
    let functions = functions_of(&[]);
    let outputs = |name: &str| {
        let function = functions.iter().find(|(it, _)| it.starts_with(name)).unwrap();
        function.1["bindings"].as_array().unwrap().iter().filter(|binding| binding["direction"] == "out").count()
    };
    assert_eq!((outputs("http-"), outputs("invoke-echo-")), (1, 2));
}

#[test]
fn function_app_contains_the_files_of_a_package() {
    let host = Host::new();
    let app = function_app(host.manifest(), &config(&[]), "shop", HttpMode::Proxying).unwrap();
    let files = app.files();
    assert_eq!(files[0].0, "host.json");
    assert_eq!(files[1].0, format!("http-{SECRET}/function.json"));
    assert!(files.iter().all(|(_, text)| serde_json::from_str::<Value>(text).is_ok()));
    assert_eq!(app.host["customHandler"]["enableProxyingHttpRequest"], true);
    assert_eq!(app.host["extensions"]["http"]["routePrefix"], "");
}

#[test]
fn missing_configuration_is_named() {
    let host = Host::new();
    let error = functions(host.manifest(), &config(&[(ISOBAR_TRIGGER_SECRET, "")])).unwrap_err();
    assert!(error.message().contains(ISOBAR_TRIGGER_SECRET), "{error}");
    let elsewhere = config(&[("ISOBAR_TOPIC_CLICKS", "sns://clicks")]);
    let error = functions(host.manifest(), &elsewhere).unwrap_err();
    assert!(error.message().contains("not `sns://`"), "{error}");
    let elsewhere = config(&[("ISOBAR_TABLE_LINKS", "aztable://links")]);
    assert!(functions(host.manifest(), &elsewhere).unwrap_err().message().contains("cosmos://links"));
}

#[test]
fn every_field_is_explicit_and_sunday_is_0() {
    for (cron, is) in [
        ("0 3 * * *", "0 0 3 * * *"),
        ("*/15 * * * MON-FRI", "0 0,15,30,45 * * * 1-5"),
        ("0 0 * * 7", "0 0 0 * * 0"),
        ("0 0 * * 1/2", "0 0 0 * * 0-1,3,5"),
        ("0 0 * * FRI-7", "0 0 0 * * 0,5-6"),
        ("0 0 7 7 *", "0 0 0 7 7 *"),
    ] {
        assert_eq!(ncrontab(cron).unwrap(), is);
    }
    assert!(ncrontab("0 0 30 2 *").is_err());
}
