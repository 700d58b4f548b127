//! AWS's own library reads the data of isobar, and isobar reads the data of the library; moto checks signatures and
//! policies.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a trial fails by panicking

mod permissions;
mod secrets;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use isobar::ErrorKind;
use isobar::aws::{AwsConfig, AwsProvider};
use isobar::clock::ManualClock;
use isobar::driver::Environment;
use isobar::key_value::PutOptions;
use isobar::prelude::*;
use isobar_conformance::TrialResult;
use isobar_conformance::target::{Check, run, run_check};
use isobar_e2e::backends::account::{Account, deletes_what_it_makes};
use isobar_e2e::backends::aws::{Aws, Services};
use isobar_e2e::backends::cloud::{CloudUnderTest, Services as _};
use isobar_e2e::emulators::{Emulator, Library, MINISTACK, MOTO, Program, Python};
use isobar_e2e::permissions::operations_are_those_of_the_rows;
use isobar_e2e::{foreign_names, moved};
use parking_lot::Mutex;
use serde_json::{Value, json};

/// An emulator with a client of isobar and one of boto3.
struct Both {
    aws: Aws,
    boto: Library,
    python: Python,
    _emulator: Emulator,
}

const TRIALS: &[(&str, Check<Arc<Both>>)] = &[
    ("boto3_reads_our_items", |both| Box::pin(boto3_reads_our_items(both))),
    ("our_items_are_also_those_of_boto3", |both| Box::pin(our_items_are_also_those_of_boto3(both))),
    ("boto3_reads_our_objects", |both| Box::pin(boto3_reads_our_objects(both))),
    ("our_objects_are_also_those_of_boto3", |both| Box::pin(our_objects_are_also_those_of_boto3(both))),
    ("boto3_reads_what_was_moved", |both| Box::pin(boto3_reads_what_was_moved(both))),
    ("names_of_boto3_that_are_no_paths_are_listed", |both| Box::pin(names_that_are_no_paths_are_listed(both))),
    ("boto3_receives_our_messages", |both| Box::pin(boto3_receives_our_messages(both))),
    ("our_handlers_receive_messages_of_boto3", |both| Box::pin(our_handlers_receive_messages_of_boto3(both))),
    ("our_secrets_are_those_of_boto3", |both| Box::pin(secrets::our_secrets_are_those_of_boto3(both))),
    ("types_of_values_in_aws", |both| Box::pin(secrets::types_of_values_in_aws(both))),
];

fn main() -> ExitCode {
    let on = |emulator: Program| TRIALS.iter().map(move |(name, check)| (format!("{}::{name}", emulator.name), *check));
    let rejects: Check<Arc<Both>> = |both| Box::pin(async move { forbidden_requests_are_rejected(&both.python).await });
    let hangs: Check<Arc<Both>> = |both| Box::pin(secrets::a_store_that_hangs_is_a_timeout(both));
    // Only moto reports that an object has tags.
    let have_permissions: Check<Arc<Both>> = |both| Box::pin(operations_have_permissions(both));
    let necessary: Check<Arc<Both>> =
        |both| Box::pin(async move { permissions::each_action_is_necessary(&both.python).await });
    let deletes: Check<Arc<Both>> = |both| Box::pin(an_account_is_left_empty(both));
    let checks = on(MOTO)
        .chain([("moto::forbidden_requests_are_rejected".to_owned(), rejects)])
        .chain([("moto::a_store_that_hangs_is_a_timeout".to_owned(), hangs)])
        .chain([("moto::operations_have_permissions".to_owned(), have_permissions)])
        .chain([("moto::each_action_is_necessary".to_owned(), necessary)])
        .chain([("moto::an_account_is_left_empty".to_owned(), deletes)])
        .chain(on(MINISTACK));
    let checks = checks.map(|(name, check)| (name.clone(), (name.starts_with("moto"), check)));
    let start = || {
        let python = Python::ready()?;
        Ok((
            [(MOTO, "123456789012"), (MINISTACK, "000000000000")]
                .map(|(program, account)| Arc::new(start(&python, program, account))),
            (),
        ))
    };
    run("aws::interop", start, checks, |[moto, ministack], (on_moto, check)| {
        let both = if on_moto { moto } else { ministack };
        run_check(Duration::from_secs(120), check(both))
    })
}

fn start(python: &Python, program: Program, account: &'static str) -> Both {
    let emulator = Emulator::start(python, program, &[]).unwrap();
    let boto = Library::start(python, "boto.py", &json!(emulator.url()), &[]).unwrap();
    let services = Services { endpoint: emulator.url(), account };
    let aws = Aws { name: program.name, services, gaps: &[] };
    Both { aws, boto, python: python.clone(), _emulator: emulator }
}

async fn an_account_is_left_empty(both: Arc<Both>) -> TrialResult {
    let Services { endpoint, account } = &both.aws.services;
    let vars = [
        ("AWS_REGION", "us-east-1"),
        ("AWS_ACCOUNT_ID", account),
        ("AWS_ACCESS_KEY_ID", "test"),
        ("AWS_SECRET_ACCESS_KEY", "test"),
        ("AWS_ENDPOINT_URL", endpoint),
    ];
    let environment = vars.into_iter().fold(Environment::default(), |all, (name, value)| all.with_var(name, value));
    let account = Account::new("aws", environment, &both.python, 1)?;
    // A topic of SNS has a second one for messages with an ordering key.
    deletes_what_it_makes(account, 4).await
}

async fn operations_have_permissions(both: Arc<Both>) -> TrialResult {
    let worlds = [both.aws.open_as("op-").await?];
    operations_are_those_of_the_rows(&worlds, isobar::aws::PERMISSION_ROWS, &UNSENT).await
}

/// The operations that the trial does not send.
const UNSENT: [(&str, &str); 1] = [("GetSecretValue", "the secrets of the trial are in Parameter Store")];

fn bytes(value: &[u8]) -> Value {
    use base64::Engine;
    json!({"bytes": base64::prelude::BASE64_STANDARD.encode(value)})
}

fn key(partition: &str, sort: &str) -> Value {
    json!({"pk": {"S": partition}, "sk": {"S": sort}})
}

async fn boto3_reads_our_items(both: Arc<Both>) -> TrialResult {
    let world = both.aws.open_as("ka-").await?;
    let items = world.cloud().table::<Bytes>("items");
    let expiry = PutOptions::default().with_ttl(Duration::from_millis(1_500));
    items.put("text", &Bytes::from_static("käse".as_bytes())).await?;
    items.put("bytes", &Bytes::from_static(b"\0\xff")).await?;
    items.put_with(("a", "b"), &Bytes::from_static(b"soon gone"), expiry).await?;
    world.cloud().table::<i64>("items").add("count", 41).await?;
    let read = |partition: &str, sort: &str| {
        let input = json!({"TableName": "ka-items", "Key": key(partition, sort), "ConsistentRead": true});
        both.boto.call("dynamodb get_item", &input).map(|answer| answer["Item"].clone())
    };
    assert_eq!(read("text", "!")?["value"], json!({"S": "käse"}));
    assert_eq!(read("bytes", "!")?["value"], json!({"B": bytes(b"\0\xff")}));
    assert_eq!(read("count", "!")?["value"], json!({"N": "41"}));
    let expiring = read("a", "b")?;
    // 2026-01-01 and 1.5 s; DynamoDB's own is in whole seconds, and never early.
    assert_eq!(expiring["expires"], json!({"N": "1767225601500"}));
    assert_eq!(expiring["ttl"], json!({"N": "1767225602"}));
    Ok(())
}

async fn our_items_are_also_those_of_boto3(both: Arc<Both>) -> TrialResult {
    let world = both.aws.open_as("kb-").await?;
    let items = world.cloud().table::<Bytes>("items");
    items.put("mine", &Bytes::from_static(b"1")).await?;
    let write = |sort: &str, value: Value| {
        let mut item = key("theirs", sort);
        item["value"] = value;
        both.boto.call("dynamodb put_item", &json!({"TableName": "kb-items", "Item": item}))
    };
    write("b", json!({"S": "text"}))?;
    write("a", json!({"B": bytes(b"\x01\x02")}))?;
    write("c", json!({"N": "7"}))?;
    let found = items.query("theirs").all().await?;
    let values: Vec<_> = found.iter().map(|item| item.value.as_ref()).collect();
    assert_eq!(values, [b"\x01\x02".as_slice(), b"text", b"7"]);
    // An item without isobar's version can be updated under a condition too.
    let stored = items.get_entry(("theirs", "b")).await?.expect("it is there");
    items.put_with(("theirs", "b"), &Bytes::from_static(b"new"), PutMode::Update(stored.version.clone())).await?;
    let error = items.put_with(("theirs", "b"), &Bytes::new(), PutMode::Update(stored.version)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    Ok(())
}

async fn boto3_reads_our_objects(both: Arc<Both>) -> TrialResult {
    let world = both.aws.open_as("ba-").await?;
    let pages = world.cloud().bucket("pages");
    pages.put("docs/käse 1.html", "<p>cheese</p>").await?;
    let large: Vec<u8> = (0..12_000_000_u32).map(|number| (number % 251) as u8).collect();
    pages.put("large", large.clone()).await?;
    let listed = both.boto.call("s3 list_objects_v2", &json!({"Bucket": "ba-pages", "Prefix": "docs/"}))?;
    assert_eq!(listed["Contents"][0]["Key"], "docs/käse 1.html");
    let read = |name: &str| both.boto.call("s3 get_object", &json!({"Bucket": "ba-pages", "Key": name}));
    assert_eq!(read("docs/käse 1.html")?["Body"], bytes(b"<p>cheese</p>"));
    let found = read("large")?;
    assert_eq!(found["ContentLength"], large.len());
    assert!(found["Body"] == bytes(&large), "the content differs");
    Ok(())
}

async fn boto3_reads_what_was_moved(both: Arc<Both>) -> TrialResult {
    moved::move_to(&*both.aws.services.open("mv-").await?.provider()).await?;
    let counted = both.boto.call("dynamodb scan", &json!({"TableName": "mv-items", "Select": "COUNT"}))?;
    assert_eq!(counted["Count"], moved::ITEMS);
    let read = |partition: &str, sort: &str| {
        let input = json!({"TableName": "mv-items", "Key": key(partition, sort), "ConsistentRead": true});
        both.boto.call("dynamodb get_item", &input).map(|answer| answer["Item"].clone())
    };
    assert_eq!(read("text", "!")?["value"], json!({"S": "käse"}));
    assert_eq!(read("bytes", "!")?["value"], json!({"B": bytes(b"\0\xff")}));
    assert_eq!(read("count", "!")?["value"], json!({"N": "41"}));
    assert_eq!(read("p3", "0010")?["value"], json!({"S": "value 10"}));
    assert_eq!(read("a", "b")?["expires"], json!({"N": "1767225601500"}));
    let listed = both.boto.call("s3 list_objects_v2", &json!({"Bucket": "mv-pages"}))?;
    assert_eq!(listed["KeyCount"], moved::OBJECTS);
    let read = |name: &str| both.boto.call("s3 get_object", &json!({"Bucket": "mv-pages", "Key": name}));
    let page = read(moved::PAGE)?;
    assert_eq!((&page["ContentType"], &page["Metadata"]["colour"]), (&json!("text/x-cheese"), &json!("gelb")));
    assert_eq!(page["Body"], bytes(b"<p>cheese</p>"));
    assert!(read("large")?["Body"] == bytes(&moved::large()), "the content differs");
    Ok(())
}

async fn our_objects_are_also_those_of_boto3(both: Arc<Both>) -> TrialResult {
    let world = both.aws.open_as("bb-").await?;
    let pages = world.cloud().bucket("pages");
    pages.put("mine", "1").await?;
    let object = json!({
        "Bucket": "bb-pages", "Key": "docs/a b.txt", "Body": bytes(b"theirs"), "ContentType": "text/x-cheese",
        "Metadata": {"colour": "yellow"},
    });
    both.boto.call("s3 put_object", &object)?;
    let found = pages.get("docs/a b.txt").await?;
    assert_eq!(found.content_type.as_deref(), Some("text/x-cheese"));
    assert_eq!(found.metadata.get("colour").map(String::as_str), Some("yellow"));
    assert_eq!(found.bytes().await?, "theirs");
    Ok(())
}

async fn names_that_are_no_paths_are_listed(both: Arc<Both>) -> TrialResult {
    let world = both.aws.open_as("bc-").await?;
    world.cloud().bucket("pages").put("readable", "1").await?;
    let names = ["a//b", "/c", "d/"];
    for name in names {
        both.boto.call("s3 put_object", &json!({"Bucket": "bc-pages", "Key": name, "Body": bytes(b"theirs")}))?;
    }
    foreign_names::are_listed(&world.cloud(), &names).await
}

async fn boto3_receives_our_messages(both: Arc<Both>) -> TrialResult {
    let world = both.aws.open_as("ma-").await?;
    let app = |cloud: &Cloud| App::new("worker").on_message(&cloud.topic::<String>("clicks"), async |_click, _cx| {});
    let _app = world.run(app).await?;
    let clicks = world.cloud().topic::<String>("clicks");
    clicks.publish(Outgoing::new("käse".to_owned()).with_attribute("lang", "de")).await?;
    clicks.publish(Outgoing::new("next".to_owned()).with_ordering_key("room-7")).await?;
    let receive = |queue: &str| {
        let url = format!("{}/{}/{queue}", both.aws.services.endpoint, both.aws.services.account);
        let input = json!({"QueueUrl": url, "MessageAttributeNames": ["All"], "AttributeNames": ["All"]});
        both.boto.call("sqs receive_message", &input).map(|answer| answer["Messages"][0].clone())
    };
    let plain = receive("ma-clicks")?;
    // The body is the JSON of the message's type, without an envelope.
    assert_eq!(plain["Body"], "\"käse\"");
    assert_eq!(plain["MessageAttributes"]["lang"]["StringValue"], "de");
    let ordered = receive("ma-clicks.fifo")?;
    assert_eq!((&ordered["Body"], &ordered["Attributes"]["MessageGroupId"]), (&json!("\"next\""), &json!("room-7")));
    Ok(())
}

async fn our_handlers_receive_messages_of_boto3(both: Arc<Both>) -> TrialResult {
    let world = both.aws.open_as("mb-").await?;
    let seen = Arc::<Mutex<Vec<(String, Option<String>)>>>::default();
    let heard = Arc::clone(&seen);
    let app = world.run(move |cloud| {
        App::new("worker").on_message(&cloud.topic::<String>("clicks"), move |click: Message<String>, _cx| {
            let lang = click.attributes.get("lang").cloned();
            heard.lock().push((click.body, lang));
            async {}
        })
    });
    let app = app.await?;
    let topic = format!("arn:aws:sns:us-east-1:{}:mb-clicks", both.aws.services.account);
    let lang = json!({"lang": {"DataType": "String", "StringValue": "de"}});
    both.boto.call("sns publish", &json!({"TopicArn": topic, "Message": "\"käse\"", "MessageAttributes": lang}))?;
    let queue = format!("{}/{}/mb-clicks", both.aws.services.endpoint, both.aws.services.account);
    both.boto.call("sqs send_message", &json!({"QueueUrl": queue, "MessageBody": "\"straight\""}))?;
    app.deliver().await?;
    let mut seen = seen.lock().clone();
    seen.sort_unstable();
    assert_eq!(seen, [("käse".to_owned(), Some("de".to_owned())), ("straight".to_owned(), None)]);
    Ok(())
}

/// The number of requests before moto begins to check credentials.
const UNCHECKED: &str = "6";

/// The user has permission to read: all services reject other requests, and those with a wrong secret.
async fn forbidden_requests_are_rejected(python: &Python) -> TrialResult {
    let emulator = Emulator::start(python, MOTO, &[("INITIAL_NO_AUTH_ACTION_COUNT", UNCHECKED)])?;
    let boto = Library::start(python, "boto.py", &json!(emulator.url()), &[])?;
    let keys = json!([{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}]);
    let types = ["pk", "sk"].map(|name| json!({"AttributeName": name, "AttributeType": "S"}));
    let table = json!({"TableName": "links", "BillingMode": "PAY_PER_REQUEST", "KeySchema": keys, "AttributeDefinitions": types});
    let allowed = ["dynamodb:GetItem", "s3:GetObject", "s3:ListBucket"];
    let policy =
        json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": allowed, "Resource": "*"}]});
    boto.call("dynamodb create_table", &table)?;
    boto.call("s3 create_bucket", &json!({"Bucket": "pages"}))?;
    boto.call("sns create_topic", &json!({"Name": "clicks"}))?;
    boto.call("iam create_user", &json!({"UserName": "reader"}))?;
    let made = boto.call("iam create_access_key", &json!({"UserName": "reader"}))?;
    let named = json!({"UserName": "reader", "PolicyName": "read", "PolicyDocument": policy.to_string()});
    boto.call("iam put_user_policy", &named)?;
    let key = |name: &str| made["AccessKey"][name].as_str().unwrap().to_owned();
    let (id, secret) = (key("AccessKeyId"), key("SecretAccessKey"));
    let reader = cloud(&emulator.url(), &id, &secret)?;
    assert_eq!(reader.table::<String>("links").get("missing").await?, None);
    for (what, kind) in attempts(&reader).await {
        let expected = if what == "get" { ErrorKind::NotFound } else { ErrorKind::PermissionDenied };
        assert_eq!(kind, Some(expected), "{what}, with the right secret");
    }
    let forger = cloud(&emulator.url(), &id, "not-the-secret")?;
    for (what, kind) in attempts(&forger).await {
        assert_eq!(kind, Some(ErrorKind::Unauthenticated), "{what}, with a wrong secret");
    }
    for (url, permission) in [("ssm://", "ssm:GetParameter"), ("secretsmanager://", "secretsmanager:GetSecretValue")] {
        let read = async |secret: &str| {
            let cloud = secrets::cloud(&emulator.url(), &ManualClock::default(), (&id, secret), url)?;
            Ok::<_, isobar::Error>(cloud.secret("api-token").get().await.unwrap_err())
        };
        let denied = read(&secret).await?;
        assert_eq!(denied.kind(), ErrorKind::PermissionDenied, "{denied}");
        assert!(["se-api-token", permission].iter().all(|part| denied.message().contains(part)), "{denied}");
        assert_eq!(read("not-the-secret").await?.kind(), ErrorKind::Unauthenticated);
    }
    Ok(())
}

/// The results of an allowed read that finds nothing, and of forbidden writes.
async fn attempts(cloud: &Cloud) -> [(&'static str, Option<ErrorKind>); 4] {
    let kind = |error: Option<isobar::Error>| error.map(|error| error.kind());
    let get = cloud.bucket("pages").get("nothing").await.err();
    let put = cloud.table::<String>("links").put("a", &"b".to_owned()).await.err();
    let write = cloud.bucket("pages").put("a", "b").await.err();
    let publish = cloud.topic::<String>("clicks").publish("a".to_owned()).await.err();
    [("get", kind(get)), ("put", kind(put)), ("write", kind(write)), ("publish", kind(publish))]
}

fn cloud(endpoint: &str, id: &str, secret: &str) -> isobar::Result<Cloud> {
    let vars = [("AWS_REGION", "us-east-1"), ("AWS_ACCOUNT_ID", "123456789012"), ("AWS_ENDPOINT_URL", endpoint)];
    let environment = vars.iter().fold(Environment::default(), |all, (name, value)| all.with_var(*name, *value));
    let config = AwsConfig::from_environment(&environment)?.with_credentials(id, secret, None)?;
    Ok(Cloud::new(Arc::new(AwsProvider::new(config))))
}
