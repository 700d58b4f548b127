//! The app of the trials of `isobar dev`.

use futures_util::stream;
use isobar::axum::body::{Body, Bytes};
use isobar::prelude::*;
use tokio::sync::Semaphore;

const BUILD: u64 = 0;

/// Contains a permit once the last part of the stream may be sent.
static LAST: Semaphore = Semaphore::const_new(0);

/// The app.
pub fn app(cloud: &Cloud) -> App {
    let (counts, uploads, mail) = (cloud.table::<u64>("counts"), cloud.bucket("uploads"), cloud.topic::<String>("mail"));
    let token = cloud.secret("token");
    let routes = Router::new()
        .route("/", get(async || BUILD.to_string()))
        .route("/body", post(async |body: Bytes| body))
        .route("/exit", get(async || -> () { std::process::exit(3) }))
        .route("/headers", get(headers))
        .route("/last", get(async || LAST.add_permits(1)))
        .route("/stream", get(parts))
        .route("/token", get(async move || -> Result<String, Problem> { Ok(token.get().await?.reveal().to_owned()) }));
    App::new(env!("CARGO_PKG_NAME"))
        .http(routes)
        .on_invoke("count", move |by: u64, _: Context| {
            let counts = counts.clone();
            async move {
                let count = counts.get("all").await?.unwrap_or_default() + by;
                counts.put("all", &count).await.map(|_| count)
            }
        })
        .on_message(&mail, async |mail: Message<String>, _: Context| Outcome::reject(mail.body))
        .on_object(uploads.events("all"), async |event: ObjectEvent, _: Context| eprintln!("object {}", event.key))
        .on_schedule("report", "0 3 * * *", async |_: Tick, _: Context| eprintln!("the report"))
}

async fn headers(headers: HeaderMap) -> String {
    headers.iter().map(|(name, value)| format!("{name}: {}\n", value.to_str().unwrap_or_default())).collect()
}

async fn parts() -> Body {
    Body::from_stream(stream::unfold(0, async |part| {
        let text = match part {
            0 => "first\n",
            1 => {
                LAST.acquire().await.ok()?.forget();
                "last\n"
            }
            _ => return None,
        };
        Some((Ok::<_, Error>(Bytes::from(text)), part + 1))
    }))
}
