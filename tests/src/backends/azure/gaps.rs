//! What the emulators of Azure get wrong, or what a service of Azure itself cannot do, by trial.

use crate::Gap;

const fn gap(trial: &'static str, reason: &'static str) -> Gap {
    Gap { trial, reason }
}

/// Of Azurite, with values in Table Storage and messages in Storage Queues.
pub const AZURITE: &[Gap] = &[];

/// Of the emulator of Cosmos DB, Azurite's blobs and the double of Service Bus.
pub const COSMOS: &[Gap] = &[];
