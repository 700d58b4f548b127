//! The requests from each gateway, and the shapes of events.

use super::*;

fn line(event: &str) -> String {
    let request = http_of(event).unwrap();
    format!("{} {}", request.method(), request.uri())
}

#[test]
fn url_events_of_cargo_lambda_are_http_despite_null_fields_and_get() {
    let odd = json!({
        "version": "2.0", "httpMethod": "GET", "resource": null, "methodArn": null, "type": null,
        "identitySource": null, "authorizationToken": null, "path": null, "stageVariables": {},
        "rawPath": "/links", "rawQueryString": "a=1&a=2", "cookies": ["c=d"], "body": "aGk=", "isBase64Encoded": true,
        "headers": {"content-type": "text/plain"},
        "requestContext": {
            "connectionId": null, "elb": null, "domainName": "localhost", "stage": "$default",
            "http": {"method": "POST", "path": "/links"},
        },
    })
    .to_string();
    assert_eq!(shape(&odd), "Http(HttpApi)");
    let request = http_of(&odd).unwrap();
    assert_eq!(format!("{} {}", request.method(), request.uri()), "POST /links?a=1&a=2");
    assert_eq!((header(&request, "cookie"), request.body().as_ref()), (vec!["c=d"], &b"hi"[..]));
    assert_eq!(header(&request, "host"), ["localhost"]);
}

#[test]
fn function_url_is_detected_by_its_domain() {
    let mut event = http_api();
    assert_eq!(shape(&event.to_string()), "Http(HttpApi)");
    event["requestContext"]["domainName"] = json!("abc.lambda-url.eu-west-1.on.aws");
    assert_eq!(shape(&event.to_string()), "Http(FunctionUrl)");
    event["requestContext"]["domainName"] = json!("shop.example");
    assert_eq!(shape(&event.to_string()), "Http(HttpApi)");
}

#[test]
fn only_the_whole_stage_is_removed_from_the_path() {
    for (stage, raw, path) in [
        ("prod", "/prod/links", "/links"),
        ("prod", "/prod", "/"),
        ("prod", "/prod/", "/"),
        ("prod", "/product/1", "/product/1"),
        ("prod", "/links/prod", "/links/prod"),
        ("prod", "/prod/prod/x", "/prod/x"),
        ("$default", "/$default/x", "/$default/x"),
        ("", "/x", "/x"),
    ] {
        let mut event = http_api();
        (event["requestContext"]["stage"], event["rawPath"]) = (json!(stage), json!(raw));
        assert_eq!(line(&event.to_string()), format!("GET {path}"), "{stage} {raw}");
    }
}

#[test]
fn percent_encoding_is_unchanged_from_every_gateway() {
    let path = "/a%2Fb/%C3%BC/100%25";
    let parameters = json!({"path": path, "rawPath": path, "pathParameters": {"proxy": &path[1..]}});
    for event in [rest(), http_api(), load_balancer()] {
        assert_eq!(line(&with(event, &parameters)), format!("GET {path}"));
    }
    let query = "q=a+b%20c%26&q=&z%C3%BC=%2F";
    assert_eq!(line(&with(http_api(), &json!({"rawQueryString": query}))), format!("GET /a/b?{query}"));
    let encoded = json!({"multiValueQueryStringParameters": {"q": ["a+b%20c%26", ""], "z%C3%BC": ["%2F"]}});
    assert_eq!(line(&with(load_balancer(), &encoded)), format!("GET /a/b?{query}"));
    // REST APIs decode, so the request encodes again: the values are equal.
    let decoded = json!({"multiValueQueryStringParameters": {"q": ["a b c&", ""], "zü": ["/"]}});
    assert_eq!(line(&with(rest(), &decoded)), "GET /a/b?q=a%20b%20c%26&q=&z%C3%BC=%2F");
}

#[test]
fn path_from_a_rest_api_has_neither_base_path_nor_stage() {
    for (resource, path, parameters, version, expected) in [
        ("/{proxy+}", "/shop/a/b", json!({"proxy": "a/b"}), None, "/a/b"),
        ("/users/{id}", "/shop/users/7", json!({"id": "7"}), None, "/users/7"),
        ("/users/{id}", "/users/7/", json!({"id": "7"}), None, "/users/7/"),
        ("/", "/shop", json!(null), None, "/"),
        ("/users", "/users", json!(null), None, "/users"),
        ("$default", "/prod/a", json!(null), Some("1.0"), "/a"),
        ("/{proxy+}", "/prod/a", json!({"proxy": "a"}), Some("1.0"), "/a"),
        ("/{proxy+}", "/a%20b", json!({"proxy": "something else"}), None, "/a%20b"),
        ("/{proxy+}", "/a", json!({"proxy": 7}), None, "/a"),
        ("/{proxy+}", "/shop/a%20b/%C3%BC", json!({"proxy": "a b/ü"}), None, "/a%20b/%C3%BC"),
        ("/{proxy+}", "/shop/a%2Fb", json!({"proxy": "a%2Fb"}), None, "/a%2Fb"),
        ("/{proxy+}", "/shop/a b", json!({"proxy": "a%20b"}), None, "/a%20b"),
        ("/{proxy+}", "/a", json!({"proxy": "shop/a"}), None, "/a"),
    ] {
        let fields = json!({"resource": resource, "path": path, "pathParameters": parameters, "version": version});
        assert_eq!(line(&with(rest(), &fields)), format!("GET {expected}"), "{resource} {path}");
    }
}

#[test]
fn multi_value_fields_have_priority_over_single_value_fields() {
    let many = json!({
        "headers": {"x-a": "2"}, "multiValueHeaders": {"X-A": ["1", "2"]},
        "queryStringParameters": {"q": "2"}, "multiValueQueryStringParameters": {"q": ["1", "2"]},
    });
    for event in [rest(), load_balancer()] {
        let request = http_of(&with(event, &many)).unwrap();
        assert_eq!((header(&request, "x-a"), request.uri().query()), (vec!["1", "2"], Some("q=1&q=2")));
    }
    let one = json!({
        "headers": {"x-a": "2"}, "multiValueHeaders": {}, "queryStringParameters": {"q": "2"},
        "multiValueQueryStringParameters": null,
    });
    for event in [rest(), load_balancer()] {
        let request = http_of(&with(event, &one)).unwrap();
        assert_eq!((header(&request, "x-a"), request.uri().query()), (vec!["2"], Some("q=2")));
    }
}

#[test]
fn cookies_become_one_header() {
    let cookies = json!({"cookies": ["a=1", "b=\"2\""], "headers": {"Cookie": "a=1; b=\"2\""}});
    assert_eq!(header(&http_of(&with(http_api(), &cookies)).unwrap(), "cookie"), ["a=1; b=\"2\""]);
    // ministack sends them only in the header.
    let header_only = json!({"headers": {"cookie": "a=1"}, "cookies": []});
    assert_eq!(header(&http_of(&with(http_api(), &header_only)).unwrap(), "cookie"), ["a=1"]);
    // An HTTP/2 client may send each cookie in a separate header.
    let split = json!({"multiValueHeaders": {"cookie": ["a=1", "b=2; c=3"]}});
    for event in [rest(), load_balancer()] {
        assert_eq!(header(&http_of(&with(event, &split)).unwrap(), "cookie"), ["a=1; b=2; c=3"]);
    }
}

#[test]
fn only_a_body_in_base64_is_decoded() {
    for event in [rest(), http_api(), load_balancer()] {
        let binary = with(event.clone(), &json!({"body": "AP/+8J+YgA==", "isBase64Encoded": true}));
        assert_eq!(http_of(&binary).unwrap().body().as_ref(), b"\0\xff\xfe\xf0\x9f\x98\x80");
        let text = with(event.clone(), &json!({"body": "aGk=\n\u{1f600}", "isBase64Encoded": false}));
        assert_eq!(http_of(&text).unwrap().body().as_ref(), "aGk=\n\u{1f600}".as_bytes());
        let none = with(event, &json!({"body": null, "isBase64Encoded": true}));
        assert!(http_of(&none).unwrap().body().is_empty());
    }
}

#[test]
fn header_that_is_not_ascii_has_its_original_bytes() {
    let request = http_of(&with(http_api(), &json!({"headers": {"x-name": "Jürgen"}}))).unwrap();
    assert_eq!(request.headers()["x-name"].as_bytes(), "Jürgen".as_bytes());
}

#[test]
fn every_method_is_accepted() {
    for method in ["HEAD", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND"] {
        let mut event = http_api();
        event["requestContext"]["http"]["method"] = json!(method);
        assert_eq!(line(&event.to_string()), format!("{method} /a/b"));
        for event in [rest(), load_balancer()] {
            assert_eq!(line(&with(event, &json!({"httpMethod": method}))), format!("{method} /a/b"));
        }
    }
}

#[test]
fn events_without_a_gateway_are_distinguished() {
    for (event, expected) in [
        (json!({"isobar": "ping"}), "Direct"),
        (json!({"isobar": null}), "Unknown"),
        (json!({"isobar": 1, "Records": [{"eventSource": "aws:sqs"}]}), "Direct"),
        (json!({"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "b"}), "BucketTest"),
        (json!({"source": "aws.s3", "detail-type": "Object Created"}), "Bucket"),
        (json!({"source": "aws.s3", "detail-type": "Object Deleted"}), "Bucket"),
        (
            json!({"source": "aws.s3", "detail-type": "Object Tags Added"}),
            "Foreign(\"an EventBridge event of `aws.s3`\")",
        ),
        (json!({"source": "aws.scheduler", "detail-type": "Scheduled Event"}), "Schedule"),
        (json!({"source": "secret.corp", "detail-type": "x"}), "Foreign(\"an EventBridge event of a custom source\")"),
        (json!({"source": "serverless-plugin-warmup"}), "WarmUp"),
        (json!({"warmer": true, "concurrency": 3}), "WarmUp"),
        (json!({"type": "warmer", "warmerId": "w", "index": 0}), "WarmUp"),
        (json!({"warmer": false}), "Unknown"),
        (json!({"Records": []}), "Foreign(\"an event without records\")"),
        (json!({"Records": [{"eventSource": "aws:tardis"}]}), "Unknown"),
        (json!({"Records": [{"cf": {}}]}), "Foreign(\"a request of CloudFront\")"),
        (json!({"number": 7}), "Unknown"),
        (json!([1, 2]), "Unknown"),
        (json!("text"), "Unknown"),
        (json!(null), "Unknown"),
    ] {
        assert_eq!(shape(&event.to_string()), expected, "{event}");
    }
}

#[test]
fn schedule_is_the_last_part_of_its_arn_without_the_prefix() {
    let now = std::time::SystemTime::UNIX_EPOCH;
    for (arn, name) in [
        ("arn:aws:events:eu-west-1:123456789012:rule/dev-sweep", "sweep"),
        ("arn:aws:events:eu-west-1:123456789012:rule/bus/dev-sweep", "sweep"),
        ("arn:aws:scheduler:eu-west-1:123456789012:schedule/default/sweep", "sweep"),
    ] {
        let event = json!({"resources": [arn], "time": "not a time"}).to_string();
        let tick = schedule(&Incoming::read(event.as_bytes()).unwrap(), "dev-", now).unwrap();
        assert_eq!((tick.schedule.as_str(), tick.due), (name, now));
    }
    for event in [json!({}), json!({"resources": []}), json!({"resources": [7]}), json!({"resources": ["sweep"]})] {
        let event = event.to_string();
        assert!(schedule(&Incoming::read(event.as_bytes()).unwrap(), "", now).is_err(), "{event}");
    }
}
