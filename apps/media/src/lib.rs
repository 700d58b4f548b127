//! Images and videos: what is put into bucket `media` is labelled by a service, and found by its labels.
//!
//! | event | what it does |
//! |---|---|
//! | bucket `media` | asks the service in the configuration `labeller` for labels, and keeps them |
//! | `GET /` | lists files, by `label`, `media-type` or the start of the name |
//! | `PUT /{name}` | uploads a file |
//! | `POST /upload-url/{name}` | answers a signed URL, for a file that is larger than a request |
//! | `GET /{name}` | what is known of a file |
//! | `GET /{name}/content` | the file |
//!
//! A file is stored in table `media` in several partitions, each time under its name: `all`, `type/{type}`, and
//! `label/{label}` for each label.

use std::time::Duration;

use isobar::axum::{extract::Request, http::header::CONTENT_TYPE};
use isobar::prelude::*;
use isobar::{BoxError, Origin, key_value::Cursor};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

#[derive(Clone)]
struct Media {
    files: Table<File>,
    uploads: Bucket,
    http: reqwest::Client,
    labeller: Config<Labeller>,
}

#[derive(Deserialize)]
struct Labeller {
    url: String,
}

#[derive(Serialize, Deserialize)]
struct File {
    name: String,
    r#type: String,
    labels: Vec<String>,
}

/// The app. Errors: of the HTTP client.
pub fn app(cloud: &Cloud) -> Result<App, BoxError> {
    let http = reqwest::Client::builder().timeout(Duration::from_secs(10)).build()?;
    let media =
        Media { files: cloud.table("media"), uploads: cloud.bucket("media"), http, labeller: cloud.config("labeller") };
    let routes = Router::new()
        .route("/", get(list))
        .route("/upload-url/{name}", post(upload_url))
        .route("/{name}", get(one).put(upload))
        .route("/{name}/content", get(content))
        .with_state(media.clone());
    Ok(App::new("media").http(routes).with_state(media.clone()).on_object(&media.uploads, Media::on_change).build())
}

const ALL: &str = "all";

/// The partitions of a file. `all` is the last one: it is what is read to find the others, also after a crash.
fn places(file: Option<&File>) -> Vec<String> {
    let labels = file.iter().flat_map(|file| &file.labels).map(|label| format!("label/{label}"));
    let rest = file.iter().flat_map(|file| [format!("type/{}", file.r#type), ALL.to_owned()]);
    labels.chain(rest).collect()
}

impl Media {
    /// Events come more than once and in any order, so that what counts is what is there now.
    async fn on_change(self, event: ObjectEvent, _cx: Context) -> Result<(), BoxError> {
        let name = event.key;
        let r#type = match name.rsplit('.').next() {
            Some("jpg" | "png") => "image".to_owned(),
            Some("mp4" | "mov" | "flv") => "video".to_owned(),
            _ => return Ok(()),
        };
        let object = match self.uploads.get(&name).await {
            Err(error) if error.origin() == Origin::Data => return Ok(self.replace(&name, None).await?),
            object => object?.bytes().await?,
        };
        let labeller = self.labeller.get().await?;
        let answer = self.http.post(&labeller.url).query(&[("name", &name)]).body(object).send().await?;
        let file = File { labels: answer.error_for_status()?.json().await?, name, r#type };
        Ok(self.replace(&file.name, Some(&file)).await?)
    }

    /// Partitions are separate: after a crash the event comes again, and ends what was begun.
    async fn replace(&self, name: &str, new: Option<&File>) -> Result<()> {
        let (old, places) = (places(self.files.get((ALL, name)).await?.as_ref()), places(new));
        for gone in old.iter().filter(|place| !places.contains(place)) {
            self.files.delete((gone, name)).await?;
        }
        let Some(file) = new else { return Ok(()) };
        for place in places {
            self.files.put((place, name), file).await?;
        }
        Ok(())
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Filter {
    startswith: Option<String>,
    media_type: Option<String>,
    label: Option<String>,
    after: Option<Cursor>,
    limit: Option<usize>,
}

async fn list(State(app): State<Media>, Query(filter): Query<Filter>) -> Result<Json<Value>, Problem> {
    // One condition chooses the partition and `startswith` the range; what is left is filtered here.
    let by = |index: &str, value: &Option<String>| value.as_ref().map(|value| format!("{index}/{value}"));
    let place = by("label", &filter.label).or_else(|| by("type", &filter.media_type));
    let query = app.files.query(place.unwrap_or_else(|| ALL.to_owned())).prefix(&filter.startswith.unwrap_or_default());
    let page = query.limit(filter.limit.unwrap_or(100).min(1_000)).after(filter.after).page().await?;
    let files = page.items.into_iter().map(|entry| entry.value);
    let files: Vec<_> = files.filter(|file| filter.media_type.as_ref().is_none_or(|is| *is == file.r#type)).collect();
    Ok(Json(json!({ "files": files, "next": page.next })))
}

async fn one(State(app): State<Media>, Path(name): Path<String>) -> Result<Json<File>, Problem> {
    app.files.get((ALL, name)).await?.map(Json).ok_or_else(|| Problem::not_found("no such file"))
}

async fn upload(State(app): State<Media>, Path(name): Path<String>, request: Request) -> Result<StatusCode> {
    let content_type = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let options = blob::PutOptions::default().with_content_type(content_type.unwrap_or("application/octet-stream"));
    app.uploads.put_stream(name, request.into_body().into_data_stream(), options).await?;
    Ok(StatusCode::CREATED)
}

async fn upload_url(State(app): State<Media>, Path(name): Path<String>) -> Result<Json<Value>> {
    let url = app.uploads.signed_put(name, Duration::from_secs(600)).await?;
    Ok(Json(json!({ "url": url.url, "headers": url.headers })))
}

async fn content(State(app): State<Media>, Path(name): Path<String>, request: Request) -> Result<Response> {
    let file = app.uploads.serve(name).request(request.method(), request.headers());
    file.redirect_large(Duration::from_secs(600)).sandboxed().await
}
