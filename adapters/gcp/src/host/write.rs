//! Writes of a table.
//!
//! Eventarc sends an event for each write of a document. It has no dead letters of isobar and does not report the attempt, so
//! the event is acknowledged as soon as the key is in the topic `<collection>--writes`, whose messages are retried, moved to
//! the dead letters and redriven like those of any topic.

use http::{Response, StatusCode};
use isobar_abstraction::driver::host::write_messages;
use isobar_abstraction::driver::key_value::Key;
use isobar_abstraction::driver::pub_sub::RawMessage;
use isobar_abstraction::{Body, Context, EventQueue};

use super::{CloudRunService, response};
use crate::config::{Placement, QueuePlacement};
use crate::event::{CloudEvent, Rejection, written_document};
use crate::{key_value, pub_sub};

impl CloudRunService {
    /// Puts the key of a written document into the queue of its table. An event of a document that is no item of the
    /// table is skipped: isobar cannot read such an item either.
    pub(super) async fn document(
        &self,
        queue: &EventQueue,
        place: &QueuePlacement,
        event: &CloudEvent,
        cx: &Context,
    ) -> Result<Response<Body>, Rejection> {
        let Some(document) = written_document(event)? else { return Ok(response::settled()) };
        let key = key_of(&place.source, &document);
        if key.is_none() {
            // Its path may contain data of a user.
            tracing::warn!(%queue, bytes = document.len(), "an event of a document that is no item of the table is skipped");
        }
        let bodies = write_messages(queue.source(), key)?.into_iter();
        let messages = bodies.map(|body| RawMessage::new(body, cx.trace_parent().child())).collect();
        let stored = pub_sub::publish(&self.state, place, messages).await;
        stored
            .map(|()| response::settled())
            .map_err(|error| Rejection { status: StatusCode::INTERNAL_SERVER_ERROR, error })
    }
}

/// The key of the item with this name of a document, if it is in the collection.
fn key_of(source: &Placement, document: &str) -> Option<Key> {
    let Placement::Firestore { database, collection, .. } = source else { return None };
    let (_, rest) = document.strip_prefix("projects/")?.split_once("/databases/")?;
    let path = rest.strip_prefix(database.as_str())?.strip_prefix("/documents/")?;
    key_value::key_of(collection, path)
}
