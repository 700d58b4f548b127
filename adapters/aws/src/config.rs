//! What the environment says to the AWS provider. Read here and nowhere else.
//!
//! # Names
//!
//! A resource without a URL of its own has its logical name, with [`ISOBAR_PREFIX`] before it:
//!
//! | resource | name on AWS |
//! |---|---|
//! | table `links` | DynamoDB table `links`, string keys `pk` and `sk`, TTL attribute `ttl` |
//! | bucket `pages` | S3 bucket `pages`; its events come through the queue `pages--events`, dead letters go to `pages--events--dead` |
//! | topic `clicks` | SNS topic `clicks`, and `clicks.fifo` for messages with an ordering key; queues and dead letters as below |
//! | schedule `sweep` | EventBridge schedule or rule `sweep` |
//!
//! The messages of topic `clicks` come through the SQS queues `clicks` and `clicks.fifo`, subscribed
//! with raw delivery; dead letters go to `clicks--dead` and `clicks--dead.fifo`.
//!
//! A URL names another place: `dynamodb://links-prod?region=eu-west-1`, `s3://pages-prod?events=QUEUE`,
//! `sns://clicks-prod?queue=QUEUE&account=123456789012`; the dead letters of a queue `QUEUE` are in `QUEUE--dead`.
//! All three take `region=` and `endpoint=`.
//!
//! # Variables
//!
//! Those of AWS's own SDKs, and no files but on laptops:
//!
//! | variable | what it says |
//! |---|---|
//! | `AWS_REGION`, `AWS_DEFAULT_REGION` | the region; else that of the profile in `~/.aws/config` |
//! | `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_SESSION_TOKEN` | credentials, which win over all others |
//! | `AWS_WEB_IDENTITY_TOKEN_FILE`, `AWS_ROLE_ARN`, `AWS_ROLE_SESSION_NAME` | credentials for another provider's token |
//! | `AWS_PROFILE`, `AWS_CONFIG_FILE`, `AWS_SHARED_CREDENTIALS_FILE` | a person's profile; single sign-on and roles take the AWS CLI v2 |
//! | `AWS_CONTAINER_CREDENTIALS_RELATIVE_URI`, `…_FULL_URI`, `AWS_CONTAINER_AUTHORIZATION_TOKEN`, `…_TOKEN_FILE` | credentials of a container |
//! | `AWS_EC2_METADATA_DISABLED`, `AWS_EC2_METADATA_SERVICE_ENDPOINT`, `…_ENDPOINT_MODE` | credentials of a machine |
//! | `AWS_ACCOUNT_ID` | the account |
//! | `AWS_ENDPOINT_URL`, `AWS_ENDPOINT_URL_<SERVICE>`, `AWS_IGNORE_CONFIGURED_ENDPOINT_URLS` | other endpoints than AWS's own |
//! | `AWS_USE_FIPS_ENDPOINT`, `AWS_USE_DUALSTACK_ENDPOINT` | which of AWS's own endpoints |
//! | `AWS_CA_BUNDLE`, `AWS_MAX_ATTEMPTS` | the HTTP client |
//! | `HTTPS_PROXY`, `ALL_PROXY`, `NO_PROXY`, `http_proxy` | the way to AWS; also all in small letters |
//! | [`ISOBAR_LAMBDA_INVOKE_MODE`] | how a Function URL answers |

mod endpoint;
mod lambda;
mod place;
mod shared_files;
mod sources;

use std::collections::BTreeMap;
use std::sync::Arc;

use isobar_abstraction::driver::{Environment, Location, ResourceKind, check_prefix};
use isobar_abstraction::{Error, Result};
use isobar_rest::{ClientConfig, check_endpoint};

pub use lambda::LambdaFunction;

pub(crate) use endpoint::{arn, check_region, signing_name};
pub(crate) use place::Placed;
pub(crate) use shared_files::SharedFiles;
pub(crate) use sources::{Authorization, Container, Credential, Sources, WebIdentity, fixed_credential};

/// What stands before the logical names of resources that have no URL of their own.
pub const ISOBAR_PREFIX: &str = "ISOBAR_PREFIX";

/// `RESPONSE_STREAM` where the function's URL has that invoke mode; `BUFFERED` without it.
pub const ISOBAR_LAMBDA_INVOKE_MODE: &str = "ISOBAR_LAMBDA_INVOKE_MODE";

/// How the AWS provider is set up.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct AwsConfig {
    /// The region: `AWS_REGION`, else `AWS_DEFAULT_REGION`. Without it that of a person's profile.
    pub region: Option<String>,
    /// The account, for the ARNs of topics: `AWS_ACCOUNT_ID`. On Lambda the function's own ARN tells it.
    pub account: Option<String>,
    /// What stands before logical names.
    pub prefix: String,
    /// Endpoints instead of AWS's own, by the service's name in lower case (`dynamodb`, `s3`, `sns`,
    /// `sqs`, `sts`); the name `` is for all. `AWS_ENDPOINT_URL` and `AWS_ENDPOINT_URL_<SERVICE>`.
    pub endpoints: BTreeMap<String, String>,
    /// AWS's endpoints whose cryptography is validated for FIPS 140: `AWS_USE_FIPS_ENDPOINT`.
    pub fips: bool,
    /// AWS's endpoints that have IPv6 too: `AWS_USE_DUALSTACK_ENDPOINT`.
    pub dual_stack: bool,
    /// Does the function's URL stream its answers? [`ISOBAR_LAMBDA_INVOKE_MODE`].
    pub response_stream: bool,
    /// The largest object, in bytes, that is copied in one request. `None`: 512 MiB. A larger one is copied in parts
    /// of this size, but at least 5 MiB and at most 128 MiB, or more where 10,000 parts would not be enough. The
    /// answer to one request must arrive within [`ClientConfig::attempt_timeout`], and S3 copies at most 5 GiB in one
    /// request; stores of S3's kind may take less.
    pub largest_copy: Option<u64>,
    /// Resources that configuration placed, for the host to know their events by.
    pub placed: Vec<Location>,
    /// The function that this process is, if it runs on Lambda.
    pub lambda: Option<LambdaFunction>,
    /// The HTTP client.
    pub client: ClientConfig,
    pub(crate) sources: Sources,
}

impl AwsConfig {
    /// From variables; a pure function of them. Errors: `Config`, naming the variable.
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
            prefix: checked(ISOBAR_PREFIX, check_prefix)?.unwrap_or_default(),
            endpoints: endpoints(environment)?,
            fips: flag(environment, "AWS_USE_FIPS_ENDPOINT")?,
            dual_stack: flag(environment, "AWS_USE_DUALSTACK_ENDPOINT")?,
            response_stream: response_stream(environment)?,
            largest_copy: None,
            placed: placed(environment)?,
            client: client(environment)?,
            sources: Sources::from_environment(environment, lambda.is_some())?,
            lambda,
        })
    }

    /// The same with these credentials and no others. Errors: `Config` for white space in them.
    pub fn with_credentials(mut self, key_id: &str, secret_key: &str, session_token: Option<&str>) -> Result<Self> {
        let named = ["the access key id", "the secret access key", "the session token"];
        let fixed = Arc::new(fixed_credential(named, key_id, secret_key, session_token)?);
        self.sources = Sources { fixed: Some(fixed), ..Sources::default() };
        Ok(self)
    }

    /// The region of what has no other. Reads `~/.aws/config` where no variable says it. Errors: `Config`.
    pub(crate) fn region(&self) -> Result<String> {
        if let Some(region) = &self.region {
            return Ok(region.clone());
        }
        let files = self.sources.shared_files.as_ref();
        if let Some(region) = files.and_then(|files| files.read().get("region").map(str::to_owned)) {
            return check_region("`region` in ~/.aws/config", &region);
        }
        Err(Error::config("no AWS region: set AWS_REGION, such as AWS_REGION=eu-west-1, or run `aws configure`"))
    }
}

/// A variable that says yes or no. Errors: `Config`, naming the variable.
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

/// The buckets and topics whose events come to this app, and which are not where they are by default.
fn placed(environment: &Environment) -> Result<Vec<Location>> {
    let mut placed = Vec::new();
    for (variable, at) in environment.locations()? {
        let ours = match at.kind() {
            ResourceKind::Bucket => "s3",
            ResourceKind::Topic => "sns",
            _ => continue,
        };
        if at.url().is_some_and(|url| url.scheme() == ours) {
            let named = |error: Error| Error::config(format!("{variable}: {}", error.message()));
            AwsConfig::default().place(&at).map_err(named)?;
            placed.push(at);
        }
    }
    Ok(placed)
}

fn client(environment: &Environment) -> Result<ClientConfig> {
    let mut client = ClientConfig::default().with_proxies(environment);
    client.ca_bundle = environment.var("AWS_CA_BUNDLE").map(Into::into);
    let name = "AWS_MAX_ATTEMPTS";
    let wanted = "a number of attempts from 1 to 100";
    if let Some(attempts) = environment.parse::<u32>(name, wanted)? {
        if !(1..=100).contains(&attempts) {
            return Err(Error::config(format!("{name} is `{attempts}`; it must be {wanted}")));
        }
        client.max_attempts = attempts;
    }
    Ok(client)
}

/// A prefix is part of the names of buckets, which take the least. Errors: `Config`.
#[cfg(test)]
mod tests;
