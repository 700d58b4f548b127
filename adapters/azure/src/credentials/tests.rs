use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use http::Response;
use isobar_abstraction::driver::Environment;
use serde_json::json;

use super::*;
use isobar_testkit::Double;

impl Credentials {
    /// Ages all tokens, so that a rejected one is renewed.
    pub(crate) fn age(&self) {
        self.tokens.iter().for_each(CredentialCache::age);
    }
}

/// The URL of a port without a listener.
fn closed_port() -> String {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    format!("http://{free}")
}

/// Credentials from the sources in `vars` only.
fn credentials(vars: &[(&str, &str)]) -> Credentials {
    let environment = Environment::default().with_var("AZURE_POD_IDENTITY_AUTHORITY_HOST", closed_port());
    let environment = vars.iter().fold(environment, |it, (name, value)| it.with_var(*name, *value));
    Credentials::new(&AzureConfig::from_environment(&environment).unwrap())
}

#[allow(clippy::needless_pass_by_value)] // callers build the text or JSON in place
fn answer(status: u16, body: impl ToString) -> Response<String> {
    Response::builder().status(status).body(body.to_string()).unwrap()
}

fn token(text: &str) -> serde_json::Value {
    json!({"access_token": text, "expires_on": "4102444800", "resource": "r", "token_type": "Bearer"})
}

/// A folder for one test, removed with this value.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("isobar-azure-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::SeqCst));
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&folder).unwrap();
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

    /// An `az` that is a shell script.
    #[cfg(unix)]
    fn az(&self, script: &str) {
        use std::os::unix::fs::PermissionsExt;
        let path = self.write("az", &format!("#!/bin/sh\n{script}\n"));
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

async fn of(credentials: &Credentials) -> Result<String> {
    credentials.token(Audience::Storage).await.map(|token| token.to_string())
}

#[tokio::test]
async fn without_a_source_the_error_lists_the_sources() {
    let error = of(&credentials(&[])).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unauthenticated);
    for part in ["AZURE_FEDERATED", "IDENTITY_ENDPOINT", "CLI: not on this machine", "no response", "az login"] {
        assert!(error.message().contains(part), "{error}");
    }
}

#[tokio::test]
async fn each_audience_has_its_own_token_from_one_request() {
    let double = Double::new(|request| {
        answer(200, token(request.uri().query().unwrap().split("%2F%2F").last().unwrap().split('.').next().unwrap()))
    })
    .await;
    let endpoint = format!("{}/msi/token", double.url);
    let credentials = credentials(&[("IDENTITY_ENDPOINT", &endpoint), ("IDENTITY_HEADER", "hush")]);
    for _ in 0..3 {
        for (audience, expected) in
            [(Audience::Storage, "storage"), (Audience::Cosmos, "cosmos"), (Audience::ServiceBus, "servicebus")]
        {
            assert_eq!(&*credentials.token(audience).await.unwrap(), expected);
        }
    }
    assert_eq!(double.requests().len(), 3);
    assert_eq!(double.requests()[0], "GET /msi/token?api-version=2019-08-01&resource=https%3A%2F%2Fstorage.azure.com");
    let headers = double.request(0, |request| request.headers().clone());
    assert!(headers["x-identity-header"] == "hush" && headers["metadata"] == "true");
    assert!(!format!("{credentials:?}").contains("hush"));
}

#[tokio::test]
async fn azure_client_id_selects_a_user_assigned_identity() {
    let double = Double::new(|_| answer(400, json!({"statusCode": 400, "message": "hush"}))).await;
    let vars = [("IDENTITY_ENDPOINT", double.url.as_str()), ("IDENTITY_HEADER", "hush"), ("AZURE_CLIENT_ID", "c-1")];
    let error = of(&credentials(&vars)).await.unwrap_err();
    assert!(double.requests()[0].ends_with("&client_id=c-1"), "{:?}", double.requests());
    assert!(error.kind() == ErrorKind::Unauthenticated && error.message().contains("client id c-1"), "{error}");
    let error = of(&credentials(&vars[..2])).await.unwrap_err();
    assert!(error.message().contains("enable it, or set AZURE_CLIENT_ID"), "{error}");
}

#[tokio::test]
async fn an_error_or_malformed_response_of_the_endpoint_is_an_error_without_its_body() {
    let token = |token: &str, expires: serde_json::Value| json!({"access_token": token, "expires_on": expires});
    for (status, body, kind) in [
        (401, json!("hush"), ErrorKind::Unauthenticated),
        (429, json!("hush"), ErrorKind::Throttled),
        (503, json!("hush"), ErrorKind::Unavailable),
        (200, json!("hush"), ErrorKind::Internal),
        (200, token("hush", json!("tomorrow")), ErrorKind::Internal),
        (200, token("hush", json!(null)), ErrorKind::Internal),
        (200, token("hush", json!("99999999999999999999")), ErrorKind::Internal),
        (200, token("hush", json!(u64::MAX)), ErrorKind::Internal),
        (200, token("hush\r\nx: y", json!("4102444800")), ErrorKind::Internal),
        (200, token("", json!("4102444800")), ErrorKind::Internal),
    ] {
        let sent = body.clone();
        let double = Double::new(move |_| answer(status, &body)).await;
        let error =
            of(&credentials(&[("IDENTITY_ENDPOINT", &double.url), ("IDENTITY_HEADER", "hush")])).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{sent}");
        assert!(!format!("{error:?}").contains("hush"), "{error:?}");
    }
}

#[tokio::test]
async fn the_machine_is_tried_last_and_again_while_it_is_busy() {
    let count = AtomicU32::new(0);
    let double = Double::new(move |request| match count.fetch_add(1, Ordering::SeqCst) {
        _ if request.headers().get("metadata").is_none() => answer(400, ""),
        0 => answer(410, ""),
        1 => answer(429, ""),
        _ => answer(200, token("machine")),
    })
    .await;
    let credentials = credentials(&[("AZURE_POD_IDENTITY_AUTHORITY_HOST", &double.url)]);
    assert_eq!(of(&credentials).await.unwrap(), "machine");
    let requests = double.requests();
    assert_eq!(requests.len(), 3);
    assert!(
        requests[0].starts_with("GET /metadata/identity/oauth2/token?api-version=2018-02-01&resource="),
        "{requests:?}"
    );
}

#[tokio::test]
async fn a_machine_of_another_cloud_or_without_an_identity_is_listed_in_the_error() {
    for (status, expected) in [(404, "returned no token"), (400, "no such identity"), (302, "returned no token")] {
        let double = Double::new(move |_| answer(status, "hush")).await;
        let error = of(&credentials(&[("AZURE_POD_IDENTITY_AUTHORITY_HOST", &double.url)])).await.unwrap_err();
        assert!(error.message().contains(expected) && !error.message().contains("hush"), "{error}");
    }
}

#[tokio::test]
async fn the_token_of_another_issuer_is_sent_to_entra_in_the_body() {
    let double =
        Double::new(|_| answer(200, json!({"token_type": "Bearer", "expires_in": 3599, "access_token": "work"}))).await;
    let folder = Folder::new();
    let file = folder.write("token", "ey.a+b/c\n");
    let managed = Double::new(|_| answer(200, token("managed"))).await;
    let vars = [
        ("AZURE_FEDERATED_TOKEN_FILE", file.as_str()),
        ("AZURE_TENANT_ID", "tenant"),
        ("AZURE_CLIENT_ID", "client"),
        ("AZURE_AUTHORITY_HOST", double.url.as_str()),
        ("IDENTITY_ENDPOINT", managed.url.as_str()),
        ("IDENTITY_HEADER", "x"),
    ];
    assert_eq!(of(&credentials(&vars)).await.unwrap(), "work");
    assert_eq!(double.requests(), ["POST /tenant/oauth2/v2.0/token"]);
    double.request(0, |request| {
        let form = std::str::from_utf8(request.body()).unwrap();
        for part in [
            "grant_type=client_credentials&client_id=client&",
            "&scope=https%3A%2F%2Fstorage.azure.com%2F.default&",
            "&client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer&",
        ] {
            assert!(form.contains(part), "{form}");
        }
        assert!(form.ends_with("&client_assertion=ey.a%2Bb%2Fc"), "{form}");
    });
    let lost = [("AZURE_FEDERATED_TOKEN_FILE", "/nowhere/at/all"), vars[1], vars[2], vars[3]];
    assert_eq!(of(&credentials(&lost)).await.unwrap_err().kind(), ErrorKind::Config);
    assert!(managed.requests().is_empty(), "the token of another identity");
}

#[tokio::test]
async fn an_error_of_entra_is_reported_by_its_code() {
    let service_error = json!({"error": "invalid_client", "error_description": "AADSTS70021: No matching hush found."});
    let double = Double::new(move |_| answer(401, &service_error)).await;
    let folder = Folder::new();
    let file = folder.write("token", "hush");
    let vars = [
        ("AZURE_FEDERATED_TOKEN_FILE", file.as_str()),
        ("AZURE_TENANT_ID", "tenant"),
        ("AZURE_CLIENT_ID", "client"),
        ("AZURE_AUTHORITY_HOST", double.url.as_str()),
    ];
    let error = of(&credentials(&vars)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unauthenticated);
    assert!(error.message().contains("invalid_client, AADSTS70021"), "{error}");
    assert!(!format!("{error:?}").contains("hush"));
}

#[cfg(unix)]
#[tokio::test]
async fn a_person_s_token_comes_from_the_cli() {
    let folder = Folder::new();
    let path = format!("{}:/usr/bin:/bin", folder.path());
    folder.az(
        r#"[ "$*" = "account get-access-token --resource https://storage.azure.com --output json --tenant t" ] || exit 9
echo '{"accessToken":"person","expiresOn":"2100-01-01 00:00:00.000000","expires_on":4102444800,"tokenType":"Bearer"}'"#,
    );
    assert_eq!(of(&credentials(&[("PATH", &path), ("AZURE_TENANT_ID", "t")])).await.unwrap(), "person");
    // An older CLI: the expiry is in the token's claims, in 2100.
    folder.az(r#"echo '{"accessToken":"e30.eyJleHAiOjQxMDI0NDQ4MDB9.x","expiresOn":"2100-01-01 00:00:00.000000"}'"#);
    assert!(of(&credentials(&[("PATH", &path)])).await.unwrap().starts_with("e30."));
}

#[cfg(unix)]
#[tokio::test]
async fn the_error_of_a_failing_cli_names_the_command_to_run_and_no_secret() {
    let folder = Folder::new();
    let path = format!("{}:/usr/bin:/bin", folder.path());
    for (script, expected) in [
        ("echo \"ERROR: Please run 'az login' to setup account. hush\" >&2; exit 1", "not logged in"),
        ("echo \"AADSTS700082: expired hush. az login\" >&2; exit 1", "run `az login`"),
        ("echo hush >&2; exit 1", "to see why"),
        ("echo hush", "did not return the expected JSON"),
    ] {
        folder.az(script);
        let error = of(&credentials(&[("PATH", &path)])).await.unwrap_err();
        assert!(error.message().contains(expected), "{error}");
        assert!(!format!("{error:?}").contains("hush"), "{error:?}");
    }
    let nowhere = of(&credentials(&[("PATH", "/nowhere/at/all")])).await.unwrap_err();
    assert!(nowhere.message().contains("Azure CLI: not installed"), "{nowhere}");
}

#[cfg(unix)]
#[tokio::test]
async fn in_a_functions_app_no_cli_is_started() {
    let folder = Folder::new();
    folder.az("echo '{\"accessToken\":\"person\",\"expires_on\":4102444800}'");
    let path = format!("{}:/usr/bin:/bin", folder.path());
    let error = of(&credentials(&[("PATH", &path), ("FUNCTIONS_CUSTOMHANDLER_PORT", "8080")])).await.unwrap_err();
    assert!(error.message().contains("machine: not used in a Functions app"), "{error}");
}
