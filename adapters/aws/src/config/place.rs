//! The physical name and location of a resource, from its logical name or URL.

use isobar_abstraction::driver::{Derived, Location, ResourceKind, ResourceUrl};
use isobar_abstraction::{Error, Result};
use isobar_rest::check_endpoint;

use super::AwsConfig;
use super::endpoint::check_region;
use crate::profile::PROFILE;

/// The name and location of a resource on AWS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Placed {
    /// The name of the table, bucket or topic.
    pub(crate) name: String,
    /// The region, if it differs from the configured one.
    pub(crate) region: Option<String>,
    /// The endpoint, if it differs from the configured one.
    pub(crate) endpoint: Option<String>,
    /// The account of a topic, if it differs from that of the credentials.
    pub(crate) account: Option<String>,
    /// The SQS queue of the trigger `default`: of a topic's messages, a bucket's events or a table's writes. It can be too
    /// long for SQS, which only a host that needs the queue reports. For a topic, a second queue has `.fifo` at the end of
    /// this name. The SNS topic of a bucket's events has this name too.
    pub(crate) queue: String,
}

/// The rules for names and URLs of one kind of resource.
struct Rule {
    scheme: &'static str,
    parameters: &'static [&'static str],
    /// The parameter with the name of the queue.
    queue: &'static str,
    sizes: std::ops::RangeInclusive<usize>,
    fits: fn(u8) -> bool,
    expected: &'static str,
}

/// Sources: naming rules of DynamoDB tables, S3's general purpose buckets, SNS topics and SQS
/// queues. The limits of topics and queues leave room for `--dead.fifo`.
fn rule(kind: ResourceKind) -> Result<Rule> {
    Ok(match kind {
        ResourceKind::Table => Rule {
            scheme: "dynamodb",
            parameters: &["region", "endpoint", "writes"],
            queue: "writes",
            sizes: 3..=255,
            fits: |byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte),
            expected: "3 to 255 of a-z, A-Z, 0-9, `_`, `.` and `-`",
        },
        ResourceKind::Bucket => Rule {
            scheme: "s3",
            parameters: &["region", "endpoint", "events"],
            queue: "events",
            sizes: 3..=63,
            fits: |byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-".contains(&byte),
            expected: "3 to 63 of a-z, 0-9, `.` and `-`",
        },
        ResourceKind::Topic => Rule {
            scheme: "sns",
            parameters: &["region", "endpoint", "account", "queue"],
            queue: "queue",
            sizes: 1..=245,
            fits: |byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte),
            expected: "1 to 245 of a-z, A-Z, 0-9, `_` and `-`, without `.fifo`",
        },
        _ => return Err(kind.not_opened(PROFILE.provider)),
    })
}

impl AwsConfig {
    /// The name and location of a resource. Errors: `Config` for a URL of another kind of resource, an
    /// unknown parameter or an invalid name.
    pub(crate) fn place(&self, at: &Location) -> Result<Placed> {
        let rule = rule(at.kind())?;
        let name = match at.url() {
            Some(url) => name_in_url(url, at.kind(), &rule)?.to_owned(),
            None => format!("{}{}", self.prefix.get()?, at.name()),
        };
        if !rule.sizes.contains(&name.len()) || !name.bytes().all(rule.fits) {
            let name = name.escape_debug();
            return Err(Error::config(format!("{at} is `{name}` on AWS; it must be {}", rule.expected)));
        }
        let parameter = |key: &str| at.url().and_then(|url| url.parameter(key));
        let checked = |key: &str, check: fn(&str, &str) -> Result<String>| {
            parameter(key).map(|value| check(&format!("the {key} of {at}"), value)).transpose()
        };
        let default_queue = || match at.kind() {
            ResourceKind::Table => Derived::Writes.of(&name),
            ResourceKind::Bucket => Derived::Events.of(&name),
            _ => name.clone(),
        };
        Ok(Placed {
            region: checked("region", check_region)?,
            endpoint: checked("endpoint", check_endpoint)?,
            account: checked("account", check_account)?,
            queue: checked(rule.queue, check_queue)?.unwrap_or_else(default_queue),
            name,
        })
    }

    /// The location of a resource by its logical name.
    pub(crate) fn location(&self, kind: ResourceKind, name: &str) -> Location {
        let placed = self.placed.iter().find(|at| at.kind() == kind && at.name() == name);
        placed.cloned().unwrap_or_else(|| Location::new(kind, name))
    }
}

fn name_in_url<'a>(url: &'a ResourceUrl, kind: ResourceKind, rule: &Rule) -> Result<&'a str> {
    if url.scheme() != rule.scheme {
        let (expected, found) = (rule.scheme, url.scheme());
        return Err(Error::config(format!("a {kind} on AWS is `{expected}://name`, not `{found}://`")));
    }
    url.check_parameters(rule.parameters)?;
    Ok(url.name())
}

/// Can a queue have this name, without `.fifo`, if at most `longest` characters are left for it?
pub(crate) fn fits_queue(name: &str, longest: usize) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"_-".contains(&byte);
    (1..=longest).contains(&name.len()) && name.bytes().all(fits)
}

/// Checks that the name of a queue is valid and leaves room for `--dead.fifo`. Errors: `Config`.
fn check_queue(from: &str, name: &str) -> Result<String> {
    if fits_queue(name, 69) {
        return Ok(name.to_owned());
    }
    let name = name.escape_debug();
    Err(Error::config(format!("{from} is `{name}`; it must be 1 to 69 of a-z, A-Z, 0-9, `_` and `-`, without `.fifo`")))
}

/// Checks the number of an account. Errors: `Config`, naming the source.
pub(super) fn check_account(from: &str, account: &str) -> Result<String> {
    if account.len() == 12 && account.bytes().all(|byte| byte.is_ascii_digit()) {
        return Ok(account.to_owned());
    }
    Err(Error::config(format!("{from} is `{}`; it must be the 12 digits of an account", account.escape_debug())))
}

#[cfg(test)]
mod tests {
    use isobar_abstraction::ErrorKind;
    use isobar_abstraction::driver::Prefix;

    use super::*;

    fn at(kind: ResourceKind, url: &str) -> Location {
        Location::new(kind, "links").with_url(ResourceUrl::parse(url).unwrap())
    }

    #[test]
    fn name_without_a_url_is_the_prefix_and_the_logical_name() {
        let config = AwsConfig { prefix: Prefix::fixed("dev-"), ..AwsConfig::default() };
        let table = config.place(&Location::new(ResourceKind::Table, "links")).unwrap();
        assert_eq!((table.name.as_str(), table.queue.as_str()), ("dev-links", "dev-links--writes"));
        let bucket = config.place(&Location::new(ResourceKind::Bucket, "pages")).unwrap();
        assert_eq!((bucket.name.as_str(), bucket.queue.as_str()), ("dev-pages", "dev-pages--events"));
        let topic = config.place(&Location::new(ResourceKind::Topic, "clicks")).unwrap();
        assert_eq!((topic.name.as_str(), topic.queue.as_str()), ("dev-clicks", "dev-clicks"));
    }

    #[test]
    fn url_contains_the_name_without_prefix_and_the_location() {
        let config = AwsConfig { prefix: Prefix::fixed("dev-"), ..AwsConfig::default() };
        let table = at(ResourceKind::Table, "dynamodb://Links_1.prod?region=eu-west-1&endpoint=http://Localhost:1/");
        let table = config.place(&table).unwrap();
        assert_eq!(table.name, "Links_1.prod");
        assert_eq!(table.region.as_deref(), Some("eu-west-1"));
        assert_eq!(table.endpoint.as_deref(), Some("http://localhost:1"));
        let topic = at(ResourceKind::Topic, "sns://clicks-prod?account=123456789012&queue=work");
        let topic = config.place(&topic).unwrap();
        assert_eq!((topic.account.as_deref(), topic.queue.as_str()), (Some("123456789012"), "work"));
        let bucket = config.place(&at(ResourceKind::Bucket, "s3://pages-prod?events=work")).unwrap();
        assert_eq!(bucket.queue, "work");
        let table = config.place(&at(ResourceKind::Table, "dynamodb://Links.prod?writes=work")).unwrap();
        assert_eq!(table.queue, "work");
    }

    #[test]
    fn url_with_wrong_scheme_parameter_or_name_is_a_config_error() {
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
            (Table, "dynamodb://links?writes=a.b"),
            (Topic, "sns://links?account=1234"),
            (Table, "dynamodb://links?region=a.b"),
            (Table, "dynamodb://links?endpoint=localhost"),
        ] {
            let error = AwsConfig::default().place(&at(kind, url)).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config, "{url}");
        }
        let long = AwsConfig { prefix: Prefix::fixed("p".repeat(60)), ..AwsConfig::default() };
        assert!(long.place(&Location::new(Bucket, "links")).is_err());
    }
}
