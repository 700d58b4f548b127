//! The one table of compiled-in providers: the only place where a feature decides anything.

use isobar_abstraction::Adapter;

/// The providers of this build.
pub(crate) const ADAPTERS: &[Adapter] = &[
    #[cfg(feature = "local")]
    isobar_local::ADAPTER,
    #[cfg(feature = "aws")]
    isobar_aws::ADAPTER,
    #[cfg(feature = "azure")]
    isobar_azure::ADAPTER,
    #[cfg(feature = "gcp")]
    isobar_gcp::ADAPTER,
];
