use isobar::prelude::*;
use serde_json::{Value, json};

#[tokio::test]
async fn a_book_is_created_listed_read_and_deleted() -> Result<()> {
    let client = TestClient::new({{crate}}::app)?;
    let dune = json!({"id": "dune", "title": "Dune", "year": 1965});
    let created = client.post("/books", &dune).await?;
    assert_eq!(created.status, StatusCode::CREATED);
    let again = client.post("/books", &dune).await?;
    assert_eq!(again.status, StatusCode::CONFLICT);
    assert_eq!(client.get("/books/dune").await?.json::<Value>()?, dune);
    let listed = json!({"books": [dune], "next": null});
    assert_eq!(client.get("/books").await?.json::<Value>()?, listed);
    let deleted = client.delete("/books/dune").await?;
    assert_eq!(deleted.status, StatusCode::NO_CONTENT);
    let absent = client.get("/books/dune").await?;
    assert_eq!(absent.status, StatusCode::NOT_FOUND);
    Ok(())
}

#[tokio::test]
async fn a_wrong_book_is_rejected() -> Result<()> {
    let client = TestClient::new({{crate}}::app)?;
    for (id, title) in [("", "Dune"), ("a/b", "Dune"), ("dune", " ")] {
        let book = json!({"id": id, "title": title, "year": 1965});
        let response = client.post("/books", &book).await?;
        assert_eq!(response.status, StatusCode::UNPROCESSABLE_ENTITY, "{book}");
    }
    Ok(())
}

#[tokio::test]
async fn the_report_counts_the_books() -> Result<()> {
    let logs = TestLogs::start();
    let client = TestClient::new({{crate}}::app)?;
    let dune = json!({"id": "dune", "title": "Dune", "year": 1965});
    client.post("/books", &dune).await?;
    client.tick("report").await?;
    assert!(logs.text().contains("books=1"), "{}", logs.text());
    Ok(())
}
