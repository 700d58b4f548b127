use super::*;

fn get(path: &str) -> Request<Body> {
    Request::get(path).body(Body::empty()).unwrap()
}

#[tokio::test]
async fn requests_reach_the_app_as_they_are() {
    let host = Host::new().await;
    let echoed = host.send(Request::post("/echo").body(Body::from("a\0b")).unwrap()).await;
    assert_eq!(echoed, (200, "a\0b".to_owned()));
    assert_eq!(host.send(get("/any/thing?x=%2F")).await.0, 200);
    assert_eq!(host.seen(), ["GET /any/thing?x=%2F"]);
    assert_eq!(host.send(get("/cx")).await.1, r#"Some("shop") Some(29s)"#);
    assert_eq!(host.send(get("/panic")).await.0, 500);
    assert_eq!(host.send(get("/")).await, (200, "root".to_owned()));
}

#[tokio::test]
async fn bodies_stream_both_ways() {
    let host = Host::new().await;
    assert_eq!(host.send(get("/stream")).await, (200, "once upona time".to_owned()));
    let mut body = host.service.handle(get("/endless")).await.into_body();
    let first = body.frame().await.unwrap().unwrap().into_data().unwrap();
    assert_eq!(first, "a", "before there is more");
    let sent = stream::iter((0..100).map(|_| Ok::<_, BoxError>(Bytes::from_static(&[b'x'; 10_000]))));
    let echoed = host.send(Request::post("/echo").body(Body::from_stream(sent)).unwrap()).await;
    assert_eq!((echoed.0, echoed.1.len()), (200, 1_000_000));
}

#[tokio::test]
async fn an_answer_ends_at_its_deadline() {
    let host = Host::new().await;
    let hanging = host.send(get("/hang"));
    let moved = async {
        while host.seen.lock().is_empty() {
            tokio::task::yield_now().await;
        }
        host.clock.advance(Duration::from_secs(30));
    };
    assert_eq!(tokio::join!(hanging, moved).0.0, 504);
    for path in ["/endless", "/flood"] {
        let answer = host.service.handle(get(path)).await;
        assert_eq!(answer.status(), 200, "{path}");
        let mut body = answer.into_body();
        assert!(body.frame().await.unwrap().is_ok());
        host.clock.advance(Duration::from_secs(30));
        let cut = loop {
            if let Err(error) = body.frame().await.expect("an end that is no error") {
                break error;
            }
        };
        assert!(cut.to_string().contains("deadline"), "{path}: {cut}");
    }
}

#[tokio::test]
async fn an_answer_that_is_whole_has_no_deadline() {
    let host = Host::new().await;
    let answer = host.service.handle(get("/")).await;
    host.clock.advance(Duration::from_secs(3_600));
    assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), "root");
}
