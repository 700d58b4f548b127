//! The accounts that contain the resources, and their credentials.

use std::fmt;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use isobar_abstraction::driver::Environment;
use isobar_abstraction::{Error, Result};
use isobar_rest::check_endpoint;

/// A key that signs. `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Secret(pub(crate) Vec<u8>);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

impl Secret {
    /// Errors: `Config`, with the variable.
    fn of_base64(from: &str, text: &str) -> Result<Self> {
        let decoded = BASE64_STANDARD.decode(text.trim());
        decoded.map(Self).map_err(|_| Error::config(format!("the key of {from} is not base64")))
    }
}

/// The credentials of an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Access {
    /// The account's key, base64-decoded; for Service Bus a policy's key, as text.
    Key(Secret),
    /// A shared access signature: a query without the `?`, for Service Bus the text after
    /// `SharedAccessSignature `.
    Sas(Secret),
    /// An identity's token.
    Identity,
}

/// A storage account: blobs, queues and tables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StorageAccount {
    pub(crate) name: String,
    /// The endpoint of blobs without a trailing slash, such as `https://name.blob.core.windows.net`; of the other
    /// services likewise.
    pub(crate) blob: String,
    pub(crate) queue: String,
    pub(crate) table: String,
    pub(crate) access: Access,
}

/// A Cosmos DB account and the database in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CosmosAccount {
    /// The endpoint without a trailing slash.
    pub(crate) endpoint: String,
    pub(crate) database: String,
    pub(crate) access: Access,
}

/// A Service Bus namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ServiceBusNamespace {
    /// The endpoint without a trailing slash, such as `https://name.servicebus.windows.net`.
    pub(crate) endpoint: String,
    /// The name of the policy whose key signs.
    pub(crate) policy: String,
    pub(crate) access: Access,
}

const STORAGE: &str = "AZURE_STORAGE_CONNECTION_STRING";
const FUNCTIONS_STORAGE: &str = "AzureWebJobsStorage";
const COSMOS: &str = "AZURE_COSMOS_CONNECTION_STRING";
const SERVICE_BUS: &str = "AZURE_SERVICEBUS_CONNECTION_STRING";

/// The well-known account and key of Azurite.
const AZURITE: (&str, &str) =
    ("devstoreaccount1", "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==");

impl StorageAccount {
    /// An account of Azure's public cloud.
    pub(crate) fn new(name: &str, access: Access) -> Self {
        Self::of_suffix(name, "https", "core.windows.net", access)
    }

    fn of_suffix(name: &str, scheme: &str, suffix: &str, access: Access) -> Self {
        let at = |service: &str| format!("{scheme}://{name}.{service}.{suffix}");
        Self { name: name.to_owned(), blob: at("blob"), queue: at("queue"), table: at("table"), access }
    }

    pub(super) fn from_environment(environment: &Environment) -> Result<Option<Self>> {
        if let Some(text) = environment.var(STORAGE) {
            return Self::parse(STORAGE, text).map(Some);
        }
        if let Some(name) = environment.var("AZURE_STORAGE_ACCOUNT") {
            let from = "AZURE_STORAGE_ACCOUNT";
            check_account(from, name)?;
            let access = match (environment.var("AZURE_STORAGE_KEY"), environment.var("AZURE_STORAGE_SAS_TOKEN")) {
                (Some(key), _) => Access::Key(Secret::of_base64("AZURE_STORAGE_KEY", key)?),
                (None, Some(sas)) => sas_access("AZURE_STORAGE_SAS_TOKEN", sas)?,
                (None, None) => Access::Identity,
            };
            return Ok(Some(Self::new(name, access)));
        }
        if let Some(text) = environment.var(FUNCTIONS_STORAGE) {
            return Self::parse(FUNCTIONS_STORAGE, text).map(Some);
        }
        let name = format!("{FUNCTIONS_STORAGE}__accountName");
        let Some(account) = environment.var(&name) else { return Ok(None) };
        check_account(&name, account)?;
        Ok(Some(Self::new(account, Access::Identity)))
    }

    /// Source: <https://learn.microsoft.com/azure/storage/common/storage-configure-connection-string>.
    fn parse(from: &str, text: &str) -> Result<Self> {
        let parts = Parts::parse(from, text)?;
        if parts.get("UseDevelopmentStorage").is_some_and(|value| value.eq_ignore_ascii_case("true")) {
            let at = |port: u16| format!("http://127.0.0.1:{port}/{}", AZURITE.0);
            let access = Access::Key(Secret::of_base64(from, AZURITE.1)?);
            let (name, blob) = (AZURITE.0.to_owned(), at(10_000));
            return Ok(Self { name, blob, queue: at(10_001), table: at(10_002), access });
        }
        // The portal's connection string with a signature contains endpoints, but no name.
        let name = match (parts.get("AccountName"), parts.get("BlobEndpoint")) {
            (None, Some(endpoint)) => account_of(endpoint).ok_or_else(|| parts.missing("AccountName"))?,
            _ => parts.required("AccountName")?,
        };
        check_account(from, name)?;
        let access = match (parts.get("AccountKey"), parts.get("SharedAccessSignature")) {
            (Some(key), _) => Access::Key(Secret::of_base64(from, key)?),
            (None, Some(sas)) => sas_access(from, sas)?,
            (None, None) => return Err(parts.missing("AccountKey or SharedAccessSignature")),
        };
        let scheme = parts.get("DefaultEndpointsProtocol").unwrap_or("https");
        let suffix = parts.get("EndpointSuffix").unwrap_or("core.windows.net");
        let mut account = Self::of_suffix(name, scheme, suffix, access);
        for (key, endpoint) in [
            ("BlobEndpoint", &mut account.blob),
            ("QueueEndpoint", &mut account.queue),
            ("TableEndpoint", &mut account.table),
        ] {
            *endpoint = check_endpoint(&format!("{key} of {from}"), parts.get(key).unwrap_or(endpoint))?;
        }
        Ok(account)
    }
}

impl CosmosAccount {
    pub(super) fn from_environment(environment: &Environment) -> Result<Option<Self>> {
        let database = environment.var("AZURE_COSMOS_DATABASE").unwrap_or("isobar").to_owned();
        if let Some(text) = environment.var(COSMOS) {
            let parts = Parts::parse(COSMOS, text)?;
            let endpoint = check_endpoint(COSMOS, parts.required("AccountEndpoint")?)?;
            let access = Access::Key(Secret::of_base64(COSMOS, parts.required("AccountKey")?)?);
            return Ok(Some(Self { endpoint, database, access }));
        }
        // The Functions host reads the second, so that one setting is enough for both.
        let names = ["AZURE_COSMOS_ENDPOINT", "AZURE_COSMOS__accountEndpoint"];
        let variable = names.into_iter().find_map(|name| environment.var(name).map(|endpoint| (name, endpoint)));
        let Some((name, endpoint)) = variable else { return Ok(None) };
        let endpoint = check_endpoint(name, endpoint)?;
        let key = environment.var("AZURE_COSMOS_KEY").map(|key| Secret::of_base64("AZURE_COSMOS_KEY", key));
        let access = key.transpose()?.map_or(Access::Identity, Access::Key);
        Ok(Some(Self { endpoint, database, access }))
    }
}

impl ServiceBusNamespace {
    pub(super) fn from_environment(environment: &Environment) -> Result<Option<Self>> {
        if let Some(text) = environment.var(SERVICE_BUS) {
            return Self::parse(text).map(Some);
        }
        // The Functions host reads the second, so that one setting is enough for both.
        let names = ["AZURE_SERVICEBUS_NAMESPACE", "AZURE_SERVICEBUS__fullyQualifiedNamespace"];
        let variable = names.into_iter().find_map(|name| environment.var(name).map(|namespace| (name, namespace)));
        let Some((name, namespace)) = variable else { return Ok(None) };
        let endpoint = match namespace.contains('.') {
            true => format!("https://{namespace}"),
            false => format!("https://{namespace}.servicebus.windows.net"),
        };
        let endpoint = check_endpoint(name, &endpoint)?;
        Ok(Some(Self { endpoint, policy: String::new(), access: Access::Identity }))
    }

    /// With the key of a policy, or with a ready signature.
    ///
    /// Source: <https://learn.microsoft.com/azure/service-bus-messaging/service-bus-sas>.
    fn parse(text: &str) -> Result<Self> {
        let parts = Parts::parse(SERVICE_BUS, text)?;
        let emulator = parts.get("UseDevelopmentEmulator").is_some_and(|value| value.eq_ignore_ascii_case("true"));
        let scheme = if emulator { "http://" } else { "https://" };
        let endpoint = parts.required("Endpoint")?.replacen("sb://", scheme, 1);
        let endpoint = check_endpoint(SERVICE_BUS, &endpoint)?;
        if let Some(token) = parts.get("SharedAccessSignature") {
            let access = sas_access(SERVICE_BUS, token.trim_start_matches("SharedAccessSignature "))?;
            return Ok(Self { endpoint, policy: String::new(), access });
        }
        let policy = parts.required("SharedAccessKeyName")?.to_owned();
        let key = parts.required("SharedAccessKey")?.as_bytes().to_vec();
        Ok(Self { endpoint, policy, access: Access::Key(Secret(key)) })
    }
}

fn sas_access(from: &str, sas: &str) -> Result<Access> {
    let sas = sas.trim().trim_start_matches('?');
    let fits = |byte: u8| (b'!'..=b'~').contains(&byte) && byte != b'#';
    if !sas.split('&').any(|pair| pair.starts_with("sig=")) || !sas.bytes().all(fits) {
        return Err(Error::config(format!("the shared access signature of {from} is not a query with a `sig`")));
    }
    Ok(Access::Sas(Secret(sas.as_bytes().to_vec())))
}

/// The account of `https://NAME.blob.core.windows.net`.
fn account_of(endpoint: &str) -> Option<&str> {
    endpoint.split_once("://")?.1.split_once(".blob.").map(|(name, _)| name)
}

/// A connection string: `Key=value;Key=value`. Errors name the keys, never the values.
struct Parts<'a> {
    from: &'a str,
    pairs: Vec<(&'a str, &'a str)>,
}

impl<'a> Parts<'a> {
    fn parse(from: &'a str, text: &'a str) -> Result<Self> {
        let parts = text.split(';').map(str::trim).filter(|part| !part.is_empty());
        let pairs: Option<Vec<_>> = parts.map(|part| part.split_once('=')).collect();
        let wrong = || Error::config(format!("{from} is not of the form Key=value;Key=value"));
        Ok(Self { from, pairs: pairs.ok_or_else(wrong)? })
    }

    fn get(&self, key: &str) -> Option<&'a str> {
        let found = self.pairs.iter().find(|(name, _)| name.trim().eq_ignore_ascii_case(key));
        found.map(|(_, value)| value.trim()).filter(|value| !value.is_empty())
    }

    fn required(&self, key: &str) -> Result<&'a str> {
        self.get(key).ok_or_else(|| self.missing(key))
    }

    fn missing(&self, key: &str) -> Error {
        Error::config(format!("{} has no {key}", self.from))
    }
}

/// Source: <https://learn.microsoft.com/azure/storage/common/storage-account-overview>.
pub(super) fn check_account(from: &str, name: &str) -> Result<String> {
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    if (3..=24).contains(&name.len()) && name.bytes().all(fits) {
        return Ok(name.to_owned());
    }
    let name = name.escape_debug();
    Err(Error::config(format!("the storage account of {from} is `{name}`; it must be 3 to 24 of a-z and 0-9")))
}
