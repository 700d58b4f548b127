//! Object events of a bucket, from Event Grid.
//!
//! Event Grid sends them to a Storage Queue for each trigger, such as `0events-<container>`, whose messages are retried, moved
//! to the dead letters and redriven like those of a topic. It may also call the function itself (`eventGridTrigger`): then it
//! retries by the rules of its subscription, and does not report the attempt.

use http::Response;
use isobar_abstraction::driver::host::deliver_changes;
use isobar_abstraction::{Body, Context, Error, ErrorKind, Outcome, Result};

use super::{CustomHandler, Kind};
use crate::config::Placed;
use crate::event::{self, Payload};

impl CustomHandler {
    pub(super) async fn object(&self, name: &str, body: &[u8], cx: Context) -> Result<Response<Body>> {
        let (trigger, placed) = self.queue(Kind::Bucket, name)?;
        let bucket = self.state.config.source_of(&trigger.0);
        let Placed::Blob { container, .. } = self.state.config.place(&bucket)? else { return Err(self.unknown(name)) };
        let payload = Payload::read(body)?;
        let properties = payload.properties();
        let (arrived, unreadable) = self.opened(&payload, properties)?;
        let cx = cx.with_attempt(arrived.message.attempt);
        let changes = serde_json::from_slice(&arrived.message.body)
            .map_err(|error| Error::invalid_input(format!("it is not JSON at column {}", error.column())))
            .and_then(|events| event::changes(&events));
        let outcome = match (unreadable, changes) {
            (Some(rejected), _) => rejected,
            (None, Ok(changes)) => {
                deliver_changes(self.app.function.as_ref(), &trigger.0, &container, changes, &cx).await
            }
            (None, Err(error)) => Outcome::reject(format!("the event cannot be read: {}", error.message())),
        };
        match outcome {
            Outcome::Retry { reason, .. } if !payload.metadata.has("DequeueCount") => {
                Err(Error::new(ErrorKind::Unavailable, reason).with_resource(trigger.0.to_string()))
            }
            outcome => self.settled(Kind::Bucket, &placed, &arrived, outcome, trigger, &cx).await,
        }
    }
}
