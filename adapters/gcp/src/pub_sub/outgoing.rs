//! The body of a publish request, and its limits.

use isobar_rest::batches;
use serde::Serialize;

use super::wire::WireMessage;

/// The maximum number of messages in a request.
///
/// <https://cloud.google.com/pubsub/quotas#resource_limits>
const BATCH: usize = 1_000;

/// The maximum size of a request: 10,000,000 bytes as counted by Pub/Sub, and 10,485,760 bytes of JSON, with bodies in
/// base64, as counted by the front end. This limit applies to the JSON, so both hold.
const BATCH_BYTES: usize = 10_000_000;

/// The size of `{"messages":[]}`.
const ENVELOPE_BYTES: usize = 15;

/// One message of a request.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub(super) struct Entry<'a> {
    message: WireMessage<'a>,
    /// The index of the message in the call.
    #[serde(skip)]
    pub(super) index: usize,
    /// The size in a request.
    #[serde(skip)]
    bytes: usize,
}

impl<'a> Entry<'a> {
    pub(super) fn new(index: usize, mut message: WireMessage<'a>) -> Self {
        let bytes = message.bytes();
        Self { message, index, bytes }
    }

    /// The ordering key, if it has one.
    pub(super) fn key(&self) -> Option<&'a str> {
        self.message.ordering_key
    }
}

/// The body of a request.
#[derive(Debug, Serialize)]
pub(super) struct Request<'a, 'b> {
    pub(super) messages: &'b [Entry<'a>],
}

/// Splits messages into requests.
pub(super) fn split<'a, 'b>(entries: &'b [Entry<'a>]) -> Vec<&'b [Entry<'a>]> {
    batches(entries, BATCH, BATCH_BYTES - ENVELOPE_BYTES, |entry| entry.bytes + 1)
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use isobar_abstraction::TraceParent;
    use isobar_abstraction::driver::pub_sub::RawMessage;

    use super::*;
    use crate::pub_sub::wire;

    fn raw(body: Vec<u8>) -> RawMessage {
        let attributes = [("lang".to_owned(), "k\"\\\u{7f}\u{1}ä".to_owned())].into();
        RawMessage::new(body, TraceParent::random()).with_attributes(attributes)
    }

    fn entries(messages: &[RawMessage]) -> Vec<Entry<'_>> {
        messages.iter().map(|raw| Entry::new(0, wire::first(raw, SystemTime::UNIX_EPOCH))).collect()
    }

    fn sizes(messages: &[RawMessage]) -> Vec<usize> {
        split(&entries(messages)).iter().map(|batch| batch.len()).collect()
    }

    #[test]
    fn the_counted_size_is_the_size_of_the_request() {
        for size in [1, 2, 3, 4, 1_000] {
            let mut messages = vec![raw(vec![0xff; size]); 3];
            messages[1].ordering_key = Some("a\"b".to_owned());
            let entries = entries(&messages);
            let counted = ENVELOPE_BYTES + entries.iter().map(|entry| entry.bytes + 1).sum::<usize>() - 1;
            assert_eq!(serde_json::to_vec(&Request { messages: &entries }).unwrap().len(), counted, "{size}");
        }
    }

    #[test]
    fn a_request_has_up_to_a_thousand_messages_and_ten_million_bytes() {
        assert_eq!(sizes(&vec![raw(vec![1]); 2_001]), [1_000, 1_000, 1]);
        let overhead = entries(&[raw(vec![1; 3])])[0].bytes - 4 + 1;
        // Two messages fill a request exactly, except for the padding of base64.
        let half = (((BATCH_BYTES - ENVELOPE_BYTES) / 2 - overhead) / 4) * 3;
        assert_eq!(sizes(&vec![raw(vec![1; half]); 3]), [2, 1]);
        assert_eq!(sizes(&[raw(vec![1; half + 3]), raw(vec![1; half + 3])]), [1, 1]);
    }

    #[test]
    fn a_message_that_is_too_large_is_sent_separately() {
        assert_eq!(sizes(&[raw(vec![1; 9_000_000]), raw(vec![1])]), [1, 1]);
        assert_eq!(sizes(&[raw(vec![1]), raw(vec![1; 9_000_000])]), [1, 1]);
        assert!(sizes(&[]).is_empty());
    }
}
