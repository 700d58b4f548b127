//! A URL shortener: an HTTP API, a counter that a topic feeds, and a page that is made every night.
//!
//! | event | what it does |
//! |---|---|
//! | `POST /` | makes a link |
//! | `GET /{id}` | publishes a [`Click`] on topic `clicks`, then redirects to its URL |
//! | `GET /{id}/stats` | returns how often it was followed |
//! | `GET /index.html` | shows the newest links, as of the last sweep |
//! | topic `clicks` | counts |
//! | schedule `sweep` | writes `index.html` to bucket `pages` |
//! | function `stats` | returns the clicks of one link, or of all |

mod links;
mod page;
mod target;

use std::num::NonZeroU32;
use std::time::Duration;

use isobar::Origin;
use isobar::axum::body::Bytes;
use isobar::axum::http::header::{CONTENT_TYPE, HOST};
use isobar::axum::http::uri::Authority;
use isobar::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::json;

use links::{Link, Links};

/// A click on a link.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Click {
    /// The link's id.
    pub id: String,
}

#[derive(Clone)]
struct Shortener {
    links: Links,
    clicks: Topic<Click>,
    pages: Bucket,
}

/// The app.
pub fn app(cloud: &Cloud) -> Result<App> {
    let app = Shortener { links: Links::open(cloud), clicks: cloud.topic("clicks"), pages: cloud.bucket("pages") };
    let routes = Router::new()
        .route("/", post(shorten))
        .route("/index.html", get(index))
        .route("/{id}", get(follow))
        .route("/{id}/stats", get(link_stats))
        .with_state(app.clone());
    Ok(App::new("shortener")
        .http(routes)
        .with_state(app.clone())
        .on_message(&app.clicks, Shortener::count)
        .on_schedule("sweep", "0 3 * * *", Shortener::sweep)
        .on_invoke("stats", Shortener::stats)
        .build())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wish {
    url: String,
    ttl_seconds: Option<NonZeroU32>,
}

async fn shorten(
    State(app): State<Shortener>,
    cx: Context,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response> {
    // serde's own message names the field, the line and the column.
    let wish: Wish = serde_json::from_slice(&body).map_err(|error| Error::invalid_input(error.to_string()))?;
    target::check(&wish.url)?;
    let ttl = wish.ttl_seconds.map(|seconds| Duration::from_secs(seconds.get().into()));
    let link = Link { url: wish.url };
    let id = app.links.create(&link, ttl, cx.now()).await?;
    let made = json!({ "id": id, "url": link.url, "short": format!("{}/{id}", origin(&headers, &uri)) });
    Ok((StatusCode::CREATED, Json(made)).into_response())
}

async fn follow(State(app): State<Shortener>, Path(id): Path<String>) -> Result<Response> {
    let link = app.links.find(&id).await?.ok_or_else(unknown_link)?;
    // The redirect says that the click is counted: where it cannot be kept, the visitor gets the error, mostly a
    // 503, and tries again.
    app.clicks.publish(Click { id }).await?;
    Ok(Redirect::temporary(&link.url).into_response())
}

async fn link_stats(State(app): State<Shortener>, Path(id): Path<String>) -> Result<Json<Stats>> {
    let clicks = app.links.clicks(&id).await?.ok_or_else(unknown_link)?;
    Ok(Json(Stats { clicks }))
}

/// What the function `stats` is asked: about one link, or about all.
#[derive(Deserialize)]
struct Question {
    id: Option<String>,
}

#[derive(Serialize)]
struct Stats {
    clicks: i64,
}

impl Shortener {
    async fn count(self, click: Message<Click>, _cx: Context) -> Result<()> {
        self.links.count(&click.body.id, click.id.as_str()).await
    }

    async fn sweep(self, _tick: Tick, _cx: Context) -> Result<()> {
        let newest = self.links.newest(page::LENGTH).await?;
        let html = blob::PutOptions::default().with_content_type("text/html");
        self.pages.put_with("index.html", page::render(&newest), html).await?;
        Ok(())
    }

    async fn stats(self, question: Option<Question>, _cx: Context) -> Result<Stats> {
        let clicks = match question.and_then(|question| question.id) {
            None => self.links.all_clicks().await?,
            Some(id) => {
                let unknown = || Error::not_found(format!("no link has the id `{}`", id.escape_debug()));
                self.links.clicks(&id).await?.ok_or_else(unknown)?
            }
        };
        Ok(Stats { clicks })
    }
}

async fn index(State(app): State<Shortener>) -> Result<Response> {
    let page = app.pages.get("index.html").await.map_err(|error| match error.origin() {
        Origin::Data => {
            Error::not_found("there is no index yet; the schedule `sweep` writes it every night at 03:00 UTC")
        }
        _ => error,
    })?;
    let content_type = page.content_type.clone().unwrap_or_default();
    Ok(([(CONTENT_TYPE, content_type)], page.into_body()).into_response())
}

fn unknown_link() -> Error {
    Error::not_found("no such link; it may have expired")
}

/// Where the client reached this app, such as `https://sho.rt`.
fn origin(headers: &HeaderMap, uri: &Uri) -> String {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    // Behind a gateway the connection is plain although the client's is not.
    let secure = text("x-forwarded-proto").is_some_and(|scheme| scheme.starts_with("https"));
    let scheme = if secure { "https" } else { "http" };
    let host = text(HOST.as_str()).and_then(|host| host.parse::<Authority>().ok());
    // HTTP/2 has the host in the URI.
    match host.as_ref().or(uri.authority()) {
        Some(host) => format!("{scheme}://{host}"),
        None => format!("{scheme}://localhost"),
    }
}
