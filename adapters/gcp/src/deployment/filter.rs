//! Filters of subscriptions.
//!
//! A filter only saves pushes: the host checks [`FOR`](crate::pub_sub::wire::FOR), and the app its own filter. So a part
//! that cannot be expressed is left out. Pub/Sub does not change the filter of an existing subscription.
//!
//! Sources: <https://cloud.google.com/pubsub/docs/subscription-message-filter>, and for the attributes of notifications
//! <https://docs.cloud.google.com/storage/docs/pubsub-notifications#attributes>.

use isobar_abstraction::manifest::{ChangeKind, ObjectFilter};

use crate::pub_sub::wire::FOR;

/// The largest size of a filter.
const FILTER_BYTES: usize = 256;

/// The filter of a subscription; empty for none. `shared` means that its topic has other subscriptions, and `objects` is the
/// filter of an app for the events of a bucket.
pub(super) fn of_subscription(subscription: &str, shared: bool, objects: Option<&ObjectFilter>) -> String {
    let mut filter = Conditions::default();
    if shared {
        filter.add(&format!("(attributes.{FOR} = \"{subscription}\" OR NOT attributes:{FOR})"));
    }
    let Some(objects) = objects else { return filter.0 };
    match objects.change {
        Some(ChangeKind::Created) => filter.add("attributes.eventType = \"OBJECT_FINALIZE\""),
        Some(ChangeKind::Deleted) => filter.add("attributes.eventType = \"OBJECT_DELETE\""),
        _ => {}
    }
    filter.add_prefix(objects.stored_prefix());
    filter.0
}

/// Conditions that must all be true.
#[derive(Default)]
struct Conditions(String);

impl Conditions {
    /// Adds a condition, if there is room.
    fn add(&mut self, condition: &str) {
        let and = if self.0.is_empty() { "" } else { " AND " };
        if self.0.len() + and.len() + condition.len() <= FILTER_BYTES {
            self.0 = format!("{}{and}{condition}", self.0);
        }
    }

    /// Adds a condition of the object's name, for as much of the prefix as needs no escape and has room.
    fn add_prefix(&mut self, prefix: &str) {
        let condition = |prefix: &str| format!("hasPrefix(attributes.objectId, \"{prefix}\")");
        let plain = |byte: &u8| (b' '..=b'~').contains(byte) && !b"\"\\".contains(byte);
        let room = FILTER_BYTES.saturating_sub(self.0.len() + " AND ".len() + condition("").len());
        let size = prefix.bytes().take_while(plain).count().min(room);
        if size > 0 {
            self.add(&condition(&prefix[..size]));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(prefix: &str, change: Option<ChangeKind>, shared: bool) -> String {
        let mut objects = ObjectFilter::default();
        (objects.prefix, objects.suffix, objects.change) = (prefix.to_owned(), ".jpg".to_owned(), change);
        of_subscription("pages--events--thumbs", shared, Some(&objects))
    }

    #[test]
    fn a_filter_has_the_conditions_of_the_subscription_and_of_the_app() {
        let own = "(attributes.isobar-for = \"pages--events--thumbs\" OR NOT attributes:isobar-for)";
        let photos = "hasPrefix(attributes.objectId, \"photos/\")";
        let created = "attributes.eventType = \"OBJECT_FINALIZE\"";
        assert_eq!(of_subscription("pages--events--thumbs", true, None), own);
        assert_eq!(of("photos/", Some(ChangeKind::Created), true), format!("{own} AND {created} AND {photos}"));
        assert_eq!(of("photos/", None, false), photos);
        assert_eq!(of("", Some(ChangeKind::Deleted), false), "attributes.eventType = \"OBJECT_DELETE\"");
        assert_eq!(of("", None, false), "");
        assert_eq!(of_subscription("clicks", false, None), "");
    }

    #[test]
    fn what_cannot_be_expressed_is_left_out() {
        let photos = "hasPrefix(attributes.objectId, \"photos/\")";
        // Quotes, other characters than ASCII, and what isobar stores in another form.
        for odd in ["photos/\"", "photos/\\", "photos/ä", "photos//", "photos/\n", "photos/."] {
            assert_eq!(of(odd, None, false), photos, "{odd}");
        }
        assert_eq!(of("ä", None, false), "");
        let long = of(&"p".repeat(1_000), Some(ChangeKind::Created), true);
        assert!(long.len() == 256 && long.ends_with("ppp\")"), "{long}");
        assert_eq!(of_subscription(&"s".repeat(255), true, None), "");
    }
}
