//! Where a resource lives: its name on AWS, and what its URL says.

use isobar_abstraction::driver::{Derived, Location, ResourceKind, ResourceUrl};
use isobar_abstraction::{Error, Result};
use isobar_rest::check_endpoint;

use super::AwsConfig;
use super::endpoint::check_region;
use crate::profile::PROFILE;

/// Where a resource lives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Placed {
    /// The name of the table, the bucket or the topic.
    pub(crate) name: String,
    /// Its region, if it is not the configured one.
    pub(crate) region: Option<String>,
    /// Its endpoint, if it is not the configured one.
    pub(crate) endpoint: Option<String>,
    /// The account of a topic, if it is not our own.
    pub(crate) account: Option<String>,
    /// The SQS queue that brings a topic's messages or a bucket's events. A topic's queue has a
    /// twin with `.fifo` at its end.
    pub(crate) queue: Option<String>,
}

/// What AWS takes as a name of one kind of resource.
struct Rule {
    scheme: &'static str,
    parameters: &'static [&'static str],
    sizes: std::ops::RangeInclusive<usize>,
    fits: fn(u8) -> bool,
    wanted: &'static str,
}

/// Sources: naming rules of DynamoDB tables, of S3's general purpose buckets, of SNS topics and SQS
/// queues. A topic and its queue leave room for `--dead.fifo`.
fn rule(kind: ResourceKind) -> Result<Rule> {
    Ok(match kind {
        ResourceKind::Table => Rule {
            scheme: "dynamodb",
            parameters: &["region", "endpoint"],
            sizes: 3..=255,
            fits: |byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte),
            wanted: "3 to 255 of a-z, A-Z, 0-9, `_`, `.` and `-`",
        },
        ResourceKind::Bucket => Rule {
            scheme: "s3",
            parameters: &["region", "endpoint", "events"],
            sizes: 3..=63,
            fits: |byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-".contains(&byte),
            wanted: "3 to 63 of a-z, 0-9, `.` and `-`",
        },
        ResourceKind::Topic => Rule {
            scheme: "sns",
            parameters: &["region", "endpoint", "account", "queue"],
            sizes: 1..=245,
            fits: |byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte),
            wanted: "1 to 245 of a-z, A-Z, 0-9, `_` and `-`, without `.fifo`",
        },
        _ => return Err(kind.not_opened(PROFILE.provider)),
    })
}

impl AwsConfig {
    /// Where a resource lives. Errors: `Config` for a URL that is not of the resource's kind, for an
    /// unknown parameter, and for a name that AWS does not take.
    pub(crate) fn place(&self, at: &Location) -> Result<Placed> {
        let rule = rule(at.kind())?;
        let name = match at.url() {
            Some(url) => of_scheme(url, at.kind(), &rule)?.to_owned(),
            None => format!("{}{}", self.prefix, at.name()),
        };
        if !rule.sizes.contains(&name.len()) || !name.bytes().all(rule.fits) {
            let name = name.escape_debug();
            return Err(Error::config(format!("{at} is `{name}` on AWS; it must be {}", rule.wanted)));
        }
        let parameter = |key: &str| at.url().and_then(|url| url.parameter(key));
        let checked = |key: &str, check: fn(&str, &str) -> Result<String>| {
            parameter(key).map(|value| check(&format!("the {key} of {at}"), value)).transpose()
        };
        let queue = match at.kind() {
            ResourceKind::Bucket => Some(checked("events", check_queue)?.unwrap_or_else(|| Derived::Events.of(&name))),
            ResourceKind::Topic => Some(checked("queue", check_queue)?.map_or_else(|| default_queue(at, &name), Ok)?),
            _ => None,
        };
        Ok(Placed {
            region: checked("region", check_region)?,
            endpoint: checked("endpoint", check_endpoint)?,
            account: checked("account", check_account)?,
            queue,
            name,
        })
    }

    /// Where a resource lives that the app knows by this name.
    pub(crate) fn location(&self, kind: ResourceKind, name: &str) -> Location {
        let placed = self.placed.iter().find(|at| at.kind() == kind && at.name() == name);
        placed.cloned().unwrap_or_else(|| Location::new(kind, name))
    }
}

fn of_scheme<'a>(url: &'a ResourceUrl, kind: ResourceKind, rule: &Rule) -> Result<&'a str> {
    if url.scheme() != rule.scheme {
        let (wanted, found) = (rule.scheme, url.scheme());
        return Err(Error::config(format!("a {kind} on AWS is `{wanted}://name`, not `{found}://`")));
    }
    url.check_parameters(rule.parameters)?;
    Ok(url.name())
}

/// The queue of a topic whose URL does not name one: it has the topic's name. A topic's name may be longer than
/// a queue's. Errors: `Config`.
fn default_queue(at: &Location, topic: &str) -> Result<String> {
    check_queue(&format!("the queue of {at}, by default the name of the topic,"), topic)
        .map_err(|error| Error::config(format!("{}; name another queue with `queue=` in the URL", error.message())))
}

/// The name of a queue that leaves room for `--dead.fifo`. Errors: `Config`.
fn check_queue(from: &str, name: &str) -> Result<String> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"_-".contains(&byte);
    if (1..=69).contains(&name.len()) && name.bytes().all(fits) {
        return Ok(name.to_owned());
    }
    let name = name.escape_debug();
    Err(Error::config(format!("{from} is `{name}`; it must be 1 to 69 of a-z, A-Z, 0-9, `_` and `-`, without `.fifo`")))
}

/// The number of an account. Errors: `Config`, naming where it came from.
pub(super) fn check_account(from: &str, account: &str) -> Result<String> {
    if account.len() == 12 && account.bytes().all(|byte| byte.is_ascii_digit()) {
        return Ok(account.to_owned());
    }
    Err(Error::config(format!("{from} is `{}`; it must be the 12 digits of an account", account.escape_debug())))
}

#[cfg(test)]
mod tests {
    use isobar_abstraction::ErrorKind;

    use super::*;

    fn at(kind: ResourceKind, url: &str) -> Location {
        Location::new(kind, "links").with_url(ResourceUrl::parse(url).unwrap())
    }

    #[test]
    fn without_a_url_the_name_is_the_logical_one_behind_the_prefix() {
        let config = AwsConfig { prefix: "dev-".to_owned(), ..AwsConfig::default() };
        let table = config.place(&Location::new(ResourceKind::Table, "links")).unwrap();
        assert_eq!((table.name.as_str(), table.queue), ("dev-links", None));
        let bucket = config.place(&Location::new(ResourceKind::Bucket, "pages")).unwrap();
        assert_eq!((bucket.name.as_str(), bucket.queue.as_deref()), ("dev-pages", Some("dev-pages--events")));
        let topic = config.place(&Location::new(ResourceKind::Topic, "clicks")).unwrap();
        assert_eq!((topic.name.as_str(), topic.queue.as_deref()), ("dev-clicks", Some("dev-clicks")));
    }

    #[test]
    fn a_url_says_the_name_as_it_is_and_where() {
        let config = AwsConfig { prefix: "dev-".to_owned(), ..AwsConfig::default() };
        let table = at(ResourceKind::Table, "dynamodb://Links_1.prod?region=eu-west-1&endpoint=http://Localhost:1/");
        let table = config.place(&table).unwrap();
        assert_eq!(table.name, "Links_1.prod");
        assert_eq!(table.region.as_deref(), Some("eu-west-1"));
        assert_eq!(table.endpoint.as_deref(), Some("http://localhost:1"));
        let topic = at(ResourceKind::Topic, "sns://clicks-prod?account=123456789012&queue=work");
        let topic = config.place(&topic).unwrap();
        assert_eq!((topic.account.as_deref(), topic.queue.as_deref()), (Some("123456789012"), Some("work")));
        let bucket = config.place(&at(ResourceKind::Bucket, "s3://pages-prod?events=work")).unwrap();
        assert_eq!(bucket.queue.as_deref(), Some("work"));
    }

    #[test]
    fn what_is_not_of_the_kind_is_a_config_error() {
        use ResourceKind::{Bucket, Table, Topic};
        for (kind, url) in [
            (Table, "s3://links"),
            (Bucket, "dynamodb://links"),
            (Topic, "sqs://links"),
            (Table, "dynamodb://links?regoin=eu-west-1"),
            (Table, "dynamodb://links?queue=a"),
            (Bucket, "s3://links?account=123456789012"),
            (Topic, "sns://links?events=a"),
            (Table, "dynamodb://li"),
            (Table, "dynamodb://links/x"),
            (Bucket, "s3://Links"),
            (Topic, "sns://links.fifo"),
            (Topic, "sns://links?queue=a.fifo"),
            (Topic, "sns://links?account=1234"),
            (Table, "dynamodb://links?region=a.b"),
            (Table, "dynamodb://links?endpoint=localhost"),
        ] {
            let error = AwsConfig::default().place(&at(kind, url)).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config, "{url}");
        }
        let long = AwsConfig { prefix: "p".repeat(60), ..AwsConfig::default() };
        assert!(long.place(&Location::new(Bucket, "links")).is_err());
    }

    #[test]
    fn a_topic_whose_name_is_too_long_for_a_queue_must_name_one() {
        let of = |url: &str| AwsConfig::default().place(&at(ResourceKind::Topic, url));
        let (longest, longer) = ("t".repeat(69), "t".repeat(70));
        assert_eq!(of(&format!("sns://{longest}")).unwrap().queue, Some(longest));
        let error = of(&format!("sns://{longer}")).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.message().contains("1 to 69") && error.message().contains("`queue=`"), "{}", error.message());
        assert_eq!(of(&format!("sns://{longer}?queue=work")).unwrap().queue.as_deref(), Some("work"));
    }
}
