//! The files of the dashboard, which are compiled in.

use axum::extract::Path;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE};

/// Scripts, styles and calls of this server only; nothing inline, and no page around this one.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; \
                      frame-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";

/// Name, type and content of each file.
const FILES: &[(&str, &str, &str)] = &[
    ("api.js", SCRIPT, include_str!("../dashboard/api.js")),
    ("app.js", SCRIPT, include_str!("../dashboard/app.js")),
    ("buckets.js", SCRIPT, include_str!("../dashboard/buckets.js")),
    ("dom.js", SCRIPT, include_str!("../dashboard/dom.js")),
    ("icon.svg", SVG, include_str!("../dashboard/icon.svg")),
    ("index.html", HTML, include_str!("../dashboard/index.html")),
    ("overview.js", SCRIPT, include_str!("../dashboard/overview.js")),
    ("parts.js", SCRIPT, include_str!("../dashboard/parts.js")),
    ("requests.js", SCRIPT, include_str!("../dashboard/requests.js")),
    ("settings.js", SCRIPT, include_str!("../dashboard/settings.js")),
    ("style.css", CSS, include_str!("../dashboard/style.css")),
    ("tables.js", SCRIPT, include_str!("../dashboard/tables.js")),
    ("topics.js", SCRIPT, include_str!("../dashboard/topics.js")),
    ("triggers.js", SCRIPT, include_str!("../dashboard/triggers.js")),
];

pub(super) fn page() -> Response {
    respond("index.html")
}

pub(super) async fn file(Path(name): Path<String>) -> Response {
    respond(&name)
}

fn respond(name: &str) -> Response {
    match FILES.iter().find(|(known, ..)| *known == name) {
        Some((_, kind, content)) => {
            ([(CONTENT_TYPE, *kind), (CONTENT_SECURITY_POLICY, POLICY)], *content).into_response()
        }
        None => (StatusCode::NOT_FOUND, "no such endpoint; GET / lists them\n").into_response(),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn all_files_are_served_and_are_small_together() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/host/dashboard");
        let mut names: Vec<_> =
            folder.read_dir().unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort_unstable();
        let mut known: Vec<_> = FILES.iter().map(|(name, ..)| (*name).to_owned()).collect();
        known.sort_unstable();
        assert_eq!(names, known);
        let size: usize = FILES.iter().map(|(.., content)| content.len()).sum();
        assert!(size < 72_000, "{size} bytes");
    }
}
