//! The one HTTP client of isobar's cloud adapters: TLS, pool, timeouts, retries, deadlines.
//!
//! An adapter describes a call ([`Call`]): the request, whether it may be repeated ([`Safety`]), and
//! the [`Service`] that signs it and reads the responses. This crate decides what is retried and for
//! how long, in the same way for all services. [`object`] reads the objects of a store.

pub mod attempt;
mod batch;
mod call;
mod client;
mod clock;
mod config;
mod connect;
mod credentials;
mod endpoint;
mod failure;
pub mod object;
mod page_size;
mod payload;
mod proxy;
mod retry;
mod service_error;
mod stream;
mod tls;
mod transport;
mod unsigned;

pub use batch::{PutBatch, batches, put_in_batches, put_together};
pub use call::{Call, Safety, Service};
pub use client::Client;
pub use clock::SystemClock;
pub use config::{ClientConfig, Protocol};
pub use credentials::{CredentialCache, CredentialSource, TemporaryCredential};
pub use endpoint::{check_endpoint, check_safe_for_secrets, is_safe_for_secrets};
pub use page_size::PageSize;
pub use service_error::{RetryDecision, ServiceError, ServiceResult, mark_uncertain};
pub use stream::StreamBody;
pub use unsigned::Unsigned;
