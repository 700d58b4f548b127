//! The error that a service answered: whether to try again, and what it is to a caller.

pub(crate) mod code;
mod read;

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::Response;
use isobar_rest::{RetryDecision, ServiceError};

use code::{Meaning, meaning};
pub(crate) use read::code_and_message;

/// How far a clock may be off before AWS refuses its signatures; S3 takes three times as much.
///
/// Source: "Elements of an AWS API request signature", IAM User Guide.
const SKEW: Duration = Duration::from_secs(300);

/// What an answer says of an error, before it is known what that means.
struct ErrorParts<'a> {
    /// Without its namespace.
    code: &'a str,
    message: &'a str,
    status: u16,
    /// How long the service asks to wait.
    retry_after: Option<Duration>,
    /// The service's time when it answered, and ours.
    dates: Option<(SystemTime, SystemTime)>,
}

/// Reads what an answer refuses; `None` of a success. `place` is what was called, as errors say it.
pub(crate) fn read(answer: &Response<Bytes>, place: &str) -> Option<ServiceError> {
    if answer.status().is_success() {
        return None;
    }
    let (code, message) = read::code_and_message(answer);
    Some(of_code(answer, code, &message, place))
}

/// The service error with this code and message, be they those of the answer or of a part of it.
pub(crate) fn of_code(answer: &Response<Bytes>, code: String, message: &str, place: &str) -> ServiceError {
    // A message is shown without keys and signatures.
    let service_error = ServiceError::new(answer, code, &read::shown(message));
    let parts = ErrorParts {
        code: &service_error.code,
        message: &service_error.message,
        status: answer.status().as_u16(),
        retry_after: read::retry_after(answer.headers()),
        dates: read::date(answer.headers()).map(|theirs| (theirs, SystemTime::now())),
    };
    let meaning = parts.meaning();
    let (kind, decision, explanation) = (meaning.kind(), parts.decision(meaning), parts.explained(meaning, place));
    ServiceError { kind, decision, explanation, ..service_error }
}

/// Are new credentials all it takes?
pub(crate) fn is_expired(service_error: &ServiceError) -> bool {
    meaning(&service_error.code, service_error.status().as_u16()) == Meaning::Expired
}

impl ErrorParts<'_> {
    fn decision(&self, meaning: Meaning) -> RetryDecision {
        match meaning {
            Meaning::Throttled | Meaning::Busy => RetryDecision::Throttled { after: self.retry_after },
            Meaning::Failed => RetryDecision::Failed,
            // It was signed long before it was sent: the function was frozen in between.
            Meaning::Skewed if self.skew().is_some_and(|skew| skew < SKEW) => RetryDecision::Throttled { after: None },
            _ => RetryDecision::Final,
        }
    }

    fn meaning(&self) -> Meaning {
        let meaning = meaning(self.code, self.status);
        let of_time = ["Signature expired", "Signature not yet current", "Request has expired"];
        match meaning {
            // The message is the only sign of it in what SNS, STS and DynamoDB answer.
            Meaning::Unauthenticated if of_time.iter().any(|sign| self.message.contains(sign)) => Meaning::Skewed,
            Meaning::Invalid | Meaning::Other if self.is_too_large() => Meaning::TooLarge,
            _ => meaning,
        }
    }

    /// How far our clock is from the service's.
    fn skew(&self) -> Option<Duration> {
        let (theirs, ours) = self.dates?;
        Some(theirs.duration_since(ours).unwrap_or_else(|error| error.duration()))
    }

    /// Does it say that something is larger than the service's limit?
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

    fn explained(&self, meaning: Meaning, place: &str) -> String {
        let message = self.message;
        let code = if self.code.is_empty() { format!("status {}", self.status) } else { self.code.to_owned() };
        match meaning {
            Meaning::Missing if code == "NoSuchKey" => format!("no such object: {place}"),
            Meaning::Missing => format!("{place} is not there: {code}: {message}: create it, the library never does"),
            Meaning::Denied => format!("{place}: {code}: {message}: grant the action to who runs this"),
            // What the service says of these is not shown: it echoes what was signed.
            Meaning::Expired => format!("the AWS credentials have expired ({code}): renew them"),
            Meaning::Skewed => format!("AWS does not take the time of the request ({code}): {}", self.clock_advice()),
            Meaning::Unauthenticated => format!("AWS does not take the credentials ({code}): {}", advice(&code)),
            _ => format!("{place}: {code}: {message}"),
        }
    }

    fn clock_advice(&self) -> String {
        match (self.dates, self.skew()) {
            (Some((theirs, ours)), Some(skew)) if skew >= SKEW => {
                let way = if theirs < ours { "ahead of" } else { "behind" };
                format!("this machine's clock is {} minutes {way} AWS's, set it", skew.as_secs() / 60)
            }
            _ => "see that this machine's clock is right".to_owned(),
        }
    }
}

fn advice(code: &str) -> &'static str {
    match code.trim_end_matches("Exception") {
        "SignatureDoesNotMatch" | "InvalidSignature" => {
            "the secret access key is not that of the access key id, or the region is not the endpoint's"
        }
        "MissingAuthenticationToken" | "IncompleteSignature" => "something on the way takes off the signature",
        _ => "check the access key id and the session token, and that the region is of their account",
    }
}

#[cfg(test)]
mod tests;
