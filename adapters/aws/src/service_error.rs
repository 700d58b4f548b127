//! The error response of a service: its retry decision, its kind and its explanation.

pub(crate) mod class;
mod read;

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::Response;
use isobar_rest::{RetryDecision, ServiceError};

use class::{ErrorClass, classify};
pub(crate) use read::code_and_message;

/// The clock difference from which AWS rejects signatures; S3 accepts three times as much.
///
/// Source: "Elements of an AWS API request signature", IAM User Guide.
const SKEW: Duration = Duration::from_secs(300);

/// The parts of an error response by which it is classified.
struct ErrorParts<'a> {
    /// The error code without its namespace.
    code: &'a str,
    message: &'a str,
    status: u16,
    /// The delay that the service requests.
    retry_after: Option<Duration>,
    /// The service's time of the response and the machine's.
    dates: Option<(SystemTime, SystemTime)>,
}

/// Reads a service error; `None` for a success. `place` names the service and the resource in messages.
pub(crate) fn read(answer: &Response<Bytes>, place: &str) -> Option<ServiceError> {
    if answer.status().is_success() {
        return None;
    }
    let (code, message) = read::code_and_message(answer);
    Some(of_code(answer, code, &message, place))
}

/// The service error with this code and message, which are those of the response or of one of its entries.
pub(crate) fn of_code(answer: &Response<Bytes>, code: String, message: &str, place: &str) -> ServiceError {
    let service_error = ServiceError::new(answer, code, &read::redacted(message));
    let parts = ErrorParts {
        code: &service_error.code,
        message: &service_error.message,
        status: answer.status().as_u16(),
        retry_after: read::retry_after(answer.headers()),
        dates: read::date(answer.headers()).map(|theirs| (theirs, SystemTime::now())),
    };
    let class = parts.class();
    let (kind, decision, explanation) = (class.kind(), parts.decision(class), parts.explanation(class, place));
    ServiceError { kind, decision, explanation, ..service_error }
}

/// Whether the call can succeed with new credentials.
pub(crate) fn is_expired(service_error: &ServiceError) -> bool {
    classify(&service_error.code, service_error.status().as_u16()) == ErrorClass::Expired
}

impl ErrorParts<'_> {
    fn decision(&self, class: ErrorClass) -> RetryDecision {
        match class {
            ErrorClass::Throttled | ErrorClass::Busy => RetryDecision::Throttled { after: self.retry_after },
            ErrorClass::Failed => RetryDecision::Failed,
            // The clocks agree: the function was frozen between the signature and the send.
            ErrorClass::Skewed if self.skew().is_some_and(|skew| skew < SKEW) => {
                RetryDecision::Throttled { after: None }
            }
            _ => RetryDecision::Final,
        }
    }

    fn class(&self) -> ErrorClass {
        let class = classify(self.code, self.status);
        let skew_messages = ["Signature expired", "Signature not yet current", "Request has expired"];
        match class {
            // SNS, STS and DynamoDB report a wrong time only in the message.
            ErrorClass::Unauthenticated if skew_messages.iter().any(|part| self.message.contains(part)) => {
                ErrorClass::Skewed
            }
            ErrorClass::Invalid | ErrorClass::Other if self.is_too_large() => ErrorClass::TooLarge,
            _ => class,
        }
    }

    /// The difference between the machine's clock and the service's.
    fn skew(&self) -> Option<Duration> {
        let (theirs, ours) = self.dates?;
        Some(theirs.duration_since(ours).unwrap_or_else(|error| error.duration()))
    }

    /// Whether the error reports something larger than the service's limit.
    ///
    /// Sources: quotas of DynamoDB, Lambda, S3, SNS and SQS.
    fn is_too_large(&self) -> bool {
        let message = self.message;
        match self.code.trim_end_matches("Exception") {
            "RequestTooLarge" | "EntityTooLarge" | "BatchRequestTooLong" | "ItemCollectionSizeLimitExceeded" => true,
            "InvalidParameter" if message.contains("too long") => true,
            _ => {
                message.contains("must be shorter than ")
                    || message.contains("Item size") && message.contains("exceeded")
            }
        }
    }

    fn explanation(&self, class: ErrorClass, place: &str) -> String {
        let message = self.message;
        let code = if self.code.is_empty() { format!("status {}", self.status) } else { self.code.to_owned() };
        match class {
            ErrorClass::Missing if code == "NoSuchKey" => format!("no such object: {place}"),
            ErrorClass::Missing => {
                format!("{place} does not exist: {code}: {message}: create it; isobar creates no resources")
            }
            ErrorClass::Denied => format!("{place}: {code}: {message}: grant the action to the role of this process"),
            // No message from here: these echo the signed request.
            ErrorClass::Expired => format!("the AWS credentials have expired ({code}): renew them"),
            ErrorClass::Skewed => format!("AWS rejected the time of the request ({code}): {}", self.clock_advice()),
            ErrorClass::Unauthenticated => format!("AWS rejected the credentials ({code}): {}", advice(&code)),
            _ => format!("{place}: {code}: {message}"),
        }
    }

    fn clock_advice(&self) -> String {
        match (self.dates, self.skew()) {
            (Some((theirs, ours)), Some(skew)) if skew >= SKEW => {
                let way = if theirs < ours { "ahead of" } else { "behind" };
                format!("this machine's clock is {} minutes {way} AWS's: set it", skew.as_secs() / 60)
            }
            _ => "check this machine's clock".to_owned(),
        }
    }
}

fn advice(code: &str) -> &'static str {
    match code.trim_end_matches("Exception") {
        "SignatureDoesNotMatch" | "InvalidSignature" => {
            "the secret access key is not that of the access key id, or the region is not the endpoint's"
        }
        "MissingAuthenticationToken" | "IncompleteSignature" => "a proxy on the way removes the signature",
        _ => "check the access key id, the session token and that their account has the region enabled",
    }
}

#[cfg(test)]
mod tests;
