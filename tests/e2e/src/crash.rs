//! The app of the crash test. It stores the attempt of every message and object event that it receives.

use isobar::prelude::*;

/// Handles the messages of `numbers` and the object events of `files`.
pub fn app(cloud: &Cloud) -> App {
    let numbers = cloud.topic::<u64>("numbers");
    let files = cloud.bucket("files");
    let (seen, seen_files) = (cloud.table::<u32>("seen"), cloud.table::<u32>("seen-files"));
    App::new("crash")
        .on_message(&numbers, move |number: Message<u64>, cx: Context| {
            let seen = seen.clone();
            async move { seen.put(number.body.to_string(), &cx.attempt()).await.map(drop) }
        })
        .on_object(&files, move |event: ObjectEvent, cx: Context| {
            let seen = seen_files.clone();
            async move { seen.put(event.key, &cx.attempt()).await.map(drop) }
        })
}
