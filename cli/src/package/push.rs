//! Sends an image to a registry, by its digest.
//!
//! <https://github.com/opencontainers/distribution-spec/blob/v1.1.0/spec.md>

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use http::header::{AUTHORIZATION, CONTENT_TYPE, LOCATION, WWW_AUTHENTICATE};
use http::{Method, Request, StatusCode, Uri};
use isobar_rest::{Call, Client, ClientConfig, Safety, ServiceError, SystemClock, Unsigned, is_safe_for_secrets};
use serde::Deserialize;

use super::oci::{self, INDEX};
use crate::failure::Failure;
use crate::output::Output;

/// The longest time of one upload.
const TIMEOUT: Duration = Duration::from_secs(600);

/// How often an upload is made if the network fails.
const ATTEMPTS: u32 = 3;

/// The hosts of registries without TLS.
const LOOPBACK: [&str; 3] = ["localhost", "127.0.0.1", "[::1]"];

/// The account of a token of Google.
const ACCOUNT: &str = "oauth2accesstoken";

/// Sends the image in the folder `layout` to `repository`, such as `europe-west1-docker.pkg.dev/P/R/app`, as far as it is not
/// there. Returns the image with its digest.
pub(crate) async fn push(
    layout: &Path,
    repository: &str,
    token: Option<&str>,
    output: &Output,
) -> Result<String, Failure> {
    let mut registry = Registry::new(repository, token)?;
    let index: Index = parsed(&read(&layout.join(INDEX))?, INDEX)?;
    let [image] = index.manifests.as_slice() else {
        return Err(Failure::new(format!("{} has {} images, not one", layout.display(), index.manifests.len())));
    };
    let target = format!("{repository}@{}", image.digest);
    let content = read(&layout.join(oci::path_of(&image.digest)))?;
    if registry.has("manifests", &image.digest, &image.media_type).await? {
        output.step("Found", &target);
        return Ok(target);
    }
    let manifest: Manifest = parsed(&content, &image.digest)?;
    for blob in manifest.layers.iter().chain([&manifest.config]) {
        if !registry.has("blobs", &blob.digest, "*/*").await? {
            let content = read(&layout.join(oci::path_of(&blob.digest)))?;
            output.step("Uploading", &format!("{} ({} bytes)", blob.digest, content.len()));
            registry.upload(&blob.digest, content).await?;
        }
    }
    registry.put_manifest(image, content).await?;
    output.step("Pushed", &target);
    Ok(target)
}

#[derive(Deserialize)]
struct Index {
    manifests: Vec<Descriptor>,
}

#[derive(Deserialize)]
struct Manifest {
    config: Descriptor,
    layers: Vec<Descriptor>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Descriptor {
    media_type: String,
    digest: String,
}

/// A repository in a registry.
struct Registry<'a> {
    client: Client,
    /// That of contents, which take longer.
    uploads: Client,
    /// Such as `https://europe-west1-docker.pkg.dev`.
    url: String,
    /// The path of the repository, such as `P/R/app`.
    name: String,
    token: Option<&'a str>,
    authorization: Option<String>,
}

/// The answer of a registry.
type Answer = http::Response<Vec<u8>>;

impl<'a> Registry<'a> {
    fn new(repository: &str, token: Option<&'a str>) -> Result<Self, Failure> {
        let wrong = || {
            Failure::new(format!("`{repository}` is no repository of images"))
                .hint("its form is HOST/PATH, such as europe-west1-docker.pkg.dev/PROJECT/REPOSITORY/app")
        };
        let (host, name) = repository.split_once('/').ok_or_else(wrong)?;
        let machine = host.rsplit_once(':').map_or(host, |(machine, _)| machine);
        let scheme = if LOOPBACK.contains(&machine) { "http" } else { "https" };
        let url = format!("{scheme}://{host}");
        url.parse::<Uri>().map_err(|error| wrong().because(&error))?;
        let environment = isobar::config::environment();
        let mut config = ClientConfig::default().with_proxies(&environment);
        config.ca_bundle = environment.var("SSL_CERT_FILE").map(Into::into);
        let client = Client::new(config.clone(), Arc::new(SystemClock));
        config.attempt_timeout = TIMEOUT;
        let uploads = Client::new(config, Arc::new(SystemClock));
        let authorization = token.map(|token| format!("Bearer {token}"));
        Ok(Self { client, uploads, url, name: name.to_owned(), token, authorization })
    }

    /// Is there a content with this digest?
    async fn has(&mut self, kind: &str, digest: &str, accept: &str) -> Result<bool, Failure> {
        let url = format!("{}/v2/{}/{kind}/{digest}", self.url, self.name);
        let request = Request::head(url).header("accept", accept);
        match self.call("Head", request, Vec::new(), Safety::Read).await? {
            Ok(_) => Ok(true),
            Err(error) if error.status() == StatusCode::NOT_FOUND => Ok(false),
            Err(error) => Err(self.refused(&error)),
        }
    }

    /// Sends a content. A failed upload is made again from its start: its place may be lost.
    async fn upload(&mut self, digest: &str, content: Vec<u8>) -> Result<(), Failure> {
        let start = format!("{}/v2/{}/blobs/uploads/", self.url, self.name);
        let mut attempt = 1;
        loop {
            let started = self.call("PostUpload", Request::post(&start), Vec::new(), Safety::Once).await?;
            let started = started.map_err(|error| self.refused(&error))?;
            let place = started.headers().get(LOCATION).and_then(|place| place.to_str().ok());
            let place = place.ok_or_else(|| Failure::new(format!("{} names no place for an upload", self.url)))?;
            let place = self.absolute(place)?;
            let sign = if place.contains('?') { '&' } else { '?' };
            let request = Request::put(format!("{place}{sign}digest={digest}"));
            let request = request.header(CONTENT_TYPE, "application/octet-stream");
            match self.call("PutBlob", request, content.clone(), Safety::Once).await {
                Ok(Ok(_)) => return Ok(()),
                Ok(Err(error)) if attempt >= ATTEMPTS || error.status().is_client_error() => {
                    return Err(self.refused(&error));
                }
                Err(failure) if attempt >= ATTEMPTS => return Err(failure),
                _ => attempt += 1,
            }
            self.client.pause(attempt - 1).await;
            if self.has("blobs", digest, "*/*").await? {
                return Ok(());
            }
        }
    }

    /// The place of an upload. It may be a path, and must be of this registry, since the token goes there.
    fn absolute(&self, place: &str) -> Result<String, Failure> {
        if place.starts_with('/') {
            return Ok(format!("{}{place}", self.url));
        }
        match host_of(place) == host_of(&self.url) && scheme_of(place) == scheme_of(&self.url) {
            true => Ok(place.to_owned()),
            false => Err(Failure::new(format!(
                "{} sends uploads to {}, which is another server",
                self.url,
                host_of(place).unwrap_or_default()
            ))),
        }
    }

    async fn put_manifest(&mut self, image: &Descriptor, content: Vec<u8>) -> Result<(), Failure> {
        let url = format!("{}/v2/{}/manifests/{}", self.url, self.name, image.digest);
        let request = Request::put(url).header(CONTENT_TYPE, &image.media_type);
        let answer = self.call("PutManifest", request, content, Safety::Idempotent).await?;
        answer.map(drop).map_err(|error| self.refused(&error))
    }

    /// Makes a call; with other credentials once more, if the registry asks for them.
    async fn call(
        &mut self,
        operation: &'static str,
        request: http::request::Builder,
        body: Vec<u8>,
        safety: Safety,
    ) -> Result<Result<Answer, ServiceError>, Failure> {
        let request = request.body(()).map_err(|error| self.unreachable().because(&error))?;
        let first = self.send(operation, &request, body.clone(), safety).await?;
        match first {
            Err(error) if error.status() == StatusCode::UNAUTHORIZED && self.authorize(&error).await? => {
                self.send(operation, &request, body, safety).await
            }
            first => Ok(first),
        }
    }

    async fn send(
        &self,
        operation: &'static str,
        request: &Request<()>,
        body: Vec<u8>,
        safety: Safety,
    ) -> Result<Result<Answer, ServiceError>, Failure> {
        let mut builder = Request::builder().method(request.method()).uri(request.uri());
        for (name, value) in request.headers() {
            builder = builder.header(name, value);
        }
        if let Some(authorization) = &self.authorization {
            builder = builder.header(AUTHORIZATION, authorization);
        }
        let client = if body.is_empty() { &self.client } else { &self.uploads };
        let request = builder.body(body.into()).map_err(|error| self.unreachable().because(&error))?;
        let call = Call { operation, request, safety, service: &Unsigned::default() };
        let answer = client.call(call).await.map_err(|error| self.unreachable().because(&error))?;
        Ok(answer.map(|answer| answer.map(|body| body.to_vec())))
    }

    /// Finds the credentials that the registry asks for. `false` if it asks for none that this has.
    async fn authorize(&mut self, error: &ServiceError) -> Result<bool, Failure> {
        let challenge = error.response.headers().get(WWW_AUTHENTICATE).and_then(|value| value.to_str().ok());
        let Some((scheme, parameters)) = challenge.and_then(|challenge| challenge.split_once(' ')) else {
            return Ok(false);
        };
        let basic = self.token.map(|token| format!("Basic {}", BASE64_STANDARD.encode(format!("{ACCOUNT}:{token}"))));
        let authorization = match scheme.to_ascii_lowercase().as_str() {
            "basic" => basic,
            "bearer" => {
                let Some(realm) = parameter(parameters, "realm") else { return Ok(false) };
                // The account's own token goes to this registry only.
                let basic = basic.filter(|_| host_of(realm) == host_of(&self.url) && is_safe_for_secrets(realm));
                self.exchange(realm, parameter(parameters, "service"), basic).await?
            }
            _ => None,
        };
        let is_new = authorization.is_some() && authorization != self.authorization;
        if is_new {
            self.authorization = authorization;
        }
        Ok(is_new)
    }

    /// A token of the registry for this repository.
    async fn exchange(
        &self,
        realm: &str,
        service: Option<&str>,
        basic: Option<String>,
    ) -> Result<Option<String>, Failure> {
        let service = service.map(|service| format!("service={service}&")).unwrap_or_default();
        let sign = if realm.contains('?') { '&' } else { '?' };
        let url = format!("{realm}{sign}{service}scope=repository:{}:pull,push", self.name);
        let mut request = Request::builder().method(Method::GET).uri(url);
        if let Some(basic) = basic {
            request = request.header(AUTHORIZATION, basic);
        }
        let request = request.body(Vec::new().into()).map_err(|error| self.unreachable().because(&error))?;
        let answer = self.client.call_unsigned("GetToken", request, Unsigned::default()).await;
        match answer.map_err(|error| self.unreachable().because(&error))? {
            Ok(answer) => {
                let token: Token = parsed(answer.body(), "the token of the registry")?;
                Ok(token.token.or(token.access_token).map(|token| format!("Bearer {token}")))
            }
            Err(_) => Ok(None),
        }
    }

    fn unreachable(&self) -> Failure {
        Failure::new(format!("{} cannot be reached", self.url)).hint("is there a network, and is the region right?")
    }

    /// The failure of an answer.
    fn refused(&self, error: &ServiceError) -> Failure {
        let (host, status) = (self.url.split("://").nth(1).unwrap_or_default(), error.status());
        let errors: Option<Errors> = serde_json::from_slice(error.response.body()).ok();
        let reason = errors.and_then(|errors| errors.errors.into_iter().next());
        let reason = reason.map(|reason| format!(": {} {}", reason.code, reason.message)).unwrap_or_default();
        let failure = Failure::new(format!("{host}/{} answered with status {}{reason}", self.name, status.as_u16()));
        match status {
            StatusCode::UNAUTHORIZED => failure.hint("log in: gcloud auth login"),
            StatusCode::FORBIDDEN => failure.hint(
                "log in with an account that has the role roles/artifactregistry.writer on the repository: gcloud auth login",
            ),
            StatusCode::NOT_FOUND => failure
                .hint("the repository is missing: make it with `terraform apply` in the folder registry/ of the stage"),
            _ => failure,
        }
    }
}

#[derive(Deserialize)]
struct Token {
    token: Option<String>,
    access_token: Option<String>,
}

#[derive(Deserialize)]
struct Errors {
    errors: Vec<Reason>,
}

#[derive(Deserialize)]
struct Reason {
    code: String,
    #[serde(default)]
    message: String,
}

/// The value of a parameter of a challenge, such as `realm="https://…",service="…"`.
fn parameter<'a>(parameters: &'a str, name: &str) -> Option<&'a str> {
    let start = parameters.find(&format!("{name}=\""))? + name.len() + 2;
    parameters[start..].split('"').next()
}

fn host_of(url: &str) -> Option<&str> {
    url.split_once("://").and_then(|(_, rest)| rest.split(['/', '?']).next())
}

fn scheme_of(url: &str) -> Option<&str> {
    url.split_once("://").map(|(scheme, _)| scheme)
}

fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    fs::read(path).map_err(|error| {
        Failure::new(format!("{} cannot be read", path.display()))
            .because(&error)
            .hint("write the folder again: isobar package")
    })
}

fn parsed<T: serde::de::DeserializeOwned>(content: &[u8], name: &str) -> Result<T, Failure> {
    serde_json::from_slice(content).map_err(|error| Failure::new(format!("{name} cannot be read")).because(&error))
}

#[cfg(test)]
mod tests;
