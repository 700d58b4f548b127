//! Signatures with the key of a storage account.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use http::HeaderMap;
use http::header::{
    CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_TYPE, DATE, HeaderName, IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH,
    IF_UNMODIFIED_SINCE, RANGE,
};
use http::request::Parts;
use percent_encoding::percent_decode_str;
use ring::hmac;

/// HMAC-SHA256, in base64.
pub(crate) fn hmac(key: &[u8], text: &str) -> String {
    BASE64_STANDARD.encode(hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes()))
}

/// The `Authorization` of a request for blobs or queues; `length` is the size of its body.
///
/// Source: <https://learn.microsoft.com/rest/api/storageservices/authorize-with-shared-key>.
pub(crate) fn shared_key(request: &Parts, length: usize, account: &str, key: &[u8]) -> String {
    format!("SharedKey {account}:{}", hmac(key, &text(request, length, account)))
}

/// The `Authorization` of a request for tables. The path is signed in its encoded form.
///
/// Source: as above, Shared Key Lite for the Table service.
pub(crate) fn shared_key_lite(path: &str, date: &str, account: &str, key: &[u8]) -> String {
    format!("SharedKeyLite {account}:{}", hmac(key, &format!("{date}\n/{account}{path}")))
}

fn text(request: &Parts, length: usize, account: &str) -> String {
    let headers = &request.headers;
    let of = |name: HeaderName| value(headers, &name);
    // Since 2015-02-21 the length of an empty body is left out.
    let length = if length == 0 { String::new() } else { length.to_string() };
    let lines = [
        request.method.as_str(),
        of(CONTENT_ENCODING),
        of(CONTENT_LANGUAGE),
        &length,
        of(HeaderName::from_static("content-md5")),
        of(CONTENT_TYPE),
        of(DATE),
        of(IF_MODIFIED_SINCE),
        of(IF_MATCH),
        of(IF_NONE_MATCH),
        of(IF_UNMODIFIED_SINCE),
        of(RANGE),
    ];
    format!("{}\n{}/{account}{}", lines.join("\n"), canonical_headers(headers), resource(request))
}

fn value<'a>(headers: &'a HeaderMap, name: &HeaderName) -> &'a str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().trim()
}

/// A line `x-ms-…:value` for each header of Azure.
fn canonical_headers(headers: &HeaderMap) -> String {
    let mut names: Vec<_> = headers.keys().filter(|name| name.as_str().starts_with("x-ms-")).collect();
    names.sort_unstable_by_key(|name| name.as_str());
    names.into_iter().map(|name| format!("{name}:{}\n", value(headers, name))).collect()
}

/// The path in its encoded form, and the parameters decoded. An emulator's path begins with the account, so the signed
/// text contains the account twice.
fn resource(request: &Parts) -> String {
    let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
    let pairs = request.uri.query().unwrap_or_default().split('&').filter(|pair| !pair.is_empty());
    let pairs = pairs.map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    let mut pairs: Vec<_> = pairs.map(|(name, value)| (decoded(name).to_lowercase(), decoded(value))).collect();
    pairs.sort_unstable();
    let pairs: String = pairs.into_iter().map(|(name, value)| format!("\n{name}:{value}")).collect();
    format!("{}{pairs}", request.uri.path())
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    #[test]
    fn the_signed_text_contains_all_required_parts() {
        let request =
            Request::put("https://acc.blob.core.windows.net/pages/a%20b?comp=blocklist&Blockid=YQ%3D%3D&comp-x=1")
                .header("x-ms-version", "2021-12-02")
                .header("x-ms-date", "Sun, 11 Oct 2009 21:49:13 GMT")
                .header("x-ms-meta-kind", " note ")
                .header("content-type", "text/plain")
                .header("if-match", "\"0x1\"");
        let (parts, ()) = request.body(()).unwrap().into_parts();
        let expected = "PUT\n\n\n11\n\ntext/plain\n\n\n\"0x1\"\n\n\n\n\
                      x-ms-date:Sun, 11 Oct 2009 21:49:13 GMT\nx-ms-meta-kind:note\nx-ms-version:2021-12-02\n\
                      /acc/pages/a%20b\nblockid:YQ==\ncomp:blocklist\ncomp-x:1";
        assert_eq!(text(&parts, 11, "acc"), expected);
        assert!(shared_key(&parts, 0, "acc", b"key").starts_with("SharedKey acc:"));
    }
}
