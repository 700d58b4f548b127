//! The guard of endpoints for this machine only: it accepts local tools, and rejects the requests of other web pages and
//! those that a proxy or a tunnel forwards.
//!
//! A browser sends requests of any page to `localhost`, so the guard checks `Origin`, `Sec-Fetch-Site` and, against DNS
//! rebinding, `Host`. A proxy or tunnel connects from this machine, so the guard checks for its headers.

use std::net::IpAddr;

use http::header::{HOST, HeaderName, ORIGIN};
use http::uri::Authority;
use http::{HeaderMap, Uri};

/// Headers that proxies, tunnels and the networks before them add.
const FORWARDED: [&str; 7] =
    ["forwarded", "via", "cdn-loop", "x-real-ip", "x-client-ip", "x-cluster-client-ip", "true-client-ip"];

/// How families of such headers begin.
const FORWARDED_FAMILIES: [&str; 14] = [
    "x-forwarded",
    "x-original-",
    "x-envoy-",
    "x-appengine-",
    "x-arr-",
    "x-azure-",
    "x-amzn-",
    "x-vercel-",
    "cf-",
    "cloudfront-",
    "fastly-",
    "fly-",
    "ngrok-",
    "tailscale-",
];

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Accepts a request from a tool of this machine or from a page of this server. Errors: the reason, as a sentence.
///
/// The server must listen on a loopback address. A request without a `Host` has an authority in its URI, as in
/// HTTP/2, or is rejected.
pub fn check_loopback(uri: &Uri, headers: &HeaderMap) -> Result<(), &'static str> {
    if headers.keys().any(is_of_a_proxy) {
        return Err("the request was forwarded by a proxy or tunnel; call it on this machine, without one");
    }
    let host =
        authority_of(uri, headers).ok_or("the request is for another host; call it as 127.0.0.1 or localhost")?;
    let own = |value: &[u8]| matches!(value, b"none" | b"same-origin");
    if !headers.get_all(SEC_FETCH_SITE).iter().all(|site| own(site.as_bytes())) {
        return Err("a page of another site sent the request; only pages of this server may");
    }
    let same =
        |origin: &str| origin.strip_prefix("http://").and_then(loopback).is_some_and(|it| same_place(&it, &host));
    if !headers.get_all(ORIGIN).iter().all(|origin| origin.to_str().is_ok_and(same)) {
        return Err("a page of another origin sent the request; only pages of this server may");
    }
    Ok(())
}

fn is_of_a_proxy(name: &HeaderName) -> bool {
    let name = name.as_str();
    FORWARDED.contains(&name) || FORWARDED_FAMILIES.iter().any(|family| name.starts_with(family))
}

/// The one loopback address that the request is for, by its `Host` and by its URI.
fn authority_of(uri: &Uri, headers: &HeaderMap) -> Option<Authority> {
    let mut hosts = headers.get_all(HOST).iter();
    let named = hosts.next().map(|host| host.to_str().ok().and_then(loopback));
    let target = uri.authority().map(|authority| loopback(authority.as_str()));
    match (named, target, hosts.next()) {
        (Some(named), None, None) => named,
        (None, Some(target), None) => target,
        (Some(named), Some(target), None) => {
            named.filter(|named| target.is_some_and(|target| same_place(named, &target)))
        }
        _ => None,
    }
}

/// An authority without user information, whose host is a loopback address or `localhost`.
fn loopback(text: &str) -> Option<Authority> {
    let authority: Authority = text.parse().ok().filter(|_| !text.contains('@'))?;
    let host = authority.host();
    let has_port = text.len() > host.len();
    let address = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    let is_local = match address.parse::<IpAddr>() {
        Ok(ip) => ip.to_canonical().is_loopback(),
        Err(_) => host.eq_ignore_ascii_case("localhost"),
    };
    (is_local && (!has_port || authority.port_u16().is_some())).then_some(authority)
}

fn same_place(a: &Authority, b: &Authority) -> bool {
    a.host().eq_ignore_ascii_case(b.host()) && a.port_u16().unwrap_or(80) == b.port_u16().unwrap_or(80)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(uri: &str, headers: &[(&str, &str)]) -> Result<(), &'static str> {
        let with = |request: http::request::Builder, (name, value): &(&str, &str)| request.header(*name, *value);
        let (parts, ()) = headers.iter().fold(http::Request::get(uri), with).body(()).unwrap().into_parts();
        check_loopback(&parts.uri, &parts.headers)
    }

    #[test]
    fn tools_and_own_pages_of_this_machine_are_accepted() {
        for host in ["localhost:3000", "LOCALHOST", "127.0.0.1:3000", "127.0.0.2", "[::1]:3000", "[::ffff:127.0.0.1]:1"]
        {
            assert_eq!(check("/", &[("host", host)]), Ok(()), "{host}");
            assert_eq!(check(&format!("http://{host}/"), &[]), Ok(()), "{host} in HTTP/2");
        }
        let own = [("host", "localhost:3000"), ("origin", "http://localhost:3000"), ("sec-fetch-site", "same-origin")];
        assert_eq!(check("/", &own), Ok(()));
        assert_eq!(
            check("/", &[("host", "localhost"), ("sec-fetch-site", "none"), ("traceparent", "00-1-2-3")]),
            Ok(())
        );
    }

    #[test]
    fn all_others_are_rejected() {
        let other_hosts = [
            "evil.example",
            "localhost.evil.example:3000",
            "127.0.0.1.evil.example",
            "localhost:80@evil",
            "localhost@evil",
            "evil@localhost",
            "localhost:",
            "localhost:x",
            "localhost:99999",
            "localhost/",
            "10.0.0.1",
            "[::2]",
            "0.0.0.0",
            "",
        ];
        for host in other_hosts {
            assert!(check("/", &[("host", host)]).is_err(), "{host}");
        }
        assert!(check("/", &[]).is_err());
        assert!(check("http://evil.example/", &[]).is_err());
        assert!(check("http://evil.example/", &[("host", "localhost")]).is_err());
        for also in [
            ("host", "evil.example"),
            ("host", "localhost:3000"),
            ("origin", "https://evil.example"),
            ("origin", "null"),
            ("origin", "http://localhost:9999"),
            ("origin", "https://localhost:3000"),
            ("origin", ""),
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-site", "same-site"),
            ("forwarded", "for=192.0.2.1"),
            ("via", "1.1 proxy"),
            ("x-forwarded-for", "192.0.2.1"),
            ("x-forwarded-proto", "https"),
            ("x-real-ip", "192.0.2.1"),
            ("cf-connecting-ip", "192.0.2.1"),
        ] {
            assert!(check("/", &[("host", "localhost:3000"), also]).is_err(), "{also:?}");
        }
    }
}
