//! The manifest contains what the app declared: permissions and packages are made from it.

use std::time::Duration;

use bytes::Bytes;
use isobar::driver::key_value::KeyValue;
use isobar::driver::{Access, Resource, ResourceKind, RetryPolicy};
use isobar::manifest::{DeclaredResource, Manifest, ScheduleTrigger};
use isobar::prelude::*;
use serde_json::json;

use crate::{HarnessResult, Provided, TrialResult, World};

crate::trials![
    "FN-9" => a_manifest_names_the_app_and_all_its_triggers,
    "FN-9" => a_manifest_lists_everything_sorted_whatever_the_order_of_declaration,
    "FN-9" => a_manifest_contains_the_access_to_each_resource,
    "FN-9" => a_narrowed_handle_narrows_what_is_declared,
    "FN-9" => a_clone_keeps_its_access_when_another_is_narrowed,
    "FN-9" => a_manifest_contains_the_attempts_of_a_message,
    "FN-9" => a_manifest_comes_back_from_its_json,
    "FN-9" => a_manifest_contains_subscriptions_filters_and_writes,
    "FN-9" => a_manifest_without_names_of_queues_is_read,
    "FN-9" => two_starts_of_one_app_have_one_manifest,
    "FN-9" => a_manifest_of_an_app_of_nothing_is_empty,
    "FN-9" => a_resource_can_be_opened_behind_its_driver,
];

/// An app of every kind of trigger and resource, whose names are not declared in their order.
fn shop(cloud: &Cloud) -> App {
    let (orders, mails) = (cloud.topic::<u32>("orders"), cloud.topic::<u32>("mails").subscribe_only());
    let (scans, pages) = (cloud.bucket("scans"), cloud.bucket("pages").read_only());
    cloud.table::<u32>("stock");
    let _ = cloud.table::<u32>("prices").read_only();
    App::new("shop")
        .http(Router::new())
        .on_message(orders.subscription("default").with_max_attempts(9), |_, _cx| async {})
        .on_message(&mails, |_, _cx| async {})
        .on_object(&scans, |_, _cx| async {})
        .on_object(&pages, |_, _cx| async {})
        .on_schedule("sweep", "0 3 * * *", |_, _cx| async {})
        .on_schedule("dust", "0 4 * * SUN", |_, _cx| async {})
        .on_invoke("stats", |(), _cx| async { Ok::<_, Error>(()) })
        .on_invoke("close", |(), _cx| async { Ok::<_, Error>(()) })
}

async fn manifest_of(world: &dyn World, app: impl FnOnce(&Cloud) -> App + Send + 'static) -> HarnessResult<Manifest> {
    Ok(world.run(app).await?.manifest().clone())
}

/// Names and accesses.
fn declared<'a>(resources: impl Iterator<Item = &'a DeclaredResource>) -> Vec<(&'a str, Access)> {
    resources.map(|resource| (resource.name.as_str(), resource.access)).collect()
}

async fn a_manifest_names_the_app_and_all_its_triggers(world: Box<dyn World>) -> TrialResult {
    let manifest = manifest_of(&*world, shop).await?;
    assert_eq!(manifest.app, "shop");
    assert!(manifest.http());
    assert_eq!((manifest.messages().count(), manifest.objects().count()), (2, 2));
    assert_eq!((manifest.schedules().count(), manifest.functions().count()), (2, 2));
    assert_eq!(manifest.schedules().next(), Some(&ScheduleTrigger::new("dust", "0 4 * * SUN")));
    Ok(())
}

async fn a_manifest_lists_everything_sorted_whatever_the_order_of_declaration(world: Box<dyn World>) -> TrialResult {
    let app = |cloud: &Cloud| {
        let names = ["golf", "delta", "alpha", "echo", "bravo", "foxtrot", "charlie"];
        names.into_iter().fold(App::new("many"), |app, name| {
            cloud.table::<u32>(name);
            app.on_message(&cloud.topic::<u32>(name), |_, _cx| async {})
                .on_object(&cloud.bucket(name), |_, _cx| async {})
                .on_schedule(name, "0 3 * * *", |_, _cx| async {})
                .on_invoke(name, |(), _cx| async { Ok::<_, Error>(()) })
        })
    };
    let manifest = manifest_of(&*world, app).await?;
    let sorted = ["alpha", "bravo", "charlie", "delta", "echo", "foxtrot", "golf"];
    assert_eq!(manifest.messages().map(|it| it.topic.as_str()).collect::<Vec<_>>(), sorted);
    assert_eq!(manifest.objects().map(|it| it.bucket.as_str()).collect::<Vec<_>>(), sorted);
    assert_eq!(manifest.schedules().map(|it| it.name.as_str()).collect::<Vec<_>>(), sorted);
    assert_eq!(manifest.functions().collect::<Vec<_>>(), sorted);
    for kind in ResourceKind::OWN {
        assert_eq!(manifest.of_kind(kind).map(|it| it.name.as_str()).collect::<Vec<_>>(), sorted);
    }
    Ok(())
}

async fn a_manifest_contains_the_access_to_each_resource(world: Box<dyn World>) -> TrialResult {
    let manifest = manifest_of(&*world, shop).await?;
    assert_eq!(declared(manifest.tables()), [("prices", Access::Read), ("stock", Access::ReadWrite)]);
    assert_eq!(declared(manifest.buckets()), [("pages", Access::Read), ("scans", Access::ReadWrite)]);
    assert_eq!(declared(manifest.topics()), [("mails", Access::None), ("orders", Access::Write)]);
    Ok(())
}

async fn a_narrowed_handle_narrows_what_is_declared(world: Box<dyn World>) -> TrialResult {
    let app = |cloud: &Cloud| {
        let _ = cloud.table::<u32>("read").read_only();
        let _ = cloud.table::<u32>("written").write_only();
        let _ = cloud.table::<u32>("neither").read_only().write_only();
        let _ = cloud.table::<u32>("both").read_only();
        let _ = cloud.table::<u32>("both").write_only();
        App::new("narrow")
    };
    let manifest = manifest_of(&*world, app).await?;
    let expected =
        [("both", Access::ReadWrite), ("neither", Access::None), ("read", Access::Read), ("written", Access::Write)];
    assert_eq!(declared(manifest.tables()), expected);
    Ok(())
}

async fn a_clone_keeps_its_access_when_another_is_narrowed(world: Box<dyn World>) -> TrialResult {
    let app = |cloud: &Cloud| {
        let notes = cloud.table::<u32>("notes");
        let (reader, writer) = (notes.clone().read_only(), notes);
        App::new("narrow")
            .on_invoke("by-reader", move |(), _cx| {
                let notes = reader.clone();
                async move { notes.put("a", &1).await.map(|_| ()) }
            })
            .on_invoke("by-writer", move |(), _cx| {
                let notes = writer.clone();
                async move { notes.put("a", &1).await.map(|_| ()) }
            })
    };
    let app = world.run(app).await?;
    assert_eq!(declared(app.manifest().tables()), [("notes", Access::ReadWrite)]);
    app.invoke("by-writer", bytes::Bytes::new()).await?;
    let error = app.invoke("by-reader", bytes::Bytes::new()).await.provided()?.expect_err("it was written");
    assert_eq!(error.kind(), ErrorKind::PermissionDenied);
    Ok(())
}

async fn a_manifest_contains_the_attempts_of_a_message(world: Box<dyn World>) -> TrialResult {
    let app = |cloud: &Cloud| {
        let (jobs, mails) = (cloud.topic::<u32>("jobs"), cloud.topic::<u32>("mails"));
        let (min, max) = (Duration::from_secs(10), Duration::from_secs(3_600));
        App::new("worker")
            .on_message(jobs.subscription("default").with_max_attempts(9).with_backoff(min, max), |_, _cx| async {})
            .on_message(&mails, |_, _cx| async {})
    };
    let manifest = manifest_of(&*world, app).await?;
    let subscription =
        RetryPolicy::default().with_max_attempts(9).with_backoff(Duration::from_secs(10), Duration::from_secs(3_600));
    let tried: Vec<_> = manifest.messages().map(|trigger| trigger.retry).collect();
    assert_eq!(tried, [subscription, RetryPolicy::default()]);
    Ok(())
}

async fn a_manifest_comes_back_from_its_json(world: Box<dyn World>) -> TrialResult {
    let manifest = manifest_of(&*world, shop).await?;
    let json = manifest.to_json()?;
    assert_eq!(serde_json::from_str::<Manifest>(&json)?, manifest);
    let value: serde_json::Value = serde_json::from_str(&json)?;
    assert_eq!((&value["version"], &value["app"]), (&json!(1), &json!("shop")));
    assert_eq!(value["resources"][0], json!({"kind": "table", "name": "prices", "access": "read", "options": {}}));
    let retry = json!({"max_attempts": 9, "min_backoff_ms": 1_000, "max_backoff_ms": 300_000});
    let orders = json!({"kind": "message", "topic": "orders", "subscription": "default", "retry": retry});
    let triggers = value["triggers"].as_array().expect("it is a list");
    assert!(triggers.contains(&orders) && triggers.contains(&json!({"kind": "http"})), "{triggers:?}");
    Ok(())
}

/// An app whose topic, bucket and table have a queue for each way to declare one, not in their order.
fn triggers(cloud: &Cloud) -> App {
    let (orders, scans, stock) = (cloud.topic::<u32>("orders"), cloud.bucket("scans"), cloud.table::<u32>("stock"));
    let (min, max) = (Duration::from_millis(1_500), Duration::from_secs(60));
    let thumbs = scans.events("thumbs").with_prefix("a//%").with_suffix(".é").created();
    App::new("shop")
        .on_write(stock.writes().with_max_attempts(3).with_backoff(min, max), |_, _cx| async {})
        .on_object(thumbs.with_max_attempts(2).with_backoff(min, max), |_, _cx| async {})
        .on_object(scans.events("audit").deleted(), |_, _cx| async {})
        .on_object(&scans, |_, _cx| async {})
        .on_message(orders.subscription("mail").with_max_attempts(0), |_, _cx| async {})
        .on_message(orders.subscription("index").with_backoff(min, max), |_, _cx| async {})
        .on_message(&orders, |_, _cx| async {})
}

async fn a_manifest_contains_subscriptions_filters_and_writes(world: Box<dyn World>) -> TrialResult {
    let manifest = manifest_of(&*world, triggers).await?;
    let json = manifest.to_json()?;
    assert_eq!(serde_json::from_str::<Manifest>(&json)?, manifest);
    let retry = |attempts, min, max| json!({"max_attempts": attempts, "min_backoff_ms": min, "max_backoff_ms": max});
    let default = retry(5, 1_000, 300_000);
    let expected = json!([
        {"kind": "object", "bucket": "scans", "name": "audit", "change": "deleted", "retry": default},
        {"kind": "object", "bucket": "scans", "name": "default", "retry": default},
        {"kind": "object", "bucket": "scans", "name": "thumbs", "prefix": "a//%", "suffix": ".é", "change": "created",
         "retry": retry(2, 1_500, 60_000)},
        {"kind": "write", "table": "stock", "retry": retry(3, 1_500, 60_000)},
        {"kind": "message", "topic": "orders", "subscription": "default", "retry": default},
        {"kind": "message", "topic": "orders", "subscription": "index", "retry": retry(5, 1_500, 60_000)},
        {"kind": "message", "topic": "orders", "subscription": "mail", "retry": retry(1, 1_000, 300_000)},
    ]);
    assert_eq!(serde_json::from_str::<serde_json::Value>(&json)?["triggers"], expected);
    let queues: Vec<_> = manifest.queues().map(|(queue, retry)| (queue.to_string(), retry.max_attempts)).collect();
    let texts = [
        ("events `audit` of bucket `scans`", 5),
        ("bucket `scans`", 5),
        ("events `thumbs` of bucket `scans`", 2),
        ("writes of table `stock`", 3),
        ("topic `orders`", 5),
        ("subscription `index` of topic `orders`", 5),
        ("subscription `mail` of topic `orders`", 1),
    ];
    assert_eq!(queues, texts.map(|(text, attempts)| (text.to_owned(), attempts)));
    assert_eq!(manifest.handled(), texts.map(|(text, _)| text).join(", "));
    assert_eq!((declared(manifest.tables()), declared(manifest.buckets())), {
        (vec![("stock", Access::ReadWrite)], vec![("scans", Access::ReadWrite)])
    });
    Ok(())
}

/// As an earlier isobar printed it.
async fn a_manifest_without_names_of_queues_is_read(world: Box<dyn World>) -> TrialResult {
    let retry = json!({"max_attempts": 5, "min_backoff_ms": 1_000, "max_backoff_ms": 300_000});
    let earlier = json!({
        "version": 1, "app": "shop",
        "resources": [
            {"kind": "bucket", "name": "scans", "access": "read", "options": {}},
            {"kind": "topic", "name": "orders", "access": "none"},
        ],
        "triggers": [
            {"kind": "object", "bucket": "scans", "retry": retry},
            {"kind": "message", "topic": "orders", "retry": retry},
        ],
    });
    let app = |cloud: &Cloud| {
        let scans = cloud.bucket("scans").read_only();
        let app = App::new("shop").on_object(&scans, |_, _cx| async {});
        app.on_message(&cloud.topic::<u32>("orders").subscribe_only(), |_, _cx| async {})
    };
    assert_eq!(serde_json::from_value::<Manifest>(earlier)?, manifest_of(&*world, app).await?);
    Ok(())
}

async fn two_starts_of_one_app_have_one_manifest(world: Box<dyn World>) -> TrialResult {
    let first = manifest_of(&*world, shop).await?.to_json()?;
    for _ in 0..5 {
        assert_eq!(manifest_of(&*world, shop).await?.to_json()?, first);
    }
    Ok(())
}

async fn a_manifest_of_an_app_of_nothing_is_empty(world: Box<dyn World>) -> TrialResult {
    let manifest = manifest_of(&*world, |_| App::new("idle")).await?;
    assert_eq!(manifest, Manifest::new("idle"));
    Ok(())
}

async fn a_resource_can_be_opened_behind_its_driver(world: Box<dyn World>) -> TrialResult {
    let app = |cloud: &Cloud| {
        let stock: Resource<dyn KeyValue> = cloud.resource(ResourceKind::Table, "stock");
        let stock = stock.with_access(Access::Read).with_option("rows", 7);
        App::new("shop").with_state(stock).on_invoke("sees", sees).build()
    };
    let app = world.run(app).await?;
    let declared = &app.manifest().resources[0];
    assert_eq!(
        (declared.name.as_str(), declared.access, &declared.options["rows"]),
        ("stock", Access::Read, &json!(7))
    );
    world.cloud().table::<u32>("stock").put("nails", &3).await?;
    assert_eq!(app.invoke("sees", Bytes::from_static(b"\"nails\"")).await?, "\"3\"");
    let refused = app.invoke("sees", Bytes::from_static(b"\"write\"")).await.provided()?.expect_err("it was written");
    assert_eq!(refused.kind(), ErrorKind::PermissionDenied);
    Ok(())
}

/// What a driver has at a key; writes there where the key says so.
async fn sees(stock: Resource<dyn KeyValue>, key: String, _: Context) -> Result<Option<String>> {
    let key = Key::from(key);
    if key.partition == "write" {
        stock.run("write", Access::Write, |driver| driver.add(&key, 1)).await?;
    }
    let item = stock.run("see", Access::Read, |driver| driver.get(&key)).await?;
    Ok(item.map(|item| String::from_utf8_lossy(&item.value).into_owned()))
}
