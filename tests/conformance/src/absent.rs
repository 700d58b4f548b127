//! Programs that not every machine has, and the variables that decide about them: `ISOBAR_REQUIRE` and
//! `ISOBAR_WITHOUT`, lists of needs with commas.

use std::collections::BTreeSet;

/// The needs whose absence fails.
const ISOBAR_REQUIRE: &str = "ISOBAR_REQUIRE";

/// The needs that count as absent although the machine has them.
const ISOBAR_WITHOUT: &str = "ISOBAR_WITHOUT";

/// A program that a test needs and this machine does not have.
#[derive(Debug, Clone)]
pub struct Absent {
    /// The need, as `ISOBAR_REQUIRE` and `ISOBAR_WITHOUT` name it.
    pub need: &'static str,
    /// The reason, and what to install.
    pub reason: String,
    required: bool,
}

impl Absent {
    /// A need that is not met, and the reason.
    pub fn new(need: &'static str, reason: impl Into<String>) -> Self {
        let required = listed(&variable(ISOBAR_REQUIRE)).any(|name| name == need);
        Self { need, reason: reason.into(), required }
    }

    /// Something that makes the run fail on every machine.
    pub(crate) fn failed(reason: String) -> Self {
        Self { need: "harness", reason, required: true }
    }

    /// Does `ISOBAR_REQUIRE` name the need, or are the variables wrong? Then the trials that need it fail.
    pub fn is_required(&self) -> bool {
        self.required
    }
}

/// A name that `ISOBAR_REQUIRE` and `ISOBAR_WITHOUT` may contain.
#[derive(Debug, Clone, Copy)]
pub struct Need {
    name: &'static str,
    covers: &'static [&'static str],
}

impl Need {
    /// A need that tests ask for.
    pub const fn new(name: &'static str) -> Self {
        Self { name, covers: &[] }
    }

    /// A name for several needs.
    pub const fn group(name: &'static str, covers: &'static [&'static str]) -> Self {
        Self { name, covers }
    }
}

/// All needs of a set of test targets, which makes a misspelt name in the variables an error.
#[derive(Debug, Clone, Copy)]
pub struct Needs(&'static [Need]);

impl Needs {
    /// These needs, and no others.
    pub const fn new(needs: &'static [Need]) -> Self {
        Self(needs)
    }

    /// Call this before looking for the program. Errors: `ISOBAR_WITHOUT` contains the need; or a variable contains
    /// an unknown name, or both contain the same need, which fails the trials.
    pub fn check(&self, need: &'static str) -> Result<(), Absent> {
        self.check_lists(need, &variable(ISOBAR_REQUIRE), &variable(ISOBAR_WITHOUT))
    }

    /// A need that is not met, and the reason. A group that contains the need requires it too.
    pub fn absent(&self, need: &'static str, reason: impl Into<String>) -> Absent {
        let required = self.expand(ISOBAR_REQUIRE, &variable(ISOBAR_REQUIRE)).is_ok_and(|needs| needs.contains(need));
        Absent { need, reason: reason.into(), required }
    }

    fn check_lists(&self, need: &'static str, required: &str, without: &str) -> Result<(), Absent> {
        let misconfigured = |reason| Absent { need, reason, required: true };
        let required = self.expand(ISOBAR_REQUIRE, required).map_err(misconfigured)?;
        let without = self.expand(ISOBAR_WITHOUT, without).map_err(misconfigured)?;
        if let Some(both) = required.intersection(&without).next() {
            let reason =
                format!("{ISOBAR_REQUIRE} and {ISOBAR_WITHOUT} both name `{both}`: remove it from one of them");
            return Err(misconfigured(reason));
        }
        if without.contains(need) {
            return Err(Absent { need, reason: format!("{ISOBAR_WITHOUT} leaves out `{need}`"), required: false });
        }
        Ok(())
    }

    /// The needs that a list names, by themselves or by a group.
    fn expand(&self, variable: &str, list: &str) -> Result<BTreeSet<&'static str>, String> {
        let mut needs = BTreeSet::new();
        for name in listed(list) {
            let Some(need) = self.0.iter().find(|need| need.name == name) else {
                let known: Vec<_> = self.0.iter().map(|need| need.name).collect();
                return Err(format!("{variable} contains `{name}`, which is no known need: use {}", known.join(", ")));
            };
            needs.extend(need.covers);
            needs.extend(need.covers.is_empty().then_some(need.name));
        }
        Ok(needs)
    }
}

fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_default()
}

fn listed(list: &str) -> impl Iterator<Item = &str> {
    list.split(',').map(str::trim).filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEEDS: Needs = Needs::new(&[Need::new("python"), Need::new("emulator"), Need::group("java", &["emulator"])]);

    fn check(need: &'static str, required: &str, without: &str) -> Option<(bool, String)> {
        let absent = NEEDS.check_lists(need, required, without).err()?;
        Some((absent.required, absent.reason))
    }

    #[test]
    fn a_need_that_is_left_out_is_absent_and_not_required() {
        assert_eq!(check("python", "", ""), None);
        assert_eq!(check("python", "python", "java"), None);
        for without in ["python", "java, python", " python ,"] {
            assert_eq!(check("python", "", without), Some((false, "ISOBAR_WITHOUT leaves out `python`".to_owned())));
        }
    }

    #[test]
    fn a_group_leaves_out_all_that_it_covers() {
        assert_eq!(check("emulator", "", "java"), Some((false, "ISOBAR_WITHOUT leaves out `emulator`".to_owned())));
    }

    #[test]
    fn an_unknown_name_fails_and_the_known_are_listed() {
        for (required, without, variable) in [("pyhton", "", "ISOBAR_REQUIRE"), ("", "pyhton", "ISOBAR_WITHOUT")] {
            let (required, reason) = check("python", required, without).expect("an error");
            assert!(required, "{reason}");
            assert_eq!(
                reason,
                format!("{variable} contains `pyhton`, which is no known need: use python, emulator, java")
            );
        }
    }

    #[test]
    fn a_need_in_both_variables_fails() {
        for (required, without) in [("python", "python"), ("python,java", "python"), ("python, emulator", "java")] {
            let (required, reason) = check("python", required, without).expect("an error");
            assert!(required && reason.contains("both name"), "{reason}");
        }
    }
}
