//! What is checked once, before the first event.

use super::App;
use crate::manifest::Manifest;
use crate::resource::{check_name, name_conflicts};
use crate::schedule::CronSchedule;
use crate::{Cloud, Error, Result};

impl App {
    /// Checks the declaration and seals it: from now on nothing more can be declared on `cloud`.
    ///
    /// Hosts call it once at start. Errors: `Config`, listing all that is wrong with the app and its modules: bad names,
    /// prefixes and cron lines, names that a platform would confuse, two handlers for one trigger, a trigger on a handle of
    /// another cloud, a resource that its provider cannot open.
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
        let topics: Vec<&str> = manifest.topics().map(|topic| topic.name.as_str()).collect();
        let buckets: Vec<&str> = manifest.buckets().map(|bucket| bucket.name.as_str()).collect();
        problems.extend(name_conflicts(&topics, &buckets));
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
        // Each mounted service is one, the app serves HTTP once.
        triggers.dedup();
        Manifest::new(&self.name).with_triggers(triggers)
    }

    fn foreign_sources(&self, cloud: &Cloud) -> Vec<String> {
        let foreign = self.sources.iter().filter(|source| !cloud.owns(&source.grant));
        let problem = |source: &super::Source| {
            format!(
                "the trigger on {} is of a resource that this cloud does not know; open it with the cloud that the app is made with",
                source.description
            )
        };
        foreign.map(problem).collect()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_app_is_refused_each_time_and_each_problem_is_listed_once() {
        let module = || App::new("module");
        let mut app = App::new("app").mount("a", module()).mount("b", module()).mount("a", module());
        for _ in 0..2 {
            let error = app.start(&Cloud::memory()).unwrap_err();
            assert_eq!(error.message().matches("prefix `a`").count(), 1, "{error}");
        }
    }
}
