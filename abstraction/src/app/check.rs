//! The checks before the first event.
//!
//! All problems are reported together: an app with three mistakes needs one run to find them, and not three.

use super::App;
use crate::manifest::Manifest;
use crate::memory;
use crate::resource::{ResourceKind, check_name, name_conflicts};
use crate::schedule::CronSchedule;
use crate::{Cloud, Error, Result};

impl App {
    /// Checks the declaration and ends it: later, nothing more can be declared on `cloud`.
    ///
    /// Hosts and [`TestClient`](crate::TestClient) call it once at start. It returns the manifest, and makes the app use
    /// the [limits](Cloud::limits) of `cloud`.
    ///
    /// Errors: `Config` with a list of all problems of the app and its modules: invalid names, prefixes and cron lines;
    /// names that a platform would confuse; two handlers for one trigger; a filter that accepts nothing; a trigger on a
    /// handle of another cloud; a handler of the writes of a table that another provider has; two values for one option of
    /// a resource; a resource that its provider cannot open.
    ///
    /// ```
    /// use isobar_abstraction::{App, Cloud, Error};
    ///
    /// let cloud = Cloud::memory();
    /// let mut app = App::new("clock").on_schedule("tick", "0 3 * * *", async |_tick, _cx| {});
    /// assert_eq!(app.start(&cloud)?.schedules().next().unwrap().name, "tick");
    ///
    /// let mut app = App::new("clock").on_schedule("tick", "at noon", async |_tick, _cx| {});
    /// assert!(app.start(&Cloud::memory()).unwrap_err().message().contains("schedule `tick`"));
    /// # Ok::<(), Error>(())
    /// ```
    pub fn start(&mut self, cloud: &Cloud) -> Result<Manifest> {
        self.limits = *cloud.limits();
        let mut manifest = self.manifest();
        let mut problems = cloud.declared(&mut manifest);
        problems.extend_from_slice(&self.problems);
        problems.extend(self.foreign_sources(cloud));
        problems.extend(self.bad_names(&manifest));
        problems.extend(manifest.queues().filter_map(|(queue, _)| {
            let error = queue.check().err()?;
            Some(format!("{queue}: {}", error.message()))
        }));
        let topics: Vec<&str> = manifest.topics().map(|topic| topic.name.as_str()).collect();
        let buckets: Vec<&str> = manifest.buckets().map(|bucket| bucket.name.as_str()).collect();
        problems.extend(name_conflicts(&topics, &buckets));
        problems.extend(two_kinds_of_value(&manifest));
        let schedules = manifest.schedules();
        problems.extend(schedules.filter_map(|schedule| {
            let error = CronSchedule::parse(&schedule.cron).err()?;
            Some(format!("schedule `{}`: {}", schedule.name, error.message()))
        }));
        cloud.seal();
        if problems.is_empty() {
            return Ok(manifest);
        }
        problems.sort_unstable();
        problems.dedup();
        Err(Error::config(format!("app `{}` cannot start:\n  - {}", self.name, problems.join("\n  - "))))
    }

    pub(super) fn manifest(&self) -> Manifest {
        let mut triggers: Vec<_> = self.triggers.iter().map(|(trigger, _)| trigger.declared()).collect();
        // Each mounted service is a trigger here; the manifest has one for all of HTTP.
        triggers.dedup();
        Manifest::new(&self.name).with_triggers(triggers)
    }

    /// The triggers on handles of another `Cloud`, and those whose events another provider has.
    fn foreign_sources(&self, cloud: &Cloud) -> Vec<String> {
        let problem = |super::Source { kind, name, grant }: &super::Source| {
            if !cloud.owns(grant) {
                return Some(format!(
                    "the trigger on {kind} `{name}` belongs to another cloud; open the resource with the `Cloud` that the app \
                     function receives"
                ));
            }
            // Another deployment of the app may handle a topic or a bucket of a cloud, but none has the memory of this process.
            let is_unreachable = |other: &&str| *kind == ResourceKind::Table || *other == memory::PROFILE.provider;
            let other = cloud.other_provider_of(*kind, name).filter(is_unreachable)?;
            let variable = kind.variable(name);
            Some(format!(
                "a handler of {kind} `{name}` cannot run at `{}`: the {kind} is at `{other}`; remove the handler, or {variable}",
                cloud.profile().provider
            ))
        };
        self.sources.iter().filter_map(problem).collect()
    }

    fn bad_names(&self, manifest: &Manifest) -> Vec<String> {
        let schedules = manifest.schedules().map(|schedule| ("schedule", schedule.name.as_str()));
        let functions = manifest.functions().map(|name| ("function", name));
        let names = schedules.chain(functions).chain([("app", self.name.as_str())]);
        let problem = |(what, name): (&str, &str)| {
            let error = check_name(name).err()?;
            Some(format!("{what}: {}", error.message()))
        };
        names.filter_map(problem).collect()
    }
}

/// Both kinds of values have the same keys in a store.
fn two_kinds_of_value(manifest: &Manifest) -> impl Iterator<Item = String> + '_ {
    let is_secret = |name: &str| manifest.of_kind(ResourceKind::Secret).any(|secret| secret.name == name);
    let names = manifest.of_kind(ResourceKind::Config).map(|config| config.name.as_str());
    names
        .filter(move |name| is_secret(name))
        .map(|name| format!("secret `{name}` and config `{name}` would have one value; rename one of them"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_invalid_app_never_starts_and_each_problem_is_listed_once() {
        let module = || App::new("module");
        let mut app = App::new("app").mount("a", module()).mount("b", module()).mount("a", module());
        for _ in 0..2 {
            let error = app.start(&Cloud::memory()).unwrap_err();
            assert_eq!(error.message().matches("prefix `a`").count(), 1, "{error}");
        }
    }
}
