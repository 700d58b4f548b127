//! The server of the signed URLs of the cloud in memory.

use http::header::CONTENT_TYPE;
use http::{Method, Request, Response, StatusCode};

use super::TestClient;
use crate::blob::{Bucket, PutOptions, Serve, SignedAccess, key};
use crate::clock::Clock;
use crate::memory::SignedObject;
use crate::{Body, ErrorKind, Result};

impl TestClient {
    pub(super) async fn signed(&self, request: Request<Body>) -> Result<Response<Body>> {
        let uri = request.uri();
        let object = self.provider.signed().find(uri.path(), uri.query().unwrap_or_default());
        let allowed = |object: &SignedObject| {
            let method = if object.access == SignedAccess::Get { Method::GET } else { Method::PUT };
            *request.method() == method && self.clock().now() < object.expires_at
        };
        let object = object.filter(allowed);
        let Some(object) = object else { return Ok(status(StatusCode::FORBIDDEN)) };
        let (bucket, key) = (self.cloud().bucket(&object.bucket), key::decode(&object.stored));
        match object.access {
            SignedAccess::Get => read(bucket.serve(&key).request(request.method(), request.headers())).await,
            SignedAccess::Put => write(&bucket, &key, request).await,
        }
    }
}

async fn read(object: Serve) -> Result<Response<Body>> {
    match object.await {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(status(StatusCode::NOT_FOUND)),
        served => served,
    }
}

async fn write(bucket: &Bucket, key: &str, request: Request<Body>) -> Result<Response<Body>> {
    let content_type = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let options = PutOptions { content_type: content_type.map(str::to_owned), ..Default::default() };
    bucket.put_stream(key, request.into_body().into_data_stream(), options).await?;
    Ok(status(StatusCode::OK))
}

fn status(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}
