//! `isobar check`: what an app declares that a platform cannot honour, or honours in another way than the portable contract.
//!
//! A part of the app is checked alone by what the start of a deployment does, and each pair of triggers together. So every
//! problem is found, with its source, although a start ends with the first one.

mod finding;
mod note;
mod stored;

use std::collections::BTreeMap;
use std::process::ExitCode;

use clap::Args;
use isobar::Error;
use isobar::manifest::Manifest;
use serde_json::json;

use crate::failure::Failure;
use crate::output::Output;
use crate::part::Part;
use crate::target::{Deployed, Target, TargetArgs};
use finding::{Finding, Level};

#[derive(Debug, Args)]
#[command(
    after_help = "A URL in ISOBAR_TABLE_NAME, ISOBAR_BUCKET_NAME or ISOBAR_TOPIC_NAME places a resource on the platform \
                        of its scheme, and ISOBAR_PREFIX is used, as in a deployment. Nothing is called. The data of this machine \
                        are compared with the limits of the platforms, and not changed.\n\
                        KV-18 and similar names are rows of mappings.md: the guarantee, and how each platform keeps it.\n\
                        Exit codes: 0 no errors, 1 errors.\n\n\
                        Examples:\n  isobar check\n  isobar check --target aws --stage prod\n  isobar check --json | jq '.findings[].row'"
)]
pub(crate) struct CheckArgs {
    #[command(flatten)]
    targets: TargetArgs,
}

pub(crate) fn run(args: &CheckArgs, output: &Output) -> Result<ExitCode, Failure> {
    let manifest = args.targets.manifest(output)?;
    let deployed = args.targets.deployed(&manifest.app)?;
    let findings: Vec<Finding> = deployed.iter().flat_map(|deployed| findings(&manifest, deployed)).collect();
    let stored = stored::findings(&deployed, &args.targets.local()?);
    let findings = finding::grouped(findings.into_iter().chain(stored));
    let targets: Vec<_> = deployed.iter().map(|deployed| deployed.target.name()).collect();
    if output.json {
        let stage = &args.targets.stage;
        output.document(&json!({"app": manifest.app, "stage": stage, "targets": targets, "findings": findings}))?;
    } else {
        let (errors, notes) = finding::print(&findings, output);
        let (app, targets) = (&manifest.app, targets.join(", "));
        let count = |number: usize, what: &str| format!("{number} {what}{}", if number == 1 { "" } else { "s" });
        output.step("Checked", &format!("{app} for {targets}: {}, {}", count(errors, "error"), count(notes, "note")));
    }
    let has_error = findings.iter().any(|finding| finding.level == Level::Error);
    Ok(if has_error { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Ends a command, after the report, if a platform cannot honour what the app declares.
pub(crate) fn refuse(manifest: &Manifest, deployed: &Deployed, output: &Output) -> Result<(), Failure> {
    let errors: Vec<Finding> =
        findings(manifest, deployed).into_iter().filter(|finding| finding.level == Level::Error).collect();
    if errors.is_empty() {
        return Ok(());
    }
    finding::print(&finding::grouped(errors.into_iter()), output);
    Err(Failure::new(format!("{} cannot be on {}", manifest.app, deployed.target.name()))
        .hint("correct the errors above; `isobar check` prints notes too"))
}

/// All findings of one platform.
fn findings(manifest: &Manifest, deployed: &Deployed) -> Vec<Finding> {
    if let Err(error) = deployed.provider.prefix().get() {
        return vec![Finding::error(deployed, "the app", "FN-7", &error)];
    }
    let parts = Part::all(manifest);
    let mut found: Vec<Finding> = Vec::new();
    let (mut good, mut of_resources) = (Vec::new(), Vec::new());
    for part in &parts {
        let finding = match check(deployed, part) {
            Ok(()) => {
                good.push(part);
                continue;
            }
            Err(error) => Finding::error(deployed, &part.label, row_of(part, &error), &error),
        };
        // The triggers of a resource whose name is wrong have the same error.
        match part.resource() {
            Some(_) => of_resources.push(finding.what.clone()),
            None if of_resources.contains(&finding.what) => continue,
            None => {}
        }
        found.push(finding);
    }
    found.extend(collisions(deployed, &good));
    found.extend(shared_names(deployed, &good));
    found.extend(parts.iter().filter(|part| !part.is_known()).map(|part| note::unknown(deployed, part)));
    found.extend(note::all(manifest, deployed, &good));
    found.extend(note::of_permissions(deployed, &manifest.app, &good));
    found.extend(note::of_name(manifest, deployed));
    found
}

/// Checks a part as the start of a deployment does, and that a deployment of it can be made. Errors: `Config`.
fn check(deployed: &Deployed, part: &Part) -> Result<(), Error> {
    if !part.is_known() {
        return Ok(());
    }
    deployed.start(&part.manifest)?;
    deployed.provider.check(&part.manifest)?;
    deployed.places(&part.manifest).map(drop)
}

/// The row of an error: a value that is missing and one with a wrong name have different rows.
fn row_of(part: &Part, error: &Error) -> &'static str {
    match part.row {
        "SE-3" if !error.message().contains("no value") => "SE-5",
        row => row,
    }
}

/// Pairs of triggers that would share a queue.
fn collisions(deployed: &Deployed, parts: &[&Part]) -> Vec<Finding> {
    let mut found = Vec::new();
    for (place, part) in parts.iter().enumerate().filter(|(_, part)| part.resource().is_none()) {
        for other in parts.iter().skip(place + 1) {
            if let Err(error) = deployed.provider.check(&part.with(other)) {
                found.push(Finding::error(deployed, &format!("{}, {}", part.label, other.label), part.row, &error));
            }
        }
    }
    found
}

/// Resources of the app that would be one resource of the platform.
fn shared_names(deployed: &Deployed, parts: &[&Part]) -> Vec<Finding> {
    let (mut found, mut owners) = (Vec::new(), BTreeMap::new());
    for part in parts.iter().filter(|part| part.resource().is_some()) {
        for place in deployed.places(&part.manifest).unwrap_or_default() {
            if let Some(other) = owners.insert((place.service, place.name.clone()), &part.label) {
                let error = Error::config(format!(
                    "both are the {} `{}`: give one of them a URL with another name",
                    place.service, place.name
                ));
                found.push(Finding::error(deployed, &format!("{other}, {}", part.label), part.row, &error));
            }
        }
    }
    found
}
