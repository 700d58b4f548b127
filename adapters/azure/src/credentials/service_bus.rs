//! Shared access signatures of Service Bus.
//!
//! <https://learn.microsoft.com/azure/service-bus-messaging/service-bus-sas>

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use isobar_rest::object::encode;
use parking_lot::Mutex;

use super::shared_key::hmac;
use crate::config::Secret;

/// The lifetime of a token, in seconds.
const LIFE: u64 = 3_600;

/// The time before its expiry at which a token is renewed, in seconds: for slow requests and inexact clocks.
const EARLY: u64 = 600;

/// The tokens of one policy, by resource. `Debug` does not show them.
#[derive(Default)]
pub(crate) struct Signatures(Mutex<HashMap<String, (Arc<str>, u64)>>);

impl fmt::Debug for Signatures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Signatures")
    }
}

impl Signatures {
    /// A token for the URL `resource`. It uses the machine's time, whatever clock the app has.
    pub(crate) fn get(&self, resource: &str, policy: &str, key: &Secret) -> Arc<str> {
        self.get_at(resource, policy, key, SystemTime::now())
    }

    fn get_at(&self, resource: &str, policy: &str, key: &Secret, now: SystemTime) -> Arc<str> {
        let now = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs();
        let mut tokens = self.0.lock();
        if let Some((token, end)) = tokens.get(resource)
            && now + EARLY < *end
            // A clock that was set back must not keep a token from the future.
            && *end <= now + LIFE
        {
            return Arc::clone(token);
        }
        let end = now + LIFE;
        let token: Arc<str> = signed(resource, policy, key, end).into();
        tokens.insert(resource.to_owned(), (Arc::clone(&token), end));
        token
    }

    /// Drops a token that the service rejected.
    pub(crate) fn reject(&self, resource: &str) {
        self.0.lock().remove(resource);
    }
}

fn signed(resource: &str, policy: &str, key: &Secret, end: u64) -> String {
    let resource = encode(resource);
    let signature = hmac(&key.0, &format!("{resource}\n{end}"));
    format!("SharedAccessSignature sr={resource}&sig={}&se={end}&skn={}", encode(&signature), encode(policy))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    /// The tokens are from `azure.servicebus._base_handler.generate_sas_token` of azure-servicebus 7.15.0.
    #[test]
    fn a_token_is_that_of_azures_library() {
        let key = |text: &str| Secret(text.as_bytes().to_vec());
        let url = "https://ns.servicebus.windows.net/clicks";
        let token = signed(url, "RootManageSharedAccessKey", &key("hush-secret=+/"), 1_767_229_200);
        let expected = "SharedAccessSignature sr=https%3A%2F%2Fns.servicebus.windows.net%2Fclicks\
                      &sig=r7ddHOBuGT2mGi6IDS2ks8v9upG09lxAvJ91OgeX6e4%3D&se=1767229200&skn=RootManageSharedAccessKey";
        assert_eq!(token, expected);
        let token = signed("http://127.0.0.1:5672/clicks-fifo", "send only", &key("käse"), 1_767_229_200);
        // That library encodes a space as `+`.
        let expected = "SharedAccessSignature sr=http%3A%2F%2F127.0.0.1%3A5672%2Fclicks-fifo\
                      &sig=fzoUwAy%2BdEYV5QdBuILYluxWGqHX%2BFBXajbRUsSzUy4%3D&se=1767229200&skn=send%20only";
        assert_eq!(token, expected);
    }

    #[test]
    fn a_token_is_cached_until_shortly_before_its_expiry() {
        let (tokens, key) = (Signatures::default(), Secret(b"hush".to_vec()));
        let get = |resource, seconds| tokens.get_at(resource, "p", &key, at(seconds));
        let first = get("a", 1_000);
        assert!(Arc::ptr_eq(&first, &get("a", 1_000 + LIFE - EARLY - 1)));
        assert!(!Arc::ptr_eq(&first, &get("b", 1_000)));
        let second = get("a", 1_000 + LIFE - EARLY);
        assert_ne!(first, second);
        assert!(Arc::ptr_eq(&second, &get("a", 1_000 + LIFE - EARLY)));
        assert_eq!(get("a", 1_000), first, "the clock was set back");
        tokens.reject("a");
        assert!(!Arc::ptr_eq(&first, &get("a", 1_000)));
        assert_eq!(format!("{tokens:?}"), "Signatures");
    }
}
