use isobar_abstraction::ErrorKind;

use super::*;
use crate::host::tests::{EMAIL, Host, config};

const URL: &str = "https://shop-abc.a.run.app";

async fn requests_of(vars: &[(&str, &str)]) -> Vec<ApiRequest> {
    let host = Host::new().await;
    let vars = [&[("PUBSUB_EMULATOR_HOST", "")], vars].concat();
    deployment(host.manifest(), &config("http://127.0.0.1:1", &vars), &service()).unwrap()
}

fn service() -> DeployedService {
    DeployedService::new("shop", format!("{URL}/"), EMAIL, "europe-west1").with_database_region("europe-west4")
}

fn find<'a>(requests: &'a [ApiRequest], end: &str) -> &'a ApiRequest {
    let found = requests.iter().find(|request| request.url.ends_with(end));
    found.unwrap_or_else(|| panic!("no {end} in {requests:#?}"))
}

#[tokio::test]
async fn a_topic_has_a_push_subscription_and_a_dead_letter_topic() {
    let requests = requests_of(&[]).await;
    let push = find(&requests, "/subscriptions/clicks");
    assert_eq!(
        (push.method, &*push.url),
        ("PUT", "https://pubsub.googleapis.com/v1/projects/p-1/subscriptions/clicks")
    );
    let config = &push.body["pushConfig"];
    assert_eq!(config["pushEndpoint"], format!("{URL}/.isobar/topics/clicks"), "without a double slash");
    assert_eq!(config["oidcToken"], json!({"serviceAccountEmail": EMAIL, "audience": URL}));
    assert_eq!(push.body["topic"], "projects/p-1/topics/clicks");
    assert_eq!((&push.body["enableMessageOrdering"], &push.body["ackDeadlineSeconds"]), (&json!(true), &json!(600)));
    let dead = json!({"deadLetterTopic": "projects/p-1/topics/clicks--dead", "maxDeliveryAttempts": 100});
    assert_eq!(push.body["deadLetterPolicy"], dead);
    assert_eq!(push.body["retryPolicy"], json!({"minimumBackoff": "1s", "maximumBackoff": "60s"}));
    assert_eq!(push.body["expirationPolicy"], json!({}), "it never expires");
    assert_eq!(find(&requests, "/subscriptions/clicks--dead").body["topic"], "projects/p-1/topics/clicks--dead");
    assert_eq!(find(&requests, "/subscriptions/clicks--dead").body.get("pushConfig"), None);
    let index = |end: &str| requests.iter().position(|request| request.url.ends_with(end)).unwrap();
    assert!(index("/topics/clicks") < index("/subscriptions/clicks"), "a topic is created before its subscription");
    assert!(index("/topics/clicks--dead") < index("/subscriptions/clicks"));
}

#[tokio::test]
async fn a_bucket_has_a_notification() {
    let requests = requests_of(&[("ISOBAR_BUCKET_PAGES", "gs://web-prod")]).await;
    let notification = find(&requests, "/b/web-prod/notificationConfigs");
    assert_eq!((notification.method, &notification.body["payload_format"]), ("POST", &json!("JSON_API_V1")));
    assert_eq!(notification.body["topic"], "//pubsub.googleapis.com/projects/p-1/topics/web-prod--events");
    assert_eq!(notification.body["event_types"], json!(["OBJECT_FINALIZE", "OBJECT_DELETE"]));
    let push = find(&requests, "/subscriptions/web-prod--events");
    assert_eq!(push.body["pushConfig"]["pushEndpoint"], format!("{URL}/.isobar/buckets/pages"), "the logical name");
}

#[tokio::test]
async fn each_queue_of_a_source_has_a_subscription_whose_filter_depends_on_its_name_only() {
    let requests = requests_of(&[]).await;
    for (name, topic, path) in [
        ("clicks", "clicks", "topics/clicks"),
        ("clicks--index", "clicks", "topics/clicks/index"),
        ("pages--events", "pages--events", "buckets/pages"),
        ("pages--events--thumbs", "pages--events", "buckets/pages/thumbs"),
    ] {
        let push = find(&requests, &format!("/subscriptions/{name}"));
        assert_eq!(push.body["topic"], format!("projects/p-1/topics/{topic}"));
        assert_eq!(push.body["pushConfig"]["pushEndpoint"], format!("{URL}/.isobar/{path}"));
        let dead = format!("projects/p-1/topics/{name}--dead");
        assert_eq!(push.body["deadLetterPolicy"]["deadLetterTopic"], dead);
        assert_eq!(find(&requests, &format!("/subscriptions/{name}--dead")).body["topic"], dead);
        let filter = format!("(attributes.isobar-for = \"{name}\" OR NOT attributes:isobar-for)");
        assert_eq!(push.body["filter"], filter);
    }
    let count = |end: &str| requests.iter().filter(|request| request.url.ends_with(end)).count();
    assert_eq!((count("/notificationConfigs"), count("/topics/pages--events"), count("/topics/clicks")), (1, 1, 1));
    assert_eq!(filter_of(&"s".repeat(255)), None, "Pub/Sub rejects a longer one");
}

#[tokio::test]
async fn the_writes_of_a_table_have_a_trigger_and_a_queue() {
    let requests = requests_of(&[("ISOBAR_PREFIX", "prod-"), ("FIRESTORE_DATABASE", "shop-db")]).await;
    let push = find(&requests, "/subscriptions/prod-links--writes");
    assert_eq!(push.body["pushConfig"]["pushEndpoint"], format!("{URL}/.isobar/writes/links"));
    let trigger = find(&requests, "/triggers?triggerId=prod-links");
    assert_eq!(trigger.body["name"], "projects/p-1/locations/europe-west4/triggers/prod-links");
    let (database, document) = (&trigger.body["eventFilters"][1], &trigger.body["eventFilters"][2]);
    assert_eq!(database["value"], "shop-db");
    assert_eq!(document["value"], "prod-links/{partition}/prod-links/{item}");
    let run = json!({"service": "shop", "region": "europe-west1", "path": "/.isobar/writes/links"});
    assert_eq!((&trigger.body["destination"]["cloudRun"], &trigger.body["serviceAccount"]), (&run, &json!(EMAIL)));
    let host = Host::new().await;
    let config = config("http://127.0.0.1:1", &[("ISOBAR_TABLE_LINKS", "firestore://links?project=p-2")]);
    let error = deployment(host.manifest(), &config, &service()).unwrap_err();
    assert!(error.message().contains("`p-2`"), "{error}");
}

#[tokio::test]
async fn a_schedule_is_a_job() {
    let requests = requests_of(&[("ISOBAR_PREFIX", "prod-")]).await;
    let jobs: Vec<_> = requests.iter().filter(|request| request.url.contains("cloudscheduler")).collect();
    assert_eq!(jobs.len(), 2);
    let job = jobs.iter().find(|job| job.body["name"].as_str().unwrap().ends_with("/jobs/prod-sweep")).unwrap();
    assert_eq!((&job.body["schedule"], &job.body["timeZone"]), (&json!("0 3 * * *"), &json!("Etc/UTC")));
    assert_eq!(job.body["httpTarget"]["uri"], format!("{URL}/.isobar/schedules/sweep"), "the logical name");
    assert_eq!(job.body["httpTarget"]["oidcToken"]["audience"], URL);
    assert!(find(&requests, "/topics/prod-clicks").body.as_object().unwrap().is_empty());
}

#[tokio::test]
async fn deployed_endpoints_are_served() {
    let host = Host::new().await;
    for request in requests_of(&[]).await {
        let endpoint =
            request.body["pushConfig"]["pushEndpoint"].as_str().or(request.body["httpTarget"]["uri"].as_str());
        if let Some(path) = endpoint.map(|endpoint| endpoint.strip_prefix(URL).unwrap()) {
            let status = host.call(path, "{}").await.0;
            assert!([204, 400, 500].contains(&status), "{path}: {status}");
        }
    }
}

#[tokio::test]
async fn deployment_without_a_project_is_an_error() {
    let host = Host::new().await;
    let config = config("http://127.0.0.1:1", &[("GOOGLE_CLOUD_PROJECT", "")]);
    let error = deployment(host.manifest(), &config, &service()).unwrap_err();
    assert_eq!((error.kind(), error.message().contains("GOOGLE_CLOUD_PROJECT")), (ErrorKind::Config, true));
}

#[test]
fn a_deployment_indexes_only_the_sort_key() {
    let config = config("http://127.0.0.1:1", &[]);
    let requests = fields(&config, &Location::new(ResourceKind::Table, "links"), "p-1").unwrap();
    for (field, ApiRequest { url, body, .. }) in ["p", "v", "n", "w", "expireAt"].iter().zip(&requests) {
        assert_eq!(body["indexConfig"], json!({"indexes": []}), "{field}");
        let (path, mask) = url.split_once("?updateMask=").unwrap();
        assert!(path.ends_with(&format!("/collectionGroups/links/fields/{field}")), "{path}");
        assert!(mask.split(',').eq(body.as_object().unwrap().keys()), "{mask}");
        assert_eq!(body.get("ttlConfig"), (*field == "expireAt").then_some(&json!({})), "{field}");
    }
}
