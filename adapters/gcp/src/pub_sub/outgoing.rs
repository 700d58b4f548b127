//! The body of a request that publishes, and how much goes into one.

use isobar_rest::batches;
use serde::Serialize;

use super::wire::Carried;

/// Messages that one request may have.
///
/// <https://cloud.google.com/pubsub/quotas#resource_limits>
const BATCH: usize = 1_000;

/// Bytes that a request may have: 10,000,000 as Pub/Sub counts, and 10,485,760 of JSON, with bodies in base64,
/// as the front end does. The JSON is what is measured here, so that both hold.
const BATCH_BYTES: usize = 10_000_000;

/// `{"messages":[]}`
const AROUND: usize = 15;

/// One message of a request.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub(super) struct Entry<'a> {
    carried: Carried<'a>,
    /// Which message of the call it is.
    #[serde(skip)]
    pub(super) place: usize,
    /// Its size in a request.
    #[serde(skip)]
    bytes: usize,
}

impl<'a> Entry<'a> {
    pub(super) fn new(place: usize, mut carried: Carried<'a>) -> Self {
        let bytes = carried.bytes();
        Self { carried, place, bytes }
    }

    /// The ordering key, if it has one.
    pub(super) fn key(&self) -> Option<&'a str> {
        self.carried.ordering_key
    }
}

/// The body of a request.
#[derive(Debug, Serialize)]
pub(super) struct Request<'a, 'b> {
    pub(super) messages: &'b [Entry<'a>],
}

/// Requests for these.
pub(super) fn split<'a, 'b>(entries: &'b [Entry<'a>]) -> Vec<&'b [Entry<'a>]> {
    batches(entries, BATCH, BATCH_BYTES - AROUND, |entry| entry.bytes + 1)
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
    fn a_request_is_as_large_as_was_counted() {
        for size in [1, 2, 3, 4, 1_000] {
            let mut messages = vec![raw(vec![0xff; size]); 3];
            messages[1].ordering_key = Some("a\"b".to_owned());
            let entries = entries(&messages);
            let counted = AROUND + entries.iter().map(|entry| entry.bytes + 1).sum::<usize>() - 1;
            assert_eq!(serde_json::to_vec(&Request { messages: &entries }).unwrap().len(), counted, "{size}");
        }
    }

    #[test]
    fn a_request_has_up_to_a_thousand_messages_and_ten_million_bytes() {
        assert_eq!(sizes(&vec![raw(vec![1]); 2_001]), [1_000, 1_000, 1]);
        let besides = entries(&[raw(vec![1; 3])])[0].bytes - 4 + 1;
        // Two messages to the byte, but for what base64 rounds up.
        let half = (((BATCH_BYTES - AROUND) / 2 - besides) / 4) * 3;
        assert_eq!(sizes(&vec![raw(vec![1; half]); 3]), [2, 1]);
        assert_eq!(sizes(&[raw(vec![1; half + 3]), raw(vec![1; half + 3])]), [1, 1]);
    }

    #[test]
    fn a_message_that_is_too_large_goes_alone_so_that_pub_sub_can_say_so() {
        assert_eq!(sizes(&[raw(vec![1; 9_000_000]), raw(vec![1])]), [1, 1]);
        assert_eq!(sizes(&[raw(vec![1]), raw(vec![1; 9_000_000])]), [1, 1]);
        assert!(sizes(&[]).is_empty());
    }
}
