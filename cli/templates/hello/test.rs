use isobar::prelude::*;

#[tokio::test]
async fn a_client_is_greeted_by_name() -> Result<()> {
    let client = TestClient::new({{crate}}::app)?;
    assert_eq!(client.get("/").await?.text(), "Hello, world!");
    assert_eq!(client.get("/Ada").await?.text(), "Hello, Ada!");
    Ok(())
}
