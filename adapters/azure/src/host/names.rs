//! Checks the names that triggers need at start: each service has another limit.

use std::collections::BTreeMap;

use isobar_abstraction::driver::{Location, POISON, ResourceKind};
use isobar_abstraction::manifest::Manifest;
use isobar_abstraction::{Error, Result};

use super::object::events_of;
use crate::AzureConfig;
use crate::config::Placed;

/// The longest name of a subscription, and of a queue of Azure Storage.
///
/// <https://learn.microsoft.com/azure/azure-resource-manager/management/resource-name-rules>
const SUBSCRIPTION: usize = 50;
const QUEUE: usize = 63;

/// Checks that the names that the triggers need fit into the limits of their services. Errors: `Config`.
pub(crate) fn check_names(config: &AzureConfig, manifest: &Manifest) -> Result<()> {
    let host = config.functions.clone().unwrap_or_default();
    let mut queues = BTreeMap::new();
    for trigger in manifest.messages() {
        let topic = host.location(ResourceKind::Topic, &trigger.topic);
        check_topic(config, &topic)?;
        if let Ok(Placed::Queue { queue, .. }) = config.place(&topic) {
            queues.insert(queue, topic);
        }
    }
    for trigger in manifest.objects() {
        let bucket = host.location(ResourceKind::Bucket, &trigger.bucket);
        // A bucket of another provider has no events here.
        if config.place(&bucket).is_ok() {
            let (_, queue) = events_of(config, &bucket)?;
            check_queue(&bucket, queue.physical_name())?;
            queues.insert(queue.physical_name().to_owned(), bucket);
        }
    }
    check_poison(&queues)
}

/// Checks that no queue has the name of another queue's dead letters. Errors: `Config`.
fn check_poison(queues: &BTreeMap<String, Location>) -> Result<()> {
    let pair = queues.iter().find_map(|(queue, of)| Some((queue, of, queues.get(&format!("{queue}{POISON}"))?)));
    let Some((queue, of, other)) = pair else { return Ok(()) };
    let advice = "give one of them a URL with another name";
    Err(Error::config(format!(
        "the dead letters of {of} are in the queue `{queue}{POISON}`, which is the queue of {other}: {advice}"
    )))
}

fn check_topic(config: &AzureConfig, at: &Location) -> Result<()> {
    match config.place(at) {
        Ok(Placed::ServiceBus { subscription, .. }) if subscription.len() > SUBSCRIPTION => {
            Err(Error::config(format!(
                "{at} has the subscription `{subscription}`, of {} characters; Service Bus allows at most {SUBSCRIPTION}: \
                 give the topic a URL with a shorter `subscription=`, or use a shorter ISOBAR_PREFIX",
                subscription.len()
            )))
        }
        Ok(Placed::Queue { queue, .. }) => check_queue(at, &queue),
        _ => Ok(()),
    }
}

fn check_queue(at: &Location, queue: &str) -> Result<()> {
    let poison = format!("{queue}{POISON}");
    if poison.len() <= QUEUE {
        return Ok(());
    }
    let advice = "give it a URL with a shorter name, or use a shorter ISOBAR_PREFIX";
    Err(Error::config(format!(
        "{at} needs the queue `{poison}`, of {} characters, for dead letters; a name has at most {QUEUE}: {advice}",
        poison.len()
    )))
}

#[cfg(test)]
mod tests {
    use isobar_abstraction::driver::RetryPolicy;
    use isobar_abstraction::manifest::{MessageTrigger, ObjectTrigger, Trigger};

    use super::*;
    use crate::host::tests::config;

    fn checked(vars: &[(&str, &str)], topic: &str, bucket: &str) -> Result<()> {
        let message = Trigger::Message(MessageTrigger::new(topic, RetryPolicy::default()));
        let object = Trigger::Object(ObjectTrigger::new(bucket, RetryPolicy::default()));
        check_names(&config(vars), &Manifest::new("shop").with_triggers([message, object]))
    }

    #[test]
    fn a_queue_with_the_name_of_dead_letters_is_rejected_at_start() {
        let of = |topic| Trigger::Message(MessageTrigger::new(topic, RetryPolicy::default()));
        let manifest = Manifest::new("shop").with_triggers([of("clicks"), of("orders")]);
        for (other, fits) in [("azqueue://jobs-dead", true), ("azqueue://jobs-poison", false)] {
            let vars = [("ISOBAR_TOPIC_CLICKS", "azqueue://jobs"), ("ISOBAR_TOPIC_ORDERS", other)];
            let checked = check_names(&config(&vars), &manifest);
            assert_eq!(checked.is_ok(), fits, "{other}: {checked:?}");
        }
    }

    #[test]
    fn a_name_that_is_too_long_is_rejected_at_start() {
        let long = "a".repeat(40);
        checked(&[], &long, &long).unwrap();
        let url = format!("servicebus://{}?subscription=short", "a".repeat(200));
        checked(&[("ISOBAR_PREFIX", "p23456789-"), ("ISOBAR_TOPIC_CLICKS", &url)], "clicks", "pages").unwrap();
        let queue = format!("azqueue://{}", "q".repeat(57));
        for (vars, topic, bucket, named) in [
            (("ISOBAR_PREFIX", "p2345678901-"), &*long, "pages", "subscription"),
            (("ISOBAR_PREFIX", "p2345678-"), "clicks", &*long, "-poison`, of 64"),
            (("ISOBAR_TOPIC_CLICKS", &*queue), "clicks", "pages", "-poison`, of 64"),
        ] {
            let error = checked(&[vars], topic, bucket).unwrap_err();
            assert!(error.message().contains(named), "{error}");
        }
    }
}
