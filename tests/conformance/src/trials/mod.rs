//! The trials, by trait.

pub mod blob;
pub mod function;
pub mod key_value;
pub mod pub_sub;

use isobar::key_value::Version;

use crate::Trial;

/// All trials.
pub fn all() -> Vec<Trial> {
    [key_value::all(), blob::all(), pub_sub::all(), function::all()].concat()
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
