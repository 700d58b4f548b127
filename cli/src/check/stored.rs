//! The data of the local folder that a platform could not store.

use std::collections::{BTreeMap, BTreeSet};

use isobar::driver::number;
use isobar::local::{Excess, LocalConfig, LocalProvider};

use super::finding::{Finding, divided};
use super::{Deployed, Target};
use crate::failure::quietly;

/// The most entries that a finding names.
const NAMED: usize = 5;

/// The longest name of an entry that is printed whole.
const NAME_CHARS: usize = 60;

/// The stored entries beyond one limit of a platform.
struct Beyond {
    first: Excess,
    count: usize,
    resources: BTreeSet<String>,
    entries: Vec<String>,
}

/// The findings of all platforms but the laptop.
pub(super) fn findings(deployed: &[Deployed], local: &LocalConfig) -> Vec<Finding> {
    let clouds: Vec<_> = deployed.iter().filter(|deployed| deployed.target != Target::Local).collect();
    if clouds.is_empty() || !(local.data.is_dir() || local.secrets.is_file()) {
        return Vec::new();
    }
    let provider = LocalProvider::new(local.clone());
    let data = local.data.display().to_string();
    if provider.is_in_use() {
        let what = format!("{data} is not compared with the limits, because an app has it open");
        return vec![Finding::of_data(Target::Local, [data], "KV-18", &what, "stop the app, and check again")];
    }
    let mut findings = Vec::new();
    for deployed in clouds {
        let mut beyond: BTreeMap<&str, Beyond> = BTreeMap::new();
        let mut found = |excess: Excess| match beyond.get_mut(excess.what) {
            Some(beyond) => beyond.add(&excess),
            None => drop(beyond.insert(excess.what, Beyond::of(excess))),
        };
        let limits = &deployed.provider.profile().limits;
        if let Err(error) = quietly(|| provider.beyond(limits, &mut found)) {
            let (why, step) = divided(error.message());
            let what = format!("{data} is not compared with the limits: {why}");
            return vec![Finding::of_data(Target::Local, [data], "KV-18", &what, step.unwrap_or("run isobar doctor"))];
        }
        findings.extend(beyond.into_values().map(|beyond| beyond.finding(deployed.target)));
    }
    findings
}

impl Beyond {
    fn of(first: Excess) -> Self {
        let mut beyond = Self { first, count: 0, resources: BTreeSet::new(), entries: Vec::new() };
        beyond.add(&beyond.first.clone());
        beyond
    }

    fn add(&mut self, excess: &Excess) {
        self.count += 1;
        if self.entries.len() < NAMED {
            self.resources.insert(excess.of.clone());
            self.entries.push(format!("`{}` has {}", shortened(&excess.entry), number(excess.size)));
        }
    }

    fn finding(self, target: Target) -> Finding {
        let Self { first: Excess { what, row, limit, .. }, count, resources, entries } = self;
        let (others, limit) = (count - entries.len(), number(limit));
        let more = if others > 0 { format!(" and {others} more") } else { String::new() };
        let (entries, are) = (entries.join(", "), if count == 1 { "value is" } else { "values are" });
        let what = format!("{count} stored {are} beyond the limit of {limit} ({what}): {entries}{more}");
        Finding::of_data(target, resources, row, &what, "make them smaller before these data move there")
    }
}

fn shortened(name: &str) -> String {
    let mut shortened: String = name.chars().take(NAME_CHARS).flat_map(char::escape_debug).collect();
    if name.chars().nth(NAME_CHARS).is_some() {
        shortened.push('…');
    }
    shortened
}
