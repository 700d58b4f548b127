//! The placement of a resource on Google Cloud: its service, project and name.

use isobar_abstraction::driver::{Location, ResourceKind, ResourceUrl};
use isobar_abstraction::{Error, Result};

use super::{Endpoint, GcpConfig};
use crate::profile::PROFILE;

/// The placement of a resource. A project of `None` means that of the credentials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Placement {
    /// A collection of Firestore.
    Firestore { endpoint: Endpoint, project: Option<String>, database: String, collection: String },
    /// A bucket of Cloud Storage.
    Storage { endpoint: Endpoint, bucket: String },
    /// A topic of Pub/Sub.
    PubSub { endpoint: Endpoint, project: Option<String>, topic: String },
}

/// The secrets of a project. A project of `None` means that of the credentials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SecretsPlacement {
    pub(crate) endpoint: Endpoint,
    pub(crate) project: Option<String>,
}

/// The rules for a kind of resource on Google Cloud.
struct Rule {
    scheme: &'static str,
    parameters: &'static [&'static str],
    lengths: std::ops::RangeInclusive<usize>,
    fits: fn(&str) -> bool,
    requirement: &'static str,
}

/// Sources: Firestore "Quotas and limits", Cloud Storage "About buckets", Pub/Sub "Guidelines to name
/// a topic".
fn rule(kind: ResourceKind) -> Result<Rule> {
    Ok(match kind {
        ResourceKind::Table => Rule {
            scheme: "firestore",
            parameters: &["project", "database", "endpoint"],
            lengths: 1..=200,
            fits: |name| {
                name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte))
                    && !name.starts_with("__")
            },
            requirement: "1 to 200 of a-z, A-Z, 0-9, `_` and `-`, and not begin with `__`",
        },
        ResourceKind::Bucket => Rule {
            scheme: "gs",
            parameters: &["endpoint"],
            lengths: 3..=222,
            fits: is_bucket,
            requirement: "3 to 63 of a-z, 0-9, `-`, `_` and `.`, with a letter or a digit at both ends",
        },
        ResourceKind::Topic => Rule {
            scheme: "pubsub",
            parameters: &["project", "endpoint"],
            lengths: 3..=255,
            fits: is_topic,
            requirement: "3 to 255 of a-z, A-Z, 0-9 and `-_.~+%`, begin with a letter, and not with `goog`",
        },
        _ => return Err(kind.not_opened(PROFILE.provider)),
    })
}

fn is_bucket(name: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_.".contains(&byte);
    let end = |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    let lengths =
        name.split('.').all(|label| (1..=63).contains(&label.len())) && (name.len() <= 63 || name.contains('.'));
    name.bytes().all(fits) && end(name.bytes().next()) && end(name.bytes().last()) && lengths
}

fn is_topic(name: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~+%".contains(&byte);
    name.bytes().all(fits) && name.starts_with(|first: char| first.is_ascii_alphabetic()) && !name.starts_with("goog")
}

/// Checks the id of a project, which may contain a domain. Errors: `Config`.
pub(super) fn check_project(from: &str, project: &str) -> Result<String> {
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-.:".contains(&byte);
    if (1..=100).contains(&project.len()) && project.bytes().all(fits) {
        return Ok(project.to_owned());
    }
    let project = project.escape_debug();
    Err(Error::config(format!("{from} is `{project}`; it must be the id of a project, of a-z, 0-9 and `-`")))
}

/// Checks the id of a database of Firestore. Errors: `Config`.
pub(super) fn check_database(from: &str, database: &str) -> Result<String> {
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if database == "(default)" || ((1..=63).contains(&database.len()) && database.bytes().all(fits)) {
        return Ok(database.to_owned());
    }
    let database = database.escape_debug();
    Err(Error::config(format!("{from} is `{database}`; it must be `(default)`, or at most 63 of a-z, 0-9 and `-`")))
}

impl GcpConfig {
    /// The placement of a resource. Errors: `Config`, for the URL of another kind, and for a name that the service
    /// rejects.
    pub(crate) fn placement(&self, at: &Location) -> Result<Placement> {
        let rule = rule(at.kind())?;
        let name = match at.url() {
            Some(url) if url.scheme() == rule.scheme => {
                url.check_parameters(rule.parameters)?;
                url.name().to_owned()
            }
            Some(url) => {
                let (kind, expected_scheme, scheme) = (at.kind(), rule.scheme, url.scheme());
                return Err(Error::config(format!(
                    "a {kind} on Google Cloud is `{expected_scheme}://name`, not `{scheme}://`"
                )));
            }
            None => format!("{}{}", self.prefix.get()?, at.name()),
        };
        if !rule.lengths.contains(&name.len()) || !(rule.fits)(&name) {
            let (name, requirement) = (name.escape_debug(), rule.requirement);
            return Err(Error::config(format!("{at} is `{name}` on Google Cloud; it must be {requirement}")));
        }
        self.placement_of(at, name)
    }

    /// The placement of secrets: that of a URL `gsm://PROJECT`, or of the app's project. Errors: `Config`.
    pub(crate) fn secrets(&self, url: Option<&ResourceUrl>) -> Result<SecretsPlacement> {
        let google = || Endpoint::of_google("https://secretmanager.googleapis.com");
        let Some(url) = url else { return Ok(SecretsPlacement { endpoint: google(), project: self.project.clone() }) };
        url.check_store(&["gsm"], &["endpoint"])?;
        let named = Some(url.name()).filter(|name| !name.is_empty());
        let project = named.map(|name| check_project("the project of gsm://", name)).transpose()?;
        let endpoint =
            url.parameter("endpoint").map(|url| Endpoint::parse("the endpoint of gsm://", url)).transpose()?;
        Ok(SecretsPlacement {
            endpoint: endpoint.unwrap_or_else(google),
            project: project.or_else(|| self.project.clone()),
        })
    }

    fn placement_of(&self, at: &Location, name: String) -> Result<Placement> {
        let checked = |key: &str, check: fn(&str, &str) -> Result<String>| {
            at.parameter(key).map(|value| check(&format!("the {key} of {at}"), value)).transpose()
        };
        let project = || Ok::<_, Error>(checked("project", check_project)?.or_else(|| self.project.clone()));
        Ok(match at.kind() {
            ResourceKind::Table => Placement::Firestore {
                endpoint: endpoint(at, self.emulators.firestore.as_ref(), "https://firestore.googleapis.com")?,
                project: project()?,
                database: checked("database", check_database)?
                    .or_else(|| self.database.clone())
                    .unwrap_or_else(|| "(default)".to_owned()),
                collection: name,
            },
            ResourceKind::Bucket => Placement::Storage {
                endpoint: endpoint(at, self.emulators.storage.as_ref(), "https://storage.googleapis.com")?,
                bucket: name,
            },
            ResourceKind::Topic => Placement::PubSub {
                endpoint: endpoint(at, self.emulators.pub_sub.as_ref(), "https://pubsub.googleapis.com")?,
                project: project()?,
                topic: name,
            },
            kind => return Err(kind.not_opened(PROFILE.provider)),
        })
    }
}

fn endpoint(at: &Location, emulator: Option<&Endpoint>, google: &str) -> Result<Endpoint> {
    match at.parameter("endpoint") {
        Some(url) => Endpoint::parse(&format!("the endpoint of {at}"), url),
        None => Ok(emulator.cloned().unwrap_or_else(|| Endpoint::of_google(google))),
    }
}
