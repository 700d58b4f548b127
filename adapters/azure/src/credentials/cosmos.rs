//! The `authorization` header of Cosmos DB.
//!
//! Source: <https://learn.microsoft.com/rest/api/cosmos-db/access-control-on-cosmosdb-resources>.

use http::Method;
use isobar_rest::object::encode;
use percent_encoding::percent_decode_str;

use super::shared_key::hmac;
use crate::config::Secret;

/// `authorization` by the account's key.
pub(crate) fn of_key(key: &Secret, verb: &Method, path: &str, date: &str) -> String {
    let (resource, link) = link(path);
    let verb = verb.as_str().to_lowercase();
    let signature = hmac(&key.0, &format!("{verb}\n{resource}\n{link}\n{}\n\n", date.to_lowercase()));
    encode(format!("type=master&ver=1.0&sig={signature}"))
}

/// The resource type and the resource link of a path such as `/dbs/D/colls/C/docs`, as a signature contains them: ids
/// are not encoded, and the link of a feed is that of its parent.
fn link(path: &str) -> (String, String) {
    let path = path.find("/dbs/").map_or(path, |start| &path[start + 1..]);
    let mut parts: Vec<_> = path.split('/').map(|part| percent_decode_str(part).decode_utf8_lossy()).collect();
    let kinds = parts.len() % 2;
    let resource = parts.get(parts.len() - 2 + kinds).map(|kind| kind.to_string()).unwrap_or_default();
    parts.truncate(parts.len() - kinds);
    (resource, parts.join("/"))
}

/// `authorization` by an identity's token.
pub(crate) fn of_token(token: &str) -> String {
    encode(format!("type=aad&ver=1.0&sig={token}"))
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::prelude::BASE64_STANDARD;

    use super::*;

    const KEY: &str = "C2y6yDjf5/R+ob0N8A7Cgv30VRDJIWEHLM+4QDU5DE2nQ9nDuVTqobD4b8mGGyPMbIZnqyMsEcaGQy67XIw/Jw==";

    /// The signatures are from Python's `azure.cosmos.auth`.
    #[test]
    fn requests_are_signed_as_by_azures_library() {
        let key = Secret(BASE64_STANDARD.decode(KEY).unwrap());
        for (verb, path, signature) in [
            (
                Method::GET,
                "/emulated/dbs/iso/colls/t/docs/a%20%C3%A9%25%2Fx",
                "A1DLCT/VWeN24Yn+Ef9snzHsQnc4hHkUcp1/KvogfFQ=",
            ),
            (Method::POST, "/dbs/iso/colls/t/docs", "eqwKztl4jf4mrsjKNvfSiYlnRPYycLPjo6GAJSqO6bI="),
        ] {
            let sent = of_key(&key, &verb, path, "Tue, 01 Nov 1994 08:12:31 GMT");
            let decoded = percent_encoding::percent_decode_str(&sent).decode_utf8().unwrap();
            assert_eq!(decoded, format!("type=master&ver=1.0&sig={signature}"), "{path}");
            assert!(sent.starts_with("type%3Dmaster%26ver%3D1.0%26sig%3D"), "{sent}");
            assert!(!sent.contains(['+', '/', '=']), "{sent}");
        }
    }

    #[test]
    fn a_token_is_percent_encoded() {
        assert_eq!(of_token("a.b-c_d"), "type%3Daad%26ver%3D1.0%26sig%3Da.b-c_d");
    }
}
