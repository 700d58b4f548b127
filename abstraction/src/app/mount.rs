//! Modules: apps inside an app.

use std::sync::Arc;

use http::uri::PathAndQuery;
use http::{Request, Uri};

use super::App;
use super::handler::Handler;
use super::layer::layered;
use super::trigger::{Trigger, below};
use crate::original_uri::OriginalUri;
use crate::{Body, Event};

impl App {
    /// Adds the HTTP routes of another app below `prefix`, and its other triggers.
    ///
    /// The module sees each path without the prefix: with `/admin`, the paths `/admin` and `/admin/` become `/`.
    /// [`OriginalUri`] contains the whole path. The longest matching prefix wins, by whole segments of the path; a path
    /// without a match goes to the app's own [`http`](Self::http). Paths are compared as they are sent, without decoding
    /// `%`. The layers of the module run around its handlers only.
    ///
    /// `prefix` changes no name: modules share topics, buckets, tables, schedules and functions, and two modules may open
    /// the same resource. The name of the module is ignored. A module may mount other modules.
    ///
    /// A prefix must begin with `/` and must not end with it. It must not contain an empty segment, the segments `.`,
    /// `..` and `.isobar`, `{`, `}`, or a query; characters outside of ASCII must be percent-encoded, as in a request. An
    /// empty prefix, or `/`, adds the routes of a module to an app without routes.
    ///
    /// [`start`](Self::start) reports any other prefix, two services at one prefix, and two handlers for one trigger.
    ///
    /// ```
    /// use axum::{Router, routing::get};
    /// use isobar_abstraction::{App, Cloud, OriginalUri, Result, TestClient};
    ///
    /// /// A module: in a file of its own this is `admin::app`.
    /// fn admin(cloud: &Cloud) -> Result<App> {
    ///     let routes = Router::new().route("/users", get(async |OriginalUri(uri)| format!("this is {uri}")));
    ///     Ok(App::new("admin")
    ///         .http(routes)
    ///         .with_state(cloud.table::<i64>("sweeps"))
    ///         .on_schedule("sweep", "0 3 * * *", async |sweeps, _tick, _cx| sweeps.add("all", 1).await.map(drop))
    ///         .build())
    /// }
    ///
    /// fn app(cloud: &Cloud) -> Result<App> {
    ///     Ok(App::new("shop").http(Router::new().route("/", get("the shop"))).mount("/admin", admin(cloud)?))
    /// }
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// let client = TestClient::new(app)?;
    /// assert_eq!(client.get("/").await?.text(), "the shop");
    /// assert_eq!(client.get("/admin/users").await?.text(), "this is /admin/users");
    /// client.tick("sweep").await?;
    /// # Ok::<(), isobar_abstraction::Error>(()) }).unwrap();
    /// ```
    #[must_use]
    pub fn mount(mut self, prefix: impl Into<String>, module: App) -> Self {
        let mut prefix = prefix.into();
        if prefix == "/" {
            prefix.clear();
        }
        if !is_prefix(&prefix) {
            self.problems.push(format!(
                "the prefix `{}` of a module is not a path: begin it with `/`, as in `/admin`, without an empty segment, `.`, \
                 `..`, `.isobar`, `{{}}`, a query, or `/` at its end, and percent-encode characters outside of ASCII",
                prefix.escape_debug()
            ));
        }
        let App { triggers, layers, problems, sources, name: _, limits: _ } = module;
        self.problems.extend(problems);
        self.sources.extend(sources);
        let prefix: Arc<str> = prefix.into();
        for (trigger, handler) in triggers {
            let handler = layered(&layers, handler);
            match trigger {
                Trigger::Http(inner) if !prefix.is_empty() => {
                    let handler = without_prefix(Arc::clone(&prefix), handler);
                    self.handle(Trigger::Http(format!("{prefix}{inner}")), handler);
                }
                trigger => self.handle(trigger, handler),
            }
        }
        self
    }
}

fn is_prefix(prefix: &str) -> bool {
    // A client resolves `.` and `..` before it sends a path, and paths below `/.isobar` belong to the hosts.
    let has_segments = || prefix.split('/').skip(1).all(|segment| !["", ".", "..", ".isobar"].contains(&segment));
    let is_path =
        || prefix.is_ascii() && !prefix.contains(['{', '}', '?', '#']) && prefix.parse::<PathAndQuery>().is_ok();
    prefix.is_empty() || prefix.starts_with('/') && has_segments() && is_path()
}

fn without_prefix(prefix: Arc<str>, handler: Arc<Handler>) -> Arc<Handler> {
    Arc::new(move |event, cx| {
        let event = match event {
            Event::Http(request) => Event::Http(strip(request, &prefix)),
            other => other,
        };
        handler(event, cx)
    })
}

/// Removes the prefix from the path of a request. A request whose path is not below the prefix, because a layer changed
/// it, does not change.
fn strip(mut request: Request<Body>, prefix: &str) -> Request<Body> {
    let stripped = below(request.uri().path(), prefix).and_then(|rest| with_path(request.uri(), rest));
    if let Some(stripped) = stripped {
        let whole = std::mem::replace(request.uri_mut(), stripped);
        request.extensions_mut().get_or_insert_with(|| OriginalUri(whole));
    }
    request
}

fn with_path(uri: &Uri, path: &str) -> Option<Uri> {
    let path = if path.is_empty() { "/" } else { path };
    let target = match uri.query() {
        Some(query) => format!("{path}?{query}").parse(),
        None => path.parse(),
    };
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(target.ok()?);
    Uri::from_parts(parts).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_is_a_path_of_whole_segments() {
        for good in ["", "/a", "/a/b", "/k%C3%A4se", "/.well-known"] {
            assert!(is_prefix(good), "{good:?}");
        }
        for bad in [
            "a",
            "/a/",
            "//",
            "/a//b",
            "//a",
            "/{id}",
            "/a?b",
            "/a#b",
            "/a b",
            "/a\n",
            "http://a/b",
            "/käse",
            "/a/../b",
            "/.",
            "/.isobar/x",
        ] {
            assert!(!is_prefix(bad), "{bad:?}");
        }
    }

    #[test]
    fn a_module_sees_the_path_after_its_prefix_and_the_rest_without_change() {
        for (uri, seen) in [
            ("/a", "/"),
            ("/a/", "/"),
            ("/a?b=/a/c", "/?b=/a/c"),
            ("/a//a/b", "//a/b"),
            ("/a/%2e%2F%C3%A4?", "/%2e%2F%C3%A4?"),
            ("http://host:1/a/b?c", "http://host:1/b?c"),
            ("http://host/a", "http://host/"),
            ("/ab", "/ab"),
            ("*", "*"),
        ] {
            let request = strip(Request::get(uri).body(Body::empty()).unwrap(), "/a");
            assert_eq!(request.uri(), &seen.parse::<Uri>().unwrap(), "{uri}");
            let whole = request.extensions().get::<OriginalUri>();
            assert_eq!(whole.is_some_and(|whole| whole.0 == uri), uri != seen, "{uri}");
        }
    }
}
