//! Logical names, and the places of resources.
//!
//! An app uses logical names only. The rule for them is the intersection of the rules of all services, so that the
//! physical name can be the same; a variable with a URL gives a resource another place.

use std::collections::BTreeMap;
use std::fmt;

use crate::{Error, Result};

/// The kind of a resource. The set is open: a crate of portable types adds a kind with [`Other`](Self::Other).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum ResourceKind {
    /// A key-value table.
    Table,
    /// A bucket of objects.
    Bucket,
    /// A topic of messages.
    Topic,
    /// A secret.
    Secret,
    /// A configuration.
    Config,
    /// Another kind by its name, such as `queue`: 3 to 20 of a-z.
    Other(&'static str),
}

impl ResourceKind {
    /// The kinds with a service of their own at every provider, whose variables contain URLs.
    pub const OWN: [Self; 3] = [Self::Table, Self::Bucket, Self::Topic];

    /// The kinds of values, whose variables contain a value.
    pub const VALUES: [Self; 2] = [Self::Secret, Self::Config];

    /// Checks the name of another kind. Errors: `Config` if it is not 3 to 20 of a-z, or is that of one of isobar's kinds.
    pub fn check(self) -> Result<()> {
        let Self::Other(name) = self else { return Ok(()) };
        let fits = (3..=20).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_lowercase());
        if fits && Self::OWN.iter().chain(&Self::VALUES).all(|own| own.name() != name) {
            return Ok(());
        }
        let name = name.escape_debug();
        Err(Error::config(format!(
            "`{name}` is not a name of another kind of resource: use 3 to 20 of a-z, not table, bucket, topic, secret or config"
        )))
    }

    /// The error of a provider that has no service for this kind: `Unsupported`.
    pub fn not_opened(self, provider: &str) -> Error {
        let instead = format!("a {self} needs an opener in the `Adapter` of the provider");
        Error::unsupported("open", provider, &instead)
    }

    /// The beginning of the variables of resources of this kind, such as `ISOBAR_TABLE_`.
    pub fn variable_prefix(self) -> String {
        format!("ISOBAR_{}_", self.name().to_ascii_uppercase())
    }

    /// The variable of a resource of this kind, such as `ISOBAR_TABLE_MY_LINKS` for the table `my-links`.
    pub fn variable(self, name: &str) -> String {
        format!("{}{}", self.variable_prefix(), name.to_ascii_uppercase().replace('-', "_"))
    }

    /// The logical name in a variable, from the part after the [prefix](Self::variable_prefix): `my-links` for `MY_LINKS`.
    pub fn name_in_variable(rest: &str) -> String {
        rest.to_ascii_lowercase().replace('_', "-")
    }

    /// The name of the kind: `table`, `bucket`, `topic`, `secret`, `config`, or that of another kind.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Table => "table",
            Self::Bucket => "bucket",
            Self::Topic => "topic",
            Self::Secret => "secret",
            Self::Config => "config",
            Self::Other(name) => name,
        }
    }
}

impl fmt::Display for ResourceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Checks a logical name: 3 to 40 of `a-z`, `0-9` and `-`, beginning with a letter, and each `-` between two other
/// characters.
///
/// The rule is the intersection of the rules of DynamoDB, S3, SNS, Cosmos DB, Azure Storage, Service Bus, Firestore, Cloud
/// Storage and Pub/Sub, less the length of a prefix and a suffix.
/// [S3](https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html) and
/// [Cloud Storage](https://cloud.google.com/storage/docs/buckets#naming) reject names that end with `-`, and
/// [Azure](https://learn.microsoft.com/rest/api/storageservices/naming-and-referencing-containers--blobs--and-metadata)
/// rejects containers with `--`.
///
/// Errors: `Config` with the name and the rule.
///
/// ```
/// use isobar_abstraction::driver::check_name;
/// assert!(check_name("links").is_ok());
/// assert!(check_name("Links").is_err());
/// ```
pub fn check_name(name: &str) -> Result<()> {
    let mut bytes = name.bytes();
    let head = bytes.next().is_some_and(|byte| byte.is_ascii_lowercase());
    let tail = bytes.all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    let dashes = !name.ends_with('-') && !name.contains("--");
    if head && tail && dashes && (3..=40).contains(&name.len()) {
        return Ok(());
    }
    Err(Error::config(format!(
        "`{}` is not a logical name: use 3 to 40 of a-z, 0-9 and single -, beginning with a-z and not ending with -",
        name.escape_debug()
    )))
}

/// An additional resource that a provider uses for a resource of the app, with a name derived from that of the resource.
///
/// A logical name never contains `--` and never begins with a digit. So a derived name is never the name of another
/// resource of the app.
///
/// ```
/// use isobar_abstraction::driver::Derived;
/// assert_eq!(Derived::DeadLetters.of("clicks"), "clicks--dead");
/// assert_eq!(Derived::Events.without_double_hyphen("pages"), "0events-pages");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Derived {
    /// The dead letters of a topic, a queue or a subscription.
    DeadLetters,
    /// The second topic of a topic, for messages with an ordering key: on AWS a FIFO topic.
    Ordered,
    /// The queue or topic that receives the events of a bucket.
    Events,
    /// The queue or topic that receives the keys of the writes of a table.
    Writes,
}

impl Derived {
    pub(crate) const ALL: [Self; 4] = [Self::DeadLetters, Self::Ordered, Self::Events, Self::Writes];

    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::DeadLetters => "dead",
            Self::Ordered => "fifo",
            Self::Events => "events",
            Self::Writes => "writes",
        }
    }

    /// The derived name of the resource `name`, such as `clicks--dead`.
    pub fn of(self, name: &str) -> String {
        format!("{name}--{}", self.word())
    }

    /// The derived name for a service whose names cannot contain `--`, such as Azure Storage: `0dead-clicks`.
    pub fn without_double_hyphen(self, name: &str) -> String {
        format!("0{}-{name}", self.word())
    }
}

/// The suffix that Azure Functions appends to the name of a Storage Queue for its dead letters.
///
/// `x-poison` is a valid logical name too, so an app cannot have both topics, or both buckets, `x` and `x-poison`.
///
/// <https://learn.microsoft.com/azure/azure-functions/functions-bindings-storage-queue-trigger#poison-messages>
pub const POISON: &str = "-poison";

/// The prefix of the containers and queues that Azure Functions creates in the storage account of an app.
///
/// <https://learn.microsoft.com/azure/azure-functions/storage-considerations>
const OF_FUNCTIONS: &str = "azure-webjobs-";

/// The problems of topics and buckets whose names a platform would confuse with others of the app, or with its own.
pub(crate) fn name_conflicts<'a>(topics: &[&'a str], buckets: &[&'a str]) -> Vec<String> {
    let pairs = |names: &[&str], what: &str| -> Vec<String> {
        let pair = |name: &&str| {
            let other = name.strip_suffix(POISON).filter(|other| names.contains(other))?;
            Some(format!(
                "{what} `{other}` and `{name}`: on Azure the queue of `{name}` would receive dead-lettered messages of `{other}`; \
                 rename one of the {what}"
            ))
        };
        names.iter().filter_map(pair).collect()
    };
    let of_functions = topics.iter().chain(buckets).filter(|name| name.starts_with(OF_FUNCTIONS)).map(|name| {
        format!("`{name}`: Azure Functions reserves names that begin with `{OF_FUNCTIONS}`; use another name")
    });
    pairs(topics, "topics").into_iter().chain(pairs(buckets, "buckets")).chain(of_functions).collect()
}

/// Checks a prefix of physical names: at most 20 of `a-z`, `0-9` and single `-`, beginning with a letter; it may be empty
/// and may end with `-`. `variable` is the variable that contains it, for the error.
///
/// Errors: `Config` with the variable, its value and the rule.
pub fn check_prefix(variable: &str, prefix: &str) -> Result<String> {
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let head = prefix.bytes().next().is_none_or(|byte| byte.is_ascii_lowercase());
    if head && prefix.len() <= 20 && prefix.bytes().all(fits) && !prefix.contains("--") {
        return Ok(prefix.to_owned());
    }
    let prefix = prefix.escape_debug();
    Err(Error::config(format!(
        "{variable} is `{prefix}`; it must be at most 20 of a-z, 0-9 and single -, and begin with a letter"
    )))
}

/// The argument of opening a resource: its kind, its logical name, and the URL of its configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Location {
    kind: ResourceKind,
    name: String,
    url: Option<ResourceUrl>,
}

impl Location {
    /// A resource at the default place of its provider.
    pub fn new(kind: ResourceKind, name: impl Into<String>) -> Self {
        Self { kind, name: name.into(), url: None }
    }

    /// Sets the place of the resource.
    #[must_use]
    pub fn with_url(mut self, url: ResourceUrl) -> Self {
        self.url = Some(url);
        self
    }

    /// The kind of the resource.
    pub fn kind(&self) -> ResourceKind {
        self.kind
    }

    /// The logical name, which the app uses.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The configured URL; `None` for the default place.
    pub fn url(&self) -> Option<&ResourceUrl> {
        self.url.as_ref()
    }

    /// The value of a parameter of the URL; `None` without it.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.url.as_ref()?.parameter(name)
    }

    /// The name at the provider: that of the URL, or the logical name without one.
    pub fn physical_name(&self) -> &str {
        self.url.as_ref().map_or(&self.name, |url| &url.name)
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} `{}`", self.kind, self.name)
    }
}

/// The URL of a resource: `scheme://name?parameter=value&…`, such as `dynamodb://links-prod?region=eu-west-1`.
///
/// It must not contain credentials, because errors and logs contain it: a name with `@` is rejected.
///
/// ```
/// use isobar_abstraction::driver::ResourceUrl;
/// let url = ResourceUrl::parse("dynamodb://links-prod?region=eu-west-1").unwrap();
/// assert_eq!((url.scheme(), url.name()), ("dynamodb", "links-prod"));
/// assert_eq!(url.parameter("region"), Some("eu-west-1"));
/// assert!(url.check_parameters(&["endpoint"]).unwrap_err().to_string().contains("endpoint"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResourceUrl {
    scheme: String,
    name: String,
    parameters: BTreeMap<String, String>,
}

impl ResourceUrl {
    /// Parses a URL. Values of parameters are percent-decoded.
    ///
    /// Errors: `Config` with the expected form, and for a parameter that occurs twice.
    pub fn parse(text: &str) -> Result<Self> {
        let url = Self::parse_store(text)?;
        if url.name.is_empty() { Err(Self::malformed(text)) } else { Ok(url) }
    }

    /// [`parse`](Self::parse) for the URL of a store, whose name may be empty: `ssm://?region=eu-west-1`.
    pub fn parse_store(text: &str) -> Result<Self> {
        let wrong = || Self::malformed(text);
        let (scheme, rest) = text.split_once("://").ok_or_else(wrong)?;
        let (name, query) = rest.split_once('?').unwrap_or((rest, ""));
        let name = name.trim_end_matches('/');
        if scheme.is_empty() || name.contains('@') {
            return Err(wrong());
        }
        let mut parameters = BTreeMap::new();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (key, value) = pair.split_once('=').ok_or_else(wrong)?;
            let value = percent_encoding::percent_decode_str(value).decode_utf8().map_err(|_| wrong())?;
            if parameters.insert(key.to_owned(), value.into_owned()).is_some() {
                return Err(Error::config(format!(
                    "`{text}` contains the parameter `{key}` twice; remove one of them"
                )));
            }
        }
        Ok(Self { scheme: scheme.to_owned(), name: name.to_owned(), parameters })
    }

    fn malformed(text: &str) -> Error {
        Error::config(format!("`{text}` is not of the form scheme://name?parameter=value"))
    }

    /// The part before `://`, which selects the provider and the service.
    pub fn scheme(&self) -> &str {
        &self.scheme
    }

    /// The part between `://` and `?`: the name of the resource at the provider.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The decoded value of a parameter; `None` without it.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.get(name).map(String::as_str)
    }

    /// Checks that the URL has no other parameters than `known`.
    ///
    /// An adapter must call this: an ignored parameter would open a resource at a wrong place. Errors: `Config` with the
    /// known parameters.
    pub fn check_parameters(&self, known: &[&str]) -> Result<()> {
        let Some(unknown) = self.parameters.keys().find(|key| !known.contains(&key.as_str())) else {
            return Ok(());
        };
        let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
        Err(Error::config(format!(
            "`{}://{}` has the unknown parameter `{unknown}`; known: {known}",
            self.scheme, self.name
        )))
    }

    /// Checks that the URL is that of a store of secrets with one of these schemes, and has no other parameters than these.
    /// Errors: `Config`.
    pub fn check_store(&self, schemes: &[&str], parameters: &[&str]) -> Result<()> {
        if schemes.contains(&self.scheme()) {
            return self.check_parameters(parameters);
        }
        let known: Vec<_> = schemes.iter().map(|scheme| format!("{scheme}://")).collect();
        Err(Error::config(format!("`{}://` is no store of secrets: use {}", self.scheme, known.join(" or "))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_outside_of_the_rule_are_rejected() {
        for good in ["abc", "a-1", "a-b-c", "links", &"a".repeat(40)] {
            assert!(check_name(good).is_ok(), "{good}");
        }
        for bad in ["", "ab", "Abc", "1bc", "a_b", "a.b", "käse", "-ab", "ab-", "a--b", &"a".repeat(41)] {
            assert!(check_name(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_derived_name_is_not_a_logical_name() {
        for derived in Derived::ALL {
            assert!(check_name(&derived.of("clicks")).is_err(), "{derived:?}");
            assert!(check_name(&derived.without_double_hyphen("clicks")).is_err(), "{derived:?}");
        }
    }

    #[test]
    fn a_prefix_cannot_make_a_derived_name_of_a_logical_one() {
        for good in ["", "dev-", "dev", "d1-", &"a".repeat(20)] {
            assert_eq!(check_prefix("P", good).unwrap(), good);
        }
        for bad in ["-", "clicks--", "a--b", "0events-", "Dev-", "dev_", &"a".repeat(21)] {
            assert!(check_prefix("P", bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn malformed_urls_are_config_errors() {
        for bad in ["links", "://x", "redb://", "redb://x?y", "redb://u:p@x", "redb://x?a=1&a=2"] {
            assert_eq!(ResourceUrl::parse(bad).unwrap_err().kind(), crate::ErrorKind::Config, "{bad}");
        }
    }
}
