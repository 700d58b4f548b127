//! A handle does what was declared and no more.

use bytes::Bytes;
use isobar::driver::Access;
use isobar::prelude::*;

use super::{JOBS, Recorded, jobs};
use crate::{Provided, TrialResult, World};

crate::trials![
    "PS-13" => a_handle_that_only_subscribes_cannot_publish,
    "PS-13" => a_handle_that_only_subscribes_receives,
    "PS-13" => a_topic_opened_after_the_start_cannot_publish,
    "PS-13" => a_declared_topic_opened_again_after_the_start_can_publish,
    "PS-13" => a_topic_declared_to_subscribe_only_cannot_publish_when_opened_again,
];

async fn a_handle_that_only_subscribes_cannot_publish(world: Box<dyn World>) -> TrialResult {
    let topic = jobs::<u32>(&*world);
    let deaf = topic.clone().subscribe_only();
    let error = deaf.publish(1).await.expect_err("it was taken");
    assert_eq!(error.kind(), ErrorKind::PermissionDenied);
    for result in deaf.publish_batch([1, 2]).await {
        assert_eq!(result.expect_err("it was taken").kind(), ErrorKind::PermissionDenied);
    }
    topic.publish(1).await?;
    Ok(())
}

async fn a_handle_that_only_subscribes_receives(world: Box<dyn World>) -> TrialResult {
    let recorded = Recorded::default();
    let sink = recorded.clone();
    let app = move |cloud: &Cloud| {
        let jobs = cloud.topic::<u32>(JOBS).subscribe_only();
        App::new("worker").on_message(&jobs, move |job, _cx| {
            sink.add(job.body);
            async {}
        })
    };
    let app = world.run(app).await?;
    jobs::<u32>(&*world).publish(7_u32).await?;
    app.deliver().await?;
    assert_eq!(recorded.all(), [7]);
    Ok(())
}

/// An app that opens the topic of each request while it runs, and publishes to it.
fn opener(cloud: &Cloud) -> App {
    let later = cloud.clone();
    App::new("opener").on_invoke("publish", move |topic: String, _cx| {
        let topic = later.topic::<u32>(&topic);
        async move { topic.publish(1).await.map(|_| ()) }
    })
}

async fn a_topic_opened_after_the_start_cannot_publish(world: Box<dyn World>) -> TrialResult {
    let app = world.run(opener).await?;
    let error = app.invoke("publish", Bytes::from_static(b"\"jobs\"")).await.provided()?.expect_err("it was taken");
    assert_eq!(error.kind(), ErrorKind::PermissionDenied);
    assert!(format!("{error:?}").contains("jobs"), "{error:?}");
    Ok(())
}

async fn a_declared_topic_opened_again_after_the_start_can_publish(world: Box<dyn World>) -> TrialResult {
    let app = |cloud: &Cloud| {
        cloud.topic::<u32>(JOBS);
        opener(cloud)
    };
    let app = world.run(app).await?;
    app.invoke("publish", Bytes::from_static(b"\"jobs\"")).await?;
    assert_eq!(app.manifest().topics().next().map(|topic| topic.access), Some(Access::Write));
    Ok(())
}

async fn a_topic_declared_to_subscribe_only_cannot_publish_when_opened_again(world: Box<dyn World>) -> TrialResult {
    let app = |cloud: &Cloud| {
        let jobs = cloud.topic::<u32>(JOBS).subscribe_only();
        opener(cloud).on_message(&jobs, |_, _cx| async {})
    };
    let app = world.run(app).await?;
    let error = app.invoke("publish", Bytes::from_static(b"\"jobs\"")).await.provided()?.expect_err("it was taken");
    assert_eq!(error.kind(), ErrorKind::PermissionDenied);
    Ok(())
}
