//! The sources of credentials that the environment configures.

use std::sync::Arc;

use http::Uri;
use isobar_abstraction::driver::Environment;
use isobar_abstraction::{Error, Result};
use isobar_rest::check_endpoint;

use super::SharedFiles;

/// The host of a container's credentials on ECS, a link-local address.
const CONTAINER_HOST: &str = "169.254.170.2";

/// The hosts, in addition to loopback addresses, that may send container credentials in clear text.
///
/// Source: "Container credential provider", AWS SDKs and Tools Reference Guide.
const CONTAINER_HOSTS: [&str; 4] = [CONTAINER_HOST, "169.254.170.23", "[fd00:ec2::23]", "localhost"];

/// The credentials that sign requests.
#[derive(PartialEq, Eq)]
pub(crate) struct Credential {
    pub(crate) key_id: String,
    pub(crate) secret_key: String,
    /// The session token.
    pub(crate) token: Option<String>,
    /// The account, if the source reported it.
    pub(crate) account: Option<String>,
}

impl std::fmt::Debug for Credential {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credential").finish_non_exhaustive()
    }
}

/// The sources of credentials that the environment configures. A source that is `None` is skipped.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sources {
    pub(crate) fixed: Option<Arc<Credential>>,
    pub(crate) web_identity: Option<WebIdentity>,
    pub(crate) shared_files: Option<SharedFiles>,
    pub(crate) container: Option<Container>,
    /// The endpoint of the instance metadata service.
    pub(crate) metadata: Option<String>,
}

/// A token of another identity provider, which STS exchanges for credentials of a role.
#[derive(Debug, Clone)]
pub(crate) struct WebIdentity {
    pub(crate) token_file: String,
    pub(crate) role_arn: String,
    pub(crate) session_name: String,
}

/// The credentials endpoint of a container, as on ECS and EKS.
#[derive(Debug, Clone)]
pub(crate) struct Container {
    pub(crate) url: String,
    pub(crate) authorization: Option<Authorization>,
}

/// The authorization of a container at its endpoint.
#[derive(Clone)]
pub(crate) enum Authorization {
    Token(String),
    File(String),
}

/// Without the token, which is a secret.
impl std::fmt::Debug for Authorization {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Token(_) => f.write_str("Token(******)"),
            Self::File(path) => f.debug_tuple("File").field(path).finish(),
        }
    }
}

impl Sources {
    /// Errors: `Config`, naming the variable.
    pub(super) fn from_environment(environment: &Environment, on_lambda: bool) -> Result<Self> {
        let fixed = fixed(environment)?;
        if on_lambda && fixed.is_some() {
            // The credentials from Lambda are valid as long as the process runs.
            return Ok(Self { fixed, ..Self::default() });
        }
        Ok(Self {
            fixed,
            web_identity: web_identity(environment)?,
            shared_files: if on_lambda { None } else { SharedFiles::from_environment(environment) },
            container: container(environment)?,
            metadata: if on_lambda { None } else { metadata(environment)? },
        })
    }
}

/// Credentials that are valid in a header. Errors: `Config` with the name of the malformed part, without its value.
pub(crate) fn fixed_credential(
    names: [&str; 3],
    key_id: &str,
    secret: &str,
    token: Option<&str>,
) -> Result<Credential> {
    for (name, value) in names.into_iter().zip([key_id, secret, token.unwrap_or("-")]) {
        if value.is_empty() || !value.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(Error::config(format!(
                "{name} is empty or contains white space or a line break: set it again"
            )));
        }
    }
    let token = token.map(str::to_owned);
    Ok(Credential { key_id: key_id.to_owned(), secret_key: secret.to_owned(), token, account: None })
}

fn fixed(environment: &Environment) -> Result<Option<Arc<Credential>>> {
    let names = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"];
    match names.map(|name| environment.var(name)) {
        [None, None, _] => Ok(None),
        [Some(key_id), Some(secret), token] => Ok(Some(Arc::new(fixed_credential(names, key_id, secret, token)?))),
        [Some(_), None, _] => Err(Error::config("AWS_ACCESS_KEY_ID is set, but AWS_SECRET_ACCESS_KEY is not")),
        [None, Some(_), _] => Err(Error::config("AWS_SECRET_ACCESS_KEY is set, but AWS_ACCESS_KEY_ID is not")),
    }
}

/// The token and role, if a token is set. A role without a token is no error: other tools read that variable too.
fn web_identity(environment: &Environment) -> Result<Option<WebIdentity>> {
    let Some(token_file) = environment.var("AWS_WEB_IDENTITY_TOKEN_FILE") else { return Ok(None) };
    let missing = || Error::config("AWS_WEB_IDENTITY_TOKEN_FILE is set, but AWS_ROLE_ARN is not");
    Ok(Some(WebIdentity {
        token_file: token_file.to_owned(),
        role_arn: environment.var("AWS_ROLE_ARN").ok_or_else(missing)?.to_owned(),
        session_name: environment.var("AWS_ROLE_SESSION_NAME").unwrap_or("isobar").to_owned(),
    }))
}

fn container(environment: &Environment) -> Result<Option<Container>> {
    let relative = environment.var("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI");
    let full = environment.var("AWS_CONTAINER_CREDENTIALS_FULL_URI");
    let url = match (relative, full) {
        (Some(path), _) if path.starts_with('/') => format!("http://{CONTAINER_HOST}{path}"),
        (Some(_), _) => return Err(Error::config("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI must begin with /")),
        (None, Some(url)) => container_url(url)?,
        (None, None) => return Ok(None),
    };
    // The file has priority, because the platform renews its content.
    let file = environment.var("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE").map(|path| Authorization::File(path.into()));
    let token = environment.var("AWS_CONTAINER_AUTHORIZATION_TOKEN").map(|token| Authorization::Token(token.into()));
    Ok(Some(Container { url, authorization: file.or(token) }))
}

fn container_url(url: &str) -> Result<String> {
    let wrong = || {
        let hosts = CONTAINER_HOSTS.join(", ");
        Error::config(format!(
            "AWS_CONTAINER_CREDENTIALS_FULL_URI must be https://, or http:// of {hosts} or a loopback address"
        ))
    };
    let uri: Uri = url.parse().map_err(|_| wrong())?;
    let host = uri.host().ok_or_else(wrong)?;
    let loopback = host.trim_matches(['[', ']']).parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback());
    let near = loopback || CONTAINER_HOSTS.contains(&host);
    match uri.scheme_str() {
        Some("https") => Ok(url.to_owned()),
        Some("http") if near => Ok(url.to_owned()),
        _ => Err(wrong()),
    }
}

/// Source: "IMDS client", AWS SDKs and Tools Reference Guide.
fn metadata(environment: &Environment) -> Result<Option<String>> {
    if super::flag(environment, "AWS_EC2_METADATA_DISABLED")? {
        return Ok(None);
    }
    let variable = "AWS_EC2_METADATA_SERVICE_ENDPOINT";
    if let Some(endpoint) = environment.var(variable) {
        return check_endpoint(variable, endpoint).map(Some);
    }
    let variable = "AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE";
    match environment.var(variable).unwrap_or("IPv4") {
        mode if mode.eq_ignore_ascii_case("IPv4") => Ok(Some("http://169.254.169.254".to_owned())),
        mode if mode.eq_ignore_ascii_case("IPv6") => Ok(Some("http://[fd00:ec2::254]".to_owned())),
        _ => Err(Error::config(format!("{variable} must be IPv4 or IPv6"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(vars: &[(&str, &str)]) -> Result<Sources> {
        let with_var = |environment: Environment, (name, value): &(&str, &str)| environment.with_var(*name, *value);
        Sources::from_environment(&vars.iter().fold(Environment::default(), with_var), false)
    }

    #[test]
    fn incomplete_or_malformed_key_is_a_config_error_without_the_value() {
        for (vars, name) in [
            (&[("AWS_ACCESS_KEY_ID", "a")][..], "AWS_SECRET_ACCESS_KEY"),
            (&[("AWS_SECRET_ACCESS_KEY", "hush")], "AWS_ACCESS_KEY_ID"),
            (&[("AWS_ACCESS_KEY_ID", "a"), ("AWS_SECRET_ACCESS_KEY", "hush\n")], "AWS_SECRET_ACCESS_KEY"),
            (
                &[("AWS_ACCESS_KEY_ID", "a"), ("AWS_SECRET_ACCESS_KEY", "b"), ("AWS_SESSION_TOKEN", "hush\r\nX: y")],
                "AWS_SESSION_TOKEN",
            ),
        ] {
            let error = of(vars).unwrap_err();
            assert!(error.message().contains(name), "{error}");
            assert!(!error.message().contains("hush"), "{error}");
        }
        let sources = of(&[("AWS_ACCESS_KEY_ID", "a"), ("AWS_SECRET_ACCESS_KEY", "hush")]).unwrap();
        assert!(!format!("{sources:?}").contains("hush"));
    }

    #[test]
    fn token_without_a_role_is_a_config_error() {
        let error = of(&[("AWS_WEB_IDENTITY_TOKEN_FILE", "/token")]).unwrap_err();
        assert!(error.message().contains("AWS_ROLE_ARN"), "{error}");
        assert!(of(&[("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/x")]).unwrap().web_identity.is_none());
    }

    #[test]
    fn lambda_uses_only_the_credentials_in_the_environment() {
        let environment = Environment::default()
            .with_var("AWS_ACCESS_KEY_ID", "a")
            .with_var("AWS_SECRET_ACCESS_KEY", "b")
            .with_var("HOME", "/root");
        let sources = Sources::from_environment(&environment, true).unwrap();
        assert!(sources.fixed.is_some() && sources.shared_files.is_none() && sources.metadata.is_none());
    }

    #[test]
    fn container_credentials_over_http_are_allowed_from_local_hosts_only() {
        let full =
            |url| of(&[("AWS_CONTAINER_CREDENTIALS_FULL_URI", url)]).map(|sources| sources.container.unwrap().url);
        for good in
            ["http://169.254.170.23/v1/credentials", "http://127.0.0.1:80/x", "https://example.org/x", "http://[::1]/x"]
        {
            assert_eq!(full(good).unwrap(), good);
        }
        for bad in ["http://example.org/x", "http://169.254.170.2.example.org/", "/x", "ftp://127.0.0.1/"] {
            assert!(full(bad).is_err(), "{bad}");
        }
        let relative = of(&[("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/v2/credentials/x")]).unwrap();
        assert_eq!(relative.container.unwrap().url, "http://169.254.170.2/v2/credentials/x");
        assert!(of(&[("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "@example.org/x")]).is_err());
    }

    #[test]
    fn instance_metadata_can_be_disabled_or_have_another_endpoint() {
        assert_eq!(of(&[]).unwrap().metadata.as_deref(), Some("http://169.254.169.254"));
        assert_eq!(of(&[("AWS_EC2_METADATA_DISABLED", "true")]).unwrap().metadata, None);
        assert!(of(&[("AWS_EC2_METADATA_DISABLED", "maybe")]).is_err());
        let moved = of(&[("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://127.0.0.1:81/")]).unwrap();
        assert_eq!(moved.metadata.as_deref(), Some("http://127.0.0.1:81"));
        let six = of(&[("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE", "ipv6")]).unwrap();
        assert_eq!(six.metadata.as_deref(), Some("http://[fd00:ec2::254]"));
    }
}
