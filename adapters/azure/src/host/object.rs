//! Object events of a bucket, from Event Grid.
//!
//! Event Grid sends them to the Storage Queue `0events-<container>`, whose messages are retried, moved to the dead
//! letters and redriven like those of a topic. It may also call the function itself (`eventGridTrigger`): then it
//! retries by the rules of its subscription, and does not report the attempt.

use http::Response;
use isobar_abstraction::driver::host::deliver_changes;
use isobar_abstraction::driver::{Derived, Location, ResourceKind, ResourceUrl};
use isobar_abstraction::{Body, Context, Error, ErrorKind, Outcome, Result};

use super::{CustomHandler, Kind};
use crate::AzureConfig;
use crate::config::Placed;
use crate::event::{self, Payload};

/// The container of a bucket, and the queue of its events.
pub(crate) fn events_of(config: &AzureConfig, bucket: &Location) -> Result<(String, Location)> {
    let Placed::Blob { account, container } = config.place(bucket)? else {
        return Err(Error::config(format!("{bucket} is not a container of Blob Storage: use a URL az://")));
    };
    let queue = Derived::Events.without_double_hyphen(&container);
    let url = ResourceUrl::parse(&format!("azqueue://{queue}?account={}", account.name))?;
    Ok((container, Location::new(ResourceKind::Topic, Derived::Events.of(bucket.name())).with_url(url)))
}

impl CustomHandler {
    pub(super) async fn object(&self, name: &str, body: &[u8], cx: Context) -> Result<Response<Body>> {
        let trigger = self.app.manifest.objects().find(|trigger| trigger.bucket == name);
        let trigger = trigger.ok_or_else(|| self.unknown(&Kind::Bucket.plain(name)))?;
        let bucket = self.settings.location(ResourceKind::Bucket, name);
        let (container, queue) = events_of(&self.state.config, &bucket)?;
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
                deliver_changes(self.app.function.as_ref(), &trigger.queue(), &container, changes, &cx).await
            }
            (None, Err(error)) => Outcome::reject(format!("the event cannot be read: {}", error.message())),
        };
        match outcome {
            Outcome::Retry { reason, .. } if !payload.metadata.has("DequeueCount") => {
                Err(Error::new(ErrorKind::Unavailable, reason).with_resource(bucket.to_string()))
            }
            outcome => self.settled(Kind::Bucket, &queue, &arrived, outcome, trigger.retry, &cx).await,
        }
    }
}
