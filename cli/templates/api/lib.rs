//! A JSON API of books.
//!
//! | event | what it does |
//! |---|---|
//! | `POST /books` | adds a book; an id that exists is 409 |
//! | `GET /books` | lists the books by id, in pages: `?limit=10&after=CURSOR` |
//! | `GET /books/{id}` | returns a book, or 404 |
//! | `DELETE /books/{id}` | deletes a book |
//! | schedule `report`, every night | logs the number of books |

use isobar::key_value::Cursor;
use isobar::prelude::*;
use serde::{Deserialize, Serialize};

/// The partition of all books: a query lists one partition, sorted by the second part of the key.
const ALL: &str = "all";

#[derive(Clone)]
struct Library {
    books: Table<Book>,
}

#[derive(Serialize, Deserialize)]
struct Book {
    id: String,
    title: String,
    year: i32,
}

/// The app.
pub fn app(cloud: &Cloud) -> App {
    let books = cloud.table("books");
    let library = Library { books };
    let routes = Router::new()
        .route("/books", get(list).post(create))
        .route("/books/{id}", get(read).delete(remove))
        .with_state(library.clone());
    App::new(env!("CARGO_PKG_NAME"))
        .http(routes)
        .with_state(library)
        .on_schedule("report", "0 3 * * *", Library::report)
        .build()
}

impl Book {
    fn check(&self) -> Result<(), Problem> {
        let fits = |c: char| c.is_ascii_alphanumeric() || c == '-';
        if !(1..=64).contains(&self.id.len()) || !self.id.chars().all(fits) {
            let rule = "id must be 1 to 64 letters, digits and -";
            return Err(Problem::unprocessable(rule));
        }
        if self.title.trim().is_empty() || self.title.len() > 200 {
            return Err(Problem::unprocessable("title must have 1 to 200 bytes"));
        }
        Ok(())
    }
}

async fn create(
    State(library): State<Library>,
    Json(book): Json<Book>,
) -> Result<(StatusCode, Json<Book>), Problem> {
    book.check()?;
    let key = (ALL, &book.id);
    match library.books.put_with(key, &book, PutMode::Create).await {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            Err(Problem::conflict(format!("the id `{}` exists", book.id)))
        }
        created => {
            created?;
            Ok((StatusCode::CREATED, Json(book)))
        }
    }
}

#[derive(Deserialize)]
struct Paging {
    limit: Option<usize>,
    after: Option<Cursor>,
}

#[derive(Serialize)]
struct Page {
    books: Vec<Book>,
    next: Option<Cursor>,
}

async fn list(
    State(library): State<Library>,
    Query(paging): Query<Paging>,
) -> Result<Json<Page>, Problem> {
    let limit = paging.limit.unwrap_or(20).clamp(1, 100);
    let query = library.books.query(ALL).limit(limit).after(paging.after);
    let page = query.page().await?;
    let books = page.items.into_iter().map(|item| item.value).collect();
    let next = page.next;
    Ok(Json(Page { books, next }))
}

async fn read(
    State(library): State<Library>,
    Path(id): Path<String>,
) -> Result<Json<Book>, Problem> {
    let book = library.books.get((ALL, id)).await?;
    book.map(Json)
        .ok_or_else(|| Problem::not_found("no such book"))
}

async fn remove(
    State(library): State<Library>,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    library.books.delete((ALL, id)).await?;
    Ok(StatusCode::NO_CONTENT)
}

impl Library {
    async fn report(self, _tick: Tick, _cx: Context) -> Result<()> {
        let books = self.books.query(ALL).all().await?;
        tracing::info!(books = books.len(), "the nightly report");
        Ok(())
    }
}
