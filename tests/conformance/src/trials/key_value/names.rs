//! Logical names of tables, and the names in an error of a table.

use std::error::Error as _;

use isobar::key_value::PutMode;
use isobar::{Error, ErrorKind};

use crate::{TrialResult, World};

crate::trials![
    "KV-23" => tables_whose_names_look_alike_are_different_tables,
    "KV-23" => a_name_of_the_longest_and_of_the_shortest_length_works,
    "KV-23" => a_wrong_name_of_a_table_is_a_config_error_at_first_use,
    "KV-24" => an_error_names_its_operation_and_its_table,
    "KV-24" => an_error_never_shows_a_value,
];

async fn tables_whose_names_look_alike_are_different_tables(world: Box<dyn World>) -> TrialResult {
    let cloud = world.cloud();
    let names = ["my-own-table", "my-owntable", "myown-table", "myowntable", "my-own-table-2", "my-own-table2"];
    for name in names {
        cloud.table::<String>(name).put("a", &name.to_owned()).await?;
    }
    for name in names {
        assert_eq!(cloud.table::<String>(name).get("a").await?.as_deref(), Some(name));
        assert_eq!(cloud.table::<String>(name).scan().all().await?.len(), 1);
    }
    Ok(())
}

async fn a_name_of_the_longest_and_of_the_shortest_length_works(world: Box<dyn World>) -> TrialResult {
    let cloud = world.cloud();
    let longest = format!("t{}", "0-z".repeat(13));
    assert_eq!(longest.len(), 40);
    for name in [longest.as_str(), "abc"] {
        let table = cloud.table::<u32>(name);
        table.put("a", &1).await?;
        assert_eq!(table.get("a").await?, Some(1));
        assert_eq!(table.name(), name);
    }
    Ok(())
}

async fn a_wrong_name_of_a_table_is_a_config_error_at_first_use(world: Box<dyn World>) -> TrialResult {
    let too_long = "a".repeat(41);
    for name in ["", "ab", "Links", "1links", "a_b", "a.b", "a/b", "../etc", "käse", "a b", too_long.as_str()] {
        let table = world.cloud().table::<u32>(name);
        for error in [table.get("a").await.unwrap_err(), table.put("a", &1).await.unwrap_err()] {
            assert_eq!(error.kind(), ErrorKind::Config, "{name:?}");
            assert!(!error.is_retryable());
        }
    }
    Ok(())
}

fn assert_names(error: &Error, operation: &str) {
    assert_eq!(error.operation(), Some(operation), "{error}");
    assert_eq!(error.resource(), Some("table `ledger`"), "{error}");
    let message = error.to_string();
    assert!(
        message.contains(operation) && message.contains("ledger") && message.contains(error.kind().name()),
        "{message}"
    );
}

async fn an_error_names_its_operation_and_its_table(world: Box<dyn World>) -> TrialResult {
    let ledger = world.cloud().table::<u32>("ledger");
    let version = ledger.put(("p", "a"), &1).await?;
    ledger.put(("p", "a"), &2).await?;
    assert_names(&ledger.put_with(("p", "a"), &3, PutMode::Create).await.unwrap_err(), "put");
    assert_names(&ledger.delete_version(("p", "a"), &version).await.unwrap_err(), "delete_version");
    assert_names(&ledger.transact("p").delete_version("a", version).commit().await.unwrap_err(), "transact");
    assert_names(&ledger.get("").await.unwrap_err(), "get");
    assert_names(&ledger.get_many(["p", ""]).await.unwrap_err(), "get_many");
    assert_names(&ledger.query("").page().await.unwrap_err(), "query");
    assert_names(&ledger.scan().segment(1, 1).page().await.unwrap_err(), "scan");
    assert_names(&ledger.add(("p", "a"), i64::MAX).await.unwrap_err(), "add");
    assert_names(&ledger.clone().read_only().update("p", |_| 1).await.unwrap_err(), "update");
    Ok(())
}

/// The error as logs show it: itself, its `Debug`, and all its sources.
fn full_text(error: &Error) -> String {
    let mut text = format!("{error} {error:?}");
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(&format!(" {cause} {cause:?}"));
        source = cause.source();
    }
    text
}

async fn an_error_never_shows_a_value(world: Box<dyn World>) -> TrialResult {
    const SECRET: &str = "hunter2-correct-horse";
    let texts = world.cloud().table::<String>("ledger");
    let version = texts.put(("p", "a"), &SECRET.to_owned()).await?;
    texts.put(("p", "a"), &SECRET.to_owned()).await?;
    let numbers = world.cloud().table::<u32>("ledger");
    let large = SECRET.repeat(20_000);
    let errors = [
        numbers.get(("p", "a")).await.unwrap_err(),
        numbers.get_many([("p", "a")]).await.unwrap_err(),
        numbers.query("p").all().await.unwrap_err(),
        numbers.scan().all().await.unwrap_err(),
        numbers.update(("p", "a"), |_| 1).await.unwrap_err(),
        numbers.add(("p", "a"), 1).await.unwrap_err(),
        texts.put_with(("p", "a"), &SECRET.to_owned(), PutMode::Create).await.unwrap_err(),
        texts.put_with(("p", "a"), &SECRET.to_owned(), PutMode::Update(version)).await.unwrap_err(),
        texts.put(("p", "a"), &large).await.unwrap_err(),
    ];
    for error in errors {
        assert!(!full_text(&error).contains("hunter2"), "{error:?}");
    }
    let unreadable = numbers.query("p").page().await?.unreadable;
    assert!(unreadable.len() == 1 && !format!("{unreadable:?}").contains("hunter2"), "{unreadable:?}");
    Ok(())
}
