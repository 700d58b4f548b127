//! What is on purpose unlike a laptop: the differences of a cloud, and faults.

use std::hash::{BuildHasher as _, RandomState};

use clap::{Args, ValueEnum};
use isobar::driver::Profile;
use isobar::local::LocalConfig;
use isobar::local::config::{ISOBAR_AS, ISOBAR_CHAOS};
use isobar::local::profile::describe;

use crate::failure::Failure;
use crate::output::Output;

/// A random seed is below this, so that a person can type it.
const SEEDS: u64 = 1_000_000;

#[derive(Debug, Args)]
pub(super) struct FaultArgs {
    /// Have the limits of this cloud, and deliver messages as loosely as it does
    #[arg(long = "as", value_name = "CLOUD", value_enum)]
    target: Option<Cloud>,
    /// Deliver messages late, twice and in another order, and let some calls of tables, buckets and topics fail; the same
    /// seed has the same faults [default: a random seed]
    #[arg(long, value_name = "SEED", num_args = 0..=1)]
    chaos: Option<Option<u64>>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Cloud {
    Aws,
    Azure,
    Gcp,
}

impl Cloud {
    fn profile(self) -> Profile {
        match self {
            Self::Aws => isobar::aws::profile::PROFILE,
            Self::Azure => isobar::azure::profile::PROFILE,
            Self::Gcp => isobar::gcp::profile::PROFILE,
        }
    }
}

impl FaultArgs {
    /// Replaces what the variables contain, and returns the variables of the child for it.
    pub(super) fn apply(&self, config: &mut LocalConfig) -> Result<Vec<(&'static str, String)>, Failure> {
        let mut settings = Vec::new();
        if let Some(target) = self.target {
            let bug = |error| Failure::new("bug in isobar: a profile is no JSON; please report it").because(&error);
            settings.push((ISOBAR_AS, serde_json::to_string(&target.profile()).map_err(bug)?));
            config.imitates = Some(target.profile());
        }
        if let Some(seed) = self.chaos {
            let seed = seed.unwrap_or_else(|| RandomState::new().hash_one(()) % SEEDS);
            settings.push((ISOBAR_CHAOS, seed.to_string()));
            config.chaos = Some(seed);
        }
        Ok(settings)
    }
}

pub(super) fn print(config: &LocalConfig, output: &Output) {
    if let Some(target) = &config.imitates {
        output.step("As", &describe(target));
    }
    if let Some(seed) = config.chaos {
        output.step(
            "Chaos",
            &format!("seed {seed}, from its beginning at each reload; to repeat it: isobar dev --chaos {seed}"),
        );
    }
}

#[cfg(test)]
mod tests {
    use isobar::driver::Environment;

    use super::*;

    #[test]
    fn the_child_reads_the_profile_and_the_seed_of_the_options() {
        for target in Cloud::value_variants() {
            let mut config = LocalConfig::new("unused");
            let args = FaultArgs { target: Some(*target), chaos: Some(None) };
            let settings = args.apply(&mut config).unwrap();
            let settings = settings.into_iter().map(|(name, value)| (name.to_owned(), value));
            let read = LocalConfig::from_environment(&Environment::new(settings, [])).unwrap();
            let mut expected = target.profile();
            expected.notes = &[];
            assert_eq!((read.imitates, read.chaos), (Some(expected), config.chaos));
            assert!(describe(&expected).contains("in no order"), "{}", describe(&expected));
        }
    }

    #[test]
    fn without_options_the_child_reads_its_own_variables() {
        let mut config = LocalConfig::new("unused");
        config.chaos = Some(7);
        let settings = FaultArgs { target: None, chaos: None }.apply(&mut config).unwrap();
        assert_eq!((settings, config.chaos, config.imitates), (Vec::new(), Some(7), None));
    }
}
