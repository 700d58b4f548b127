//! Logical names, and where the resource behind a name lives.

use std::collections::BTreeMap;
use std::fmt;

use crate::{Error, Result};

/// The kinds of resource that an app declares. The set is open: a crate of portable types has a kind of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum ResourceKind {
    /// A key-value table.
    Table,
    /// A bucket of objects.
    Bucket,
    /// A topic of messages.
    Topic,
    /// Another kind, by its name in lower case, such as `secret`.
    Other(&'static str),
}

impl ResourceKind {
    /// The kinds that every provider opens.
    pub const OWN: [Self; 3] = [Self::Table, Self::Bucket, Self::Topic];

    /// Refuses the name of another kind that is not 3 to 20 of a-z, or is that of an own kind. Errors: `Config`.
    pub fn check(self) -> Result<()> {
        let Self::Other(name) = self else { return Ok(()) };
        let fits = (3..=20).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_lowercase());
        if fits && Self::OWN.iter().all(|own| own.name() != name) {
            return Ok(());
        }
        let name = name.escape_debug();
        Err(Error::config(format!(
            "`{name}` is no name of another kind: use 3 to 20 of a-z, not table, bucket or topic"
        )))
    }

    /// The error of a provider whose own services hold no resource of this kind.
    pub fn not_opened(self, provider: &str) -> Error {
        let instead = format!("a {self} needs an opener in its row of the table of providers");
        Error::unsupported("open", provider, &instead)
    }

    /// What the variables begin with that place a resource of this kind, such as `ISOBAR_TABLE_`.
    pub fn variable_prefix(self) -> String {
        format!("ISOBAR_{}_", self.name().to_ascii_uppercase())
    }

    /// The logical name in a variable, from what follows the [prefix](Self::variable_prefix): `my-links` for `MY_LINKS`.
    pub fn name_in_variable(rest: &str) -> String {
        rest.to_ascii_lowercase().replace('_', "-")
    }

    /// `table`, `bucket`, `topic`, or the name of another kind.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Table => "table",
            Self::Bucket => "bucket",
            Self::Topic => "topic",
            Self::Other(name) => name,
        }
    }
}

impl fmt::Display for ResourceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Refuses a name that some cloud could not carry: 3 to 40 of `a-z`, `0-9` and `-`, beginning with a
/// letter, with each `-` between two of the others.
///
/// S3 and Cloud Storage take no name that ends in `-`, and containers of Azure none with `--` in it.
/// The rule is the intersection of what DynamoDB, S3, SNS, Cosmos DB, Azure Storage, Service Bus,
/// Firestore, Cloud Storage and Pub/Sub take, less what they need for a prefix and a suffix.
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
        "`{}` is not a logical name: use 3 to 40 of a-z, 0-9 and single -, beginning with a letter and not ending \
         with -",
        name.escape_debug()
    )))
}

/// What a provider keeps beside a resource, under a name that it derives from the resource's own.
///
/// No logical name contains `--` or begins with a digit. So a derived name is never the name of
/// another resource of the app.
///
/// ```
/// use isobar_abstraction::driver::Derived;
/// assert_eq!(Derived::DeadLetters.of("clicks"), "clicks--dead");
/// assert_eq!(Derived::Events.without_double_hyphen("pages"), "0events-pages");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Derived {
    /// The dead letters of a topic, of a queue or of a subscription.
    DeadLetters,
    /// The second topic of a topic, for messages with an ordering key.
    Ordered,
    /// The queue or topic through which the events of a bucket arrive.
    Events,
}

impl Derived {
    const fn word(self) -> &'static str {
        match self {
            Self::DeadLetters => "dead",
            Self::Ordered => "fifo",
            Self::Events => "events",
        }
    }

    /// The derived name, such as `clicks--dead`.
    pub fn of(self, name: &str) -> String {
        format!("{name}--{}", self.word())
    }

    /// The derived name for a service whose names cannot contain `--`, as Azure Storage: `0dead-clicks`.
    pub fn without_double_hyphen(self, name: &str) -> String {
        format!("0{}-{name}", self.word())
    }
}

/// The suffix that Azure Functions appends to the name of a Storage Queue, for its dead letters.
///
/// It has no sign that a logical name cannot have: an app cannot have both topics, or both buckets, `x` and
/// `x-poison`.
/// <https://learn.microsoft.com/azure/azure-functions/functions-bindings-storage-queue-trigger#poison-messages>
pub const POISON: &str = "-poison";

/// The prefix of the containers and queues that Azure Functions keeps in an app's storage account.
///
/// <https://learn.microsoft.com/azure/azure-functions/storage-considerations>
const OF_FUNCTIONS: &str = "azure-webjobs-";

/// Topics and buckets that a platform would confuse with others of the app, or with its own: what is
/// wrong, in words.
pub(crate) fn name_conflicts<'a>(topics: &[&'a str], buckets: &[&'a str]) -> Vec<String> {
    let pairs = |names: &[&str], what: &str| -> Vec<String> {
        let pair = |name: &&str| {
            let other = name.strip_suffix(POISON).filter(|other| names.contains(other))?;
            Some(format!(
                "{what} `{other}` and `{name}`: on Azure the dead letters of `{other}` arrive in a queue of `{name}`; \
                 rename one of the {what}"
            ))
        };
        names.iter().filter_map(pair).collect()
    };
    let of_functions = topics.iter().chain(buckets).filter(|name| name.starts_with(OF_FUNCTIONS)).map(|name| {
        format!("`{name}`: Azure Functions uses names that begin with `{OF_FUNCTIONS}`; take another name")
    });
    pairs(topics, "topics").into_iter().chain(pairs(buckets, "buckets")).chain(of_functions).collect()
}

/// Refuses a prefix of physical names that some cloud could not carry: at most 20 of `a-z`, `0-9` and
/// single `-`, beginning with a letter. `variable` is where it comes from. Errors: `Config`.
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

/// A resource as an adapter opens it: its logical name, and the URL that configuration gave it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Location {
    kind: ResourceKind,
    name: String,
    url: Option<ResourceUrl>,
}

impl Location {
    /// A resource that lives where its provider puts it by default.
    pub fn new(kind: ResourceKind, name: impl Into<String>) -> Self {
        Self { kind, name: name.into(), url: None }
    }

    /// A resource that lives where configuration says.
    #[must_use]
    pub fn with_url(mut self, url: ResourceUrl) -> Self {
        self.url = Some(url);
        self
    }

    /// What it is.
    pub fn kind(&self) -> ResourceKind {
        self.kind
    }

    /// The name that the app uses.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The URL from configuration, if there was one.
    pub fn url(&self) -> Option<&ResourceUrl> {
        self.url.as_ref()
    }

    /// A parameter of its URL.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.url.as_ref()?.parameter(name)
    }

    /// The name that the provider uses: the URL's, or else the logical one.
    pub fn physical_name(&self) -> &str {
        self.url.as_ref().map_or(&self.name, |url| &url.name)
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} `{}`", self.kind, self.name)
    }
}

/// `scheme://name?parameter=value&…`, as in `dynamodb://links-prod?region=eu-west-1`.
///
/// Credentials never stand in it.
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
    /// Parses a URL. Errors: `Config`, telling the form that is wanted.
    pub fn parse(text: &str) -> Result<Self> {
        let wrong = || Error::config(format!("`{text}` is not of the form scheme://name?parameter=value"));
        let (scheme, rest) = text.split_once("://").ok_or_else(wrong)?;
        let (name, query) = rest.split_once('?').unwrap_or((rest, ""));
        let name = name.trim_end_matches('/');
        if scheme.is_empty() || name.is_empty() || name.contains('@') {
            return Err(wrong());
        }
        let mut parameters = BTreeMap::new();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (key, value) = pair.split_once('=').ok_or_else(wrong)?;
            let value = percent_encoding::percent_decode_str(value).decode_utf8().map_err(|_| wrong())?;
            if parameters.insert(key.to_owned(), value.into_owned()).is_some() {
                return Err(Error::config(format!("`{text}` gives the parameter `{key}` twice")));
            }
        }
        Ok(Self { scheme: scheme.to_owned(), name: name.to_owned(), parameters })
    }

    /// What stands before `://`.
    pub fn scheme(&self) -> &str {
        &self.scheme
    }

    /// What stands between `://` and `?`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The value of a parameter, decoded.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.get(name).map(String::as_str)
    }

    /// Refuses parameters that the adapter does not know, listing those that it does.
    ///
    /// An adapter must call this: an ignored parameter is a resource in the wrong place.
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
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_held_to_the_rule() {
        for good in ["abc", "a-1", "a-b-c", "links", &"a".repeat(40)] {
            assert!(check_name(good).is_ok(), "{good}");
        }
        for bad in ["", "ab", "Abc", "1bc", "a_b", "a.b", "käse", "-ab", "ab-", "a--b", &"a".repeat(41)] {
            assert!(check_name(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_derived_name_is_no_logical_name() {
        for derived in [Derived::DeadLetters, Derived::Ordered, Derived::Events] {
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
