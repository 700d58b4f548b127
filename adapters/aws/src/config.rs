//! The configuration of the AWS provider from environment variables.
//!
//! # Names
//!
//! A resource without a configured URL has its logical name after the prefix `ISOBAR_PREFIX` or that of the stage `ISOBAR_STAGE`:
//!
//! | resource | name on AWS |
//! |---|---|
//! | table `links` | DynamoDB table `links`, string keys `pk` and `sk`, TTL attribute `ttl`; the keys of writes are in the queue `links--writes` |
//! | bucket `pages` | S3 bucket `pages`; its events arrive in the queue `pages--events`, those named `thumbs` in `pages--events--thumbs` |
//! | topic `clicks` | SNS topic `clicks`, and `clicks.fifo` for messages with an ordering key; queues and dead letters as below |
//! | schedule `sweep` | EventBridge schedule or rule `sweep` |
//! | secret `api-token`, configuration `settings` | parameters `api-token` and `settings` in Parameter Store |
//!
//! The messages of topic `clicks` arrive in the SQS queues `clicks` and `clicks.fifo`, subscribed
//! with raw delivery, those of its subscription `index` in `clicks--index` and `clicks--index.fifo`; dead letters go to
//! `clicks--dead` and `clicks--dead.fifo`.
//!
//! A URL selects another resource: `dynamodb://links-prod?writes=QUEUE`, `s3://pages-prod?events=QUEUE`,
//! `sns://clicks-prod?queue=QUEUE&account=123456789012`; the queue of a trigger with the name `index` is `QUEUE--index`, and the
//! dead letters of a queue `QUEUE` are in `QUEUE--dead`. All three accept `region=` and `endpoint=`.
//! So do `ISOBAR_SECRETS=ssm://`, which is the default, and `ISOBAR_SECRETS=secretsmanager://`; neither has a name.
//!
//! # Variables
//!
//! The variables are those of AWS's SDKs; files are read only outside Lambda:
//!
//! | variable | meaning |
//! |---|---|
//! | `AWS_REGION`, `AWS_DEFAULT_REGION` | the region; without them, that of the profile in `~/.aws/config` |
//! | `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_SESSION_TOKEN` | credentials, with priority over all others |
//! | `AWS_WEB_IDENTITY_TOKEN_FILE`, `AWS_ROLE_ARN`, `AWS_ROLE_SESSION_NAME` | credentials for another provider's token |
//! | `AWS_PROFILE`, `AWS_CONFIG_FILE`, `AWS_SHARED_CREDENTIALS_FILE` | a profile; single sign-on and roles need the AWS CLI v2 |
//! | `AWS_CONTAINER_CREDENTIALS_RELATIVE_URI`, `…_FULL_URI`, `AWS_CONTAINER_AUTHORIZATION_TOKEN`, `…_TOKEN_FILE` | credentials of a container |
//! | `AWS_EC2_METADATA_DISABLED`, `AWS_EC2_METADATA_SERVICE_ENDPOINT`, `…_ENDPOINT_MODE` | credentials of a machine |
//! | `AWS_ACCOUNT_ID` | the account |
//! | `AWS_ENDPOINT_URL`, `AWS_ENDPOINT_URL_<SERVICE>`, `AWS_IGNORE_CONFIGURED_ENDPOINT_URLS` | endpoints instead of AWS's |
//! | `AWS_USE_FIPS_ENDPOINT`, `AWS_USE_DUALSTACK_ENDPOINT` | the kind of AWS's endpoints |
//! | `AWS_CA_BUNDLE`, `AWS_MAX_ATTEMPTS` | the HTTP client |
//! | `HTTPS_PROXY`, `ALL_PROXY`, `NO_PROXY`, `http_proxy` | proxies; also in lower case |
//! | [`ISOBAR_LAMBDA_INVOKE_MODE`] | whether the Function URL streams its responses |

mod endpoint;
mod lambda;
mod place;
mod shared_files;
mod sources;

use std::collections::BTreeMap;
use std::sync::Arc;

use isobar_abstraction::driver::{Environment, Location, Prefix, ResourceKind, ResourceUrl};
use isobar_abstraction::{Error, Result};
use isobar_rest::{ClientConfig, check_endpoint};

pub use lambda::LambdaFunction;

pub(crate) use endpoint::{arn, check_region, signing_name};
pub(crate) use place::{Placed, fits_queue};
pub(crate) use shared_files::SharedFiles;
pub(crate) use sources::{Authorization, Container, Credential, Sources, WebIdentity, fixed_credential};

/// The variable with the invoke mode of the Function URL: `RESPONSE_STREAM` or `BUFFERED` (the default).
pub const ISOBAR_LAMBDA_INVOKE_MODE: &str = "ISOBAR_LAMBDA_INVOKE_MODE";

/// The configuration of the AWS provider.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct AwsConfig {
    /// The region: `AWS_REGION`, else `AWS_DEFAULT_REGION`. `None`: that of the profile in `~/.aws/config`.
    pub region: Option<String>,
    /// The account, for the ARNs of topics: `AWS_ACCOUNT_ID`. On Lambda the function's ARN contains it.
    pub account: Option<String>,
    /// The prefix of logical names.
    pub prefix: Prefix,
    /// Endpoints instead of AWS's, by the service's name in lower case (`dynamodb`, `s3`, `sns`,
    /// `sqs`, `ssm`, `secrets_manager`, `sts`); the empty name is for all services. `AWS_ENDPOINT_URL` and `AWS_ENDPOINT_URL_<SERVICE>`.
    pub endpoints: BTreeMap<String, String>,
    /// Use AWS's endpoints with cryptography validated for FIPS 140: `AWS_USE_FIPS_ENDPOINT`.
    pub fips: bool,
    /// Use AWS's endpoints with IPv4 and IPv6: `AWS_USE_DUALSTACK_ENDPOINT`.
    pub dual_stack: bool,
    /// Whether the Function URL streams its responses: [`ISOBAR_LAMBDA_INVOKE_MODE`].
    pub response_stream: bool,
    /// The largest object, in bytes, to copy in one request. `None`: 512 MiB. A larger object is copied in parts
    /// of this size, but at least 5 MiB and at most 128 MiB, or more if 10,000 parts are not enough. The
    /// response to one request must arrive within [`ClientConfig::attempt_timeout`], and S3 copies at most 5 GiB in one
    /// request; other S3-compatible stores may have lower limits.
    pub largest_copy: Option<u64>,
    /// Resources with a configured URL, by which the host assigns their events.
    pub placed: Vec<Location>,
    /// The URL of the store of secrets and configuration; `None` for Parameter Store.
    pub(crate) secrets: Option<ResourceUrl>,
    /// The Lambda function of this process, if it runs on Lambda.
    pub lambda: Option<LambdaFunction>,
    /// The HTTP client.
    pub client: ClientConfig,
    pub(crate) sources: Sources,
}

impl AwsConfig {
    /// Reads the configuration from variables only. Errors: `Config`, naming the variable.
    pub fn from_environment(environment: &Environment) -> Result<Self> {
        let checked = |name: &str, check: fn(&str, &str) -> Result<String>| {
            environment.var(name).map(|value| check(name, value)).transpose()
        };
        let lambda = LambdaFunction::from_environment(environment)?;
        Ok(Self {
            region: match checked("AWS_REGION", check_region)? {
                None => checked("AWS_DEFAULT_REGION", check_region)?,
                region => region,
            },
            account: checked("AWS_ACCOUNT_ID", place::check_account)?,
            prefix: environment.prefix()?,
            endpoints: endpoints(environment)?,
            fips: flag(environment, "AWS_USE_FIPS_ENDPOINT")?,
            dual_stack: flag(environment, "AWS_USE_DUALSTACK_ENDPOINT")?,
            response_stream: response_stream(environment)?,
            largest_copy: None,
            placed: placed(environment)?,
            secrets: environment.secret_store()?,
            client: client(environment)?,
            sources: Sources::from_environment(environment, lambda.is_some())?,
            lambda,
        })
    }

    /// Replaces all sources of credentials by these. Errors: `Config` for white space in them.
    pub fn with_credentials(mut self, key_id: &str, secret_key: &str, session_token: Option<&str>) -> Result<Self> {
        let names = ["the access key id", "the secret access key", "the session token"];
        let fixed = Arc::new(fixed_credential(names, key_id, secret_key, session_token)?);
        self.sources = Sources { fixed: Some(fixed), ..Sources::default() };
        Ok(self)
    }

    /// The default region. Reads `~/.aws/config` if no variable contains it. Errors: `Config`.
    pub(crate) fn region(&self) -> Result<String> {
        if let Some(region) = &self.region {
            return Ok(region.clone());
        }
        let files = self.sources.shared_files.as_ref();
        if let Some(region) = files.and_then(|files| files.read().get("region").map(str::to_owned)) {
            return check_region("`region` in ~/.aws/config", &region);
        }
        Err(Error::config(
            "the AWS region is unknown: set AWS_REGION, for example AWS_REGION=eu-west-1, or run `aws configure`",
        ))
    }
}

/// A boolean variable. Errors: `Config`, naming the variable.
fn flag(environment: &Environment, name: &str) -> Result<bool> {
    match environment.var(name) {
        None => Ok(false),
        Some(value) if value.eq_ignore_ascii_case("true") => Ok(true),
        Some(value) if value.eq_ignore_ascii_case("false") => Ok(false),
        Some(value) => Err(Error::config(format!("{name} is `{}`; it must be true or false", value.escape_debug()))),
    }
}

fn endpoints(environment: &Environment) -> Result<BTreeMap<String, String>> {
    const PREFIX: &str = "AWS_ENDPOINT_URL";
    if flag(environment, "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS")? {
        return Ok(BTreeMap::new());
    }
    let mut endpoints = BTreeMap::new();
    for (end, url) in environment.vars_with_prefix(PREFIX).filter(|(_, url)| !url.is_empty()) {
        let service = match end.strip_prefix('_') {
            Some(service) => service.to_ascii_lowercase(),
            None if end.is_empty() => String::new(),
            None => continue,
        };
        endpoints.insert(service, check_endpoint(&format!("{PREFIX}{end}"), url)?);
    }
    Ok(endpoints)
}

fn response_stream(environment: &Environment) -> Result<bool> {
    match environment.var(ISOBAR_LAMBDA_INVOKE_MODE) {
        None | Some("BUFFERED") => Ok(false),
        Some("RESPONSE_STREAM") => Ok(true),
        Some(_) => Err(Error::config(format!("{ISOBAR_LAMBDA_INVOKE_MODE} must be RESPONSE_STREAM or BUFFERED"))),
    }
}

/// The resources with a configured URL on AWS.
fn placed(environment: &Environment) -> Result<Vec<Location>> {
    let mut placed = Vec::new();
    for (variable, at) in environment.locations()? {
        let scheme = match at.kind() {
            ResourceKind::Table => "dynamodb",
            ResourceKind::Bucket => "s3",
            ResourceKind::Topic => "sns",
            _ => continue,
        };
        if at.url().is_some_and(|url| url.scheme() == scheme) {
            let with_variable = |error: Error| Error::config(format!("{variable}: {}", error.message()));
            AwsConfig::default().place(&at).map_err(with_variable)?;
            placed.push(at);
        }
    }
    Ok(placed)
}

fn client(environment: &Environment) -> Result<ClientConfig> {
    let mut client = ClientConfig::default().with_proxies(environment);
    client.ca_bundle = environment.var("AWS_CA_BUNDLE").map(Into::into);
    let name = "AWS_MAX_ATTEMPTS";
    let expected = "a number of attempts from 1 to 100";
    if let Some(attempts) = environment.parse::<u32>(name, expected)? {
        if !(1..=100).contains(&attempts) {
            return Err(Error::config(format!("{name} is `{attempts}`; it must be {expected}")));
        }
        client.max_attempts = attempts;
    }
    Ok(client)
}

#[cfg(test)]
mod tests;
