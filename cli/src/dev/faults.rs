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
    /// Replaces what the variables say.
    pub(super) fn apply(&self, config: &mut LocalConfig) {
        config.imitates = self.target.map(Cloud::profile).or(config.imitates);
        let random = || RandomState::new().hash_one(()) % SEEDS;
        config.chaos = self.chaos.map(|seed| seed.unwrap_or_else(random)).or(config.chaos);
    }
}

/// The variables of the child.
pub(super) fn settings(config: &LocalConfig) -> Result<Vec<(&'static str, String)>, Failure> {
    let bug = |error| Failure::new("bug in isobar: a profile is no JSON; please report it").because(&error);
    let json = config.imitates.as_ref().map(serde_json::to_string).transpose().map_err(bug)?;
    let seed = config.chaos.map(|seed| seed.to_string());
    Ok(json.map(|json| (ISOBAR_AS, json)).into_iter().chain(seed.map(|seed| (ISOBAR_CHAOS, seed))).collect())
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
