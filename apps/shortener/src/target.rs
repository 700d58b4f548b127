//! Which URLs may be shortened.

use isobar::axum::http::uri::Authority;
use isobar::prelude::*;

/// What every browser and gateway takes in a `Location` header.
const MAX_LENGTH: usize = 2_048;

/// Refuses what is no absolute `http` or `https` URL, or is one that a redirect must not lead to.
pub(crate) fn check(url: &str) -> Result<()> {
    wrong_with(url).map_or(Ok(()), |reason| Err(Error::invalid_input(format!("`url` {reason}"))))
}

fn wrong_with(url: &str) -> Option<String> {
    if url.len() > MAX_LENGTH {
        return Some(format!("has {} bytes; the most is {MAX_LENGTH}", url.len()));
    }
    // It becomes a header: a line break in it would begin another one.
    if let Some(at) = url.bytes().position(|byte| !byte.is_ascii_graphic()) {
        return Some(format!("has a blank, control or non-ASCII character at byte {at}; percent-encode it"));
    }
    let scheme = url.split_once("://").map(|(scheme, _)| scheme.to_ascii_lowercase());
    if !matches!(scheme.as_deref(), Some("http" | "https")) {
        return Some("must begin with http:// or https://".to_owned());
    }
    match url.parse::<Uri>() {
        Err(error) => Some(format!("cannot be read: {error}")),
        Ok(uri) => uri.authority().map_or_else(|| Some("has no host".to_owned()), wrong_with_authority),
    }
}

fn wrong_with_authority(authority: &Authority) -> Option<String> {
    let has_port = authority.as_str().len() > authority.host().len();
    if authority.as_str().contains('@') {
        Some("must not contain a user name or password: any client could read it".to_owned())
    } else if authority.host().is_empty() {
        Some("has no host".to_owned())
    } else if has_port && authority.port_u16().is_none() {
        Some("has a port that is no number from 0 to 65535".to_owned())
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn absolute_web_urls_are_taken() {
        for url in [
            "https://example.org",
            "HTTP://EXAMPLE.ORG:8080/a%20b?c=d&e=%C3%BC#f",
            "https://[2001:db8::1]:443/",
            "https://example.org/@ada?mail=a@b.example",
            "https://xn--bcher-kva.example/",
        ] {
            assert_eq!(wrong_with(url), None, "{url}");
        }
    }

    #[test]
    fn everything_else_is_refused_with_the_reason() {
        for (url, reason) in [
            ("", "must begin with http"),
            ("example.org", "must begin with http"),
            ("//example.org", "must begin with http"),
            ("javascript:alert(1)", "must begin with http"),
            ("javascript://example.org/%0Aalert(1)", "must begin with http"),
            ("ftp://example.org/", "must begin with http"),
            ("https://", "cannot be read"),
            ("https:///path", "cannot be read"),
            ("https://:80/", "no host"),
            ("https://ada@example.org/", "user name"),
            ("https://ada:secret@example.org/", "user name"),
            ("https://example.org:99999/", "port"),
            ("https://example.org:/", "port"),
            ("https://example.org/a b", "at byte 21"),
            ("https://example.org/\r\nSet-Cookie: a=b", "at byte 20"),
            ("https://bücher.example/", "at byte 9"),
            (" https://example.org", "at byte 0"),
        ] {
            let wrong = wrong_with(url).unwrap_or_else(|| panic!("{url} was taken"));
            assert!(wrong.contains(reason), "{url}: {wrong}");
        }
    }

    #[test]
    fn the_limit_is_2048_bytes() {
        let long = |length: usize| format!("https://example.org/{}", "a".repeat(length - 20));
        assert_eq!(wrong_with(&long(2_048)), None);
        assert!(wrong_with(&long(2_049)).is_some());
    }
}
