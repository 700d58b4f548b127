//! The app of the crash test. It stores the attempt of every event that it receives.

use isobar::prelude::*;

/// Handles the messages of `numbers` in two subscriptions, the object events of `files`, also with a filter, and the writes of
/// `items`. Each handler writes to a table with a name of its own in [`SEEN`].
pub fn app(cloud: &Cloud) -> App {
    let numbers = cloud.topic::<u64>("numbers");
    let files = cloud.bucket("files");
    let [messages, copies, objects, filtered, writes] = SEEN.map(|name| cloud.table::<u32>(name));
    App::new("crash")
        .with_state(messages)
        .on_message(&numbers, on_message)
        .with_state(copies)
        .on_message(numbers.subscription("copy"), on_message)
        .with_state(objects)
        .on_object(&files, on_object)
        .with_state(filtered)
        .on_object(files.events("filtered").with_prefix("n/").created(), on_object)
        .with_state(writes)
        .on_write(&cloud.table::<u64>("items"), async |seen, write: WriteEvent, cx| {
            seen.put(write.key.partition, &cx.attempt()).await.map(drop)
        })
        .build()
}

/// The tables of the handlers: of messages in two subscriptions, of object events in two triggers, and of writes.
pub const SEEN: [&str; 5] = ["seen-messages", "seen-copies", "seen-objects", "seen-filtered", "seen-writes"];

async fn on_message(seen: Table<u32>, number: Message<u64>, cx: Context) -> Result<()> {
    seen.put(number.body.to_string(), &cx.attempt()).await.map(drop)
}

async fn on_object(seen: Table<u32>, event: ObjectEvent, cx: Context) -> Result<()> {
    seen.put(event.key, &cx.attempt()).await.map(drop)
}
