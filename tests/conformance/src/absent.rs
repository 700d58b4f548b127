//! Programs that not every machine has.

/// What a test needs and this machine does not have.
#[derive(Debug, Clone)]
pub struct Absent {
    /// The need, as `ISOBAR_REQUIRE` names it.
    pub need: &'static str,
    /// Why it is not to be had.
    pub reason: String,
}

impl Absent {
    /// A need that is not met, and why.
    pub fn new(need: &'static str, reason: impl Into<String>) -> Self {
        Self { need, reason: reason.into() }
    }

    /// Does `ISOBAR_REQUIRE`, a list with commas, name it? Then the trials that need it fail without it.
    pub fn is_required(&self) -> bool {
        std::env::var("ISOBAR_REQUIRE").is_ok_and(|needs| needs.split(',').any(|need| need.trim() == self.need))
    }
}
