//! The health probe of the Functions host.

use http::header::{CONNECTION, HOST, USER_AGENT};
use http::{HeaderMap, HeaderName, Method, Request};
use isobar_abstraction::Body;

/// Headers that .NET's client may add to `Host`: `Connection`, and the others where the host is traced.
const OF_THE_CLIENT: [HeaderName; 5] = [
    CONNECTION,
    HeaderName::from_static("traceparent"),
    HeaderName::from_static("tracestate"),
    HeaderName::from_static("request-id"),
    HeaderName::from_static("correlation-context"),
];

/// Whether a request is the host's probe; see the module [`host`](super). In doubt it is a user's: a probe that reaches
/// the app does little harm, but a user must not get an empty page.
pub(super) fn is_probe(request: &Request<Body>) -> bool {
    let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
    request.method() == Method::GET && path == "/" && is_of_host(request.headers())
}

fn is_of_host(headers: &HeaderMap) -> bool {
    let loopback = |host: &str| {
        let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
        name == "127.0.0.1" || name == "localhost"
    };
    let own = |(name, value): (&HeaderName, &http::HeaderValue)| match value.to_str() {
        Ok(text) if name == HOST => loopback(text),
        Ok(text) if name == USER_AGENT => text.starts_with("Azure-Functions-Host/"),
        _ => OF_THE_CLIENT.contains(name),
    };
    headers.contains_key(HOST) && headers.iter().all(own)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn probe(method: &str, path: &str, headers: &[(&str, &str)]) -> bool {
        let request = Request::builder().method(method).uri(path);
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        is_probe(&request.body(Body::empty()).unwrap())
    }

    #[test]
    fn a_probe_has_only_the_headers_of_the_host_s_client() {
        let host = ("host", "127.0.0.1:8080");
        assert!(probe("GET", "/", &[host]));
        assert!(probe("GET", "/", &[("host", "localhost:1"), ("user-agent", "Azure-Functions-Host/4.1037.0")]));
        assert!(probe("GET", "/", &[host, ("traceparent", "00-…"), ("connection", "keep-alive")]));
    }

    #[test]
    fn a_user_s_request_is_not_a_probe() {
        let host = ("host", "127.0.0.1:8080");
        assert!(!probe("GET", "/", &[host, ("user-agent", "curl/8.0"), ("accept", "*/*")]));
        assert!(!probe("GET", "/", &[host, ("x-ms-invocation-id", "1")]));
        assert!(!probe("GET", "/", &[host, ("user-agent", "Azure-Functions-Host/4"), ("x-forwarded-for", "9.9.9.9")]));
        assert!(!probe("GET", "/?a", &[host]) && !probe("HEAD", "/", &[host]) && !probe("GET", "/x", &[host]));
        assert!(!probe("GET", "/", &[]) && !probe("GET", "/", &[("host", "shop.azurewebsites.net")]));
    }
}
