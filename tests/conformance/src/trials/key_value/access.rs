//! What was not declared is refused.

use bytes::Bytes;
use isobar::key_value::{Key, Table};
use isobar::{App, Context, Error, ErrorKind, Result};

use crate::{TrialResult, World};

crate::trials![
    "KV-20" => a_read_only_handle_reads_and_refuses_every_write,
    "KV-20" => a_write_only_handle_writes_and_refuses_every_read,
    "KV-20" => a_handle_narrowed_both_ways_can_do_nothing,
    "KV-20" => narrowing_a_handle_leaves_the_clone_made_before,
    "KV-20" => a_table_that_is_first_opened_after_the_start_is_refused,
    "KV-20" => a_table_declared_read_only_is_read_only_when_opened_again,
    "KV-20" => an_app_uses_what_it_declared,
];

/// How each read of the table ends; a key may be there or not.
async fn reads(items: &Table<i64>) -> Vec<Result<()>> {
    vec![
        items.get(("p", "a")).await.map(drop),
        items.get_entry(("p", "a")).await.map(drop),
        items.get_many([("p", "a")]).await.map(drop),
        items.get_many(Vec::<Key>::new()).await.map(drop),
        items.query("p").page().await.map(drop),
        items.query("p").all().await.map(drop),
        items.scan().page().await.map(drop),
    ]
}

/// How each write ends that cannot lose a race.
async fn writes(items: &Table<i64>) -> Vec<Result<()>> {
    vec![
        items.put(("p", "new"), &1).await.map(drop),
        items.put_many([(("p", "new"), &1)]).await.into_iter().collect::<Result<Vec<_>>>().map(drop),
        items.add(("p", "new"), 1).await.map(drop),
        items.transact("p").put("new", &1).commit().await.map(drop),
        items.delete(("p", "new")).await,
    ]
}

fn refused(results: Vec<Result<()>>) -> bool {
    results.into_iter().all(|result| result.is_err_and(|error| error.kind() == ErrorKind::PermissionDenied))
}

async fn a_read_only_handle_reads_and_refuses_every_write(world: Box<dyn World>) -> TrialResult {
    let items = world.cloud().table::<i64>("items");
    let version = items.put(("p", "a"), &1).await?;
    let reader = world.cloud().table::<i64>("items").read_only();
    assert!(reads(&reader).await.iter().all(Result::is_ok));
    assert!(refused(writes(&reader).await));
    assert_eq!(reader.update(("p", "a"), |_| 2).await.unwrap_err().kind(), ErrorKind::PermissionDenied);
    assert_eq!(reader.delete(("p", "a")).await.unwrap_err().kind(), ErrorKind::PermissionDenied);
    assert_eq!(reader.delete_version(("p", "a"), &version).await.unwrap_err().kind(), ErrorKind::PermissionDenied);
    let stored = items.scan().all().await?;
    assert_eq!((stored.len(), &stored[0].version), (1, &version));
    Ok(())
}

async fn a_write_only_handle_writes_and_refuses_every_read(world: Box<dyn World>) -> TrialResult {
    let items = world.cloud().table::<i64>("items");
    items.put(("p", "a"), &1).await?;
    let writer = world.cloud().table::<i64>("items").write_only();
    assert!(refused(reads(&writer).await));
    assert!(writes(&writer).await.iter().all(Result::is_ok));
    assert_eq!(writer.update(("p", "a"), |_| 2).await.unwrap_err().kind(), ErrorKind::PermissionDenied);
    writer.put(("p", "b"), &2).await?;
    assert_eq!(items.get_many([("p", "a"), ("p", "b")]).await?, [Some(1), Some(2)]);
    Ok(())
}

async fn a_handle_narrowed_both_ways_can_do_nothing(world: Box<dyn World>) -> TrialResult {
    let cloud = world.cloud();
    let (items, others) = (cloud.table::<i64>("items"), cloud.table::<i64>("items"));
    for nothing in [items.read_only().write_only(), others.write_only().read_only()] {
        assert!(refused(reads(&nothing).await));
        assert!(refused(writes(&nothing).await));
    }
    Ok(())
}

async fn narrowing_a_handle_leaves_the_clone_made_before(world: Box<dyn World>) -> TrialResult {
    let items = world.cloud().table::<i64>("items");
    let reader = items.clone().read_only();
    let writer = items.clone().write_only();
    assert!(writes(&items).await.into_iter().chain(reads(&items).await).all(|result| result.is_ok()));
    assert!(refused(writes(&reader).await) && refused(reads(&writer).await));
    assert!(reads(&reader).await.into_iter().chain(writes(&writer).await).all(|result| result.is_ok()));
    Ok(())
}

/// An app of one function that opens the named table again, and returns how its operations end.
fn opening_late(cloud: &isobar::Cloud) -> App {
    let cloud = cloud.clone();
    App::new("late").on_invoke("open", move |name: String, _cx: Context| {
        let items = cloud.table::<i64>(&name);
        async move {
            let ends = reads(&items).await.into_iter().chain(writes(&items).await);
            let ends = ends.map(|end| end.map_or_else(|error| error.kind().name().to_owned(), |()| "ok".to_owned()));
            Ok::<Vec<String>, Error>(ends.collect())
        }
    })
}

fn ends(read: &str, write: &str) -> Vec<String> {
    [vec![read.to_owned(); 7], vec![write.to_owned(); 5]].concat()
}

async fn a_table_that_is_first_opened_after_the_start_is_refused(world: Box<dyn World>) -> TrialResult {
    world.cloud().table::<i64>("secrets").put(("p", "a"), &1).await?;
    let app = world
        .run_on_any_host(|cloud| {
            cloud.table::<i64>("items");
            opening_late(cloud)
        })
        .await?;
    let answer = app.invoke("open", Bytes::from_static(b"\"secrets\"")).await?;
    let denied = ErrorKind::PermissionDenied.name();
    assert_eq!(serde_json::from_slice::<Vec<String>>(&answer)?, ends(denied, denied));
    let stored = world.cloud().table::<i64>("secrets").scan().all().await?;
    assert_eq!((stored.len(), stored[0].value), (1, 1));
    Ok(())
}

async fn a_table_declared_read_only_is_read_only_when_opened_again(world: Box<dyn World>) -> TrialResult {
    world.cloud().table::<i64>("items").put(("p", "a"), &1).await?;
    let app = world
        .run_on_any_host(|cloud| {
            let _declared = cloud.table::<i64>("items").read_only();
            opening_late(cloud)
        })
        .await?;
    let answer = app.invoke("open", Bytes::from_static(b"\"items\"")).await?;
    assert_eq!(serde_json::from_slice::<Vec<String>>(&answer)?, ends("ok", ErrorKind::PermissionDenied.name()));
    assert_eq!(world.cloud().table::<i64>("items").scan().all().await?.len(), 1);
    Ok(())
}

async fn an_app_uses_what_it_declared(world: Box<dyn World>) -> TrialResult {
    let app = world.run_on_any_host(|cloud| {
        let items = cloud.table::<i64>("items");
        App::new("counting").on_invoke("count", move |by: i64, _cx: Context| {
            let items = items.clone();
            async move { items.add("calls", by).await }
        })
    });
    let app = app.await?;
    app.invoke("count", Bytes::from_static(b"2")).await?;
    assert_eq!(app.invoke("count", Bytes::from_static(b"3")).await?, "5");
    assert_eq!(world.cloud().table::<i64>("items").get("calls").await?, Some(5));
    Ok(())
}
