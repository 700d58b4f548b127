//! Signed URLs, which the host serves.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::SystemTime;

use hmac::{Hmac, KeyInit, Mac};
use isobar_abstraction::clock::to_millis;
use isobar_abstraction::driver::blob::SignedAccess;
use isobar_abstraction::{Error, ErrorKind, Result};
use parking_lot::{Mutex, RwLock};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use sha2::Sha256;

use crate::store::{Store, failed, folder};

/// What a path segment may hold as it is.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// What the rest of a path may hold as it is.
const PATH: &AsciiSet = &SEGMENT.remove(b'/');

type Secret = [u8; 32];

/// Signs URLs and checks their signatures, with a secret that the data folder keeps.
pub(crate) struct Signer {
    store: Store,
    base: RwLock<String>,
    secret: OnceLock<Secret>,
    making: Mutex<()>,
}

impl Signer {
    /// The signer of a data folder. Opens nothing; the secret is made at the first signature.
    pub(crate) fn new(store: Store) -> Self {
        let base = RwLock::new("http://127.0.0.1:3000".to_owned());
        Self { store, base, secret: OnceLock::new(), making: Mutex::new(()) }
    }

    /// Where the URLs that are signed from now on lead to: scheme, host and port.
    pub(crate) fn set_base(&self, base: String) {
        *self.base.write() = base;
    }

    /// A URL that allows one access to one object until it expires.
    pub(crate) fn sign(&self, access: SignedAccess, bucket: &str, stored: &str, expires_ms: u64) -> Result<String> {
        let signature = mac(self.secret()?, access, bucket, stored, expires_ms)?.finalize().into_bytes();
        let signature: String = signature.iter().map(|byte| format!("{byte:02x}")).collect();
        let (bucket, stored) = (utf8_percent_encode(bucket, SEGMENT), utf8_percent_encode(stored, PATH));
        let (base, access) = (self.base.read(), access_name(access)?);
        let base = base.trim_end_matches('/');
        Ok(format!(
            "{base}/.isobar/objects/{bucket}/{stored}?access={access}&expires={expires_ms}&signature={signature}"
        ))
    }

    /// Does the signature allow this? Errors: `PermissionDenied`.
    pub(crate) fn verify(
        &self,
        access: SignedAccess,
        bucket: &str,
        stored: &str,
        expires_ms: u64,
        signature: &str,
        now: SystemTime,
    ) -> Result<()> {
        let refused = |message| Error::new(ErrorKind::PermissionDenied, message);
        let forged = || refused("the signature is not of this request; ask for a signed URL");
        // Without a secret nothing was ever signed.
        let secret = self.known()?.ok_or_else(forged)?;
        let signature = unhex(signature).ok_or_else(forged)?;
        mac(secret, access, bucket, stored, expires_ms)?.verify_slice(&signature).map_err(|_| forged())?;
        match to_millis(now) < expires_ms {
            true => Ok(()),
            false => Err(refused("the signed URL has expired; ask for a new one")),
        }
    }

    fn file(&self) -> PathBuf {
        self.store.folder().join("signing.key")
    }

    /// The secret, if there is one.
    fn known(&self) -> Result<Option<&Secret>> {
        if let Some(secret) = self.secret.get() {
            return Ok(Some(secret));
        }
        match std::fs::read(self.file()) {
            Ok(bytes) => {
                let damaged = |_| Error::internal("the signing key is damaged; delete it, and sign the URLs again");
                let secret = Secret::try_from(bytes).map_err(damaged).map_err(|error| self.named(error))?;
                Ok(Some(self.secret.get_or_init(|| secret)))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(self.named(failed(error))),
        }
    }

    fn secret(&self) -> Result<&Secret> {
        let _one_at_a_time = self.making.lock();
        if let Some(secret) = self.known()? {
            return Ok(secret);
        }
        // Makes the folder, and keeps other processes out of it.
        self.store.open()?;
        let mut secret = [0; 32];
        getrandom::fill(&mut secret)
            .map_err(|error| Error::internal("the machine gave no random bytes for a secret").with_source(error))?;
        folder::write_whole(&self.file(), &secret).map_err(|error| self.named(failed(error)))?;
        Ok(self.secret.get_or_init(|| secret))
    }

    fn named(&self, error: Error) -> Error {
        error.with_resource(self.file().display().to_string())
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signer").field("base", &*self.base.read()).finish_non_exhaustive()
    }
}

pub(crate) fn access_name(access: SignedAccess) -> Result<&'static str> {
    match access {
        SignedAccess::Get => Ok("get"),
        SignedAccess::Put => Ok("put"),
        _ => Err(Error::unknown_variant("SignedAccess")),
    }
}

/// Over each part with its length before it, so that no two requests make the same text.
fn mac(secret: &Secret, access: SignedAccess, bucket: &str, stored: &str, expires_ms: u64) -> Result<Hmac<Sha256>> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret)
        .map_err(|error| Error::internal("the signing key cannot be used").with_source(error))?;
    for part in [access_name(access)?, bucket, stored, &expires_ms.to_string()] {
        mac.update(&(part.len() as u64).to_le_bytes());
        mac.update(part.as_bytes());
    }
    Ok(mac)
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits: Vec<_> = text.chars().map(|digit| digit.to_digit(16)).collect::<Option<_>>()?;
    let (pairs, rest) = digits.as_chunks::<2>();
    rest.is_empty().then(|| pairs.iter().map(|[high, low]| (high << 4 | low) as u8).collect())
}
