//! One dead letter, of either service.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use isobar::Result;
use isobar::pub_sub::DeadLetter;

use super::service_bus::Delivery;
use super::storage::Queued;

/// A dead letter as it was received.
#[derive(Debug, Clone)]
pub(super) enum Letter {
    Queued(Queued),
    Delivered(Delivery),
}

impl Letter {
    pub(super) fn read(&self) -> Result<DeadLetter> {
        match self {
            Self::Queued(message) => {
                let text = BASE64_STANDARD.decode(&message.text).unwrap_or_else(|_| message.text.clone().into_bytes());
                isobar_azure::dead_letter(&text, [])
            }
            Self::Delivered(message) => isobar_azure::dead_letter(&message.body, message.properties.clone()),
        }
    }
}
