//! [`StepContext`]: what the body of a step knows of its attempt.

use std::time::Duration;

/// The argument of the body of a step.
#[derive(Debug, Clone)]
pub struct StepContext {
    pub(crate) key: String,
    pub(crate) attempt: u32,
    pub(crate) remaining: Option<Duration>,
}

impl StepContext {
    /// An idempotency key for other services: 32 hexadecimal digits, the same in every attempt of this step of this run.
    pub fn key(&self) -> String {
        self.key.clone()
    }

    /// The number of the attempt, beginning with 1. After a crash an attempt can run again with the same number.
    pub fn attempt(&self) -> u32 {
        self.attempt
    }

    /// The time after which the attempt is dropped; `None` without a limit.
    pub fn remaining(&self) -> Option<Duration> {
        self.remaining
    }
}
