//! Files of credentials.
//!
//! Source: "Application Default Credentials", AIP-4110 to AIP-4117.

use std::io::ErrorKind as IoErrorKind;
use std::path::Path;
use std::sync::Arc;

use isobar_abstraction::{Error, Result};
use serde::Deserialize;

use super::exchange::{Person, check_url, impersonated};
use super::external::External;
use super::key::ServiceAccount;
use crate::config::Sources;

/// Whose credentials they are.
pub(super) enum Kind {
    ServiceAccount(Box<ServiceAccount>),
    Person(Person),
    /// Of another provider: workload identity federation.
    External(Box<External>),
    /// A service account, through a person.
    Impersonated(Box<Impersonated>),
    /// The machine's own.
    Machine,
}

pub(super) struct Impersonated {
    pub(super) source: Person,
    /// Of IAM's method `generateAccessToken`.
    pub(super) url: String,
    pub(super) email: Arc<str>,
}

#[derive(Deserialize)]
struct ImpersonatedFile {
    service_account_impersonation_url: String,
    source_credentials: Person,
}

#[derive(Deserialize)]
struct Typed {
    r#type: String,
    universe_domain: Option<String>,
}

/// The first source that is there. Errors: `Config`, naming the file and never showing what is in it.
pub(super) fn find(sources: &Sources) -> Result<Kind> {
    if let Some(path) = &sources.file {
        return match std::fs::read(path) {
            Ok(text) => parse("the file of GOOGLE_APPLICATION_CREDENTIALS", &text),
            Err(error) => Err(unreadable(path, error)),
        };
    }
    let Some(path) = &sources.user else { return Ok(Kind::Machine) };
    match std::fs::read(path) {
        Ok(text) => parse(&path.display().to_string(), &text),
        Err(error) if [IoErrorKind::NotFound, IoErrorKind::NotADirectory].contains(&error.kind()) => Ok(Kind::Machine),
        Err(error) => Err(unreadable(path, error)),
    }
}

fn unreadable(path: &Path, error: std::io::Error) -> Error {
    Error::config(format!("the credentials in {} cannot be read", path.display())).with_source(error)
}

fn parse(from: &str, text: &[u8]) -> Result<Kind> {
    // What serde says of a file may quote it.
    let wrong = || Error::config(format!("{from} does not hold credentials of Google Cloud"));
    let Typed { r#type: kind, universe_domain } = serde_json::from_slice(text).map_err(|_| wrong())?;
    if let Some(universe) = universe_domain.filter(|universe| universe != "googleapis.com") {
        let universe = universe.escape_debug();
        return Err(Error::config(format!("{from} is for the universe `{universe}`; only googleapis.com is known")));
    }
    match kind.as_str() {
        "service_account" => Ok(Kind::ServiceAccount(Box::new(ServiceAccount::parse(from, text)?))),
        "authorized_user" => Ok(Kind::Person(person(from, serde_json::from_slice(text).map_err(|_| lacks(from))?)?)),
        "external_account" => Ok(Kind::External(Box::new(External::parse(from, text)?))),
        "impersonated_service_account" => {
            let file: ImpersonatedFile = serde_json::from_slice(text).map_err(|_| lacks(from))?;
            let url = file.service_account_impersonation_url;
            check_url(from, &url)?;
            let email = impersonated(&url).ok_or_else(|| lacks(from))?;
            Ok(Kind::Impersonated(Box::new(Impersonated {
                source: person(from, file.source_credentials)?,
                url,
                email,
            })))
        }
        other => Err(Error::config(format!(
            "{from} is of the type `{}`; known are service_account, authorized_user, external_account and \
             impersonated_service_account",
            other.escape_debug()
        ))),
    }
}

fn lacks(from: &str) -> Error {
    Error::config(format!("{from} lacks what belongs to its type: run `gcloud auth application-default login` again"))
}

fn person(from: &str, person: Person) -> Result<Person> {
    check_url(from, &person.token_uri)?;
    Ok(person)
}
