//! Notes with a search, a feed, thumbnails and reminders: an app that uses every kind of trigger.
//!
//! | event | what it does |
//! |---|---|
//! | `PUT /notes/{id}`, `DELETE /notes/{id}` | writes or deletes a note, and publishes an [`Activity`] |
//! | `GET /notes?word={word}` | returns the notes that contain a word |
//! | `POST /notes/{id}/remind?in={seconds}` | publishes a message that is delivered later |
//! | `GET /feed/{user}`, `GET /due` | what a user did; the notes that were to be remembered |
//! | `PUT`, `GET`, `DELETE /files/{key}` | uploads, returns and deletes a file |
//! | a write of table `notes` | updates the search index |
//! | topic `activity`, subscription `feed` | adds to the feed of the user |
//! | topic `activity`, subscription `mirror` | forwards to another service, whose `url` is in the configuration `mirror`; without it fails |
//! | topic `reminders` | makes a note due |
//! | a new object `images/*.png` in bucket `files` | makes its thumbnail |
//! | a deleted object `images/*` | deletes its thumbnail |
//! | every 15 minutes | removes what deleted notes left in the index |
//! | a call of `reindex` with an id | updates the search index for a note that is older than the index |

mod index;
mod note;

use std::time::Duration;

use http_body_util::Full;
use hyper_util::client::legacy::{Client, connect::HttpConnector};
use hyper_util::rt::TokioExecutor;
use isobar::Origin;
use isobar::axum::body::Bytes;
use isobar::axum::extract::Request;
use isobar::axum::http::header::CONTENT_TYPE;
use isobar::clock::to_millis;
use isobar::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use index::Index;
pub use note::Note;

/// What a user did.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Activity {
    user: String,
    /// `wrote` or `deleted`.
    did: String,
    /// The id of the note.
    note: String,
}

#[derive(Clone)]
struct Notes {
    notes: Table<Note>,
    index: Index,
    feed: Table<Activity>,
    due: Table<Note>,
    activity: Topic<Activity>,
    reminders: Topic<String>,
    files: Bucket,
    http: Client<HttpConnector, Full<Bytes>>,
    mirror: Config<Mirror>,
}

#[derive(Deserialize)]
struct Mirror {
    url: String,
}

/// The app.
pub fn app(cloud: &Cloud) -> Result<App> {
    let app = Notes {
        notes: cloud.table("notes"),
        index: Index::open(cloud),
        feed: cloud.table("feed"),
        due: cloud.table("due"),
        activity: cloud.topic("activity"),
        reminders: cloud.topic("reminders"),
        files: cloud.bucket("files"),
        http: Client::builder(TokioExecutor::new()).build_http(),
        mirror: cloud.config("mirror").optional(),
    };
    let routes = Router::new()
        .route("/notes", get(search))
        .route("/notes/{id}", put(write).delete(remove))
        .route("/notes/{id}/remind", post(remind))
        .route("/feed/{user}", get(feed))
        .route("/due", get(due))
        .route("/files/{*key}", put(upload).get(download).delete(discard))
        .with_state(app.clone());
    let thumbs = app.files.events("thumbs").with_prefix("images/").with_suffix(".png").created();
    Ok(App::new("notes")
        .http(routes)
        .with_state(app.clone())
        .on_write(&app.notes, async |app, write: WriteEvent, _cx| app.index.refresh(&write.key.partition).await)
        .on_message(app.activity.subscription("feed"), Notes::add_to_feed)
        .on_message(app.activity.subscription("mirror").with_max_attempts(2), Notes::forward)
        .on_message(&app.reminders, Notes::make_due)
        .on_object(thumbs, Notes::make_thumbnail)
        .on_object(app.files.events("gone").with_prefix("images/").deleted(), Notes::delete_thumbnail)
        .on_schedule("purge", every(Duration::from_secs(15 * 60)), async |app, _tick, _cx| app.index.purge().await)
        .on_invoke("reindex", async |app, id: String, _cx| app.index.refresh(&id).await)
        .build())
}

const LONGEST_TEXT: usize = 1_000;
const LONGEST_FEED: usize = 20;
const DAY: Duration = Duration::from_secs(24 * 3_600);

async fn write(
    State(app): State<Notes>,
    Path(id): Path<String>,
    Json(note): Json<Note>,
) -> Result<StatusCode, Problem> {
    if note.user.is_empty() {
        return Err(Problem::bad_request("`user` is empty; it must be the name of the author"));
    }
    if note.text.len() > LONGEST_TEXT {
        return Err(Problem::bad_request(format!("a text has at most {LONGEST_TEXT} bytes")));
    }
    app.notes.put(id.as_str(), &note).await?;
    app.activity.publish(Activity { user: note.user, did: "wrote".to_owned(), note: id }).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// A delete causes no event. The search leaves the note out from now on, and `purge` removes it from the index later.
async fn remove(State(app): State<Notes>, Path(id): Path<String>) -> Result<StatusCode, Problem> {
    let note = app.find(&id).await?;
    app.notes.delete(id.as_str()).await?;
    app.activity.publish(Activity { user: note.user, did: "deleted".to_owned(), note: id }).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Deserialize)]
struct Search {
    word: String,
}

async fn search(State(app): State<Notes>, Query(search): Query<Search>) -> Result<Json<Value>> {
    let found = app.index.find(&search.word).await?.into_iter();
    Ok(Json(found.map(|(id, note)| json!({ "id": id, "user": note.user, "text": note.text })).collect()))
}

#[derive(Deserialize)]
struct Wait {
    r#in: u64,
}

/// A wait of more than 15 minutes is a 400 with the limit, from isobar.
async fn remind(
    State(app): State<Notes>,
    Path(id): Path<String>,
    Query(wait): Query<Wait>,
) -> Result<StatusCode, Problem> {
    app.find(&id).await?;
    app.reminders.publish(Outgoing::new(id).with_delay(Duration::from_secs(wait.r#in))).await?;
    Ok(StatusCode::ACCEPTED)
}

/// Newest first.
async fn feed(State(app): State<Notes>, Path(user): Path<String>) -> Result<Json<Vec<Activity>>> {
    let page = app.feed.query(user).descending().limit(LONGEST_FEED).page().await?;
    Ok(Json(page.items.into_iter().map(|entry| entry.value).collect()))
}

async fn due(State(app): State<Notes>) -> Result<Json<Vec<Note>>> {
    Ok(Json(app.due.query("all").all().await?.into_iter().map(|entry| entry.value).collect()))
}

async fn upload(State(app): State<Notes>, Path(key): Path<String>, request: Request) -> Result<StatusCode> {
    let content_type = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let options = blob::PutOptions::default().with_content_type(content_type.unwrap_or("application/octet-stream"));
    app.files.put_stream(key, request.into_body().into_data_stream(), options).await?;
    Ok(StatusCode::CREATED)
}

async fn download(State(app): State<Notes>, Path(key): Path<String>, request: Request) -> Result<Response> {
    app.files.serve(key).request(request.method(), request.headers()).sandboxed().await
}

async fn discard(State(app): State<Notes>, Path(key): Path<String>) -> Result<StatusCode> {
    app.files.delete(key).await.map(|()| StatusCode::NO_CONTENT)
}

impl Notes {
    async fn find(&self, id: &str) -> Result<Note, Problem> {
        self.notes.get(id).await?.ok_or_else(|| Problem::not_found("no such note"))
    }

    /// A second delivery writes the same key.
    async fn add_to_feed(self, activity: Message<Activity>, _cx: Context) -> Result<()> {
        let (user, time) = (activity.body.user.clone(), to_millis(activity.published_at));
        self.feed.put((&*user, format!("{time:013}/{}", activity.id)), &activity.body).await?;
        let newest = self.feed.query(&*user).descending().limit(LONGEST_FEED);
        let Some(rest) = newest.page().await?.next else { return Ok(()) };
        for old in newest.after(rest).page().await?.items {
            self.feed.delete(old.key).await?;
        }
        Ok(())
    }

    async fn forward(self, activity: Message<Activity>, _cx: Context) -> Result<()> {
        let mirror = self.mirror.get().await?;
        let wrong = |error| Error::config("the `url` of the mirror is not a URL").with_source(error);
        let body = Full::from(serde_json::to_vec(&activity.body)?);
        let request = Request::post(&mirror.url).header(CONTENT_TYPE, "application/json").body(body).map_err(wrong)?;
        let down = |error| Error::unavailable("the mirror cannot be reached").with_source(error);
        match self.http.request(request).await.map_err(down)?.status() {
            status if status.is_success() => Ok(()),
            status => Err(Error::unavailable(format!("the mirror answered {status}"))),
        }
    }

    /// A note that was deleted in the meantime is not due.
    async fn make_due(self, reminder: Message<String>, _cx: Context) -> Result<()> {
        let Some(note) = self.notes.get(&*reminder.body).await? else { return Ok(()) };
        let a_day = key_value::PutOptions::default().with_ttl(DAY);
        self.due.put_with(("all", reminder.body), &note, a_day).await.map(drop)
    }

    /// The thumbnail is no `images/`, so that it is no event of this handler.
    async fn make_thumbnail(self, image: ObjectEvent, _cx: Context) -> Result<()> {
        // An event is about the past: the image may be deleted already.
        let image_bytes = match self.files.get(&image.key).await {
            Err(error) if error.origin() == Origin::Data => return Ok(()),
            object => object?.bytes().await?,
        };
        // Here an app makes the image smaller.
        let thumbnail = image_bytes.slice(..image_bytes.len().min(64));
        let png = blob::PutOptions::default().with_content_type("image/png");
        self.files.put_with(thumbnail_of(&image.key), thumbnail, png).await.map(drop)
    }

    async fn delete_thumbnail(self, image: ObjectEvent, _cx: Context) -> Result<()> {
        match self.files.head(&image.key).await {
            // The image was uploaded again.
            Ok(_) => Ok(()),
            Err(error) if error.origin() == Origin::Data => self.files.delete(thumbnail_of(&image.key)).await,
            Err(error) => Err(error),
        }
    }
}

fn thumbnail_of(image: &str) -> String {
    format!("thumbs/{image}")
}
