//! `mappings.md` agrees with the code, and every row has a trial.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a test fails by panicking

use std::collections::BTreeSet;
use std::path::Path;

use isobar::driver::Profile;
use isobar_conformance::rows::{ROWS, find};
use isobar_conformance::trials;
use isobar_e2e::backends::{aws, azure, gcp};
use isobar_e2e::{mappings, permissions};

fn profiles() -> [&'static Profile; 5] {
    [
        &isobar::memory::PROFILE,
        &isobar::local::profile::PROFILE,
        &isobar_aws::profile::PROFILE,
        &isobar_azure::profile::PROFILE,
        &isobar_gcp::profile::PROFILE,
    ]
}

#[test]
fn every_row_has_a_trial_and_every_trial_a_row() {
    let tried: BTreeSet<&str> = trials::all().iter().map(|trial| trial.row).collect();
    let without_trial: Vec<_> = ROWS.iter().filter(|row| !tried.contains(row.id)).collect();
    assert!(without_trial.is_empty(), "rows without a trial: {without_trial:?}");
    let without_row: Vec<_> = trials::all().into_iter().filter(|trial| find(trial.row).is_none()).collect();
    assert!(without_row.is_empty(), "trials without a row: {without_row:?}");
    let ids: BTreeSet<&str> = ROWS.iter().map(|row| row.id).collect();
    assert_eq!(ids.len(), ROWS.len(), "two rows have the same id");
}

#[test]
fn the_names_of_trials_are_unique() {
    let mut names = BTreeSet::new();
    for trial in trials::all() {
        assert!(names.insert(trial.name), "two trials are named {}", trial.name);
    }
}

/// Each double runs a trial that no emulator runs; a double that does not must be removed.
#[test]
fn every_double_runs_a_trial_that_only_it_can() {
    let sources = [
        "azure_interop/main.rs",
        "azure_end_to_end.rs",
        "gcp_interop/main.rs",
        "../../../adapters/gcp/src/blob/tests.rs",
    ];
    let checks = sources
        .map(|file| std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("targets").join(file)).unwrap());
    let clouds = [
        (aws::DOUBLES, aws::gaps::MINISTACK),
        (azure::DOUBLES, azure::gaps::COSMOS),
        (gcp::DOUBLES, gcp::gaps::EMULATORS),
    ];
    for (double, gaps) in clouds.into_iter().flat_map(|(doubles, gaps)| doubles.iter().map(move |it| (it, gaps))) {
        assert!(!double.only.is_empty(), "{double:?}");
        for only in double.only {
            let all = trials::all().into_iter();
            let ran = all.filter(|it| [it.name, it.row].contains(only) && !gaps.iter().any(|gap| gap.covers(it)));
            let names = [format!("(\"{only}\""), format!("fn {only}()")];
            let checked = checks.iter().any(|source| names.iter().any(|name| source.contains(name)));
            assert!(ran.count() > 0 || checked, "{}: nothing runs {only}", double.name);
        }
    }
}

/// A storage account alone has no ordered messages; Service Bus has.
#[test]
fn storage_queues_run_no_trial_of_order() {
    let ordered = trials::all().into_iter().filter(|trial| trial.row == "PS-7");
    assert!(ordered.into_iter().all(|it| azure::gaps::AZURITE.iter().any(|gap| gap.covers(&it))));
}

#[test]
fn notes_of_profiles_name_rows_that_exist() {
    for profile in profiles() {
        for (row, note) in profile.notes {
            assert!(find(row).is_some(), "{}: {row} ({note})", profile.provider);
        }
    }
}

#[test]
fn the_portable_limits_are_within_those_of_every_provider() {
    let portable = isobar::driver::Limits::PORTABLE;
    for profile in profiles() {
        let (name, limits) = (profile.provider, &profile.limits);
        for (what, portable, own) in [
            ("partition", portable.partition_bytes, limits.partition_bytes),
            ("sort", portable.sort_bytes, limits.sort_bytes),
            ("item", portable.item_bytes, limits.item_bytes),
            ("writes", portable.transaction_writes, limits.transaction_writes),
            ("transaction", portable.transaction_bytes, limits.transaction_bytes),
            ("counter", portable.counter_max_abs.unsigned_abs(), limits.counter_max_abs.unsigned_abs()),
            ("message", portable.message_bytes, limits.message_bytes),
            ("attributes", portable.message_attributes, limits.message_attributes),
            ("ordering key", portable.ordering_key_bytes, limits.ordering_key_bytes),
            ("object key", portable.object_key_bytes, limits.object_key_bytes),
            ("metadata", portable.metadata_bytes, limits.metadata_bytes),
            ("request headers", portable.request_headers, limits.request_headers),
            ("request head", portable.request_head_bytes, limits.request_head_bytes),
            ("request", portable.request_bytes, limits.request_bytes),
            ("response", portable.response_bytes, limits.response_bytes),
            ("http", portable.http_timeout.as_secs(), limits.http_timeout.as_secs()),
            ("event", portable.event_timeout.as_secs(), limits.event_timeout.as_secs()),
        ] {
            assert!(portable <= own, "the limit of {name} is below the portable one: {what} {own} < {portable}");
        }
    }
}

/// Compares a file of the repository with its expected text, or writes it.
fn is_up_to_date(file: &str, expected: impl Fn(&str) -> String) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(file);
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    let expected = expected(&found);
    if std::env::var_os("ISOBAR_BLESS").is_some() {
        std::fs::write(&path, &expected).unwrap();
    } else {
        assert!(found == expected, "{file} is not up to date: run ISOBAR_BLESS=1 cargo test --test mappings");
    }
}

#[test]
fn the_file_is_up_to_date() {
    is_up_to_date("mappings.md", |_| mappings::document(&profiles()));
}

#[test]
fn the_tables_of_permissions_are_up_to_date() {
    for (adapter, grants, rows) in [
        ("aws", "actions", isobar_aws::PERMISSION_ROWS),
        ("azure", "roles", isobar_azure::PERMISSION_ROWS),
        ("gcp", "roles", isobar_gcp::PERMISSION_ROWS),
    ] {
        let with_table =
            |readme: &str| permissions::with_table(readme, grants, rows).expect("the lines around the table");
        is_up_to_date(&format!("adapters/{adapter}/README.md"), with_table);
    }
}
