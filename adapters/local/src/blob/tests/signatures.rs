use std::time::Duration;

use isobar_abstraction::ErrorKind;
use isobar_abstraction::driver::blob::SignedAccess;
use isobar_abstraction::driver::blob::SignedAccess::{Get, Put};

use super::*;

/// A URL that was signed by a process that is gone, and what a new one makes of it.
struct Signed {
    place: Place,
    signer: Signer,
    expires_ms: u64,
    signature: String,
}

const STORED: &str = "a b/%2E?";

impl Signed {
    async fn new() -> Self {
        let place = Place::new();
        let blob = place.bucket("pages");
        blob.signer.set_base("http://localhost:81/".to_owned());
        let expires_in = Duration::from_secs(60);
        let request = SignRequest::new(STORED, Get, expires_in);
        let url = blob.sign(&request).await.unwrap().url;
        let (start, signature) = url.split_once("&signature=").unwrap();
        let (start, expires) = start.split_once("&expires=").unwrap();
        assert_eq!(start, "http://localhost:81/.isobar/objects/pages/a%20b/%252E%3F?access=get");
        let (expires_ms, signature) = (expires.parse().unwrap(), signature.to_owned());
        assert_eq!(expires_ms, to_millis(place.clock.now() + expires_in));
        drop(blob);
        let place = place.restart();
        let signer = Signer::new(place.store.clone());
        Self { place, signer, expires_ms, signature }
    }

    fn verify(&self, access: SignedAccess, bucket: &str, stored: &str) -> Result<()> {
        let Self { place, signer, expires_ms, signature } = self;
        signer.verify(access, bucket, stored, *expires_ms, signature, place.clock.now())
    }
}

#[tokio::test]
async fn a_signature_is_valid_for_one_operation_also_after_a_restart() {
    let mut signed = Signed::new().await;
    signed.verify(Get, "pages", STORED).unwrap();
    for (access, bucket, stored) in
        [(Put, "pages", STORED), (Get, "other", STORED), (Get, "pages", "a b/%2E"), (Get, "pagesa", " b/%2E?")]
    {
        let refused = signed.verify(access, bucket, stored).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::PermissionDenied, "{access:?} {bucket} {stored}");
    }
    let good = signed.signature.clone();
    let changed = if good.starts_with('0') { "1" } else { "0" };
    for forged in [&format!("{changed}{}", &good[1..]), &good[..62], "", "no hex", "f"] {
        signed.signature = forged.to_owned();
        assert_eq!(signed.verify(Get, "pages", STORED).unwrap_err().kind(), ErrorKind::PermissionDenied, "{forged}");
    }
    (signed.signature, signed.expires_ms) = (good, signed.expires_ms + 1);
    assert_eq!(signed.verify(Get, "pages", STORED).unwrap_err().kind(), ErrorKind::PermissionDenied);
}

#[tokio::test]
async fn a_signature_ends_when_it_expires() {
    let signed = Signed::new().await;
    signed.place.clock.advance(Duration::from_millis(59_999));
    signed.verify(Get, "pages", STORED).unwrap();
    signed.place.clock.advance(Duration::from_millis(1));
    let late = signed.verify(Get, "pages", STORED).unwrap_err();
    assert!(late.kind() == ErrorKind::PermissionDenied && late.message().contains("expired"), "{late}");
}

#[test]
fn the_secret_is_only_its_owners_and_never_printed() {
    let place = Place::new();
    let signer = Signer::new(place.store.clone());
    let file = place.folder.path().join("signing.key");
    let refused = signer.verify(SignedAccess::Get, "pages", "a", u64::MAX, "00", place.clock.now()).unwrap_err();
    assert_eq!((refused.kind(), file.exists()), (ErrorKind::PermissionDenied, false));
    signer.sign(SignedAccess::Get, "pages", "a", 1).unwrap();
    assert_eq!(std::fs::read(&file).unwrap().len(), 32);
    assert_eq!(format!("{signer:?}"), "Signer { base: \"http://127.0.0.1:3000\", .. }");
    #[cfg(unix)]
    assert_eq!(std::os::unix::fs::PermissionsExt::mode(&file.metadata().unwrap().permissions()) & 0o777, 0o600);
    std::fs::write(&file, "short").unwrap();
    let damaged = Signer::new(place.store).sign(SignedAccess::Get, "pages", "a", 1).unwrap_err();
    assert!(damaged.to_string().contains("signing.key"), "{damaged}");
}
