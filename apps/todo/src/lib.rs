//! A TODO list: users log in for a token, and keep items of their own.
//!
//! | event | what it does |
//! |---|---|
//! | function `add-user` | adds a user with a password |
//! | `POST /login` | answers a token that is good for an hour |
//! | `GET /todos` | lists the caller's items, by pages, of one state where asked |
//! | `POST /todos` | adds an item |
//! | `GET`, `PUT /todos/{uid}` | shows, changes an item; an absent one is 404 |
//! | `DELETE /todos/{uid}` | deletes an item; an absent one is 204 too |
//!
//! The secret `auth-key` signs the tokens: 32 bytes or more.

mod auth;

use isobar::axum::{extract::FromRequestParts, http::request::Parts};
use isobar::prelude::*;
use isobar::{clock::to_millis, key_value::Cursor};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tower_http::{cors::CorsLayer, trace::TraceLayer};

use auth::Auth;

#[derive(Clone)]
struct Todos {
    items: Table<Todo>,
    auth: Auth,
}

/// The app.
pub fn app(cloud: &Cloud) -> App {
    let auth = Auth { users: cloud.table("users"), key: cloud.secret("auth-key") };
    let todos = Todos { items: cloud.table("todos"), auth: auth.clone() };
    let routes = Router::new()
        .route("/todos", get(list).post(create))
        .route("/todos/{uid}", get(get_one).put(update).delete(delete_one))
        .with_state(todos)
        .route("/login", post(auth::login))
        .with_state(auth.clone())
        .layer(CorsLayer::permissive())
        .layer(TraceLayer::new_for_http());
    App::new("todo").http(routes).with_state(auth).on_invoke("add-user", Auth::add_user).build()
}

#[derive(Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Progress {
    Unstarted,
    Started,
    Completed,
}

#[derive(Serialize, Deserialize)]
struct Todo {
    uid: String,
    description: String,
    state: Progress,
    metadata: Value,
}

/// The caller's own items: partition `owner` of the table.
struct Mine {
    items: Table<Todo>,
    owner: String,
}

impl FromRequestParts<Todos> for Mine {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &Todos) -> Result<Self, Problem> {
        let cx = Context::from_request_parts(parts, app).await?;
        Ok(Self { items: app.items.clone(), owner: app.auth.caller(&parts.headers, &cx).await? })
    }
}

#[derive(Deserialize)]
struct Filter {
    limit: Option<usize>,
    after: Option<Cursor>,
    state: Option<Progress>,
}

async fn list(mine: Mine, Query(filter): Query<Filter>) -> Result<Json<Value>, Problem> {
    let query = mine.items.query(mine.owner).limit(filter.limit.unwrap_or(50).min(100)).after(filter.after);
    let page = query.page().await?;
    // A table does not filter by value: pages shrink.
    let items = page.items.into_iter().map(|entry| entry.value);
    let items: Vec<_> = items.filter(|todo| filter.state.is_none_or(|state| state == todo.state)).collect();
    Ok(Json(json!({ "items": items, "next": page.next })))
}

#[derive(Deserialize)]
struct NewTodo {
    description: String,
    #[serde(default)]
    metadata: Value,
}

async fn create(mine: Mine, cx: Context, Json(new): Json<NewTodo>) -> Result<(StatusCode, Json<Todo>), Problem> {
    if new.description.trim().is_empty() {
        return Err(Problem::bad_request("description must not be empty"));
    }
    // Uids are sorted by time.
    let uid = format!("{:013}-{:016x}", to_millis(cx.now()), getrandom::u64()?);
    let todo = Todo { uid, description: new.description, state: Progress::Unstarted, metadata: new.metadata };
    mine.items.put_with((mine.owner, &todo.uid), &todo, PutMode::Create).await?;
    Ok((StatusCode::CREATED, Json(todo)))
}

async fn get_one(mine: Mine, Path(uid): Path<String>) -> Result<Json<Todo>, Problem> {
    mine.items.get((mine.owner, uid)).await?.map(Json).ok_or_else(|| Problem::not_found("no such todo"))
}

#[derive(Clone, Deserialize)]
struct Change {
    description: Option<String>,
    state: Option<Progress>,
    metadata: Option<Value>,
}

async fn update(mine: Mine, Path(uid): Path<String>, Json(change): Json<Change>) -> Result<Json<Todo>, Problem> {
    let apply = |todo: Todo| {
        let Change { description, state, metadata } = change.clone();
        Ok::<_, Problem>(Todo {
            description: description.unwrap_or(todo.description),
            state: state.unwrap_or(todo.state),
            metadata: metadata.unwrap_or(todo.metadata),
            ..todo
        })
    };
    mine.items.modify((mine.owner, uid), apply).await?.map(Json).ok_or_else(|| Problem::not_found("no such todo"))
}

async fn delete_one(mine: Mine, Path(uid): Path<String>) -> Result<StatusCode, Problem> {
    mine.items.delete((mine.owner, uid)).await?;
    Ok(StatusCode::NO_CONTENT)
}
