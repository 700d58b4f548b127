use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use http::Response;
use isobar_abstraction::driver::Environment;
use isobar_rest::ClientConfig;
use serde_json::json;

use super::*;
use isobar_testkit::Double;

impl Credentials {
    /// As if what is held had come a while ago, so that it can be refused.
    pub(crate) fn age(&self) {
        if let Self::Cached(cache) = self {
            cache.age();
        }
    }
}

/// Nothing is asked but what `vars` name.
fn credentials(vars: &[(&str, &str)]) -> Credentials {
    let environment =
        Environment::default().with_var("AWS_REGION", "eu-west-1").with_var("AWS_EC2_METADATA_DISABLED", "true");
    let environment = vars.iter().fold(environment, |it, (name, value)| it.with_var(*name, *value));
    let config = AwsConfig::from_environment(&environment).unwrap();
    let client = Client::new(ClientConfig::default(), Arc::new(SystemClock));
    Credentials::new(&config, client)
}

#[allow(clippy::needless_pass_by_value)] // text, or JSON made in place
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
async fn the_environment_wins_and_nothing_else_is_asked() {
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
async fn without_any_the_error_lists_what_was_tried() {
    let error = credentials(&[("HOME", "/nowhere/at/all")]).get().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unauthenticated);
    for part in
        ["AWS_ACCESS_KEY_ID", "AWS_WEB_IDENTITY_TOKEN_FILE", "profile `default`", "CONTAINER", "metadata: not asked"]
    {
        assert!(error.message().contains(part), "{error}");
    }
}

#[tokio::test]
async fn a_container_shows_its_token_and_a_role_tells_the_account() {
    let mut told = session("container");
    told["RoleArn"] = "arn:aws:iam::123456789012:role/task".into();
    let double = Double::new(move |_| answer(200, &told)).await;
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
    let shown = |at| double.request(at, |request| request.headers().get("authorization").cloned());
    assert_eq!(shown(0).unwrap(), "from-variable");
    assert_eq!(shown(1).unwrap(), "from-file");
    assert!(shown(2).is_none());
    assert_eq!(double.requests()[0], "GET /v1/credentials");
}

#[tokio::test]
async fn a_container_that_refuses_or_speaks_nonsense_is_an_error_that_shows_nothing() {
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
        let shown = body.clone();
        let double = Double::new(move |_| answer(status, &body)).await;
        let error = credentials(&[("AWS_CONTAINER_CREDENTIALS_FULL_URI", &double.url)]).get().await.unwrap_err();
        assert_eq!(error.kind(), kind, "{shown}");
        assert!(!format!("{error:?}").contains("hush"), "{error:?}");
    }
}

/// The metadata service of a machine that has a role; version 1 is not answered.
fn metadata(request: &http::Request<bytes::Bytes>) -> Response<String> {
    let shows_token = request.headers().get("x-aws-ec2-metadata-token").is_some_and(|token| token == "t0ken");
    let roles = "/latest/meta-data/iam/security-credentials/";
    match (request.method().as_str(), request.uri().path()) {
        ("PUT", "/latest/api/token") if request.headers().contains_key("x-aws-ec2-metadata-token-ttl-seconds") => {
            answer(200, "t0ken")
        }
        ("GET", path) if path == roles && shows_token => answer(200, "web-role\n"),
        ("GET", path) if path.strip_prefix(roles) == Some("web-role") && shows_token => {
            let mut told = session("instance");
            told["Code"] = "Success".into();
            answer(200, told)
        }
        _ => answer(401, "no"),
    }
}

#[tokio::test]
async fn a_machine_is_asked_by_version_two_and_last() {
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
async fn a_machine_without_a_role_or_an_answer_is_one_of_those_that_were_tried() {
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
    assert!(of(&double.url).get().await.unwrap_err().message().contains("does not give a token"));
    let double = Double::new(failed).await;
    let error = of(&double.url).get().await.unwrap_err();
    assert!(error.message().contains("AssumeRoleUnauthorizedAccess") && !error.message().contains("hush"), "{error}");
    // A port on which nobody listens.
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    assert!(of(&format!("http://{free}")).get().await.unwrap_err().message().contains("does not answer"));
}

const ASSUMED: &str = "<AssumeRoleWithWebIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">\
    <AssumeRoleWithWebIdentityResult><Audience>sts</Audience><Credentials><AccessKeyId>web</AccessKeyId>\
    <SecretAccessKey>hush</SecretAccessKey><SessionToken>token</SessionToken>\
    <Expiration>2100-01-01T00:00:00Z</Expiration></Credentials></AssumeRoleWithWebIdentityResult>\
    </AssumeRoleWithWebIdentityResponse>";

#[tokio::test]
async fn a_token_of_another_provider_is_shown_to_sts_in_the_body() {
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
async fn what_sts_refuses_is_not_replaced_by_other_credentials() {
    let refused =
        "<ErrorResponse><Error><Code>InvalidIdentityToken</Code><Message>no provider</Message></Error></ErrorResponse>";
    let double = Double::new(move |_| answer(400, refused)).await;
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
async fn plain_keys_of_a_profile_need_no_cli() {
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
async fn a_region_alone_is_no_profile_with_credentials() {
    let folder = Folder::new();
    folder.write(".aws/config", "[default]\nregion = eu-west-1\n");
    let double = Double::new(|_| answer(200, session("container"))).await;
    let vars = [("HOME", folder.path()), ("AWS_CONTAINER_CREDENTIALS_FULL_URI", double.url.as_str())];
    assert_eq!(credentials(&vars).get().await.unwrap().key_id, "container");
}

#[cfg(unix)]
#[tokio::test]
async fn single_sign_on_goes_through_the_cli() {
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
async fn a_failing_cli_says_what_to_run_and_no_secret() {
    let folder = Folder::new();
    folder.write(".aws/config", "[profile work]\nsso_session = corp\n");
    let vars = [("HOME", folder.path()), ("PATH", folder.path()), ("AWS_PROFILE", "work")];
    let error = credentials(&vars).get().await.unwrap_err();
    assert!(error.message().contains("AWS CLI v2, which cannot be started: install it"), "{error}");
    for (script, wanted) in [
        (
            "echo 'Error loading SSO Token: Token for corp does not exist hush' >&2; exit 255",
            "aws sso login --profile work",
        ),
        ("echo \"argument subcommand: Invalid choice: 'export-credentials'\" >&2; exit 2", "install the AWS CLI v2"),
        ("echo hush >&2; exit 1", "to see why"),
        ("echo hush", "did not answer with the expected JSON"),
    ] {
        folder.aws(script);
        let error = credentials(&vars).get().await.unwrap_err();
        assert!(error.message().contains(wanted), "{error}");
        assert!(!format!("{error:?}").contains("hush"), "{error:?}");
    }
}
