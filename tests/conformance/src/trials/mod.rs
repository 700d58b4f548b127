//! The trials, by trait.

// An unwrap or an assertion that panics fails its trial.
#![allow(clippy::expect_used)]

pub mod blob;
pub mod function;
pub mod key_value;
pub mod once;
pub mod pub_sub;
pub mod secret;

use isobar::key_value::Version;
use isobar::{Cloud, Error, ErrorKind, IntoApp};

use crate::{Lacks, Provided, Trial, World};

/// All trials.
pub fn all() -> Vec<Trial> {
    [key_value::all(), blob::all(), pub_sub::all(), function::all(), once::all(), secret::all()].concat()
}

/// An error and its sources in one line.
pub(crate) fn full_text(error: &Error) -> String {
    format!("{error:?}")
}

/// Texts that are no logical names.
pub(crate) const BAD_NAMES: [&str; 9] = ["", "ab", "Links", "1st", "a_b", "a.b", "käse", "a/../b", "-abc"];

/// Starts an app that must not start, and returns its error.
pub(crate) async fn start_error<A: IntoApp>(
    world: &dyn World,
    app: impl FnOnce(&Cloud) -> A + Send + 'static,
) -> Result<String, Lacks> {
    let error = world.run(app).await.provided()?.err().expect("it started");
    assert_eq!(error.kind(), ErrorKind::Config, "{error:?}");
    Ok(full_text(&error))
}

/// Texts that no write gave for a version; some of them hold the current one, as a header might.
pub(crate) fn hostile_versions(current: &Version) -> Vec<Version> {
    let current = current.as_str();
    let bare = current.trim_matches('"');
    let around = [
        format!("{current}, {current}"),
        format!("\"x\",{current}"),
        format!("{current},*"),
        format!("*, {current}"),
        format!("{current} x"),
        format!("{current}\r\nx-injected: 1"),
        format!("x{current}"),
        format!("W/{current}"),
        if bare == current { format!("\"{current}\"") } else { bare.to_owned() },
        bare.repeat(3_000),
        format!("\"{}\"", "0".repeat(1 << 20)),
    ];
    let fixed = [
        "",
        " ",
        "*",
        "\"*\"",
        "\"\"",
        "\"",
        "0",
        "-1",
        "1e3",
        "+1",
        "01",
        "\"0\"",
        "W/\"0\"",
        "W/\"*\"",
        "null",
        "undefined",
        "unversioned",
        "a b",
        "- 7",
        "\n",
        "\0",
        "\r\n\r\n",
        "\u{fc}",
        "\u{fffd}",
        "99999999999999999999",
        "9223372036854775807",
        "a'b\"",
        "' or 1 eq 1 or '",
        "2026-01-01T00:00:00Z",
        "2026-01-01T00:00:60.000001Z.0",
        "@",
        "@@",
        "x@1",
        "%00",
        "{}",
        "</ETag>",
    ];
    fixed.into_iter().map(Version::new).chain(around.map(Version::new)).collect()
}
