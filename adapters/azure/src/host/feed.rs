//! The feed of a table, from the Cosmos DB trigger: the keys of the written items go to the table's own queue, whose
//! messages are retried, moved to the dead letters and redriven like those of a topic.
//!
//! The trigger goes on after a failed call, and would lose its part of the feed. So the function has a retry policy without
//! an end (`retry` in its function.json), and the call succeeds only after the queue has stored all keys.
//!
//! Sources: `ProcessChangesAsync` in
//! <https://github.com/Azure/azure-webjobs-sdk-extensions/blob/dev/src/WebJobs.Extensions.CosmosDB/Trigger/CosmosDBTriggerListener.cs>,
//! and <https://learn.microsoft.com/azure/cosmos-db/nosql/troubleshoot-changefeed-functions>.

use http::Response;
use isobar_abstraction::driver::host::{within, write_messages};
use isobar_abstraction::driver::pub_sub::{PubSub, RawMessage};
use isobar_abstraction::{Body, Context, Error, ErrorKind, Result};

use super::{CustomHandler, Kind, answer};
use crate::config::Placed;
use crate::event::{self, Payload};
use crate::key_value::written_key;
use crate::pub_sub::storage_queue::QueuePubSub;

impl CustomHandler {
    /// Handles a part of a table's feed. A document of another writer, which isobar cannot read either, is skipped.
    pub(super) async fn feed(&self, name: &str, body: &[u8], cx: Context) -> Result<Response<Body>> {
        let ((queue, _), placed) = self.queue(Kind::Feed, name)?;
        let Placed::Queue { account, queue: place } = placed else { return Err(self.unknown(name)) };
        let documents = event::items(Payload::read(body)?.only()?)
            .ok_or_else(|| Error::invalid_input("the feed is not an array of documents"))?;
        let (mut keys, mut skipped) = (Vec::with_capacity(documents.len()), 0_usize);
        for document in &documents {
            match written_key(document) {
                Some(key) => keys.extend(key),
                None => skipped += 1,
            }
        }
        let bodies = write_messages(queue.source(), keys)?;
        if skipped > 0 {
            tracing::warn!(%queue, skipped, "documents of another writer, without isobar's keys, are skipped");
        }
        let messages = bodies.into_iter().map(|body| RawMessage::new(body, cx.trace_parent())).collect();
        let writes = QueuePubSub::new(self.state.clone(), account, vec![place]);
        let stored = within(&cx, async { Ok(writes.publish(messages).await) }).await?;
        let failed = |error: Error| {
            let message = format!("a key of the {queue} is not stored; the platform sends this part of the feed again");
            Error::new(ErrorKind::Unavailable, message).with_source(error)
        };
        stored.into_iter().try_for_each(|result| result.map(drop)).map_err(failed)?;
        Ok(answer::done())
    }
}
