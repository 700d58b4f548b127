//! What the app answers.

use isobar::prelude::*;

#[tokio::test]
async fn the_root_greets_the_world() -> Result<()> {
    let answer = TestClient::new(hello::app)?.get("/").await?;
    assert_eq!((answer.status, answer.text().as_str()), (StatusCode::OK, "Hello, world!"));
    Ok(())
}

#[tokio::test]
async fn a_name_is_greeted_as_it_was_meant() -> Result<()> {
    let client = TestClient::new(hello::app)?;
    assert_eq!(client.get("/Ada").await?.text(), "Hello, Ada!");
    assert_eq!(client.get("/J%C3%BCrgen%20P.").await?.text(), "Hello, Jürgen P.!");
    Ok(())
}

#[tokio::test]
async fn markup_in_a_name_stays_text() -> Result<()> {
    let answer = TestClient::new(hello::app)?.get("/%3Cscript%3E").await?;
    assert_eq!(answer.text(), "Hello, <script>!");
    assert_eq!(answer.header("content-type"), Some("text/plain; charset=utf-8"));
    Ok(())
}

#[tokio::test]
async fn other_paths_and_methods_are_refused() -> Result<()> {
    let client = TestClient::new(hello::app)?;
    assert_eq!(client.get("/a/b").await?.status, StatusCode::NOT_FOUND);
    assert_eq!(client.post("/", &"x").await?.status, StatusCode::METHOD_NOT_ALLOWED);
    Ok(())
}
