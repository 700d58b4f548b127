//! Checks the names of the queues at start.

use std::collections::BTreeMap;

use isobar_abstraction::driver::{Derived, ResourceKind};
use isobar_abstraction::manifest::Manifest;
use isobar_abstraction::{Error, Result};

use super::source::{ADVICE, Source};
use crate::AwsConfig;
use crate::config::fits_queue;
use crate::pub_sub::FIFO;

/// The longest name of a queue, including `.fifo`.
///
/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-queues.html>
const LONGEST: usize = 80;

/// Checks that SQS allows the names of all queues, and that no two triggers share one: a queue has the messages or the
/// dead letters of one trigger. Errors: `Config`.
pub(crate) fn check_names(config: &AwsConfig, manifest: &Manifest) -> Result<()> {
    let sources = Source::of(config, manifest)?;
    let mut used = BTreeMap::new();
    for source in &sources {
        let (trigger, dead) = (&source.trigger, Derived::DeadLetters.of(&source.queue));
        let longest = if source.is(ResourceKind::Topic) { LONGEST - FIFO.len() } else { LONGEST };
        if !fits_queue(&dead, longest) {
            return Err(Error::config(format!(
                "the dead letters of {trigger} are in the queue `{dead}`, of {} characters; its name must have at most \
                 {longest} of a-z, A-Z, 0-9, `_` and `-`: {ADVICE}, or use a shorter ISOBAR_PREFIX",
                dead.len()
            )));
        }
        for queue in [source.queue.clone(), dead] {
            if let Some(other) = used.insert(queue.clone(), trigger) {
                return Err(Error::config(format!("the queue `{queue}` is of {other} and of {trigger}: {ADVICE}")));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use isobar_abstraction::ErrorKind;
    use isobar_abstraction::driver::ResourceKind::{Bucket, Table, Topic};

    use super::*;
    use crate::host::tests::{Host, triggers};

    #[test]
    fn a_queue_with_a_name_that_is_too_long_or_has_a_dot_is_rejected_at_start() {
        let long = "a".repeat(40);
        let check = |vars: &[(&str, &str)], name: &str| {
            let lambda = Host::with("http://127.0.0.1:1", vars, triggers(name)).lambda;
            check_names(&lambda.state.config, &lambda.app.manifest)
        };
        check(&[("ISOBAR_PREFIX", "dev-")], "index").unwrap();
        let topic = format!("sns://{}", "t".repeat(200));
        check(&[("ISOBAR_TOPIC_CLICKS", &format!("{topic}?queue=work"))], &long).unwrap();
        check(&[("ISOBAR_TABLE_LINKS", "dynamodb://links.prod?writes=links-prod-writes")], "index").unwrap();
        for (variable, url, name, kind) in [
            ("ISOBAR_TOPIC_CLICKS", topic.as_str(), "index", Topic),
            ("ISOBAR_TOPIC_CLICKS", "sns://clicks?queue=abcdefghijklmnopqrstuvwxyz01", &long, Topic),
            ("ISOBAR_BUCKET_PAGES", "s3://pages-of-the-production-of-a-shop", &long, Bucket),
            ("ISOBAR_BUCKET_PAGES", "s3://pages.prod", "index", Bucket),
            ("ISOBAR_TABLE_LINKS", "dynamodb://links.prod", "index", Table),
        ] {
            let error = check(&[(variable, url)], name).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config);
            assert!(error.message().contains(&format!("{kind} `")), "{url}: {error}");
        }
    }

    #[test]
    fn two_triggers_with_one_queue_are_rejected_at_start() {
        for url in ["sns://clicks?queue=pages--events", "sns://clicks?queue=links--writes--dead"] {
            let lambda = Host::with("http://127.0.0.1:1", &[("ISOBAR_TOPIC_CLICKS", url)], triggers("index")).lambda;
            let error = check_names(&lambda.state.config, &lambda.app.manifest).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config);
            assert!(error.message().contains("and of"), "{error}");
        }
    }
}
