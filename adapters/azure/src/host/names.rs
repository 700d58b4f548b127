//! Checks the names that triggers need at start: each service has another limit.

use std::collections::BTreeMap;

use isobar_abstraction::driver::{Derived, POISON, ResourceKind};
use isobar_abstraction::manifest::Manifest;
use isobar_abstraction::{Error, EventQueue, Result};

use super::called;
use crate::AzureConfig;
use crate::config::{Placed, no_queue};

/// The longest name of a subscription, of a queue of Azure Storage, and of a function.
///
/// <https://learn.microsoft.com/azure/azure-resource-manager/management/resource-name-rules>
const SUBSCRIPTION: usize = 50;
const QUEUE: usize = 63;
const FUNCTION: usize = 128;

/// Checks that the triggers have queues on Azure, each with a name of its own that fits into the limits of its service.
/// Errors: `Config`.
pub(crate) fn check_names(config: &AzureConfig, manifest: &Manifest) -> Result<()> {
    let mut places = BTreeMap::new();
    for (queue, _) in manifest.queues() {
        // A topic or a bucket of another provider has no events here.
        if queue.kind() != ResourceKind::Table && config.place(&config.source_of(&queue)).is_err() {
            continue;
        }
        let place = check_queue(&queue, config.trigger(&queue)?)?;
        if let Some(other) = places.insert(place, queue.clone()) {
            return Err(Error::config(format!(
                "{other} and {queue} have one queue on Azure, or one queue for dead letters: give one of them a URL with another \
                 name, or another `subscription=`"
            )));
        }
    }
    check_poison(&places)?;
    check_functions(config, manifest)
}

/// Checks that no queue has the name of another queue's dead letters. Errors: `Config`.
fn check_poison(places: &BTreeMap<(String, String), EventQueue>) -> Result<()> {
    for ((service, name), queue) in places {
        let poison = format!("{name}{POISON}");
        if let Some(other) = places.get(&(service.clone(), poison.clone())) {
            return Err(Error::config(format!(
                "the dead letters of {queue} are in the queue `{poison}`, which is the queue of {other}: give one of them a URL with \
                 another name"
            )));
        }
    }
    Ok(())
}

/// Checks the length of a queue's name. Returns the endpoint of its service, and the name that must be its own there.
fn check_queue(queue: &EventQueue, placed: Placed) -> Result<(String, String)> {
    match placed {
        Placed::ServiceBus { subscription, .. } if subscription.len() > SUBSCRIPTION => Err(Error::config(format!(
            "{queue} has the subscription `{subscription}`, of {} characters; Service Bus allows at most {SUBSCRIPTION}: give the \
             topic a URL with a shorter `subscription=`, or use shorter names or a shorter ISOBAR_PREFIX",
            subscription.len()
        ))),
        // The queue of the dead letters has the name of the subscription, and is one for all topics of the namespace.
        Placed::ServiceBus { namespace, subscription, .. } => {
            Ok((namespace.endpoint, Derived::DeadLetters.of(&subscription.to_ascii_lowercase())))
        }
        Placed::Queue { account, queue: name } => {
            let poison = format!("{name}{POISON}");
            if poison.len() <= QUEUE {
                return Ok((account.queue, name));
            }
            Err(Error::config(format!(
                "{queue} needs the queue `{poison}`, of {} characters, for dead letters; a name has at most {QUEUE}: give it a URL with \
                 a shorter name, or use shorter names or a shorter ISOBAR_PREFIX",
                poison.len()
            )))
        }
        _ => Err(no_queue(queue)),
    }
}

/// Checks the lengths of the names of functions. Errors: `Config`, without the secret.
fn check_functions(config: &AzureConfig, manifest: &Manifest) -> Result<()> {
    let Some(secret) = config.functions.as_ref().and_then(|host| host.secret.as_ref()) else { return Ok(()) };
    let size = |name: &String| name.len() + 1 + secret.reveal().len();
    let Some(name) = called::names(manifest).into_iter().find(|name| size(name) > FUNCTION) else { return Ok(()) };
    Err(Error::config(format!(
        "the function `{name}-<secret>` has {} characters; a name has at most {FUNCTION}: use a secret of 32 characters",
        size(&name)
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
        let audits = [("ISOBAR_TOPIC_CLICKS", "audit"), ("ISOBAR_TOPIC_ORDERS", "audit-poison")];
        let audits = audits.map(|(name, audit)| (name, format!("servicebus://audits?subscription={audit}")));
        let audits: Vec<_> = audits.iter().map(|(name, url)| (*name, url.as_str())).collect();
        check_names(&config(&audits), &manifest).unwrap();
    }

    #[test]
    fn two_triggers_with_one_queue_are_rejected_at_start() {
        let policy = RetryPolicy::default;
        let clicks = Trigger::Message(MessageTrigger::new("clicks", policy()));
        let index = Trigger::Message(MessageTrigger::new("clicks", policy()).with_subscription("index"));
        let orders = Trigger::Message(MessageTrigger::new("orders", policy()));
        let thumbs = Trigger::Object(ObjectTrigger::new("pages", policy()).with_name("thumbs"));
        let pages = Trigger::Object(ObjectTrigger::new("pages", policy()));
        let manifest = Manifest::new("shop").with_triggers([clicks, index, orders, thumbs, pages]);
        check_names(&config(&[]), &manifest).unwrap();
        for url in ["servicebus://orders?subscription=Clicks", "servicebus://clicks", "azqueue://0events6-thumbs-pages"]
        {
            let error = check_names(&config(&[("ISOBAR_TOPIC_ORDERS", url)]), &manifest).unwrap_err();
            assert!(error.message().contains("topic `orders`"), "{error}");
        }
        let error = check_names(&config(&[("ISOBAR_TOPIC_CLICKS", "azqueue://clicks")]), &manifest).unwrap_err();
        assert!(error.message().contains("only the subscription `default`"), "{error}");
    }

    #[test]
    fn the_name_of_a_function_fits_with_the_shortest_secret() {
        let (policy, long) = (RetryPolicy::default(), "a".repeat(40));
        let events = Trigger::Object(ObjectTrigger::new(&long, policy).with_name(&long));
        let manifest = Manifest::new("shop").with_triggers([events]);
        check_functions(&config(&[]), &manifest).unwrap();
        let secret = "s".repeat(64);
        let error = check_functions(&config(&[(crate::ISOBAR_TRIGGER_SECRET, &secret)]), &manifest).unwrap_err();
        assert!(error.message().contains("of 32 characters") && !error.message().contains(&secret), "{error}");
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
