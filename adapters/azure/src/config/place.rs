//! The place of a resource: its account and its name on Azure.

use isobar_abstraction::driver::{Location, ResourceKind};
use isobar_abstraction::{Error, Result};
use isobar_rest::{check_endpoint, is_safe_for_secrets};

use super::account::{Access, check_account};
use super::{AzureConfig, CosmosAccount, ServiceBusNamespace, StorageAccount};
use crate::profile::PROFILE;

/// A resource in its account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Placed {
    /// A container of Cosmos DB.
    Cosmos { account: CosmosAccount, container: String },
    /// A table of a storage account.
    Table { account: StorageAccount, table: String },
    /// A container of blobs.
    Blob { account: StorageAccount, container: String },
    /// A topic of Service Bus, and the subscription that delivers its messages.
    ServiceBus { namespace: ServiceBusNamespace, topic: String, subscription: String },
    /// The queue of a topic in a storage account.
    Queue { account: StorageAccount, queue: String },
}

/// The rules of a service for names and URLs.
struct Rule {
    parameters: &'static [&'static str],
    sizes: std::ops::RangeInclusive<usize>,
    fits: fn(u8) -> bool,
    /// The allowed sizes and characters, for errors.
    expected: &'static str,
    /// A further requirement that a name violates.
    violated: fn(&str) -> Option<&'static str>,
}

impl Rule {
    fn check(&self, at: &Location, name: &str) -> Result<()> {
        let expected = match self.sizes.contains(&name.len()) && name.bytes().all(self.fits) {
            true => (self.violated)(name),
            false => Some(self.expected),
        };
        let Some(expected) = expected else { return Ok(()) };
        Err(Error::config(format!("{at} is `{}` on Azure; it must be {expected}", name.escape_debug())))
    }
}

fn lone_hyphens(name: &str) -> Option<&'static str> {
    let wrong = name.starts_with('-') || name.ends_with('-') || name.contains("--");
    wrong.then_some("without a `-` at an end or next to another `-`")
}

/// Checks the name of a queue. Errors: `Config`.
pub(crate) fn check_queue(at: &Location, name: &str) -> Result<()> {
    QUEUE.check(at, name)
}

const QUEUE: Rule = Rule {
    parameters: &["account", "endpoint", "subscriptions"],
    sizes: 3..=63,
    fits: |byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-',
    expected: "3 to 63 of a-z, 0-9 and `-`",
    violated: lone_hyphens,
};

/// Sources: Azure's naming rules,
/// <https://learn.microsoft.com/azure/azure-resource-manager/management/resource-name-rules>.
fn rule(scheme: &str) -> Option<Rule> {
    Some(match scheme {
        "cosmos" => Rule {
            parameters: &["account", "database", "endpoint"],
            sizes: 1..=255,
            fits: |byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte),
            expected: "1 to 255 of a-z, A-Z, 0-9, `_`, `.` and `-`",
            violated: |_| None,
        },
        "aztable" => Rule {
            parameters: &["account", "endpoint"],
            sizes: 3..=63,
            fits: |byte| byte.is_ascii_alphanumeric(),
            expected: "3 to 63 of a-z, A-Z and 0-9",
            violated: |name| {
                name.starts_with(|first: char| first.is_ascii_digit()).then_some("a name that begins with a letter")
            },
        },
        "az" => Rule { parameters: &["account", "endpoint"], ..QUEUE },
        // The topic for ordered messages has 6 characters more, and a topic at most 260.
        "servicebus" => Rule {
            parameters: &["namespace", "subscription", "endpoint"],
            sizes: 1..=254,
            fits: |byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte),
            expected: "1 to 254 of a-z, A-Z, 0-9, `_`, `.` and `-`",
            violated: |_| None,
        },
        "azqueue" => QUEUE,
        _ => return None,
    })
}

/// The scheme of a resource and its rule. Errors: `Config` for the scheme of another kind of resource.
fn rule_of(at: &Location) -> Result<(&str, Rule)> {
    let schemes: &[&str] = match at.kind() {
        ResourceKind::Table => &["cosmos", "aztable"],
        ResourceKind::Bucket => &["az"],
        ResourceKind::Topic => &["servicebus", "azqueue"],
        kind => return Err(kind.not_opened(PROFILE.provider)),
    };
    let scheme = at.url().map_or(schemes[0], |url| url.scheme());
    let rule = rule(scheme).filter(|_| schemes.contains(&scheme));
    rule.map(|rule| (scheme, rule)).ok_or_else(|| {
        let expected: Vec<String> = schemes.iter().map(|scheme| format!("`{scheme}://name`")).collect();
        Error::config(format!("a {} on Azure is {}, not `{scheme}://`", at.kind(), expected.join(" or ")))
    })
}

impl AzureConfig {
    /// The place of a resource. Errors: `Config` for the URL of another kind of resource, for a name that the service
    /// rejects, and without an account.
    pub(crate) fn place(&self, at: &Location) -> Result<Placed> {
        let (scheme, rule) = rule_of(at)?;
        let name = match at.url() {
            Some(url) => {
                url.check_parameters(rule.parameters)?;
                url.name().to_owned()
            }
            None => format!("{}{}", self.prefix.get()?, at.name()),
        };
        rule.check(at, &name)?;
        let placed = self.placed(at, scheme, name)?;
        match placed.in_clear_text() {
            Some(endpoint) => Err(Error::config(format!(
                "{at} is accessed by a token or a shared access signature, which must not be sent in clear text to \
                 {endpoint}: use https://"
            ))),
            None => Ok(placed),
        }
    }

    fn placed(&self, at: &Location, scheme: &str, name: String) -> Result<Placed> {
        match scheme {
            "cosmos" => Ok(Placed::Cosmos { account: self.cosmos_of(at)?, container: name }),
            "aztable" => Ok(Placed::Table { account: self.storage_of(at)?, table: name }),
            "az" => Ok(Placed::Blob { account: self.storage_of(at)?, container: name }),
            "servicebus" => {
                let subscription = at.parameter("subscription").unwrap_or(&name).to_owned();
                Ok(Placed::ServiceBus { namespace: self.namespace_of(at)?, topic: name, subscription })
            }
            _ => Ok(Placed::Queue { account: self.storage_of(at)?, queue: name }),
        }
    }

    fn storage_of(&self, at: &Location) -> Result<StorageAccount> {
        let named = at.parameter("account").map(|name| check_account(&at.to_string(), name)).transpose()?;
        let named = named.map(|name| StorageAccount::new(&name, Access::Identity));
        let is_same = |one: &StorageAccount, other: &StorageAccount| one.name == other.name;
        let mut account = chosen(self.storage.as_ref(), named, is_same, || {
            format!("no storage account for {at}: set AZURE_STORAGE_CONNECTION_STRING, or AZURE_STORAGE_ACCOUNT")
        })?;
        if let Some(endpoint) = endpoint(at)? {
            (account.blob, account.queue, account.table) = (endpoint.clone(), endpoint.clone(), endpoint);
        }
        Ok(account)
    }

    fn cosmos_of(&self, at: &Location) -> Result<CosmosAccount> {
        let named = endpoint_of(at, "account", "documents.azure.com")?;
        let named =
            named.map(|endpoint| CosmosAccount { endpoint, database: "isobar".to_owned(), access: Access::Identity });
        let is_same = |one: &CosmosAccount, other: &CosmosAccount| one.endpoint == other.endpoint;
        let mut account = chosen(self.cosmos.as_ref(), named, is_same, || {
            format!(
                "no Cosmos DB account for {at}: set AZURE_COSMOS_CONNECTION_STRING or AZURE_COSMOS_ENDPOINT, or place it \
                 in Table Storage by the URL aztable://{}",
                at.name().replace('-', "")
            )
        })?;
        if let Some(database) = at.parameter("database") {
            account.database = database.to_owned();
        }
        Ok(account)
    }

    fn namespace_of(&self, at: &Location) -> Result<ServiceBusNamespace> {
        let named = endpoint_of(at, "namespace", "servicebus.windows.net")?;
        let named =
            named.map(|endpoint| ServiceBusNamespace { endpoint, policy: String::new(), access: Access::Identity });
        let is_same = |one: &ServiceBusNamespace, other: &ServiceBusNamespace| one.endpoint == other.endpoint;
        chosen(self.service_bus.as_ref(), named, is_same, || {
            format!(
                "no Service Bus namespace for {at}: set AZURE_SERVICEBUS_CONNECTION_STRING or \
                 AZURE_SERVICEBUS_NAMESPACE, or send it through Storage Queues by the URL azqueue://{}",
                at.name()
            )
        })
    }
}

/// The configured account, unless the URL names another one. Errors: `Config` without either.
fn chosen<A: Clone>(
    configured: Option<&A>,
    named: Option<A>,
    is_same: fn(&A, &A) -> bool,
    missing: impl FnOnce() -> String,
) -> Result<A> {
    match (configured, named) {
        (Some(configured), Some(named)) if !is_same(configured, &named) => Ok(named),
        (Some(configured), _) => Ok(configured.clone()),
        (None, named) => named.ok_or_else(|| Error::config(missing())),
    }
}

impl Placed {
    /// The endpoint, where a secret itself, not only a signature by it, would be sent to it in clear text.
    fn in_clear_text(&self) -> Option<&str> {
        let (access, endpoint) = match self {
            Self::Cosmos { account, .. } => (&account.access, &account.endpoint),
            Self::Table { account, .. } => (&account.access, &account.table),
            Self::Blob { account, .. } => (&account.access, &account.blob),
            Self::ServiceBus { namespace, .. } => (&namespace.access, &namespace.endpoint),
            Self::Queue { account, .. } => (&account.access, &account.queue),
        };
        let sends_secret = !matches!(access, Access::Key(_));
        (sends_secret && !is_safe_for_secrets(endpoint)).then_some(endpoint)
    }
}

/// Checks the first label of an account's host name. Errors: `Config`.
fn check_label(at: &Location, what: &str, label: &str) -> Result<String> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    if (3..=50).contains(&label.len()) && label.bytes().all(fits) && !label.starts_with('-') {
        return Ok(label.to_owned());
    }
    let label = label.escape_debug();
    Err(Error::config(format!("the {what} of {at} is `{label}`; it must be 3 to 50 of a-z, A-Z, 0-9 and `-`")))
}

/// The endpoint in a URL, or that of the account in Azure's public cloud that the parameter `what` names.
fn endpoint_of(at: &Location, what: &str, suffix: &str) -> Result<Option<String>> {
    let named = at.parameter(what).map(|name| check_label(at, what, name)).transpose()?;
    Ok(endpoint(at)?.or(named.map(|name| format!("https://{name}.{suffix}"))))
}

fn endpoint(at: &Location) -> Result<Option<String>> {
    at.parameter("endpoint").map(|url| check_endpoint(&format!("the endpoint of {at}"), url)).transpose()
}
