//! What a request shows of who sends it.
//!
//! Source: <https://learn.microsoft.com/rest/api/cosmos-db/access-control-on-cosmosdb-resources>.

use std::time::SystemTime;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use isobar_abstraction::clock::to_utc;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use ring::hmac;

use crate::config::Secret;

/// All that the form encoding of `authorization` leaves as it is.
const FORM: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// `authorization` by the account's key. `link` is the resource's, its ids as they are, not encoded.
pub(super) fn of_key(key: &Secret, verb: &str, resource: &str, link: &str, date: &str) -> String {
    let signed = format!("{}\n{resource}\n{link}\n{}\n\n", verb.to_lowercase(), date.to_lowercase());
    let key = hmac::Key::new(hmac::HMAC_SHA256, &key.0);
    let signature = BASE64_STANDARD.encode(hmac::sign(&key, signed.as_bytes()));
    encoded(&format!("type=master&ver=1.0&sig={signature}"))
}

/// `authorization` by an identity's token.
pub(super) fn of_token(token: &str) -> String {
    encoded(&format!("type=aad&ver=1.0&sig={token}"))
}

fn encoded(text: &str) -> String {
    utf8_percent_encode(text, FORM).to_string()
}

/// A time as `x-ms-date` has it.
pub(super) fn date(time: SystemTime) -> String {
    to_utc(time).format("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const KEY: &str = "C2y6yDjf5/R+ob0N8A7Cgv30VRDJIWEHLM+4QDU5DE2nQ9nDuVTqobD4b8mGGyPMbIZnqyMsEcaGQy67XIw/Jw==";

    /// The signatures were made by Python's `azure.cosmos.auth`.
    #[test]
    fn requests_are_signed_as_by_azures_own_library() {
        let key = Secret(BASE64_STANDARD.decode(KEY).unwrap());
        for (verb, resource, link, signature) in [
            ("GET", "docs", "dbs/iso/colls/t/docs/a \u{e9}%/x", "A1DLCT/VWeN24Yn+Ef9snzHsQnc4hHkUcp1/KvogfFQ="),
            ("POST", "docs", "dbs/iso/colls/t", "eqwKztl4jf4mrsjKNvfSiYlnRPYycLPjo6GAJSqO6bI="),
            ("post", "dbs", "", "PL2tD2U/jXBDd01lxu5oiAjKFIMFIxwPrjDVda7rRlc="),
        ] {
            let sent = of_key(&key, verb, resource, link, "Tue, 01 Nov 1994 08:12:31 GMT");
            let decoded = percent_encoding::percent_decode_str(&sent).decode_utf8().unwrap();
            assert_eq!(decoded, format!("type=master&ver=1.0&sig={signature}"), "{link}");
            assert!(sent.starts_with("type%3Dmaster%26ver%3D1.0%26sig%3D"), "{sent}");
            assert!(!sent.contains(['+', '/', '=']), "{sent}");
        }
    }

    #[test]
    fn a_date_has_two_digits_and_gmt() {
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(783_677_551);
        assert_eq!(date(time), "Tue, 01 Nov 1994 08:12:31 GMT");
    }

    #[test]
    fn a_token_is_encoded_whole() {
        assert_eq!(of_token("a.b-c_d"), "type%3Daad%26ver%3D1.0%26sig%3Da.b-c_d");
    }
}
