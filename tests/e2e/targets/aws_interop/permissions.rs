//! moto refuses what a policy does not allow: each action that an app needs is enough, and none can be left out.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

use isobar::aws::{AwsConfig, AwsProvider};
use isobar::clock::ManualClock;
use isobar::driver::{Access, Environment, ResourceKind};
use isobar::manifest::{DeclaredResource, Manifest};
use isobar::{Cloud, ErrorKind, Result};
use isobar_conformance::TrialResult;
use isobar_e2e::emulators::{Emulator, Library, MOTO, Python};
use isobar_e2e::permissions::use_each_resource;
use serde_json::json;

/// Operations with other actions than their own name: all of them must be allowed.
const AUTHORIZED_AS: [(&str, &[&str]); 9] = [
    ("dynamodb:TransactWriteItems", &["dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:DeleteItem"]),
    ("sns:PublishBatch", &["sns:Publish"]),
    ("s3:HeadObject", &["s3:GetObject"]),
    ("s3:ListObjectsV2", &["s3:ListBucket"]),
    ("s3:CopyObject", &["s3:GetObject", "s3:PutObject"]),
    ("s3:CreateMultipartUpload", &["s3:PutObject"]),
    ("s3:UploadPart", &["s3:PutObject"]),
    ("s3:CompleteMultipartUpload", &["s3:PutObject"]),
    ("s3:UploadPartCopy", &["s3:GetObject", "s3:PutObject"]),
];

/// What can be left out here, each with the reason.
const UNCHECKED: [(&str, &str); 2] = [
    ("s3:AbortMultipartUpload", "a broken upload fails with the error of its source, also where its parts stay"),
    ("s3:PutObjectTagging", "moto does not ask for it where the tags are in the head of a copy"),
];

pub(super) async fn each_action_is_necessary(python: &Python) -> TrialResult {
    let emulator = Emulator::start(python, MOTO, &[])?;
    let boto = Library::start(python, "boto.py", &json!(emulator.url()), &[])?;
    let keys = json!([{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}]);
    let types = ["pk", "sk"].map(|name| json!({"AttributeName": name, "AttributeType": "S"}));
    let table = json!({"TableName": "items", "BillingMode": "PAY_PER_REQUEST", "KeySchema": keys, "AttributeDefinitions": types});
    boto.call("dynamodb create_table", &table)?;
    boto.call("s3 create_bucket", &json!({"Bucket": "pages"}))?;
    boto.call("sns create_topic", &json!({"Name": "clicks"}))?;
    boto.call("sns create_topic", &json!({"Name": "clicks.fifo", "Attributes": {"FifoTopic": "true"}}))?;
    boto.call("ssm put_parameter", &json!({"Name": "api-token", "Value": "7", "Type": "SecureString"}))?;
    boto.call("iam create_user", &json!({"UserName": "app"}))?;
    let made = boto.call("iam create_access_key", &json!({"UserName": "app"}))?;
    let key = |name: &str| made["AccessKey"][name].as_str().unwrap().to_owned();
    let clock = ManualClock::default();
    let cloud = cloud(&emulator.url(), &clock, &key("AccessKeyId"), &key("SecretAccessKey"))?;

    let kinds = [(ResourceKind::Table, "items"), (ResourceKind::Bucket, "pages"), (ResourceKind::Topic, "clicks")];
    let resources = kinds.map(|(kind, name)| DeclaredResource::new(kind, name, Access::ReadWrite));
    let secret = DeclaredResource::new(ResourceKind::Secret, "api-token", Access::Read);
    let manifest = Manifest::new("shop").with_resources(resources.into_iter().chain([secret]));
    let permissions = isobar::aws::permissions(&manifest, &AwsConfig::from_environment(&Environment::default())?)?;
    let actions: BTreeSet<&str> =
        permissions.iter().flat_map(|it| it.grants.clone()).filter(|it| !it.starts_with("logs:")).collect();

    let allow = |allowed: &BTreeSet<&str>| {
        let is_allowed = |needs: &[&str]| needs.iter().all(|it| allowed.contains(it));
        let operations = AUTHORIZED_AS.iter().filter(|(_, needs)| is_allowed(needs)).map(|(operation, _)| *operation);
        let all: Vec<_> = allowed.iter().copied().chain(operations).collect();
        let policy =
            json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": all, "Resource": "*"}]});
        let named = json!({"UserName": "app", "PolicyName": "app", "PolicyDocument": policy.to_string()});
        check_after(&emulator, "inf")?;
        boto.call("iam put_user_policy", &named)?;
        check_after(&emulator, "0")
    };
    allow(&actions)?;
    use_each_resource(&cloud, &clock).await?;
    let mut unused = BTreeSet::new();
    for action in &actions {
        let mut others = actions.clone();
        others.remove(action);
        allow(&others)?;
        match use_each_resource(&cloud, &clock).await {
            Ok(()) => assert!(unused.insert(*action)),
            Err(error) => {
                let refused = error.downcast_ref::<isobar::Error>().map(isobar::Error::kind);
                assert_eq!(refused, Some(ErrorKind::PermissionDenied), "without {action}: {error}");
            }
        }
    }
    assert_eq!(unused, UNCHECKED.iter().map(|(action, _)| *action).collect());
    Ok(())
}

/// Lets moto check the requests after this number of them.
fn check_after(emulator: &Emulator, requests: &str) -> Result<()> {
    let send = || {
        let mut stream = TcpStream::connect(emulator.address())?;
        let (host, length) = (emulator.address(), requests.len());
        write!(
            stream,
            "POST /moto-api/reset-auth HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{requests}"
        )?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).map(|_| answer)
    };
    let answer: std::io::Result<String> = send();
    let answer = answer.map_err(|error| isobar::Error::internal("moto does not answer").with_source(error))?;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    Ok(())
}

fn cloud(endpoint: &str, clock: &ManualClock, id: &str, secret: &str) -> Result<Cloud> {
    let vars = [("AWS_REGION", "us-east-1"), ("AWS_ACCOUNT_ID", "123456789012"), ("AWS_ENDPOINT_URL", endpoint)];
    let environment = vars.iter().fold(Environment::default(), |all, (name, value)| all.with_var(*name, *value));
    let mut config = AwsConfig::from_environment(&environment)?.with_credentials(id, secret, None)?;
    // A trial of half a gigabyte would take too long.
    config.largest_copy = Some(5 << 20);
    let provider = Arc::new(AwsProvider::with_clock(config, Arc::new(clock.clone())));
    Ok(Cloud::new(Arc::clone(&provider) as _).with_openers(&[], &environment))
}
