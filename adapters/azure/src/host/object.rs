//! Object events of a bucket, which Event Grid tells of.
//!
//! Event Grid puts them into the Storage Queue `0events-<container>`, whose messages are tried again, given
//! up and put back like those of a topic. It may also call the function itself (`eventGridTrigger`): then
//! it tries again by the rules of its subscription, and counts the attempts without telling.

use std::time::Duration;

use futures_util::future::join_all;
use http::Response;
use isobar_abstraction::clock;
use isobar_abstraction::{
    Body, Context, Derived, Error, ErrorKind, Event, Location, Outcome, Reply, ResourceKind, ResourceUrl, Result,
};

use super::message::wrong_reply;
use super::{CustomHandler, Kind, shown};
use crate::AzureConfig;
use crate::config::Placed;
use crate::event::{self, Change, Payload};

/// The container behind a bucket, and the queue of its events.
pub(crate) fn events_of(config: &AzureConfig, bucket: &Location) -> Result<(String, Location)> {
    let Placed::Blob { account, container } = config.place(bucket)? else {
        return Err(Error::config(format!("{bucket} is in no container of Blob Storage")));
    };
    let queue = Derived::Events.without_double_hyphen(&container);
    let url = ResourceUrl::parse(&format!("azqueue://{queue}?account={}", account.name))?;
    Ok((container, Location::new(ResourceKind::Topic, Derived::Events.of(bucket.name())).with_url(url)))
}

impl CustomHandler {
    pub(super) async fn object(&self, name: &str, body: &[u8], cx: Context) -> Result<Response<Body>> {
        let trigger = self.app.manifest.objects.iter().find(|trigger| trigger.source == name);
        let trigger = trigger.ok_or_else(|| self.unknown(&Kind::Bucket.plain(name)))?;
        let bucket = self.settings.location(ResourceKind::Bucket, name);
        let (container, queue) = events_of(&self.state.config, &bucket)?;
        let payload = Payload::read(body)?;
        let properties = payload.properties();
        let (arrived, unreadable) = self.opened(&payload, properties)?;
        let cx = cx.with_attempt(arrived.message.attempt);
        let told = serde_json::from_slice(&arrived.message.body)
            .map_err(|error| Error::invalid(format!("it is no JSON at column {}", error.column())))
            .and_then(|told| event::changes(&told));
        let outcome = match (unreadable, told) {
            (Some(rejected), _) => rejected,
            (None, Ok(changes)) => self.changed(name, &container, changes, &cx).await,
            (None, Err(error)) => Outcome::reject(format!("the event cannot be read: {}", error.message())),
        };
        match outcome {
            Outcome::Retry { reason, .. } if !payload.metadata.has("DequeueCount") => {
                Err(Error::new(ErrorKind::Unavailable, reason).with_resource(bucket.to_string()))
            }
            outcome => self.settled(Kind::Bucket, &queue, &arrived, outcome, trigger, &cx).await,
        }
    }

    /// Their outcomes become one: they came together, and cannot be acknowledged apart.
    async fn changed(&self, bucket: &str, container: &str, changes: Vec<Change>, cx: &Context) -> Outcome {
        let handled = join_all(changes.into_iter().map(|change| self.change(bucket, container, change, cx))).await;
        handled.into_iter().max_by_key(weight).unwrap_or(Outcome::Ack)
    }

    async fn change(&self, bucket: &str, container: &str, change: Change, cx: &Context) -> Outcome {
        if change.container != container {
            let told = shown(&change.container);
            return Outcome::reject(format!("it tells of the container `{told}`, not of `{container}`"));
        }
        let mut event = change.into_event(bucket);
        event.time = clock::known(event.time, self.state.clock.now());
        let event = Event::Object(event);
        match self.within(cx, self.app.function.call(event, cx.clone())).await {
            Ok(Reply::Handled(outcome)) => outcome,
            Ok(_) => wrong_reply(),
            Err(error) => Outcome::retry(error.to_string()),
        }
    }
}

/// What asks for another delivery outweighs what gives up, and that what is done.
fn weight(outcome: &Outcome) -> (u8, Duration) {
    match outcome {
        Outcome::Ack => (0, Duration::ZERO),
        Outcome::Reject { .. } => (1, Duration::ZERO),
        Outcome::Retry { after, .. } => (2, after.unwrap_or_default()),
    }
}
