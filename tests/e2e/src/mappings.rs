//! `mappings.md`, generated from the rows, the profiles and the trials.

use isobar::driver::{LIMITS, Profile, duration};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use crate::backends::{aws, azure, gcp};
use isobar_conformance::rows::ROWS;
use isobar_conformance::{Gap, Trial, trials};

/// The introduction.
const HEAD: &str = include_str!("mappings_head.md");

/// The maps of services, which `isobar map` prints too.
const SERVICES: &str = include_str!("../../../cli/src/map/services.md");

/// The whole document, for these profiles in this order.
pub fn document(profiles: &[&Profile]) -> String {
    let mut text = [HEAD, SERVICES].concat();
    limits(&mut text, profiles);
    guarantees(&mut text, profiles);
    gaps(&mut text);
    text
}

/// The services on which the trials of a cloud run, with their gaps.
const EMULATORS: &[(&str, &[Gap])] = &[
    ("moto", aws::gaps::MOTO),
    ("ministack", aws::gaps::MINISTACK),
    ("Azurite", azure::gaps::AZURITE),
    ("Cosmos DB", azure::gaps::COSMOS),
    ("Google's emulators", gcp::gaps::EMULATORS),
];

fn gaps(text: &mut String) {
    text.push_str(
        "\n## What the emulators do not show\n\n\
         The trials of AWS run on moto and on ministack. Those of Azure run twice: on Azurite alone (Table Storage, Blob Storage,\n\
         Storage Queues), and as `Cosmos DB` on the emulator in Microsoft's own crate, with blobs on Azurite and **isobar's double\n\
         of Service Bus**, which has no emulator without a licence; those of key-value also on a lagging region of that emulator.\n\
         Those of Google Cloud run on Google's own emulators of Firestore and Pub/Sub, and on fake-gcs-server behind a proxy in\n\
         which **isobar checks signatures, and the condition of a copy**. **Key Vault and Secret Manager are doubles**; Parameter\n\
         Store and Secrets Manager are those of the emulators. Doubles of isobar also call the app in place of Lambda,\n\
         the Functions host or Pub/Sub, and create Azure's events of blobs. DynamoDB Streams are those of the emulators. **No\n\
         emulator has the Cosmos DB trigger or Eventarc**: doubles of isobar read the changed documents, and call the app with the\n\
         recorded form of an event. End to end, the apps' binaries run in ministack's Lambda, under **isobar's double of the\n\
         Functions host**, and as a service to which Google's emulator pushes.\n\n\
         A trial that an emulator cannot pass is ignored there, with the reason. A trial that is ignored on all emulators of a\n\
         cloud is checked on no service of that cloud.\n\n| row | trial | ignored on | reason |\n|---|---|---|---|\n",
    );
    for trial in trials::all() {
        let ignored = EMULATORS
            .iter()
            .filter_map(|(name, gaps)| gaps.iter().find(|gap| gap.covers(&trial)).map(|gap| (*name, gap.reason)));
        let (names, reasons): (Vec<_>, BTreeSet<_>) = ignored.unzip();
        if !names.is_empty() {
            let reasons: Vec<_> = reasons.into_iter().collect();
            let trial_name = trial.name.replace('_', " ");
            let _ = writeln!(text, "| {} | {trial_name} | {} | {} |", trial.row, names.join(", "), reasons.join("; "));
        }
    }
}

fn table_head(text: &mut String, first: &str, profiles: &[&Profile], last: &[&str]) {
    let names = profiles.iter().map(|profile| profile.provider).chain(last.iter().copied());
    let names: Vec<_> = names.collect();
    let _ = writeln!(text, "| {first} | {} |", names.join(" | "));
    let columns = first.split(" | ").count() + names.len();
    let _ = writeln!(text, "|{}", "---|".repeat(columns));
}

fn limits(text: &mut String, profiles: &[&Profile]) {
    text.push_str(
        "\n## Limits\n\nIn bytes unless a unit is stated. The portable types enforce the column `portable` on every provider;\n\
         `Cloud::allow_provider_limits` allows the limits of the provider.\n\n",
    );
    let portable = Profile::portable("portable");
    let columns: Vec<&Profile> = std::iter::once(&portable).chain(profiles.iter().copied()).collect();
    table_head(text, "row | limit", &columns, &["checked by"]);
    for (number, (name, row, value)) in (1..).zip(LIMITS) {
        let values: Vec<_> = columns.iter().map(|profile| value(&profile.limits)).collect();
        let _ = writeln!(text, "| LI-{number} | {name} | {} | {row} |", values.join(" | "));
    }
    let lag: Vec<_> = columns.iter().map(|profile| duration(profile.ttl_lag)).collect();
    let number = LIMITS.len() + 1;
    let _ = writeln!(
        text,
        "| LI-{number} | an expired item may stay in the store, invisible, for | {} | KV-16 |",
        lag.join(" | ")
    );
    let loose: Vec<_> = columns.iter().map(|profile| if profile.loose_delivery { "yes" } else { "no" }).collect();
    let _ = writeln!(
        text,
        "| LI-{} | a message may arrive twice, and one without an ordering key in any order, although no process ended | {} | PS-1 |",
        number + 1,
        loose.join(" | ")
    );
}

fn guarantees(text: &mut String, profiles: &[&Profile]) {
    text.push_str(
        "\n## Guarantees\n\nThe column of a provider explains how it keeps the guarantee; an empty cell means that it needs no\n\
         explanation. The trials are functions under `tests/conformance/src/trials/`.\n\n",
    );
    table_head(text, "row | guarantee", profiles, &["trials"]);
    let mut by_row: BTreeMap<&str, Vec<Trial>> = BTreeMap::new();
    trials::all().into_iter().for_each(|trial| by_row.entry(trial.row).or_default().push(trial));
    for row in ROWS {
        let note = |profile: &&Profile| profile.notes.iter().find(|(id, _)| *id == row.id).map_or("", |(_, note)| note);
        let notes: Vec<_> = profiles.iter().map(note).collect();
        let trials = by_row.get(row.id).map_or(0, Vec::len);
        let _ = writeln!(text, "| {} | {} | {} | {trials} |", row.id, row.guarantee, notes.join(" | "));
    }
}
