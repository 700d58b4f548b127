//! `isobar map`: the services of the platforms, and what an app becomes there.

use std::process::ExitCode;

use clap::Args;
use isobar::driver::{LIMITS, Limits, Place, Profile};
use isobar::manifest::Manifest;
use serde_json::{Map, Value, json};

use crate::failure::Failure;
use crate::output::Output;
use crate::part::Part;
use crate::target::{Deployed, TargetArgs};

/// The tables of services, a part of `mappings.md`.
const SERVICES: &str = include_str!("map/services.md");

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  isobar map\n  isobar map --target azure --stage dev\n  isobar map --services")]
pub(crate) struct MapArgs {
    /// The services of the platforms, also inside of a project
    #[arg(long, conflicts_with_all = ["manifest", "package", "stage", "target"])]
    services: bool,
    #[command(flatten)]
    targets: TargetArgs,
}

pub(crate) fn run(args: &MapArgs, output: &Output) -> Result<ExitCode, Failure> {
    let folder = std::env::current_dir().unwrap_or_default();
    let in_project = folder.ancestors().any(|folder| folder.join("Cargo.toml").is_file());
    if args.services || !(in_project || args.targets.names_app()) {
        return services(output);
    }
    let manifest = args.targets.manifest(output)?;
    let deployed = args.targets.deployed(&manifest.app)?;
    match output.json {
        true => output.document(&document(&manifest, &deployed))?,
        false => print(&manifest, &deployed, output),
    }
    Ok(ExitCode::SUCCESS)
}

/// The tables of a Markdown text: their cells by row, the head first.
fn tables(text: &str) -> Vec<Vec<Vec<String>>> {
    let rows = text.lines().map(|line| line.strip_prefix('|').map(|line| line.trim_end_matches('|')));
    let rows: Vec<Option<&str>> = rows.collect();
    let tables = rows.split(Option::is_none).filter(|table| table.len() > 2);
    let cells = |row: &str| row.split('|').map(|cell| cell.trim().replace('`', "")).collect::<Vec<_>>();
    let is_rule = |row: &&str| row.chars().all(|character| "-|".contains(character));
    tables.map(|table| table.iter().flatten().copied().filter(|row| !is_rule(row)).map(cells).collect()).collect()
}

fn services(output: &Output) -> Result<ExitCode, Failure> {
    let tables = tables(SERVICES);
    if output.json {
        let row = |head: &[String], row: &Vec<String>| -> Map<String, Value> {
            head.iter().cloned().zip(row.iter().map(|cell| cell.as_str().into())).collect()
        };
        let table = |table: &Vec<Vec<String>>| -> Option<Value> {
            let (head, rows) = table.split_first()?;
            Some(rows.iter().map(|cells| row(head, cells)).collect())
        };
        let tables: Vec<_> = tables.iter().filter_map(table).collect();
        output.document(&json!({"services": tables.first(), "corresponding": tables.get(1)}))?;
        return Ok(ExitCode::SUCCESS);
    }
    for (number, table) in tables.iter().enumerate() {
        if number > 0 {
            output.line("\nCorresponding services, for orientation:\n");
        }
        if let Some((head, rows)) = table.split_first() {
            output.grid(&head.iter().map(String::as_str).collect::<Vec<_>>(), rows);
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// What a part of the app becomes: services, each with its names.
fn places(deployed: &Deployed, part: &Part) -> Vec<(String, String)> {
    if let Some(value) = part.resource().filter(|resource| ["secret", "config"].contains(&resource.kind.as_str())) {
        let name = deployed.provider.prefix().get().map(|prefix| format!("{prefix}{}", value.name));
        return vec![named(deployed.secret_service(), name)];
    }
    match deployed.places(&part.manifest) {
        Ok(places) => merged(&places),
        Err(error) => vec![("cannot be".to_owned(), error.message().to_owned())],
    }
}

fn named(service: &str, name: isobar::Result<String>) -> (String, String) {
    match name {
        Ok(name) => (service.to_owned(), name),
        Err(error) => ("cannot be".to_owned(), error.message().to_owned()),
    }
}

/// One row for all resources of a service.
fn merged(places: &[Place]) -> Vec<(String, String)> {
    let mut rows: Vec<(String, String)> = Vec::new();
    for place in places {
        match rows.iter_mut().find(|(service, _)| service == place.service) {
            Some((_, names)) => names.push_str(&format!(", {}", place.name)),
            None => rows.push((place.service.to_owned(), place.name.clone())),
        }
    }
    rows
}

fn print(manifest: &Manifest, deployed: &[Deployed], output: &Output) {
    let mut rows = Vec::new();
    for part in Part::all(manifest) {
        rows.push(vec![part.label.replace('`', "")]);
        for deployed in deployed {
            let mut target = format!("  {}", deployed.target.name());
            for (service, name) in places(deployed, &part) {
                rows.push(vec![std::mem::take(&mut target), service, name]);
            }
        }
    }
    output.grid(&[&manifest.app, "service", "name"], &rows);
    output.line("");
    let profiles: Vec<_> = deployed.iter().map(|deployed| deployed.provider.profile()).collect();
    let head: Vec<_> = ["row", "limit", "portable"].into_iter().chain(profiles.iter().map(|it| it.provider)).collect();
    output.grid(&head, &limits(manifest, &profiles));
}

/// The limits of what the app uses that are higher somewhere than the portable limit, which holds unless the app allows more.
fn limits(manifest: &Manifest, profiles: &[&Profile]) -> Vec<Vec<String>> {
    let has = |kind: &str| manifest.resources.iter().any(|resource| resource.kind == kind);
    let is_used = |name: &str, row: &str| match (row.split_once('-').map(|(part, _)| part), row) {
        (Some("KV"), _) => has("table"),
        (Some("BL"), _) => has("bucket"),
        (Some("PS"), _) => has("topic"),
        (Some("SE"), _) => has("secret") || has("config"),
        (_, "FN-4") => manifest.functions().next().is_some(),
        (_, "FN-6") if name.contains("other") => manifest.triggers.len() > usize::from(manifest.http()),
        _ => manifest.http(),
    };
    let used = LIMITS.iter().filter(|(name, row, _)| is_used(name, row));
    let row = |(name, row, value): &(&str, &str, fn(&Limits) -> String)| {
        let portable = value(&Limits::PORTABLE);
        let values: Vec<_> = profiles.iter().map(|profile| value(&profile.limits)).collect();
        let differs = values.iter().any(|value| *value != portable);
        differs.then(|| [vec![(*row).to_owned(), (*name).to_owned(), portable], values].concat())
    };
    used.filter_map(row).collect()
}

fn document(manifest: &Manifest, deployed: &[Deployed]) -> Value {
    let part = |part: Part| {
        let place = |(service, name): (String, String)| json!({"service": service, "name": name});
        let of = |deployed: &Deployed| places(deployed, &part).into_iter().map(place).collect::<Value>();
        let targets: Map<String, Value> = deployed.iter().map(|it| (it.target.name().to_owned(), of(it))).collect();
        json!({"part": part.label.replace('`', ""), "row": part.row, "places": targets})
    };
    let parts: Vec<Value> = Part::all(manifest).into_iter().map(part).collect();
    let profiles: Vec<_> = deployed.iter().map(|deployed| deployed.provider.profile()).collect();
    let limit = |limit: Vec<String>| {
        let names = ["row", "limit", "portable"].into_iter().chain(profiles.iter().map(|it| it.provider));
        names.map(str::to_owned).zip(limit.into_iter().map(Value::from)).collect::<Map<_, _>>()
    };
    let limits: Vec<_> = limits(manifest, &profiles).into_iter().map(limit).collect();
    json!({"app": manifest.app, "parts": parts, "limits": limits})
}
