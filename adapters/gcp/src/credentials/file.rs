//! Files of credentials.
//!
//! Source: "Application Default Credentials", AIP-4110 to AIP-4117.

use std::io::ErrorKind as IoErrorKind;
use std::path::Path;
use std::sync::Arc;

use isobar_abstraction::{Error, Result};
use serde::Deserialize;

use super::exchange::{User, check_url, impersonated};
use super::external::External;
use super::key::ServiceAccount;
use crate::config::Sources;

/// The kinds of credentials.
pub(super) enum Kind {
    ServiceAccount(Box<ServiceAccount>),
    User(User),
    /// Credentials of another provider: workload identity federation.
    External(Box<External>),
    /// A service account that a user impersonates.
    Impersonated(Box<Impersonated>),
    /// The metadata server of the machine.
    Metadata,
}

pub(super) struct Impersonated {
    pub(super) user: User,
    /// The URL of IAM's method `generateAccessToken`.
    pub(super) url: String,
    pub(super) email: Arc<str>,
}

#[derive(Deserialize)]
struct ImpersonatedFile {
    service_account_impersonation_url: String,
    source_credentials: User,
}

#[derive(Deserialize)]
struct FileType {
    r#type: String,
    universe_domain: Option<String>,
}

/// The first source that exists. Errors: `Config`, naming the file, without its content.
pub(super) fn find(sources: &Sources) -> Result<Kind> {
    if let Some(path) = &sources.file {
        return match std::fs::read(path) {
            Ok(text) => parse("the file of GOOGLE_APPLICATION_CREDENTIALS", &text),
            Err(error) => Err(unreadable(path, error)),
        };
    }
    let Some(path) = &sources.user else { return Ok(Kind::Metadata) };
    match std::fs::read(path) {
        Ok(text) => parse(&path.display().to_string(), &text),
        Err(error) if [IoErrorKind::NotFound, IoErrorKind::NotADirectory].contains(&error.kind()) => Ok(Kind::Metadata),
        Err(error) => Err(unreadable(path, error)),
    }
}

fn unreadable(path: &Path, error: std::io::Error) -> Error {
    Error::config(format!("the credentials in {} cannot be read", path.display())).with_source(error)
}

fn parse(from: &str, text: &[u8]) -> Result<Kind> {
    // Messages of serde may quote the file.
    let wrong = || Error::config(format!("{from} does not contain credentials of Google Cloud"));
    let FileType { r#type: kind, universe_domain } = serde_json::from_slice(text).map_err(|_| wrong())?;
    if let Some(universe) = universe_domain.filter(|universe| universe != "googleapis.com") {
        let universe = universe.escape_debug();
        return Err(Error::config(format!(
            "{from} is for the universe `{universe}`; only googleapis.com is supported"
        )));
    }
    match kind.as_str() {
        "service_account" => Ok(Kind::ServiceAccount(Box::new(ServiceAccount::parse(from, text)?))),
        "authorized_user" => Ok(Kind::User(user(from, serde_json::from_slice(text).map_err(|_| lacks(from))?)?)),
        "external_account" => Ok(Kind::External(Box::new(External::parse(from, text)?))),
        "impersonated_service_account" => {
            let file: ImpersonatedFile = serde_json::from_slice(text).map_err(|_| lacks(from))?;
            let url = file.service_account_impersonation_url;
            check_url(from, &url)?;
            let email = impersonated(&url).ok_or_else(|| lacks(from))?;
            Ok(Kind::Impersonated(Box::new(Impersonated { user: user(from, file.source_credentials)?, url, email })))
        }
        other => Err(Error::config(format!(
            "{from} is of the type `{}`; supported types are service_account, authorized_user, external_account and \
             impersonated_service_account",
            other.escape_debug()
        ))),
    }
}

fn lacks(from: &str) -> Error {
    Error::config(format!("{from} lacks a field of its type: run `gcloud auth application-default login` again"))
}

fn user(from: &str, user: User) -> Result<User> {
    check_url(from, &user.token_uri)?;
    Ok(user)
}
