//! Signed URLs of version 4, signed by a service account's key or through IAM.
//!
//! Source: <https://cloud.google.com/storage/docs/authentication/canonical-requests> and
//! <https://cloud.google.com/storage/docs/authentication/signatures>.

use std::fmt::Write;
use std::time::{Duration, SystemTime};

use chrono::{DateTime, Utc};
use isobar_abstraction::clock::to_utc;
use isobar_abstraction::driver::blob::{SignRequest, SignedAccess, SignedUrl};
use isobar_abstraction::{Error, Result};
use isobar_rest::object::encode_query;
use object_store::path::Path;
use ring::digest::{SHA256, digest};
use url::Url;

use super::requests::GcsRequests;

/// The maximum lifetime of a signed URL.
const LONGEST: Duration = Duration::from_secs(7 * 86_400);

/// The request that a URL permits.
struct CanonicalRequest<'a> {
    method: &'a str,
    /// The URL of the object, encoded, without a query.
    url: &'a str,
    /// The address of the service account.
    email: &'a str,
    now: DateTime<Utc>,
    expires_in: Duration,
}

/// A URL that any client can use. Only the host header is signed, so the client may send any content type.
///
/// URLs of an emulator are signed as well. Errors: those of the credentials, if none can sign.
pub(super) async fn sign(requests: &GcsRequests, request: &SignRequest) -> Result<SignedUrl> {
    let path = Path::parse(&request.stored).map_err(object_store::Error::from)?;
    let credentials = &requests.state().credentials;
    let email = credentials.email().await?;
    let canonical = CanonicalRequest {
        method: match request.access {
            SignedAccess::Get => "GET",
            SignedAccess::Put => "PUT",
            _ => return Err(Error::unknown_variant("SignedAccess")),
        },
        url: &requests.content_url(&path),
        email: &email,
        // Google compares with the real time, so the app's clock is not used.
        now: to_utc(SystemTime::now()),
        expires_in: request.expires_in,
    };
    let signature = credentials.sign(canonical.text()?.as_bytes()).await?;
    Ok(SignedUrl::new(canonical.signed(&signature)))
}

impl CanonicalRequest<'_> {
    fn day(&self) -> String {
        self.now.format("%Y%m%d").to_string()
    }

    fn time(&self) -> String {
        self.now.format("%Y%m%dT%H%M%SZ").to_string()
    }

    fn scope(&self) -> String {
        format!("{}/auto/storage/goog4_request", self.day())
    }

    /// The query in the order that is signed.
    fn query(&self) -> String {
        let credential = format!("{}/{}", self.email, self.scope());
        let seconds = self.expires_in.min(LONGEST).as_secs().max(1).to_string();
        encode_query(&[
            ("X-Goog-Algorithm", "GOOG4-RSA-SHA256"),
            ("X-Goog-Credential", &credential),
            ("X-Goog-Date", &self.time()),
            ("X-Goog-Expires", &seconds),
            ("X-Goog-SignedHeaders", "host"),
        ])
    }

    /// The string to sign. Errors: `Config`.
    fn text(&self) -> Result<String> {
        let wrong = |error| Error::config("the endpoint of Cloud Storage is not a valid URL").with_source(error);
        let url = Url::parse(self.url).map_err(wrong)?;
        let host = url.host_str().unwrap_or_default();
        let host = url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
        let (method, query) = (self.method, self.query());
        // The path as sent: `Url` would normalize it.
        let path = self.url.splitn(4, '/').nth(3).unwrap_or_default();
        let text = format!("{method}\n/{path}\n{query}\nhost:{host}\n\nhost\nUNSIGNED-PAYLOAD");
        let hash = hex(digest(&SHA256, text.as_bytes()).as_ref());
        Ok(format!("GOOG4-RSA-SHA256\n{}\n{}\n{hash}", self.time(), self.scope()))
    }

    fn signed(&self, signature: &[u8]) -> String {
        format!("{}?{}&X-Goog-Signature={}", self.url, self.query(), hex(signature))
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
pub(super) mod tests {
    use ring::signature::{RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents};

    use super::*;

    /// Decodes pairs of hexadecimal digits.
    pub(in super::super) fn bytes(hex: &str) -> Vec<u8> {
        let digits: Vec<char> = hex.chars().collect();
        digits.chunks(2).map(|pair| u8::from_str_radix(&pair.iter().collect::<String>(), 16).unwrap()).collect()
    }

    /// The modulus of the key in the tests of Google's libraries.
    const MODULUS: &str = "ac3f3322ac8a2db5f436af28d098f5a871211e1a8edfed0e3fb4c4171e55c5ce8f77006814dadf9c9448fd2f99683612\
             d5abebe4faa9a7c83cf9434e32f23556c8c633cc634dac6456ff2698aa7aa52990b2d4eddb9a736357b1036c2fe31356\
             4b058d14dc76921df9fa4bd343f0c5dd803d3fba54535b0ababd4f3fc3a8b9b58b14ee7d8b2e54139757d0eff7a63bd9\
             d87021497b31d955ad0799e5ac747c16b28934b24c10610348ccfdc917d0694798094f680d81ee8aa290deb0978ba0bc\
             da5fb7149c39fe0809e72ee2c3c304ac2152b257184116c1573e9960a5a411c261b3c046dffd7a6df6aa36eb0d943209\
             f7d23b0e68a9527805fc712e95885fad";

    /// URLs and signatures from the tests of Google's libraries:
    /// <https://github.com/googleapis/conformance-tests/blob/main/storage/v1/v4_signatures.json>.
    const SIGNED: [(&str, &str, u64, &str, &str); 5] = [
        (
            "GET",
            "https://storage.googleapis.com/test-bucket/test-object",
            10,
            "2019-02-01T09:00:00Z",
            "95e6a13d43a1d1962e667f17397f2b80ac9bdd1669210d5e08e0135df9dff4e56113485dbe429ca2266487b9d1796ebd\
             ee2d7cf682a6ef3bb9fbb4c351686fba90d7b621cf1c4eb1fdf126460dd25fa0837dfdde0a9fd98662ce60844c458448\
             fb2b352c203d9969cb74efa4bdb742287744a4f2308afa4af0e0773f55e32e92973619249214b97283b2daa141952444\
             44e33f938138d1e5f561088ce8011f4986dda33a556412594db7c12fc40e1ff3f1bedeb7a42f5bcda0b9567f17f65855\
             f65071fabb88ea12371877f3f77f10e1466fff6ff6973b74a933322ff0949ce357e20abe96c3dd5cfab42c9c83e740a4\
             d32b9e11e146f0eb3404d2e975896f74",
        ),
        (
            "PUT",
            "https://storage.googleapis.com/test-bucket/test-object",
            10,
            "2019-02-01T09:00:00Z",
            "8adff1d4285739e31aa68e73767a46bc5511fde377497dbe08481bf5ceb34e29cc9a59921748d8ec3dd4085b7e9b7772\
             a952afedfcdaecb3ae8352275b8b7c867f204e3db85076220a3127a8a9589302fc1181eae13b9b7fe41109ec8cdc93c1\
             e8bac2d7a0cc32a109ca02d06957211326563ab3d3e678a0ba296e298b5fc5e14593c99d444c94724cc4be97015dbff1\
             dca377b508fa0cb7169195de98d0e4ac96c42b918d28c8d92d33e1bd125ce0fb3cd7ad2c45dae65c22628378f6584971\
             b8bf3945b26f2611eb651e9b6a8648970c1ecf386bb71327b082e7296c4e1ee2fc0bdd8983da80af375c817fb1ad491d\
             0bc22c0f51dba0d66e2cffbc90803e47",
        ),
        (
            "GET",
            "https://storage.googleapis.com/test-bucket/test-object",
            20,
            "2019-03-01T09:00:00Z",
            "9669ed5b10664dc594c758296580662912cf4bcc5a4ba0b6bf055bcbf6f34eed7bdad664f534962174a924741a0c273a\
             4f67bc1847cef20192a6beab44223bd9d4fbbd749c407b79997598c30f82ddc269ff47ec09fa3afe74e00616d438df0d\
             96a7d8ad0adacfad1dc3286f864d924fe919fb0dce45d3d975c5afe8e13af2db9cc37ba77835f92f7669b61e94c6d562\
             196c1274529e76cfff1564cc2cad7d5387dc8e12f7a5dfd925685fe92c30b43709eee29fa2f66067472cee5423d1a3a4\
             182fe8cea75c9329d181dc6acad7c393cd04f8bf5bc0515127d8ebd65d80c08e19ad03316053ea60033fd1b1fd85a69c\
             576415da3bf0a3718d9ea6d03e0d66f0",
        ),
        (
            "GET",
            "https://storage.googleapis.com/test-bucket2/test-object2",
            10,
            "2019-02-01T09:00:00Z",
            "36e3d58dfd3ec1d2dd2f24b5ee372a71e811ffaa2162a2b871d26728d0354270bc116face87127532969c4a3967ed05b\
             7309af741e19c7202f3167aa8c2ac420b61417d6451442bb91d7c822cd17be8783f01e05372769c88913561d27e6660d\
             d8259f0081a71f831be6c50283626cbf04494ac10c394b29bb3bce74ab91548f58a37118a452693cf0483d77561fc9ca\
             c8f1765d2c724994cca46a83517a10157ee0347a233a2aaeae6e6ab5e204ff8fc5f54f90a3efdb8301d9fff5475d58cd\
             05b181affd657f48203f4fb133c3a3d355b8eefbd10d5a0a5fd70d06e9515460ad74e22334b2cba4b29cae4f6f285cdb\
             92d8f3126d7a1479ca3bdb69c207d860",
        ),
        (
            "GET",
            "http://mydomain.tld/test-object",
            10,
            "2019-02-01T09:00:00Z",
            "7115a77f8c7ed1a8b74bca8b520904fca7f3bab90d69ea052687a94efd9b3a4e2a7fb7135d40e295e0a21958194c55da\
             7e106227957c22ed6edc9d8b3d2a8133bc8af84fc9695dda8081d53f0db5ea9f28e5bfc225d78f873e9f571fd287bb7a\
             95330e726aebd8eb4623cdb0b1a7ceb210b2ce1351b6be0191c2ad7b38f7ceb6c5ce2f98dbfb5a5a649050585e46e97f\
             72f1f5407de657a56e34a3fdc80cdaa0598bd47f3e8af5ff22d0916b19b106890bff8c3f6587f1d3b076b16cd0ba0508\
             607a672be33b9c75d537e15258450b43d22a21c4d528090acbb8e5bae7b31fc394e61394106ef1d6a8ed43074ab05bce\
             c65674cd8113fb3de388da4d97e62f56",
        ),
    ];

    #[test]
    fn signatures_of_googles_tests_verify() {
        let (n, e) = (bytes(MODULUS), bytes("010001"));
        let key = RsaPublicKeyComponents { n: &n, e: &e };
        for (method, url, seconds, now, signature) in SIGNED {
            let email = "test-iam-credentials@dummy-project-id.iam.gserviceaccount.com";
            let (now, expires_in) = (now.parse().unwrap(), Duration::from_secs(seconds));
            let canonical = CanonicalRequest { method, url, email, now, expires_in };
            let text = canonical.text().unwrap();
            key.verify(&RSA_PKCS1_2048_8192_SHA256, text.as_bytes(), &bytes(signature)).unwrap();
            let query = format!(
                "X-Goog-Algorithm=GOOG4-RSA-SHA256&X-Goog-Credential=test-iam-credentials%40dummy-project-id.iam.\
                 gserviceaccount.com%2F{day}%2Fauto%2Fstorage%2Fgoog4_request&X-Goog-Date={day}T090000Z&\
                 X-Goog-Expires={seconds}&X-Goog-SignedHeaders=host&X-Goog-Signature={signature}",
                day = canonical.day(),
            );
            assert_eq!(canonical.signed(&bytes(signature)), format!("{url}?{query}"));
        }
    }
}
