//! The one table of compiled-in providers: the only place where a feature decides anything.

use isobar_abstraction::Error;
use isobar_abstraction::driver::Adapter;

/// The providers of this build. [`main_with`](crate::main_with) takes them together with others:
/// `[isobar::ADAPTERS, &[other::ADAPTER]].concat()`.
pub const ADAPTERS: &[Adapter] = &[
    #[cfg(feature = "local")]
    isobar_local::ADAPTER,
    #[cfg(feature = "aws")]
    isobar_aws::ADAPTER,
    #[cfg(feature = "azure")]
    isobar_azure::ADAPTER,
    #[cfg(feature = "gcp")]
    isobar_gcp::ADAPTER,
];

/// What isobar's own providers claim, each under the name of its feature: an error names the feature that a build lacks.
pub(crate) const KNOWN: [Adapter; 4] = [
    known("local", &["redb", "file", "queue"], &[]),
    known("aws", &["dynamodb", "s3", "sns"], &["AWS_LAMBDA_RUNTIME_API"]),
    known("azure", &["cosmos", "aztable", "az", "servicebus", "azqueue"], &["FUNCTIONS_CUSTOMHANDLER_PORT"]),
    known("gcp", &["firestore", "gs", "pubsub"], &["K_SERVICE"]),
];

/// Is a provider of this name one of isobar's own, compiled in or not?
pub(crate) fn is_own(name: &str) -> bool {
    KNOWN.iter().any(|known| known.name == name)
}

const fn known(name: &'static str, schemes: &'static [&'static str], marks: &'static [&'static str]) -> Adapter {
    Adapter::new(name, schemes, |_| Err(Error::config("the provider is not compiled in"))).with_marks(marks)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_provider_claims_is_known_without_its_feature() {
        for adapter in ADAPTERS {
            let known = KNOWN.iter().find(|known| known.name == adapter.name).expect(adapter.name);
            assert_eq!((known.schemes, known.marks), (adapter.schemes, adapter.marks), "{}", adapter.name);
        }
    }
}
