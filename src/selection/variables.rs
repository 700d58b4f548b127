//! Variables that begin with `ISOBAR_` and have no meaning for this app: most are misspelt.

use isobar_abstraction::driver::{Environment, ResourceKind};
use isobar_abstraction::manifest::Manifest;
use isobar_abstraction::{Error, Result};

/// The variables that isobar reads on all providers, without those with URLs of resources.
pub const SETTINGS: [&str; 16] = [
    "ISOBAR_AS",
    "ISOBAR_CHAOS",
    "ISOBAR_DATA",
    "ISOBAR_EVENT_AUDIENCE",
    "ISOBAR_EVENT_KEYS",
    "ISOBAR_EVENT_SERVICE_ACCOUNT",
    "ISOBAR_FRONT",
    "ISOBAR_INSPECT_TOKEN",
    "ISOBAR_LAMBDA_INVOKE_MODE",
    "ISOBAR_MANIFEST",
    "ISOBAR_PREFIX",
    "ISOBAR_PROVIDER",
    "ISOBAR_SECRETS",
    "ISOBAR_STAGE",
    "ISOBAR_TRIGGER_SECRET",
    "ISOBAR_TRIGGER_SECRET_OLD",
];

/// Warnings about variables that are neither for a resource of the app nor a setting.
///
/// Apps may share an environment, so a variable of another app is only a warning. Errors: `Config` if the name is similar
/// to that of a resource without a variable, because the app would use that resource at a wrong place.
pub fn unused_variables(environment: &Environment, kinds: &[ResourceKind], manifest: &Manifest) -> Result<Vec<String>> {
    let mut warnings = Vec::new();
    for &kind in kinds {
        let (prefix, declared) = (kind.variable_prefix(), declared(kind, manifest));
        for (variable, _) in environment.vars_with_prefix(&prefix).filter(|(_, text)| !text.is_empty()) {
            let name = ResourceKind::name_in_variable(variable);
            if declared.contains(&name.as_str()) {
                continue;
            }
            // An empty variable selects the default place.
            let is_set = |near: &str| {
                let mut names = environment.vars_with_prefix(&prefix);
                names.any(|(other, _)| ResourceKind::name_in_variable(other) == near)
            };
            let unplaced = |near: &&str| !is_set(near);
            let near = nearest(&name, declared.iter().copied().filter(unplaced));
            if let Some(near) = near.filter(|near| distance(&name, near) <= misspelt(near)) {
                let right = kind.variable(near);
                return Err(Error::config(format!(
                    "{prefix}{variable} is for the {kind} `{name}`, which app `{}` does not have; it has the {kind} \
                     `{near}`: rename the variable to {right}. If it belongs to another app, set {right} too: empty \
                     selects the default place of the {kind}",
                    manifest.app
                )));
            }
            let known = if declared.is_empty() { "none".to_owned() } else { format!("`{}`", declared.join("`, `")) };
            warnings.push(format!(
                "{prefix}{variable} has no effect: app `{}` has no {kind} `{name}`; its {kind}s: {known}",
                manifest.app
            ));
        }
    }
    warnings.extend(unknown_settings(environment, kinds, manifest));
    Ok(warnings)
}

fn unknown_settings(environment: &Environment, kinds: &[ResourceKind], manifest: &Manifest) -> Vec<String> {
    let places = kinds.iter().flat_map(|&kind| {
        declared(kind, manifest).into_iter().map(move |name| kind.variable(name)).collect::<Vec<_>>()
    });
    let known: Vec<String> = SETTINGS.into_iter().map(str::to_owned).chain(places).collect();
    let names = environment.vars_with_prefix("ISOBAR_").filter(|(_, text)| !text.is_empty());
    let names = names.map(|(name, _)| format!("ISOBAR_{name}"));
    let of_place = |name: &str| kinds.iter().any(|kind| name.starts_with(&kind.variable_prefix()));
    let unknown = names.filter(|name| !SETTINGS.contains(&name.as_str()) && !of_place(name));
    let warning = |name: String| {
        let near = nearest(&name, known.iter().map(String::as_str)).filter(|near| distance(&name, near) <= 4);
        let near = near.map_or_else(String::new, |near| format!("; did you mean {near}?"));
        format!("isobar has no variable {name}{near}")
    };
    unknown.map(warning).collect()
}

fn declared(kind: ResourceKind, manifest: &Manifest) -> Vec<&str> {
    manifest.of_kind(kind).map(|resource| resource.name.as_str()).collect()
}

/// The number of differences of a similar name: 1 in a short name, or `jobs` would be a misspelt `logs`.
fn misspelt(name: &str) -> usize {
    if name.len() < 6 { 1 } else { 2 }
}

fn nearest<'a>(name: &str, among: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    among.min_by_key(|other| distance(name, other))
}

/// The number of characters to add, remove, replace, or exchange with a neighbour.
fn distance(one: &str, other: &str) -> usize {
    let (one, other) = (one.as_bytes(), other.as_bytes());
    let mut rows: Vec<Vec<usize>> = vec![(0..=other.len()).collect()];
    for (i, a) in one.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, b) in other.iter().enumerate() {
            let mut least = (rows[i][j] + usize::from(a != b)).min(rows[i][j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *a == other[j - 1] && one[i - 1] == *b {
                least = least.min(rows[i - 1][j - 1] + 1);
            }
            row.push(least);
        }
        rows.push(row);
    }
    rows[one.len()][other.len()]
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)] // a test fails by panicking

    use isobar_abstraction::{App, Cloud, ErrorKind};

    use super::*;

    fn unused(vars: &[&str]) -> Result<Vec<String>> {
        let cloud = Cloud::memory();
        cloud.table::<u32>("todos");
        cloud.table::<u32>("logs");
        cloud.topic::<u32>("my-clicks");
        let manifest = App::new("shop").start(&cloud).unwrap();
        let set = |environment: Environment, variable: &&str| match variable.split_once('=') {
            Some((name, value)) => environment.with_var(name, value),
            None => environment.with_var(*variable, "memory://x"),
        };
        unused_variables(&vars.iter().fold(Environment::default(), set), &ResourceKind::OWN, &manifest)
    }

    #[test]
    fn a_variable_similar_to_that_of_a_resource_is_an_error() {
        for (vars, right) in [
            (&["ISOBAR_TABLE_TODO"][..], "ISOBAR_TABLE_TODOS"),
            (&["ISOBAR_TABLE_TOODS"], "ISOBAR_TABLE_TODOS"),
            (&["ISOBAR_TOPIC_MYCLICK"], "ISOBAR_TOPIC_MY_CLICKS"),
            (&["ISOBAR_TABLE_TODO", "ISOBAR_TABLE_LOGS"], "ISOBAR_TABLE_TODOS"),
        ] {
            let error = unused(vars).unwrap_err();
            assert!(error.kind() == ErrorKind::Config && error.message().contains(right), "{error}");
        }
    }

    #[test]
    fn a_variable_that_another_app_may_read_is_a_warning() {
        for (vars, text) in [
            (&["ISOBAR_TABLE_TODO", "ISOBAR_TABLE_TODOS"][..], "`todo`"),
            (&["ISOBAR_TABLE_TODO", "ISOBAR_TABLE_TODOS="], "`todo`"),
            (&["ISOBAR_TABLE_JOBS"], "its tables: `logs`, `todos`"),
            (&["ISOBAR_BUCKET_TODOS"], "its buckets: none"),
            (&["ISOBAR_PROVDER=aws"], "did you mean ISOBAR_PROVIDER?"),
            (&["ISOBAR_DATE=x"], "did you mean ISOBAR_DATA?"),
            (&["ISOBAR_TABEL_TODOS"], "did you mean ISOBAR_TABLE_TODOS?"),
            (&["ISOBAR_SOMETHING_ELSE=1"], "isobar has no variable ISOBAR_SOMETHING_ELSE"),
        ] {
            let warnings = unused(vars).unwrap();
            assert!(warnings.len() == 1 && warnings[0].contains(text), "{vars:?}: {warnings:?}");
        }
    }

    #[test]
    fn used_variables_have_no_warning() {
        let settings = SETTINGS.map(|name| format!("{name}=x"));
        let mut vars: Vec<&str> = settings.iter().map(String::as_str).collect();
        vars.extend(["ISOBAR_TABLE_TODOS", "ISOBAR_TOPIC_MY_CLICKS", "ISOBAR_TABLE_OTHER=", "ISOBAR_X=", "PATH=x"]);
        assert_eq!(unused(&vars).unwrap(), Vec::<String>::new());
    }
}
