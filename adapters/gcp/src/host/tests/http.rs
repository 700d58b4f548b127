use super::*;

fn get(path: &str) -> Request<Body> {
    Request::get(path).body(Body::empty()).unwrap()
}

#[tokio::test]
async fn requests_reach_the_app_unchanged() {
    let host = Host::new().await;
    let echoed = host.send(Request::post("/echo").body(Body::from("a\0b")).unwrap()).await;
    assert_eq!(echoed, (200, "a\0b".to_owned()));
    assert_eq!(host.send(get("/any/path?x=%2F")).await.0, 200);
    assert_eq!(host.calls(), ["GET /any/path?x=%2F"]);
    assert_eq!(host.send(get("/cx")).await.1, r#"Some("shop") Some(29s)"#);
    assert_eq!(host.send(get("/panic")).await.0, 500);
    assert_eq!(host.send(get("/")).await, (200, "root".to_owned()));
}
