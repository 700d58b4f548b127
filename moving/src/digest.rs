//! Hashes of items, and sums of them by which two tables are compared without their keys.

use std::fmt::Write;
use std::hash::{DefaultHasher, Hash, Hasher};

use isobar_abstraction::clock::to_millis;
use isobar_abstraction::driver::key_value::{Item, Key};
use sha2::{Digest as _, Sha256};

/// The parts of a table: a difference is looked for in its part only.
const PARTS: usize = 1 << 15;

/// The expiry of an item without one.
const NEVER: u64 = u64::MAX;

/// The hash of key, value and expiry: the first half of a SHA-256.
pub(crate) fn item_hash(item: &Item) -> u128 {
    let mut hash = Sha256::new();
    for text in [&item.key.partition, &item.key.sort] {
        hash.update((text.len() as u64).to_le_bytes());
        hash.update(text);
    }
    hash.update(item.expires_at.map_or(NEVER, to_millis).to_le_bytes());
    hash.update(&item.value);
    half(&hash.finalize())
}

fn half(hash: &[u8]) -> u128 {
    hash.iter().take(16).fold(0, |number, byte| number << 8 | u128::from(*byte))
}

/// A hash in hexadecimal digits.
pub(crate) fn hex(hash: &[u8]) -> String {
    hash.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// The part of a key. It is the same within one process only.
pub(crate) fn part_of(key: &Key) -> usize {
    let mut hasher = DefaultHasher::new();
    key.hash(&mut hasher);
    usize::try_from(hasher.finish() % PARTS as u64).unwrap_or_default()
}

/// For each part of a table: how many items it has, and the sum of their hashes, which does not depend on their order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Digest(Vec<(u64, u128)>);

impl Default for Digest {
    fn default() -> Self {
        Self(vec![(0, 0); PARTS])
    }
}

impl Digest {
    pub(crate) fn add(&mut self, part: usize, hash: u128) {
        if let Some((count, sum)) = self.0.get_mut(part) {
            *count += 1;
            *sum = sum.wrapping_add(hash);
        }
    }

    /// The parts in which two tables differ.
    pub(crate) fn differing(&self, other: &Self) -> Parts {
        Parts(self.0.iter().zip(&other.0).map(|(one, other)| one != other).collect())
    }

    /// The items in other parts than these.
    pub(crate) fn count_without(&self, parts: &Parts) -> u64 {
        self.0.iter().zip(&parts.0).filter(|(_, differs)| !**differs).map(|((count, _), _)| count).sum()
    }
}

/// Some parts of a table.
#[derive(Debug, Clone)]
pub(crate) struct Parts(Vec<bool>);

impl Parts {
    pub(crate) fn is_empty(&self) -> bool {
        !self.0.contains(&true)
    }

    pub(crate) fn contain(&self, key: &Key) -> bool {
        self.0.get(part_of(key)).is_some_and(|differs| *differs)
    }
}
