//! isobar reads the values that boto3 sets in Parameter Store and in Secrets Manager.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use isobar::aws::{AwsConfig, AwsProvider};
use isobar::clock::ManualClock;
use isobar::driver::{Environment, ResourceUrl};
use isobar::{Cloud, ErrorKind, Result};
use isobar_conformance::TrialResult;
use serde_json::{Value, json};

use super::{Both, bytes};

/// The time after which a value is read again.
const LIFETIME: Duration = Duration::from_secs(5 * 60);

/// A store, with the calls of boto3 on one key of it.
struct Store {
    url: &'static str,
    create: fn(&str) -> (&'static str, Value),
    replace: fn(&str) -> (&'static str, Value),
    /// The ways to delete the key, each with a call that makes it possible.
    delete: &'static [fn() -> (&'static str, Value)],
    /// The beginning of the command that sets the value.
    command: &'static str,
}

const KEY: &str = "se-api-token";

const PARAMETER_STORE: Store = Store {
    url: "ssm://",
    create: |value| ("ssm put_parameter", json!({"Name": KEY, "Value": value, "Type": "SecureString"})),
    replace: |value| {
        ("ssm put_parameter", json!({"Name": KEY, "Value": value, "Type": "SecureString", "Overwrite": true}))
    },
    delete: &[|| ("ssm delete_parameter", json!({"Name": KEY}))],
    command: "`aws ssm put-parameter --name se-api-token --type SecureString ",
};

const SECRETS_MANAGER: Store = Store {
    url: "secretsmanager://",
    create: |value| ("secretsmanager create_secret", json!({"Name": KEY, "SecretString": value})),
    replace: |value| ("secretsmanager put_secret_value", json!({"SecretId": KEY, "SecretString": value})),
    delete: &[
        || ("secretsmanager delete_secret", json!({"SecretId": KEY, "RecoveryWindowInDays": 7})),
        || ("secretsmanager delete_secret", json!({"SecretId": KEY, "ForceDeleteWithoutRecovery": true})),
    ],
    command: "`aws secretsmanager create-secret --name se-api-token ",
};

/// A cloud whose keys begin with `se-`, with the store of a URL.
pub(super) fn cloud(endpoint: &str, clock: &ManualClock, (id, secret): (&str, &str), url: &str) -> Result<Cloud> {
    let vars = [("AWS_REGION", "us-east-1"), ("AWS_ENDPOINT_URL", endpoint), ("ISOBAR_PREFIX", "se-")];
    let environment = vars.iter().fold(Environment::default(), |all, (name, value)| all.with_var(*name, *value));
    let config = AwsConfig::from_environment(&environment)?.with_credentials(id, secret, None)?;
    let provider = Arc::new(AwsProvider::with_clock(config, Arc::new(clock.clone())));
    let cloud = Cloud::new(Arc::clone(&provider) as _).with_openers(&[], &environment);
    Ok(cloud.with_secret_store(provider, ResourceUrl::parse_store(url)?))
}

impl Both {
    fn secrets(&self, clock: &ManualClock, url: &str) -> Result<Cloud> {
        cloud(&self.aws.services.endpoint, clock, ("test", "test"), url)
    }
}

pub(super) async fn our_secrets_are_those_of_boto3(both: Arc<Both>) -> TrialResult {
    for store in [PARAMETER_STORE, SECRETS_MANAGER] {
        let clock = ManualClock::default();
        let token = both.secrets(&clock, store.url)?.secret("api-token");
        let call = |(operation, input): (&'static str, Value)| both.boto.call(operation, &input);
        let found = async || token.find().await.map(|value| value.map(|value| value.reveal().to_owned()));
        let missing = token.get().await.unwrap_err();
        assert!(missing.kind() == ErrorKind::Config && missing.message().contains(store.command), "{missing}");
        call((store.create)("käse\n"))?;
        clock.advance(LIFETIME);
        assert_eq!(found().await?.as_deref(), Some("käse"));
        call((store.replace)("brie"))?;
        assert_eq!(found().await?.as_deref(), Some("käse"));
        clock.advance(LIFETIME);
        assert_eq!(found().await?.as_deref(), Some("brie"));
        for delete in store.delete {
            call(delete())?;
            clock.advance(LIFETIME);
            assert_eq!(found().await?, None, "{}", store.url);
        }
    }
    Ok(())
}

pub(super) async fn types_of_values_in_aws(both: Arc<Both>) -> TrialResult {
    let clock = ManualClock::default();
    let parameters = both.secrets(&clock, "ssm://")?;
    let put = |name: &str, kind: &str, value: &str| {
        both.boto.call("ssm put_parameter", &json!({"Name": name, "Type": kind, "Value": value}))
    };
    put("se-rates", "String", r#"{"eur": 7}"#)?;
    let rates = parameters.config::<BTreeMap<String, u32>>("rates").get().await?;
    assert_eq!(*rates, BTreeMap::from([("eur".to_owned(), 7)]));
    put("se-cities", "StringList", "Bern,Genf")?;
    assert_eq!(parameters.secret("cities").get().await?.reveal(), "Bern,Genf");

    let secrets = both.secrets(&clock, "secretsmanager://")?;
    both.boto.call("secretsmanager create_secret", &json!({"Name": "se-binary", "SecretBinary": bytes(b"\xff\0")}))?;
    let error = secrets.secret("binary").get().await.unwrap_err();
    assert!(error.kind() == ErrorKind::Config && error.message().contains("binary"), "{error}");
    both.boto.call("secretsmanager create_secret", &json!({"Name": "se-empty"}))?;
    assert!(secrets.secret("empty").find().await?.is_none(), "a secret without a version has no value");
    Ok(())
}

pub(super) async fn a_store_that_hangs_is_a_timeout(_both: Arc<Both>) -> TrialResult {
    // It connects, since the system accepts the connection, and no program reads from it.
    let hanging = TcpListener::bind("127.0.0.1:0")?;
    let endpoint = format!("http://{}", hanging.local_addr()?);
    for url in ["ssm://", "secretsmanager://"] {
        let clock = ManualClock::default();
        let token = cloud(&endpoint, &clock, ("test", "test"), url)?.secret("api-token");
        let passing = async {
            loop {
                tokio::time::sleep(Duration::from_millis(50)).await;
                clock.advance(Duration::from_secs(1));
            }
        };
        let error = tokio::select! {
            found = token.get() => found.unwrap_err(),
            () = passing => unreachable!(),
        };
        assert_eq!(error.kind(), ErrorKind::Timeout, "{url}: {error}");
    }
    Ok(())
}
