//! The table of compiled providers: the only place where a feature selects code, apart from re-exports.

use isobar_abstraction::Error;
use isobar_abstraction::driver::Adapter;
use tracing_subscriber::filter::Targets;

/// The providers of this build. [`main_with`](crate::main_with) accepts them together with others:
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

/// The layer of the log that the dashboard of the local provider reads.
#[cfg(feature = "local")]
pub(crate) fn history<S>(lines: &Targets) -> Option<impl tracing_subscriber::Layer<S>>
where
    S: tracing::Subscriber + for<'a> tracing_subscriber::registry::LookupSpan<'a>,
{
    Some(isobar_local::HistoryLayer::new().with_lines(lines.clone()).filtered())
}

/// No other provider has a dashboard.
#[cfg(not(feature = "local"))]
pub(crate) fn history(_: &Targets) -> Option<tracing_subscriber::layer::Identity> {
    None
}

/// Names, schemes and marks of all isobar's providers, compiled or not: an error names the missing feature.
pub(crate) const KNOWN: [Adapter; 4] = [
    known("local", &["redb", "file", "queue"], &[]),
    known("aws", &["dynamodb", "s3", "sns", "ssm", "secretsmanager"], &["AWS_LAMBDA_RUNTIME_API"]),
    known(
        "azure",
        &["cosmos", "aztable", "az", "servicebus", "azqueue", "keyvault"],
        &["FUNCTIONS_CUSTOMHANDLER_PORT"],
    ),
    known("gcp", &["firestore", "gs", "pubsub", "gsm"], &["K_SERVICE"]),
];

/// Is this the name of one of isobar's providers, compiled or not?
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
    fn schemes_and_marks_are_known_without_the_feature() {
        for adapter in ADAPTERS {
            let known = KNOWN.iter().find(|known| known.name == adapter.name).expect(adapter.name);
            assert_eq!((known.schemes, known.marks), (adapter.schemes, adapter.marks), "{}", adapter.name);
        }
    }
}
