//! The selection of the provider that runs the app, and of those that open its resources: pure functions of the environment.
//!
//! The host is the provider in `ISOBAR_PROVIDER`; otherwise the platform whose mark, an environment variable, is set;
//! otherwise the first provider without a mark, the laptop. isobar's providers, to which
//! [`main_with`](crate::main_with) adds others:
//!
//! | provider | mark | schemes that it opens |
//! |---|---|---|
//! | `aws` | `AWS_LAMBDA_RUNTIME_API` | `dynamodb`, `s3`, `sns` |
//! | `azure` | `FUNCTIONS_CUSTOMHANDLER_PORT` | `cosmos`, `aztable`, `az`, `servicebus`, `azqueue` |
//! | `gcp` | `K_SERVICE` | `firestore`, `gs`, `pubsub` |
//! | `local` | none | `redb`, `file`, `queue` |
//!
//! A resource is at the host's provider, unless `ISOBAR_TABLE_<NAME>`, `ISOBAR_BUCKET_<NAME>` or `ISOBAR_TOPIC_<NAME>`
//! contains a URL; a `-` of the logical name is a `_` in the variable. Every build opens the scheme `memory`. A variable
//! whose name is similar to that of a resource is an error, and any other unused one a warning: see [`unused_variables`].

mod variables;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use isobar_abstraction::driver::{Adapter, Environment, Opener, Provider, ResourceKind, ResourceUrl, Route};
use isobar_abstraction::memory::MemoryProvider;
use isobar_abstraction::{Error, Result};

use crate::adapters::{KNOWN, is_own};
use crate::config::{ISOBAR_PROVIDER, ISOBAR_SECRETS};

pub use variables::{SETTINGS, unused_variables};

/// The one of these providers that runs the app in this environment.
///
/// Errors: `Config` if two of them have the same name, scheme or mark, if the marks of two platforms are set, if the
/// provider is unknown, or if its feature is not compiled; the error lists the providers of this build.
pub fn host<'a>(environment: &Environment, adapters: &'a [Adapter]) -> Result<&'a Adapter> {
    check_claims(adapters)?;
    if let Some(name) = environment.var(ISOBAR_PROVIDER) {
        return named(name, &format!("{ISOBAR_PROVIDER} asks for"), adapters);
    }
    if let Some(name) = marked(environment, adapters)? {
        return named(name, "this environment is that of", adapters);
    }
    let everywhere = adapters.iter().find(|adapter| adapter.marks.is_empty());
    everywhere.ok_or_else(|| {
        let why = "this environment is that of no platform";
        let mut others = adapters.iter().filter(|adapter| !is_own(adapter.name));
        match others.find_map(|other| Some((other.name, other.marks.first()?))) {
            Some((name, mark)) => Error::config(format!("{why}; set {mark}, or {ISOBAR_PROVIDER}={name}")),
            None => missing(why, "local", adapters),
        }
    })
}

/// Checks that names, schemes and marks are unique. `memory` is in every build.
fn check_claims(adapters: &[Adapter]) -> Result<()> {
    let mut claims = HashMap::from([(("name", "memory"), "memory"), (("scheme", "memory"), "memory")]);
    for Adapter { name, schemes, marks, openers, .. } in adapters {
        openers.iter().try_for_each(|opener| check_kind(opener.kind))?;
        let schemes = schemes.iter().map(|scheme| ("scheme", *scheme));
        let marks = marks.iter().map(|mark| ("mark", *mark));
        for (what, claim) in [("name", *name)].into_iter().chain(schemes).chain(marks) {
            if let Some(other) = claims.insert((what, claim), name) {
                let message = format!("the providers `{other}` and `{name}` both claim the {what} `{claim}`");
                return Err(Error::config(message));
            }
        }
    }
    Ok(())
}

/// Checks that no variable of a resource of this kind can be a setting.
fn check_kind(kind: ResourceKind) -> Result<()> {
    kind.check()?;
    let prefix = kind.variable_prefix();
    match SETTINGS.iter().find(|setting| setting.starts_with(&prefix)) {
        Some(setting) => {
            Err(Error::config(format!("the kind `{kind}` would claim the variable {setting}; rename the kind")))
        }
        None => Ok(()),
    }
}

fn named<'a>(name: &str, why: &str, adapters: &'a [Adapter]) -> Result<&'a Adapter> {
    adapters.iter().find(|adapter| adapter.name == name).ok_or_else(|| {
        if is_own(name) {
            return missing(&format!("{why} the provider `{name}`"), name, adapters);
        }
        let known = list(all(adapters).map(|adapter| adapter.name));
        Error::config(format!("{ISOBAR_PROVIDER} is `{name}`; known providers: {known}"))
    })
}

/// The provider whose mark is set. If two providers have a mark, it belongs to the first one, so a provider that is not
/// compiled never has the mark of one of these adapters.
fn marked<'a>(environment: &Environment, adapters: &'a [Adapter]) -> Result<Option<&'a str>> {
    let mut found: Vec<(&str, &str)> = Vec::new();
    for adapter in all(adapters) {
        let first = |mark: &&str| all(adapters).find(|first| first.marks.contains(mark)).map(|first| first.name);
        let is_set = |mark: &&&str| environment.var(mark).is_some() && first(mark) == Some(adapter.name);
        let is_new = found.iter().all(|(_, name)| *name != adapter.name);
        if let Some(mark) = adapter.marks.iter().find(is_set).filter(|_| is_new) {
            found.push((mark, adapter.name));
        }
    }
    match found[..] {
        [] => Ok(None),
        [(_, name)] => Ok(Some(name)),
        _ => {
            let (marks, names): (Vec<_>, Vec<_>) = found.into_iter().unzip();
            Err(Error::config(format!(
                "{} are set together; select the platform with {ISOBAR_PROVIDER}={}",
                marks.join(" and "),
                names.join("|")
            )))
        }
    }
}

/// These providers, then all of isobar's.
fn all(adapters: &[Adapter]) -> impl Iterator<Item = &Adapter> {
    adapters.iter().chain(&KNOWN)
}

/// The names without duplicates, in their order.
fn list<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let mut seen = HashSet::new();
    names.filter(|name| seen.insert(*name)).collect::<Vec<_>>().join(", ")
}

fn missing(why: &str, name: &str, adapters: &[Adapter]) -> Error {
    let has = list(adapters.iter().map(|adapter| adapter.name));
    let has = if has.is_empty() { "none" } else { &has };
    Error::config(format!("{why}, but this build has: {has}; build it with --features {name}"))
}

/// The environment with the variables that the host adds, such as those of a file `.env` on a laptop.
///
/// Errors: `Config` of the host. An environment without a host does not change.
pub fn complete(environment: Environment, adapters: &[Adapter]) -> Result<Environment> {
    match host(&environment, adapters).ok().and_then(|host| host.complete) {
        Some(complete) => complete(environment),
        None => Ok(environment),
    }
}

/// The provider of the store in `ISOBAR_SECRETS`, and its URL; `None` if it is not set. Errors: `Config`.
pub fn secret_store(
    environment: &Environment,
    adapters: &[Adapter],
    opened: &mut HashMap<&'static str, Arc<dyn Provider>>,
) -> Result<Option<(Arc<dyn Provider>, ResourceUrl)>> {
    let Some(url) = environment.secret_store()? else { return Ok(None) };
    let named = |error: Error| Error::config(format!("{ISOBAR_SECRETS}: {}", error.message()));
    let (provider, _) = provider_of(url.scheme(), environment, adapters, opened).map_err(named)?;
    // Here its errors are reported once, and not for each secret.
    provider.secrets(Some(&url)).map_err(named)?;
    Ok(Some((provider, url)))
}

/// The kinds of resources that these providers open, without duplicates.
pub fn kinds(adapters: &[Adapter]) -> Vec<ResourceKind> {
    let mut kinds = ResourceKind::OWN.to_vec();
    kinds.extend(adapters.iter().flat_map(|adapter| adapter.openers).map(|opener| opener.kind));
    let mut seen = HashSet::new();
    kinds.retain(|kind| seen.insert(*kind));
    kinds
}

/// The resources with a configured URL, each with its provider.
///
/// `opened` contains the open providers by name: each is opened once. Errors: `Config` for an invalid name or URL, for two
/// variables of one resource, and for an unknown scheme, with the known ones.
pub fn routes(
    environment: &Environment,
    adapters: &[Adapter],
    opened: &mut HashMap<&'static str, Arc<dyn Provider>>,
) -> Result<Vec<Route>> {
    let mut routes = Vec::new();
    for (variable, location) in environment.locations_of(&kinds(adapters))? {
        let named = |error: Error| Error::config(format!("{variable}: {}", error.message()));
        let scheme = location.url().map_or("", ResourceUrl::scheme);
        let (provider, openers) = provider_of(scheme, environment, adapters, opened).map_err(named)?;
        routes.push(Route::new(provider, location, openers));
    }
    Ok(routes)
}

fn provider_of(
    scheme: &str,
    environment: &Environment,
    adapters: &[Adapter],
    opened: &mut HashMap<&'static str, Arc<dyn Provider>>,
) -> Result<(Arc<dyn Provider>, &'static [Opener])> {
    if scheme == "memory" {
        let memory = opened.entry("memory").or_insert_with(|| Arc::new(MemoryProvider::default()));
        return Ok((Arc::clone(memory), &[]));
    }
    let opens = |adapter: &&Adapter| adapter.schemes.contains(&scheme);
    let adapter = adapters.iter().find(opens).ok_or_else(|| match KNOWN.iter().find(opens) {
        Some(Adapter { name, .. }) => {
            missing(&format!("the scheme `{scheme}` is of the provider `{name}`"), name, adapters)
        }
        None => {
            let known = list(all(adapters).flat_map(|adapter| adapter.schemes).copied());
            Error::config(format!("unknown scheme `{scheme}`; known: memory, {known}"))
        }
    })?;
    if let Some(provider) = opened.get(adapter.name) {
        return Ok((Arc::clone(provider), adapter.openers));
    }
    let provider = (adapter.open)(environment)?;
    opened.insert(adapter.name, Arc::clone(&provider));
    Ok((provider, adapter.openers))
}
