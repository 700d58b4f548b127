use isobar_abstraction::{Error, ErrorKind};

use super::*;

fn answer(status: u16, headers: &[(&str, &str)], body: &str) -> ServiceError {
    let builder = headers.iter().fold(Response::builder().status(status), |it, (name, value)| it.header(*name, *value));
    read(&builder.body(Bytes::from(body.to_owned())).unwrap(), "`links` of dynamodb in eu-west-1").unwrap()
}

fn error(status: u16, body: &str) -> Error {
    answer(status, &[], body).into()
}

/// The time in the form of a `Date` header.
fn http_date(time: SystemTime) -> String {
    chrono::DateTime::<chrono::Utc>::from(time).to_rfc2822()
}

#[test]
fn code_and_message_are_read_from_all_forms() {
    let json = r#"{"__type":"com.amazonaws.dynamodb.v20120810#ResourceNotFoundException","message":"no such table"}"#;
    let upper = r#"{"__type":"com.amazon.coral.service#AccessDeniedException","Message":"no"}"#;
    let uri = r#"{"code":"aws.example#Throttled:http://internal.amazon.com/x","message":"m"}"#;
    let query = "<ErrorResponse xmlns=\"http://sns.amazonaws.com/doc/2010-03-31/\"><Error><Type>Sender</Type>\
                 <Code>NotFound</Code><Message>Topic &lt;x&gt; &#38; y</Message></Error></ErrorResponse>";
    let s3 = "<?xml version=\"1.0\"?><Error><Code>NoSuchBucket</Code><Message><![CDATA[a < b]]></Message></Error>";
    for (body, code, message) in [
        (json, "ResourceNotFoundException", "no such table"),
        (upper, "AccessDeniedException", "no"),
        (uri, "Throttled", "m"),
        (query, "NotFound", "Topic <x> & y"),
        (s3, "NoSuchBucket", "a < b"),
        ("<html><body>502 Bad Gateway</body></html>", "", ""),
        ("not even { that", "", ""),
        ("<Error><Code>Cut", "Cut", ""),
        ("[1, 2]", "", ""),
        ("", "", ""),
    ] {
        let service_error = answer(400, &[], body);
        assert_eq!((service_error.code.as_str(), service_error.message.as_str()), (code, message), "{body}");
    }
    let header = [("x-amzn-ErrorType", "TooManyRequestsException:http://internal.amazon.com/coral/")];
    assert_eq!(answer(429, &header, r#"{"Type":"User","message":"Rate exceeded"}"#).code, "TooManyRequestsException");
}

#[test]
fn throttled_codes_are_throttled_and_faults_are_failed() {
    let of = |status, code: &str| answer(status, &[], &format!(r#"{{"__type":"{code}"}}"#)).decision;
    assert_eq!(of(400, "ProvisionedThroughputExceededException"), RetryDecision::Throttled { after: None });
    assert_eq!(of(400, "TransactionConflictException"), RetryDecision::Throttled { after: None });
    assert_eq!(of(500, "InternalServerError"), RetryDecision::Failed);
    assert_eq!(of(400, "TransactionInProgressException"), RetryDecision::Failed);
    assert_eq!(of(400, "ConditionalCheckFailedException"), RetryDecision::Final);
    assert_eq!(of(400, "TransactionCanceledException"), RetryDecision::Final);
    assert_eq!(of(501, "NotImplemented"), RetryDecision::Final);
    assert_eq!(answer(503, &[], "upstream").decision, RetryDecision::Failed);
    let throttled = answer(429, &[("x-amz-retry-after", "1500"), ("retry-after", "9")], "");
    assert_eq!(throttled.decision, RetryDecision::Throttled { after: Some(Duration::from_millis(1_500)) });
    assert_eq!(Error::from(throttled).retry_after(), Some(Duration::from_millis(1_500)));
}

#[test]
fn codes_become_error_kinds() {
    for (status, code, kind) in [
        (400, "ResourceNotFoundException", ErrorKind::NotFound),
        (400, "QueueDoesNotExist", ErrorKind::NotFound),
        (400, "AWS.SimpleQueueService.NonExistentQueue", ErrorKind::NotFound),
        (400, "UnrecognizedClientException", ErrorKind::Unauthenticated),
        (403, "InvalidClientTokenId", ErrorKind::Unauthenticated),
        (403, "SignatureDoesNotMatch", ErrorKind::Unauthenticated),
        (403, "ExpiredToken", ErrorKind::Unauthenticated),
        (400, "MissingAuthenticationToken", ErrorKind::Unauthenticated),
        (400, "AccessDeniedException", ErrorKind::PermissionDenied),
        (403, "AuthorizationError", ErrorKind::PermissionDenied),
        (403, "", ErrorKind::PermissionDenied),
        (400, "ThrottlingException", ErrorKind::Throttled),
        (500, "InternalFailure", ErrorKind::Unavailable),
        (400, "TransactionConflictException", ErrorKind::Unavailable),
        (400, "ValidationException", ErrorKind::InvalidInput),
        (413, "RequestTooLargeException", ErrorKind::TooLarge),
        (400, "BatchRequestTooLong", ErrorKind::TooLarge),
        (400, "KmsDisabled", ErrorKind::Config),
        (400, "Unheard", ErrorKind::Internal),
    ] {
        assert_eq!(error(status, &format!(r#"{{"__type":"{code}"}}"#)).kind(), kind, "{code}");
    }
    let large = |code, message| error(400, &format!(r#"{{"__type":"{code}","message":"{message}"}}"#)).kind();
    let dynamo = "Item size has exceeded the maximum allowed size";
    assert_eq!(large("ValidationException", dynamo), ErrorKind::TooLarge);
    let sqs = "One or more parameters are invalid. Reason: Message must be shorter than 1048576 bytes.";
    assert_eq!(large("InvalidParameterValue", sqs), ErrorKind::TooLarge);
}

#[test]
fn missing_resource_error_names_it_and_the_next_step() {
    let message = error(400, r#"{"__type":"x#ResourceNotFoundException","message":"Requested resource not found"}"#);
    let message = message.message();
    assert!(message.contains("`links` of dynamodb in eu-west-1") && message.contains("create it"), "{message}");
}

#[test]
fn denied_action_is_in_the_error() {
    let message = "User: arn:aws:iam::123456789012:user/a is not authorized to perform: dynamodb:PutItem on resource: \
                arn:aws:dynamodb:eu-west-1:123456789012:table/links";
    let denied = error(400, &format!(r#"{{"__type":"AccessDeniedException","Message":"{message}"}}"#));
    assert!(denied.message().contains("dynamodb:PutItem") && denied.message().contains("grant"), "{denied}");
}

/// Services echo parts of a rejected request.
#[test]
fn errors_contain_no_keys_and_no_signed_text() {
    let canonical = "The request signature we calculated does not match.\\n\\nThe Canonical String for this request \
                     should have been\\n'POST\\n/\\n\\nx-amz-security-token:HUSHTOKEN";
    let body = format!(r#"{{"__type":"InvalidSignatureException","message":"{canonical}"}}"#);
    let s3 = "<Error><Code>SignatureDoesNotMatch</Code><Message>no</Message>\
              <AWSAccessKeyId>AKIAIOSFODNN7EXAMPLE</AWSAccessKeyId><CanonicalRequest>HUSHTOKEN</CanonicalRequest></Error>";
    let other = r#"{"__type":"Unheard","message":"key AKIAIOSFODNN7EXAMPLE, ASIAIOSFODNN7EXAMPLE. Twice\nHUSHTOKEN"}"#;
    let incomplete =
        r#"{"__type":"IncompleteSignature","message":"Credential=AKIAIOSFODNN7EXAMPLE/x, Signature=HUSHTOKEN"}"#;
    for body in [body.as_str(), s3, other, incomplete] {
        let service_error = answer(403, &[], body);
        let debug = format!("{service_error:?}");
        let error = Error::from(service_error);
        for hidden in ["HUSHTOKEN", "IOSFODNN7"] {
            assert!(!format!("{error:?} {debug}").contains(hidden), "{error:?} {debug}");
        }
    }
    assert!(error(400, other).message().ends_with("key ******, ******. Twice"));
}

#[test]
fn clock_skew_is_in_the_error_and_a_late_request_is_repeated() {
    let body =
        r#"{"__type":"InvalidSignatureException","message":"Signature expired: 20260101T000000Z is now earlier"}"#;
    let behind = http_date(SystemTime::now() + Duration::from_secs(3_600));
    let service_error = answer(400, &[("date", &behind)], body);
    assert_eq!(service_error.decision, RetryDecision::Final);
    let error = Error::from(service_error);
    assert_eq!(error.kind(), ErrorKind::Unauthenticated);
    assert!(error.message().contains("minutes behind AWS's"), "{error}");

    let late = answer(400, &[("date", &http_date(SystemTime::now()))], body);
    assert_eq!(late.decision, RetryDecision::Throttled { after: None });
    let ahead = http_date(SystemTime::now() - Duration::from_secs(3_600));
    let s3 = answer(403, &[("date", &ahead)], "<Error><Code>RequestTimeTooSkewed</Code></Error>");
    assert!(Error::from(s3).message().contains("60 minutes ahead of AWS's"));
    assert_eq!(answer(403, &[], "<Error><Code>RequestTimeTooSkewed</Code></Error>").decision, RetryDecision::Final);
}

#[test]
fn uncertain_service_error_is_an_error_of_unknown_outcome() {
    let service_error = answer(500, &[], "");
    assert!(!Error::from(service_error.clone()).outcome_unknown());
    assert!(Error::from(ServiceError { uncertain: true, ..service_error }).outcome_unknown());
}

#[test]
fn long_message_is_cut_to_500_characters() {
    let service_error = answer(400, &[], &format!(r#"{{"__type":"Unheard","message":"{}"}}"#, "é".repeat(9_000)));
    assert_eq!(service_error.message.chars().count(), 500);
}
