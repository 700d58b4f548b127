//! A real account of a cloud: the provider as it is deployed, on resources that are made for each trial and deleted at the
//! end. No clock can be moved there, and no app is deployed: trials that need that are ignored.
//!
//! What makes the resources is `emulators/account.py`, by the libraries of the cloud.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::Request;
use http_body_util::BodyExt;
use hyper_rustls::HttpsConnectorBuilder;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use isobar::aws::{AwsConfig, AwsProvider};
use isobar::driver::{Environment, Location, Provider, ResourceKind, ResourceUrl};
use isobar::{Body, Cloud, Error, EventQueue, Result, TestResponse};
use isobar_azure::{AzureConfig, AzureProvider};
use isobar_conformance::{Gap, Harness, HarnessResult, TrialResult, World};
use isobar_gcp::{GcpConfig, GcpProvider};
use serde_json::json;

use super::provisioned::{Deployment, Made, Provisioned};
use super::{aws, azure, gcp};
use crate::emulators::{Library, Python};

/// An account of one cloud.
#[derive(Debug)]
pub struct Account {
    cloud: &'static str,
    environment: Environment,
    prefix: String,
    gaps: &'static [Gap],
    programs: Arc<Vec<Library>>,
    worlds: AtomicUsize,
}

impl Account {
    /// The account that the environment names, with names that begin with `isobar-` and 6 random digits. `programs`
    /// processes create resources in parallel, because a table of DynamoDB takes seconds.
    ///
    /// Errors: `Config` for an unknown cloud; `Internal` if a program cannot be started, or the account rejects its calls.
    pub fn new(cloud: &str, environment: Environment, python: &Python, programs: usize) -> Result<Self> {
        let clouds = [("aws", "AWS itself"), ("azure", "Azure itself"), ("gcp", "Google Cloud itself")];
        let unknown = || Error::config(format!("ISOBAR_ACCOUNT is `{cloud}`: use aws, azure or gcp"));
        let (cloud, itself) = clouds.into_iter().find(|(known, _)| *known == cloud).ok_or_else(unknown)?;
        let variables: Vec<_> = environment.vars_with_prefix("").collect();
        let start = |_| Library::start(python, "account.py", &json!(cloud), &variables);
        let programs = Arc::new((0..programs).map(start).collect::<Result<_>>()?);
        // The lists of the emulators name what the service itself cannot do by these words.
        let known = [aws::gaps::MOTO, azure::gaps::COSMOS, azure::gaps::AZURITE, gcp::gaps::EMULATORS].concat();
        let of_service: Vec<_> = known.into_iter().filter(|gap| gap.reason.starts_with(itself)).collect();
        // A prefix has at most 20 characters, with the number of the trial.
        let random = RandomState::new().hash_one(std::process::id()) >> 40;
        let prefix = format!("isobar-{random:06x}-");
        let account =
            Self { cloud, environment, prefix, gaps: of_service.leak(), programs, worlds: AtomicUsize::new(0) };
        // One error in place of one for each trial, if the credentials are wrong.
        account.delete()?;
        Ok(account)
    }

    /// Deletes all that the trials made, and returns the number of resources.
    pub fn delete(&self) -> Result<u64> {
        let deleted = self.programs[0].call("delete", &json!({"prefix": self.prefix}))?;
        Ok(deleted["deleted"].as_u64().unwrap_or_default())
    }
}

/// Checks on an emulator that what a trial makes is deleted: `resources` for a table, a bucket and a topic.
pub async fn deletes_what_it_makes(account: Account, resources: u64) -> TrialResult {
    let cloud = account.open().await?.cloud();
    cloud.table::<String>("items").put(("a", "b"), &"value".to_owned()).await?;
    cloud.bucket("files").put("dir/a", "content").await?;
    cloud.topic::<String>("jobs").publish("work".to_owned()).await?;
    assert_eq!((account.delete()?, account.delete()?), (resources, 0));
    Ok(())
}

#[async_trait]
impl Harness for Account {
    fn name(&self) -> &'static str {
        self.cloud
    }

    fn gaps(&self) -> &'static [Gap] {
        self.gaps
    }

    async fn open(&self) -> Result<Box<dyn World>> {
        let number = self.worlds.fetch_add(1, Ordering::Relaxed);
        let prefix = format!("{}{number}-", self.prefix);
        let environment = self.environment.clone().with_var("ISOBAR_PREFIX", &*prefix);
        let tables_of_storage = self.cloud == "azure" && environment.var("AZURE_COSMOS_CONNECTION_STRING").is_none();
        let account = Arc::new(Resources {
            prefix,
            tables_of_storage,
            programs: Arc::clone(&self.programs),
            program: number % self.programs.len(),
            made: Made::default(),
        });
        let provider: Arc<dyn Provider> = match self.cloud {
            "aws" => {
                let provider = AwsProvider::new(AwsConfig::from_environment(&environment)?);
                Arc::new(Provisioned { provider, account })
            }
            "azure" => {
                let provider = AzureProvider::new(AzureConfig::from_environment(&environment)?);
                Arc::new(Provisioned { provider, account })
            }
            _ => {
                let provider = GcpProvider::new(GcpConfig::from_environment(&environment)?);
                Arc::new(Provisioned { provider, account })
            }
        };
        Ok(Box::new(AccountWorld { provider }))
    }

    fn timeout(&self) -> Duration {
        Duration::from_secs(600)
    }

    async fn close(&self) -> Result<()> {
        self.delete().map(drop)
    }
}

struct AccountWorld {
    provider: Arc<dyn Provider>,
}

#[async_trait]
impl World for AccountWorld {
    fn cloud(&self) -> Cloud {
        Cloud::new(Arc::clone(&self.provider))
    }

    async fn fetch(&self, request: Request<Bytes>) -> HarnessResult<TestResponse> {
        let failed = |error| Error::internal("a signed URL cannot be called").with_source(error);
        let connector = HttpsConnectorBuilder::new().with_webpki_roots().https_or_http().enable_http1().build();
        let client: Client<_, Body> = Client::builder(TokioExecutor::new()).build(connector);
        let (parts, body) = client.request(request.map(Body::from)).await.map_err(failed)?.into_parts();
        let truncated = |error| Error::internal("the connection closed within the response").with_source(error);
        Ok(TestResponse::new(parts.status, parts.headers, body.collect().await.map_err(truncated)?.to_bytes()))
    }

    /// Every provider keeps nothing of its data in the process.
    async fn reopen(self: Box<Self>) -> HarnessResult<Box<dyn World>> {
        Ok(self)
    }
}

/// The resources of one trial.
#[derive(Debug)]
struct Resources {
    prefix: String,
    tables_of_storage: bool,
    programs: Arc<Vec<Library>>,
    program: usize,
    made: Made,
}

#[async_trait]
impl Deployment for Resources {
    fn made(&self) -> &Made {
        &self.made
    }

    fn physical(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    async fn create(&self, kind: ResourceKind, name: &str) -> Result<()> {
        let name = match kind {
            ResourceKind::Table if self.tables_of_storage => azure::table(name),
            _ => name.to_owned(),
        };
        let (programs, program, kind) = (Arc::clone(&self.programs), self.program, kind.to_string());
        let make = move || programs[program].call("make", &json!({"kind": kind, "name": name}));
        let made = tokio::task::spawn_blocking(make).await;
        made.map_err(|error| Error::internal("a resource cannot be made").with_source(error))?.map(drop)
    }

    async fn route(&self, queue: &EventQueue, _: &str) -> Result<()> {
        Err(Error::internal(format!("no app is deployed that handles {queue}")))
    }

    fn placed(&self, at: &Location) -> Result<Location> {
        let url = match at.kind() {
            _ if at.url().is_some() || !self.tables_of_storage => return Ok(at.clone()),
            ResourceKind::Table => format!("aztable://{}", azure::table(&self.physical(at.name()))),
            ResourceKind::Topic => format!("azqueue://{}", self.physical(at.name())),
            _ => return Ok(at.clone()),
        };
        Ok(at.clone().with_url(ResourceUrl::parse(&url)?))
    }
}
