//! A call of a function of a stage over HTTP.

use std::sync::Arc;

use http::{HeaderValue, Request};
use isobar_rest::{Call, Client, ClientConfig, Safety, SystemClock, Unsigned};

use crate::failure::Failure;

/// Sends a request to a function, with a secret header, and returns its answer. It is sent once: a function may have effects.
pub(super) async fn invoke(
    url: &str,
    function: &str,
    header: (&str, &str),
    request: &[u8],
) -> Result<Vec<u8>, Failure> {
    let failed = || Failure::new(format!("function `{function}` cannot be called at {url}"));
    let mut value = HeaderValue::from_str(header.1).map_err(|error| failed().because(&error))?;
    value.set_sensitive(true);
    let builder = Request::post(format!("{url}/.isobar/functions/{function}"));
    let builder = builder.header("content-type", "application/json").header(header.0, value);
    let request = builder.body(request.to_vec().into()).map_err(|error| failed().because(&error))?;
    let client =
        Client::new(ClientConfig::default().with_proxies(&isobar::config::environment()), Arc::new(SystemClock));
    let call = Call { operation: "Invoke", request, safety: Safety::Once, service: &Unsigned::default() };
    match client.call(call).await.map_err(|error| failed().because(&error))? {
        Ok(answer) => Ok(answer.into_body().to_vec()),
        Err(error) => {
            let text = String::from_utf8_lossy(error.response.body()).into_owned();
            Err(Failure::new(format!(
                "function `{function}` failed with status {}: {}",
                error.status().as_u16(),
                text.trim()
            )))
        }
    }
}
