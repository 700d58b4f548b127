//! Events of public collections.

use std::collections::BTreeSet;
use std::path::Path;

use super::*;

fn folder() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures")
}

fn fixture(name: &str) -> String {
    std::fs::read_to_string(folder().join(format!("{name}.json"))).unwrap()
}

const FOREIGN: &[(&str, &str)] = &[
    ("aws_lambda_events.apigw-custom-auth-request", "a request to an authorizer of API Gateway"),
    ("aws_lambda_events.apigw-v2-custom-authorizer-v2-request", "a request to an authorizer of API Gateway"),
    ("aws_lambda_events.apigw-websocket-request", "a WebSocket message of API Gateway"),
    ("aws_lambda_events.cloudformation-custom-resource-create-request", "a custom resource of CloudFormation"),
    ("aws_lambda_events.cloudwatch_logs-event", "a batch of CloudWatch Logs"),
    ("aws_lambda_events.eventbridge-event-obj", "an EventBridge event of `aws.ec2`"),
    ("aws_lambda_events.kafka-event", "records of Kafka"),
    ("lambda_http.vpc_lattice_v2_request", "a request of VPC Lattice"),
];

const TRIGGERS: &[(&str, &str)] = &[
    ("aws_lambda_events.dynamodb-event", "Stream"),
    ("aws_lambda_events.eventbridge-schedule", "Schedule"),
    ("aws_lambda_events.s3-event", "Bucket"),
    ("aws_lambda_events.sns-event", "Topic"),
    ("aws_lambda_events.sqs-event", "Queue"),
];

/// Fixture, gateway, request line, values of some headers, body.
type HttpFixture =
    (&'static str, &'static str, &'static str, &'static [(&'static str, &'static [&'static str])], &'static str);

const HTTP: &[HttpFixture] = &[
    (
        "aws_lambda_events.apigw-restapi-openapi-request",
        "Rest",
        "POST /hello/world?name=me",
        &[("host", &["gy415nuibc.execute-api.us-east-1.amazonaws.com"]), ("content-type", &["application/json"])],
        "{\r\n\t\"a\": 1\r\n}",
    ),
    (
        "lambda_http.apigw_multi_value_proxy_request",
        "Rest",
        "POST /hello/world?name=me&multiValueName=you&multiValueName=me",
        &[("x-forwarded-for", &["54.240.196.186, 54.182.214.83"]), ("headername", &["headerValue"])],
        "{\r\n\t\"a\": 1\r\n}",
    ),
    (
        "lambda_http.apigw_proxy_request",
        "Rest",
        "GET /hello?name=me",
        &[("host", &["wt6mne2s9k.execute-api.us-west-2.amazonaws.com"])],
        "",
    ),
    (
        "lambda_http.apigw_request_path_with_space",
        "HttpApi",
        "POST /my/path-with%20space?parameter1=value1&parameter1=value2&parameter2=value",
        &[("cookie", &["cookie1=value1; cookie2=value2"]), ("header2", &["value2"])],
        "Hello from Lambda",
    ),
    (
        "lambda_http.apigw_v2_proxy_request_with_stage_in_path",
        "HttpApi",
        "POST /my/path?parameter1=value1&parameter1=value2&parameter2=value",
        &[("host", &["id.execute-api.us-east-1.amazonaws.com"])],
        "Hello from Lambda",
    ),
    ("lambda_http.apigw_v2_sam_local", "HttpApi", "GET /hello", &[("host", &["127.0.0.1:3000"])], ""),
    (
        "lambda_http.lambda_function_url_request",
        "FunctionUrl",
        "GET /my/path?parameter1=value1&parameter1=value2&parameter2=value",
        &[("cookie", &["test=hi"]), ("user-agent", &["curl/7.68.0"])],
        "",
    ),
    ("lambda_http.alb_health_check", "LoadBalancer", "GET /", &[("user-agent", &["ELB-HealthChecker/2.0"])], ""),
    (
        "lambda_http.alb_multi_value_request",
        "LoadBalancer",
        "GET /?myKey=val1&myKey=val2&myOtherKey=val3&myOtherKey=val4",
        &[("cookie", &["name1=value1; name2=value2"]), ("x-forwarded-port", &["443"])],
        "request_body",
    ),
    (
        "lambda_http.alb_multi_value_request_encoded_query_parameters",
        "LoadBalancer",
        "GET /?myKey=%3FshowAll%3Dtrue&myKey=%3FshowAll%3Dfalse",
        &[],
        "request_body",
    ),
    (
        "lambda_http.alb_request_encoded_query_parameters",
        "LoadBalancer",
        "GET /?myKey=%3FshowAll%3Dtrue",
        &[("host", &["lambda-846800462-us-east-2.elb.amazonaws.com"])],
        "request_body",
    ),
];

#[test]
fn public_fixtures_have_the_shape_of_their_service() {
    for (name, expected) in TRIGGERS {
        assert_eq!(shape(&fixture(name)), *expected, "{name}");
    }
    for (name, gateway, ..) in HTTP {
        assert_eq!(shape(&fixture(name)), format!("Http({gateway})"), "{name}");
    }
    for (name, service) in FOREIGN {
        assert_eq!(shape(&fixture(name)), format!("Foreign({service:?})"), "{name}");
    }
}

#[test]
fn public_http_fixtures_become_the_requests_of_their_clients() {
    for (name, _, line, headers, body) in HTTP {
        let request = http_of(&fixture(name)).unwrap();
        assert_eq!(format!("{} {}", request.method(), request.uri()), *line, "{name}");
        assert_eq!(request.body(), body, "{name}");
        for (header_name, values) in *headers {
            assert_eq!(header(&request, header_name), *values, "{header_name} of {name}");
        }
    }
}

#[test]
fn public_fixture_of_a_rule_has_the_schedule_and_its_due_time() {
    let event = fixture("aws_lambda_events.eventbridge-schedule");
    let incoming = Incoming::read(event.as_bytes()).unwrap();
    let tick = schedule(&incoming, "", std::time::SystemTime::UNIX_EPOCH).unwrap();
    assert_eq!(tick.schedule, "my-scheduled-rule");
    assert_eq!(isobar_abstraction::clock::to_rfc3339(tick.due), "2015-10-08T16:53:06.000Z");
}

#[test]
fn every_fixture_in_the_folder_is_in_a_list() {
    let files = std::fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path());
    let json = files.filter(|path| path.extension().is_some_and(|it| it == "json"));
    let found: BTreeSet<String> = json.map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned()).collect();
    let named = TRIGGERS.iter().chain(FOREIGN).map(|(name, _)| *name).chain(HTTP.iter().map(|(name, ..)| *name));
    assert_eq!(found, named.map(str::to_owned).collect());
}
