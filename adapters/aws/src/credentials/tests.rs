use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use http::Response;
use isobar_abstraction::driver::Environment;
use isobar_rest::ClientConfig;
use serde_json::json;

use super::*;
use isobar_testkit::Double;

impl Credentials {
    /// Makes the cached credentials old enough that `reject` drops them.
    pub(crate) fn age(&self) {
        if let Self::Cached(cache) = self {
            cache.age();
        }
    }
}

/// Credentials from the sources in `vars` only.
fn credentials(vars: &[(&str, &str)]) -> Credentials {
    let environment =
        Environment::default().with_var("AWS_REGION", "eu-west-1").with_var("AWS_EC2_METADATA_DISABLED", "true");
    let environment = vars.iter().fold(environment, |it, (name, value)| it.with_var(*name, *value));
    let config = AwsConfig::from_environment(&environment).unwrap();
    let client = Client::new(ClientConfig::default(), Arc::new(SystemClock));
    Credentials::new(&config, client)
}

#[allow(clippy::needless_pass_by_value)] // callers pass text or temporary JSON
fn answer(status: u16, body: impl ToString) -> Response<String> {
    Response::builder().status(status).body(body.to_string()).unwrap()
}

fn session(key_id: &str) -> serde_json::Value {
    json!({
        "AccessKeyId": key_id, "SecretAccessKey": "hush", "Token": "token", "Expiration": "2100-01-01T00:00:00Z",
    })
}

/// A folder for one test, removed with this value.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("isobar-aws-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::SeqCst));
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir_all(folder.join(".aws")).unwrap();
        Self(folder)
    }

    fn write(&self, name: &str, text: &str) -> String {
        let path = self.0.join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }

    fn path(&self) -> &str {
        self.0.to_str().unwrap()
    }

    /// An `aws` that is a shell script.
    #[cfg(unix)]
    fn aws(&self, script: &str) {
        use std::os::unix::fs::PermissionsExt;
        let path = self.write("aws", &format!("#!/bin/sh\n{script}\n"));
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[tokio::test]
async fn environment_has_priority_and_no_other_source_is_read() {
    let double = Double::new(|_| answer(200, session("container"))).await;
    let credentials = credentials(&[
        ("AWS_ACCESS_KEY_ID", "fixed"),
        ("AWS_SECRET_ACCESS_KEY", "hush"),
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", &double.url),
        ("AWS_PROFILE", "work"),
    ]);
    assert_eq!(credentials.get().await.unwrap().key_id, "fixed");
    assert!(double.requests().is_empty());
    assert!(!format!("{credentials:?}").contains("hush"));
}

#[tokio::test]
async fn error_without_credentials_lists_the_tried_sources() {
    let error = credentials(&[("HOME", "/nowhere/at/all")]).get().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unauthenticated);
    for part in
        ["AWS_ACCESS_KEY_ID", "AWS_WEB_IDENTITY_TOKEN_FILE", "profile `default`", "CONTAINER", "metadata: disabled"]
    {
        assert!(error.message().contains(part), "{error}");
    }
}

#[tokio::test]
async fn container_request_has_the_token_and_the_role_contains_the_account() {
    let mut body = session("container");
    body["RoleArn"] = "arn:aws:iam::123456789012:role/task".into();
    let double = Double::new(move |_| answer(200, &body)).await;
    let folder = Folder::new();
    let file = folder.write("token", "from-file\n");
    let uri = format!("{}/v1/credentials", double.url);
    let uri = ("AWS_CONTAINER_CREDENTIALS_FULL_URI", uri.as_str());

    let of_token = credentials(&[uri, ("AWS_CONTAINER_AUTHORIZATION_TOKEN", "from-variable")]);
    let credential = of_token.get().await.unwrap();
    assert_eq!((credential.key_id.as_str(), credential.token.as_deref()), ("container", Some("token")));
    assert_eq!(of_token.account().as_deref(), Some("123456789012"));
    credentials(&[uri, ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", &file)]).get().await.unwrap();
    credentials(&[uri]).get().await.unwrap();
    let authorization = |at| double.request(at, |request| request.headers().get("authorization").cloned());
    assert_eq!(authorization(0).unwrap(), "from-variable");
    assert_eq!(authorization(1).unwrap(), "from-file");
    assert!(authorization(2).is_none());
    assert_eq!(double.requests()[0], "GET /v1/credentials");
}

#[tokio::test]
async fn container_error_or_malformed_response_is_an_error_without_the_body() {
    for (status, body, kind) in [
        (403, json!({"message": "hush"}), ErrorKind::Unauthenticated),
        (404, json!("hush"), ErrorKind::Unauthenticated),
        (429, json!("hush"), ErrorKind::Throttled),
        (503, json!("hush"), ErrorKind::Unavailable),
        (200, json!("hush"), ErrorKind::Internal),
        (200, json!({"AccessKeyId": 1, "SecretAccessKey": "hush"}), ErrorKind::Internal),
        (200, json!({"AccessKeyId": "a", "SecretAccessKey": "hush\n", "Token": "t"}), ErrorKind::Internal),
        (200, json!({"AccessKeyId": "a", "SecretAccessKey": "hush", "Expiration": "hush"}), ErrorKind::Internal),
    ] {
        let text = body.to_string();
        let double = Double::new(move |_| answer(status, &body)).await;
        let error = credentials(&[("AWS_CONTAINER_CREDENTIALS_FULL_URI", &double.url)]).get().await.unwrap_err();
        assert_eq!(error.kind(), kind, "{text}");
        assert!(!format!("{error:?}").contains("hush"), "{error:?}");
    }
}

/// The metadata service of a machine with a role, without version 1.
fn metadata(request: &http::Request<bytes::Bytes>) -> Response<String> {
    let has_token = request.headers().get("x-aws-ec2-metadata-token").is_some_and(|token| token == "t0ken");
    let roles = "/latest/meta-data/iam/security-credentials/";
    match (request.method().as_str(), request.uri().path()) {
        ("PUT", "/latest/api/token") if request.headers().contains_key("x-aws-ec2-metadata-token-ttl-seconds") => {
            answer(200, "t0ken")
        }
        ("GET", path) if path == roles && has_token => answer(200, "web-role\n"),
        ("GET", path) if path.strip_prefix(roles) == Some("web-role") && has_token => {
            let mut body = session("instance");
            body["Code"] = "Success".into();
            answer(200, body)
        }
        _ => answer(401, "no"),
    }
}

#[tokio::test]
async fn machine_is_the_last_source_and_uses_version_two() {
    let double = Double::new(metadata).await;
    let vars = [("AWS_EC2_METADATA_DISABLED", "false"), ("AWS_EC2_METADATA_SERVICE_ENDPOINT", double.url.as_str())];
    let of_machine = credentials(&vars);
    assert_eq!(of_machine.get().await.unwrap().key_id, "instance");
    assert_eq!(of_machine.get().await.unwrap().key_id, "instance");
    assert_eq!(
        double.requests(),
        [
            "PUT /latest/api/token",
            "GET /latest/meta-data/iam/security-credentials/",
            "GET /latest/meta-data/iam/security-credentials/web-role"
        ]
    );
}

#[tokio::test]
async fn machine_without_role_or_response_is_in_the_list_of_tried_sources() {
    let without_role = |request: &http::Request<bytes::Bytes>| match request.method().as_str() {
        "PUT" => answer(200, "t0ken"),
        _ => answer(404, ""),
    };
    let failed = |_: &http::Request<bytes::Bytes>| {
        answer(200, json!({"Code": "AssumeRoleUnauthorizedAccess", "Message": "hush"}))
    };
    let of =
        |url: &str| credentials(&[("AWS_EC2_METADATA_DISABLED", "false"), ("AWS_EC2_METADATA_SERVICE_ENDPOINT", url)]);
    let double = Double::new(without_role).await;
    assert!(of(&double.url).get().await.unwrap_err().message().contains("the instance has no role"));
    let double = Double::new(|_| answer(403, "")).await;
    assert!(of(&double.url).get().await.unwrap_err().message().contains("instance metadata: no token"));
    let double = Double::new(failed).await;
    let error = of(&double.url).get().await.unwrap_err();
    assert!(error.message().contains("AssumeRoleUnauthorizedAccess") && !error.message().contains("hush"), "{error}");
    // A port without a listener.
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    assert!(
        of(&format!("http://{free}")).get().await.unwrap_err().message().contains("instance metadata: no response")
    );
}

const ASSUMED: &str = "<AssumeRoleWithWebIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">\
    <AssumeRoleWithWebIdentityResult><Audience>sts</Audience><Credentials><AccessKeyId>web</AccessKeyId>\
    <SecretAccessKey>hush</SecretAccessKey><SessionToken>token</SessionToken>\
    <Expiration>2100-01-01T00:00:00Z</Expiration></Credentials></AssumeRoleWithWebIdentityResult>\
    </AssumeRoleWithWebIdentityResponse>";

#[tokio::test]
async fn token_of_another_provider_is_in_the_body_to_sts() {
    let double = Double::new(|_| answer(200, ASSUMED)).await;
    let folder = Folder::new();
    let file = folder.write("token", "ey.a+b/c\n");
    let of_role = credentials(&[
        ("AWS_ENDPOINT_URL_STS", &double.url),
        ("AWS_WEB_IDENTITY_TOKEN_FILE", &file),
        ("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/pod"),
    ]);
    assert_eq!(of_role.get().await.unwrap().key_id, "web");
    assert_eq!(of_role.account().as_deref(), Some("123456789012"));
    assert_eq!(double.requests(), ["POST /"]);
    double.request(0, |request| {
        let form = std::str::from_utf8(request.body()).unwrap();
        assert!(form.contains("&WebIdentityToken=ey.a%2Bb%2Fc"), "{form}");
        assert!(form.contains("&RoleArn=arn%3Aaws%3Aiam%3A%3A123456789012%3Arole%2Fpod"), "{form}");
        assert!(!request.headers().contains_key("authorization"));
    });
}

#[tokio::test]
async fn rejection_by_sts_is_an_error_and_no_later_source_is_read() {
    let rejection =
        "<ErrorResponse><Error><Code>InvalidIdentityToken</Code><Message>no provider</Message></Error></ErrorResponse>";
    let double = Double::new(move |_| answer(400, rejection)).await;
    let container = Double::new(|_| answer(200, session("container"))).await;
    let folder = Folder::new();
    let file = folder.write("token", "hush");
    let vars = |file: &str| {
        credentials(&[
            ("AWS_ENDPOINT_URL_STS", &double.url),
            ("AWS_WEB_IDENTITY_TOKEN_FILE", file),
            ("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/pod"),
            ("AWS_CONTAINER_CREDENTIALS_FULL_URI", &container.url),
        ])
    };
    let error = vars(&file).get().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unauthenticated);
    assert!(error.message().contains("InvalidIdentityToken: no provider"), "{error}");
    assert_eq!(vars("/nowhere/at/all").get().await.unwrap_err().kind(), ErrorKind::Config);
    assert!(container.requests().is_empty());
}

#[tokio::test]
async fn plain_keys_of_a_profile_are_read_without_the_cli() {
    let folder = Folder::new();
    folder.write(".aws/credentials", "[default]\naws_access_key_id = plain\naws_secret_access_key = hush\n");
    folder.write(
        ".aws/config",
        "[profile work]\naws_access_key_id=w\naws_secret_access_key=hush\naws_account_id=123456789012\n",
    );
    let home = ("HOME", folder.path());
    assert_eq!(credentials(&[home]).get().await.unwrap().key_id, "plain");
    let work = credentials(&[home, ("AWS_PROFILE", "work")]);
    assert_eq!(work.get().await.unwrap().key_id, "w");
    assert_eq!(work.account().as_deref(), Some("123456789012"));
    let error = credentials(&[home, ("AWS_PROFILE", "other")]).get().await.unwrap_err();
    assert!(error.message().contains("the AWS profile `other` is in neither"), "{error}");
}

#[tokio::test]
async fn default_profile_with_only_a_region_has_no_credentials() {
    let folder = Folder::new();
    folder.write(".aws/config", "[default]\nregion = eu-west-1\n");
    let double = Double::new(|_| answer(200, session("container"))).await;
    let vars = [("HOME", folder.path()), ("AWS_CONTAINER_CREDENTIALS_FULL_URI", double.url.as_str())];
    assert_eq!(credentials(&vars).get().await.unwrap().key_id, "container");
}

#[cfg(unix)]
#[tokio::test]
async fn profile_with_single_sign_on_uses_the_cli() {
    let folder = Folder::new();
    folder.write(".aws/config", "[profile work]\nsso_session = corp\n");
    folder.aws(
        r#"[ "$*" = "configure export-credentials --format process --profile work" ] || exit 9
[ "$AWS_EC2_METADATA_DISABLED" = true ] || exit 9
echo '{"Version":1,"AccessKeyId":"sso","SecretAccessKey":"hush","SessionToken":"token","Expiration":"2100-01-01T00:00:00+00:00"}'"#,
    );
    let vars = [("HOME", folder.path()), ("PATH", folder.path()), ("AWS_PROFILE", "work")];
    let credential = credentials(&vars).get().await.unwrap();
    assert_eq!((credential.key_id.as_str(), credential.token.as_deref()), ("sso", Some("token")));
}

#[cfg(unix)]
#[tokio::test]
async fn cli_error_has_the_next_step_and_no_secret() {
    let folder = Folder::new();
    folder.write(".aws/config", "[profile work]\nsso_session = corp\n");
    let vars = [("HOME", folder.path()), ("PATH", folder.path()), ("AWS_PROFILE", "work")];
    let error = credentials(&vars).get().await.unwrap_err();
    assert!(error.message().contains("AWS CLI v2, which cannot be started: install it"), "{error}");
    for (script, expected) in [
        (
            "echo 'Error loading SSO Token: Token for corp does not exist hush' >&2; exit 255",
            "aws sso login --profile work",
        ),
        ("echo \"argument subcommand: Invalid choice: 'export-credentials'\" >&2; exit 2", "install the AWS CLI v2"),
        ("echo hush >&2; exit 1", "for the reason"),
        ("echo hush", "returned something else than the expected JSON"),
    ] {
        folder.aws(script);
        let error = credentials(&vars).get().await.unwrap_err();
        assert!(error.message().contains(expected), "{error}");
        assert!(!format!("{error:?}").contains("hush"), "{error:?}");
    }
}
