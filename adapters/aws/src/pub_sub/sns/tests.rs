use isobar_abstraction::driver::pub_sub::MessageId;

use super::*;

fn message(body: &str) -> Message<Bytes> {
    Message::new(MessageId::new("id"), body.to_owned(), SystemTime::UNIX_EPOCH)
}

fn entries(messages: &[Message<Bytes>]) -> Vec<Entry<'_>> {
    messages.iter().map(|message| Entry::new(message, None).unwrap()).collect()
}

/// The number of messages that fit into one request.
fn fit(messages: &[Message<Bytes>]) -> usize {
    fitting(&entries(messages).iter().collect::<Vec<_>>())
}

#[test]
fn size_of_a_message_is_its_body_and_names_types_and_values_of_its_attributes() {
    let mut message = message("\u{e9}\u{e9}");
    message.attributes.insert("lang".to_owned(), "\u{e9}".to_owned());
    let meta = "isobar.meta".len() + "String".len() + r#"{"id":"id","at":0}"#.len();
    assert_eq!(entries(&[message])[0].bytes(), 4 + ("lang".len() + "String".len() + 2) + meta);
}

#[test]
fn request_has_at_most_ten_messages_and_262_144_bytes() {
    assert_eq!(fit(&vec![message("x"); 25]), 10);
    let body = |size: usize| message(&"x".repeat(size));
    // `isobar.meta`, its type and its JSON.
    let overhead = entries(&[body(1)])[0].bytes() - 1;
    let half = BATCH_BYTES / 2 - overhead;
    assert_eq!(fit(&[body(half), body(half)]), 2, "to the byte");
    assert_eq!(fit(&[body(half), body(half + 1)]), 1);
    assert_eq!(fit(&[body(1), body(half), body(half)]), 2);
}

#[test]
fn message_over_the_limit_is_sent_alone() {
    let large = message(&"x".repeat(BATCH_BYTES + 1));
    assert_eq!(fit(&[large.clone(), message("x")]), 1);
    assert_eq!(fit(&[message("x"), large]), 1);
}

#[test]
fn form_escapes_all_but_unreserved_characters() {
    let body = "aZ09-_.~ +&=%;/?*'()\"\\\r\n\t<>\u{e9}\u{1f600}";
    let message = message(body);
    let entry = Entry::new(&message, None).unwrap();
    let form = request("arn:aws:sns:eu-west-1:123456789012:clicks", &[&entry]);
    assert!(form.starts_with("Action=PublishBatch&Version=2010-03-31&TopicArn=arn%3Aaws%3Asns%3Aeu-west-1%3A"));
    let field =
        form.split('&').find(|field| field.starts_with("PublishBatchRequestEntries.member.1.Message=")).unwrap();
    assert_eq!(
        field.split_once('=').unwrap().1,
        "aZ09-_.~%20%2B%26%3D%25%3B%2F%3F%2A%27%28%29%22%5C%0D%0A%09%3C%3E%C3%A9%F0%9F%98%80"
    );
    let read: BTreeMap<_, _> = url::form_urlencoded::parse(form.as_bytes()).into_owned().collect();
    assert_eq!(read["PublishBatchRequestEntries.member.1.Message"], body);
    assert!(form.is_ascii());
}

#[test]
fn only_messages_of_fifo_topics_have_groups_and_deduplication_ids() {
    let mut keyed = message("a");
    keyed.ordering_key = Some("room 7/&".to_owned());
    let messages = [message("a"), keyed];
    let entries = entries(&messages);
    let form = request("t", &entries.iter().collect::<Vec<_>>());
    let member = "PublishBatchRequestEntries.member";
    assert!(form.contains(&format!("&{member}.2.MessageGroupId=room%207%2F%26&{member}.2.MessageDeduplicationId=id")));
    assert!(!form.contains(&format!("{member}.1.MessageGroupId")));
    assert_eq!((entries[0].key(), entries[1].key()), ("", "room 7/&"));
}

fn kinds(xml: &str, count: usize) -> Vec<Option<(ErrorKind, bool)>> {
    let failure = |result: Result<()>| result.err().map(|error| (error.kind(), error.outcome_unknown()));
    results(xml.as_bytes(), count).into_iter().map(failure).collect()
}

fn answer(successful: &str, failed: &str) -> String {
    format!(
        "<?xml version=\"1.0\"?>\n<PublishBatchResponse xmlns=\"http://sns.amazonaws.com/doc/2010-03-31/\">\n  \
         <PublishBatchResult>{successful}{failed}</PublishBatchResult></PublishBatchResponse>"
    )
}

#[test]
fn results_are_matched_by_id() {
    let success = |id: &str| format!("<member><SequenceNumber>1</SequenceNumber><Id>{id}</Id><New/></member>");
    let failed =
        "<Failed><member><SenderFault>true</SenderFault><Id>1</Id><Code>InvalidParameter</Code></member></Failed>";
    let xml = answer(&format!("<Successful>{}{}</Successful>", success("2"), success("0")), failed);
    assert_eq!(kinds(&xml, 3), [None, Some((ErrorKind::InvalidInput, false)), None]);
    let xml = answer(&format!("<Successful>{}</Successful>", success("0")), "<Failed/>");
    assert_eq!(kinds(&xml, 1), [None]);
    assert_eq!(kinds(&answer("<Successful/>", failed), 2)[1], Some((ErrorKind::InvalidInput, false)));
}

#[test]
fn message_without_result_is_outcome_unknown() {
    let missing = Some((ErrorKind::Internal, true));
    let other = answer("<Successful><member><Id>7</Id></member></Successful>", "");
    for xml in ["", "<a", "<PublishBatchResponse/>", "{}", answer("", "").as_str(), other.as_str()] {
        assert_eq!(kinds(xml, 2), [missing; 2], "{xml}");
    }
    assert!(results(b"\xff", 1)[0].is_err());
}

#[test]
fn codes_of_messages_become_error_kinds() {
    let throttled = ErrorKind::Throttled;
    for (code, sender, kind, unknown) in [
        ("Throttled", true, throttled, false),
        ("ThrottledException", true, throttled, false),
        ("KMSThrottling", true, throttled, false),
        ("KMSThrottlingException", true, throttled, false),
        ("RequestLimitExceeded", true, throttled, false),
        ("AuthorizationError", true, ErrorKind::PermissionDenied, false),
        ("KMSAccessDeniedException", true, ErrorKind::PermissionDenied, false),
        ("KMSDisabled", true, ErrorKind::Config, false),
        ("KMSNotFoundException", true, ErrorKind::Config, false),
        ("NotFound", true, ErrorKind::NotFound, false),
        ("InvalidParameter", true, ErrorKind::InvalidInput, false),
        ("InternalError", false, ErrorKind::Unavailable, true),
        ("Unheard", false, ErrorKind::Unavailable, true),
    ] {
        let member = format!("<member><Id>0</Id><Code>{code}</Code><SenderFault>{sender}</SenderFault></member>");
        let xml = answer("", &format!("<Failed>{member}</Failed>"));
        assert_eq!(kinds(&xml, 1), [Some((kind, unknown))], "{code}");
    }
}
