//! The place of the queue of a trigger.
//!
//! | trigger | place |
//! |---|---|
//! | subscription `default` of a topic in Service Bus | the topic's subscription |
//! | subscription `index` | the subscription `<that of default>--index` |
//! | subscription `default` of a topic in a Storage Queue | the queue; it has no other subscription |
//! | object events `default` of a bucket | the queue `0events-<container>` |
//! | object events `thumbs` | the queue `0events6-thumbs-<container>`, where 6 is the length of the name |
//! | the writes of a table in Cosmos DB | the queue `0writes-<container>` |
//!
//! The Functions host reads the accounts of the app settings. So the last three queues are in the configured storage account,
//! also for a bucket in another one, to which Event Grid can send.

use isobar_abstraction::driver::{Derived, Location, ResourceKind, ResourceUrl};
use isobar_abstraction::{Error, EventQueue, Result};

use super::{AzureConfig, Placed, check_queue};

impl AzureConfig {
    /// The configured location of the source of a trigger.
    pub(crate) fn source_of(&self, queue: &EventQueue) -> Location {
        let (kind, name) = (queue.kind(), queue.source());
        self.functions.as_ref().map_or_else(|| Location::new(kind, name), |host| host.location(kind, name))
    }

    /// The place of the queue of a trigger. Errors: `Config` where its source has no such trigger on Azure, for a name
    /// that the service rejects, without an account, and for an account that the Functions host does not read.
    pub(crate) fn trigger(&self, queue: &EventQueue) -> Result<Placed> {
        let source = self.source_of(queue);
        match (queue.kind(), self.place(&source)?) {
            (ResourceKind::Topic, Placed::ServiceBus { namespace, topic, subscription }) => {
                check_read(
                    queue,
                    SERVICE_BUS,
                    self.service_bus.as_ref().map(|own| &*own.endpoint),
                    &namespace.endpoint,
                )?;
                Ok(Placed::ServiceBus { namespace, topic, subscription: queue.physical(&subscription) })
            }
            (ResourceKind::Topic, Placed::Queue { account, queue: name }) if queue.is_default() => {
                check_read(queue, STORAGE, self.storage.as_ref().map(|own| &*own.queue), &account.queue)?;
                Ok(Placed::Queue { account, queue: name })
            }
            (ResourceKind::Topic, _) => Err(Error::config(format!(
                "{queue}: a topic in a Storage Queue has only the subscription `default`: place the topic in Service Bus by a \
                 URL servicebus://{}",
                queue.source()
            ))),
            (ResourceKind::Bucket, Placed::Blob { container, .. }) => {
                let (events, name) = (Derived::Events.without_double_hyphen(&container), queue.name());
                // The length, and not `--`, which Storage rejects, separates the name from the container.
                let events = match queue.is_default() {
                    true => events,
                    false => events.replacen('-', &format!("{}-{name}-", name.len()), 1),
                };
                self.queue(queue, &events)
            }
            (ResourceKind::Table, Placed::Cosmos { account, container }) => {
                check_read(queue, COSMOS, self.cosmos.as_ref().map(|own| &*own.endpoint), &account.endpoint)?;
                self.queue(queue, &Derived::Writes.without_double_hyphen(&container))
            }
            (ResourceKind::Table, _) => Err(Error::config(format!(
                "{queue}: Table Storage has no feed of writes: place the table in Cosmos DB by a URL cosmos://{}",
                queue.source()
            ))),
            _ => Err(no_queue(queue)),
        }
    }

    /// A queue of the configured storage account.
    fn queue(&self, queue: &EventQueue, name: &str) -> Result<Placed> {
        if self.storage.is_none() {
            return Err(Error::config(format!(
                "{queue}: there is no storage account for its queue; set AZURE_STORAGE_CONNECTION_STRING, or \
                 AZURE_STORAGE_ACCOUNT"
            )));
        }
        let at = Location::new(ResourceKind::Topic, queue.source());
        check_queue(&at, name).map_err(|_| {
            Error::config(format!(
                "the queue of {queue} would be `{}`, which Storage rejects: give the {} a URL whose name has only a-z, 0-9 and \
                 single `-`, or shorter names",
                name.escape_debug(),
                queue.kind()
            ))
        })?;
        self.place(&at.with_url(ResourceUrl::parse(&format!("azqueue://{name}"))?))
    }
}

/// The error for a kind of place that no trigger has: [`AzureConfig::place`] rejects the URL of another service, and names the
/// schemes that work.
pub(crate) fn no_queue(queue: &EventQueue) -> Error {
    Error::internal(format!("bug in isobar: {queue} has no queue on Azure; please report it"))
}

/// The services whose triggers the Functions host reads, each with the app settings of its account.
const STORAGE: (&str, &str) = ("storage account", "AZURE_STORAGE_CONNECTION_STRING, or AZURE_STORAGE_ACCOUNT,");
const SERVICE_BUS: (&str, &str) =
    ("Service Bus namespace", "AZURE_SERVICEBUS_CONNECTION_STRING or AZURE_SERVICEBUS__fullyQualifiedNamespace");
const COSMOS: (&str, &str) = ("Cosmos DB account", "AZURE_COSMOS_CONNECTION_STRING or AZURE_COSMOS__accountEndpoint");

/// Checks that the Functions host reads the account of a trigger: a binding names app settings. Errors: `Config`.
fn check_read(queue: &EventQueue, (service, settings): (&str, &str), own: Option<&str>, endpoint: &str) -> Result<()> {
    if own.is_some_and(|own| own.eq_ignore_ascii_case(endpoint)) {
        return Ok(());
    }
    Err(Error::config(format!(
        "{queue}: the Functions host reads only the {service} of the app settings: set {settings} to that of the {}",
        queue.kind()
    )))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::tests::config;

    fn place(vars: &[(&str, &str)], queue: &EventQueue) -> Result<String> {
        Ok(match config(vars).trigger(queue)? {
            Placed::ServiceBus { topic, subscription, .. } => format!("{topic}/{subscription}"),
            Placed::Queue { queue, account } if account.name == "acc" => queue,
            other => panic!("{other:?}"),
        })
    }

    #[test]
    fn each_queue_has_its_place() {
        let (topic, bucket) = (EventQueue::topic("clicks"), EventQueue::bucket("pages"));
        let url = [("ISOBAR_TOPIC_CLICKS", "servicebus://clicks-prod?subscription=count")];
        for (vars, queue, expected) in [
            (&[][..], topic.clone(), "clicks/clicks"),
            (&[], topic.clone().named("index"), "clicks/clicks--index"),
            (&url, topic.clone(), "clicks-prod/count"),
            (&url, topic.clone().named("index"), "clicks-prod/count--index"),
            (&[("ISOBAR_TOPIC_CLICKS", "azqueue://jobs")], topic, "jobs"),
            (&[], bucket.clone(), "0events-pages"),
            (&[], bucket.clone().named("thumbs"), "0events6-thumbs-pages"),
            (&[("ISOBAR_BUCKET_PAGES", "az://b-pages")], bucket.clone().named("aaa"), "0events3-aaa-b-pages"),
            (&[("ISOBAR_BUCKET_PAGES", "az://pages?account=other")], bucket, "0events-pages"),
            (&[], EventQueue::table("links"), "0writes-links"),
        ] {
            assert_eq!(place(vars, &queue).unwrap(), expected);
        }
    }

    #[test]
    fn a_source_without_such_a_trigger_is_an_error_that_names_the_next_step() {
        let (clicks, links) = (EventQueue::topic("clicks"), EventQueue::table("links"));
        let index = clicks.clone().named("index");
        for (var, queue, named) in [
            (("ISOBAR_TOPIC_CLICKS", "azqueue://clicks"), &index, "servicebus://clicks"),
            (("ISOBAR_TABLE_LINKS", "aztable://links"), &links, "cosmos://links"),
            (("ISOBAR_TABLE_LINKS", "cosmos://My_Links"), &links, "`0writes-My_Links`"),
            (("ISOBAR_TABLE_LINKS", "cosmos://links?account=other"), &links, "AZURE_COSMOS__accountEndpoint"),
            (("ISOBAR_TOPIC_CLICKS", "azqueue://clicks?account=other"), &clicks, "AZURE_STORAGE_ACCOUNT"),
            (("ISOBAR_TOPIC_CLICKS", "servicebus://clicks?namespace=other"), &index, "fullyQualifiedNamespace"),
            (("AZURE_STORAGE_CONNECTION_STRING", ""), &EventQueue::bucket("pages"), "AZURE_STORAGE_CONNECTION_STRING"),
            (("AZURE_STORAGE_CONNECTION_STRING", ""), &links, "AZURE_STORAGE_CONNECTION_STRING"),
            (("AZURE_COSMOS_CONNECTION_STRING", ""), &links, "AZURE_COSMOS_CONNECTION_STRING"),
        ] {
            let error = place(&[var], queue).unwrap_err();
            assert!(error.message().contains(named), "{error}");
        }
    }
}
