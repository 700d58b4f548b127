//! Which provider runs the app, and which one opens a resource: pure functions of the environment.
//!
//! The host is what `ISOBAR_PROVIDER` says; else the platform whose mark is set; else the laptop:
//!
//! | provider | its mark | schemes that it opens |
//! |---|---|---|
//! | `aws` | `AWS_LAMBDA_RUNTIME_API` | `dynamodb`, `s3`, `sns` |
//! | `azure` | `FUNCTIONS_CUSTOMHANDLER_PORT` | `cosmos`, `aztable`, `az`, `servicebus`, `azqueue` |
//! | `gcp` | `K_SERVICE` | `firestore`, `gs`, `pubsub` |
//! | `local` | none | `redb`, `file`, `queue` |
//!
//! A resource lives at the host's provider, unless `ISOBAR_TABLE_<NAME>`, `ISOBAR_BUCKET_<NAME>` or
//! `ISOBAR_TOPIC_<NAME>` gives a URL; a `-` of the logical name is a `_` there. `memory` is a scheme
//! that every build opens. A variable that almost names a resource of the app is an error, and one that names
//! nothing a warning: see [`unused_variables`].

mod variables;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use isobar_abstraction::memory::MemoryProvider;
use isobar_abstraction::{
    Adapter, Environment, Error, Location, Provider, ResourceKind, ResourceUrl, Result, Route, check_name,
};

use crate::config::ISOBAR_PROVIDER;

pub use variables::{SETTINGS, unused_variables};

/// A provider that isobar knows, compiled in or not.
struct Platform {
    name: &'static str,
    mark: Option<&'static str>,
    schemes: &'static [&'static str],
}

const PLATFORMS: [Platform; 4] = [
    Platform { name: "aws", mark: Some("AWS_LAMBDA_RUNTIME_API"), schemes: &["dynamodb", "s3", "sns"] },
    Platform {
        name: "azure",
        mark: Some("FUNCTIONS_CUSTOMHANDLER_PORT"),
        schemes: &["cosmos", "aztable", "az", "servicebus", "azqueue"],
    },
    Platform { name: "gcp", mark: Some("K_SERVICE"), schemes: &["firestore", "gs", "pubsub"] },
    Platform { name: "local", mark: None, schemes: &["redb", "file", "queue"] },
];

/// The provider that runs the app in this environment, among those that are compiled in.
///
/// Errors: `Config` where two platforms' marks are set, the provider is unknown, or its feature is
/// not compiled in; it lists what this build has.
pub fn host<'a>(environment: &Environment, compiled: &'a [Adapter]) -> Result<&'a Adapter> {
    let name = host_name(environment)?;
    compiled.iter().find(|adapter| adapter.name == name).ok_or_else(|| {
        let why = match environment.var(ISOBAR_PROVIDER) {
            Some(_) => format!("{ISOBAR_PROVIDER} asks for the provider `{name}`"),
            None => format!("this environment is that of the provider `{name}`"),
        };
        missing(&why, name, compiled)
    })
}

fn host_name(environment: &Environment) -> Result<&str> {
    if let Some(name) = environment.var(ISOBAR_PROVIDER) {
        if PLATFORMS.iter().any(|platform| platform.name == name) {
            return Ok(name);
        }
        let known = PLATFORMS.map(|platform| platform.name).join(", ");
        return Err(Error::config(format!("{ISOBAR_PROVIDER} is `{name}`; known providers: {known}")));
    }
    let marked = |platform: &&Platform| platform.mark.is_some_and(|mark| environment.var(mark).is_some());
    let marked: Vec<_> = PLATFORMS.iter().filter(marked).collect();
    match marked[..] {
        [] => Ok("local"),
        [one] => Ok(one.name),
        _ => {
            let marks: Vec<_> = marked.iter().filter_map(|platform| platform.mark).collect();
            let names: Vec<_> = marked.iter().map(|platform| platform.name).collect();
            Err(Error::config(format!(
                "{} are set at once; say which platform this is with {ISOBAR_PROVIDER}={}",
                marks.join(" and "),
                names.join("|")
            )))
        }
    }
}

fn missing(why: &str, name: &str, compiled: &[Adapter]) -> Error {
    let has: Vec<_> = compiled.iter().map(|adapter| adapter.name).collect();
    let has = if has.is_empty() { "none".to_owned() } else { has.join(", ") };
    Error::config(format!("{why}, but this build has: {has}; build it with --features {name}"))
}

const KINDS: [ResourceKind; 3] = [ResourceKind::Table, ResourceKind::Bucket, ResourceKind::Topic];

/// What the variables that place a kind of resource begin with.
fn prefix_of(kind: ResourceKind) -> String {
    format!("ISOBAR_{}_", kind.name().to_ascii_uppercase())
}

/// The logical name in a variable, after its prefix.
fn logical_name(variable: &str) -> String {
    variable.to_ascii_lowercase().replace('_', "-")
}

/// The resources that live elsewhere than at the host's provider.
///
/// Errors: `Config` for a malformed name or URL, for two variables of one resource, and for an unknown
/// scheme, listing the known ones.
pub fn routes(environment: &Environment, compiled: &[Adapter]) -> Result<Vec<Route>> {
    let mut opened = HashMap::new();
    let mut routes = Vec::new();
    let mut placed = HashSet::new();
    for kind in KINDS {
        let prefix = prefix_of(kind);
        for (variable, text) in environment.vars_with_prefix(&prefix).filter(|(_, text)| !text.is_empty()) {
            let named = |error: Error| Error::config(format!("{prefix}{variable}: {}", error.message()));
            let name = logical_name(variable);
            check_name(&name).map_err(named)?;
            if !placed.insert((kind, name.clone())) {
                return Err(named(Error::config(format!("another variable places the {kind} `{name}` too"))));
            }
            let url = ResourceUrl::parse(text).map_err(named)?;
            let provider = provider_of(url.scheme(), environment, compiled, &mut opened).map_err(named)?;
            routes.push(Route { provider, location: Location::new(kind, name).with_url(url) });
        }
    }
    Ok(routes)
}

fn provider_of(
    scheme: &str,
    environment: &Environment,
    compiled: &[Adapter],
    opened: &mut HashMap<&'static str, Arc<dyn Provider>>,
) -> Result<Arc<dyn Provider>> {
    if scheme == "memory" {
        let memory = opened.entry("memory").or_insert_with(|| Arc::new(MemoryProvider::default()));
        return Ok(Arc::clone(memory));
    }
    let Some(platform) = PLATFORMS.iter().find(|platform| platform.schemes.contains(&scheme)) else {
        let known: Vec<_> = PLATFORMS.iter().flat_map(|platform| platform.schemes).copied().collect();
        return Err(Error::config(format!("unknown scheme `{scheme}`; known: memory, {}", known.join(", "))));
    };
    let adapter = compiled.iter().find(|adapter| adapter.name == platform.name);
    let why = format!("the scheme `{scheme}` is of the provider `{}`", platform.name);
    let adapter = adapter.ok_or_else(|| missing(&why, platform.name, compiled))?;
    if let Some(provider) = opened.get(adapter.name) {
        return Ok(Arc::clone(provider));
    }
    let provider = (adapter.open)(environment)?;
    opened.insert(adapter.name, Arc::clone(&provider));
    Ok(provider)
}
