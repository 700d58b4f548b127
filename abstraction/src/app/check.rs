//! What is checked once, before the first event.

use super::App;
use crate::manifest::{EventTrigger, MessageTrigger, ScheduleTrigger};
use crate::resource::{check_name, name_conflicts};
use crate::{Cloud, CronSchedule, Error, Manifest, Result};

impl App {
    /// Checks the declaration and seals it: from now on nothing more can be declared on `cloud`.
    ///
    /// Hosts call it once at start. Errors: `Config`, listing all that is wrong: bad names and cron
    /// lines, names that a platform would confuse, two handlers for one trigger, a trigger on a handle of another cloud, a resource that
    /// its provider cannot open.
    pub fn start(&mut self, cloud: &Cloud) -> Result<Manifest> {
        self.limits = *cloud.limits();
        let mut manifest = self.manifest();
        let mut problems = cloud.declared(&mut manifest);
        problems.append(&mut self.problems);
        problems.extend(self.foreign_sources(cloud));
        problems.extend(self.bad_names());
        let topics: Vec<&str> = manifest.topics.iter().map(|topic| topic.name.as_str()).collect();
        let buckets: Vec<&str> = manifest.buckets.iter().map(|bucket| bucket.name.as_str()).collect();
        problems.extend(name_conflicts(&topics, &buckets));
        let schedules = manifest.schedules.iter();
        problems.extend(schedules.filter_map(|schedule| {
            let error = CronSchedule::parse(&schedule.cron).err()?;
            Some(format!("schedule `{}`: {}", schedule.name, error.message()))
        }));
        cloud.seal();
        if problems.is_empty() {
            return Ok(manifest);
        }
        problems.dedup();
        Err(Error::config(format!("app `{}` cannot start:\n  - {}", self.name, problems.join("\n  - "))))
    }

    pub(super) fn manifest(&self) -> Manifest {
        let message = |((topic, subscription), trigger): (&(String, String), &super::Trigger<_>)| MessageTrigger {
            source: topic.clone(),
            subscription: subscription.clone(),
            retry: trigger.retry,
        };
        let object = |(bucket, trigger): (&String, &super::Trigger<_>)| EventTrigger {
            source: bucket.clone(),
            retry: trigger.retry,
        };
        let schedule = |(name, schedule): (&String, &super::Schedule)| ScheduleTrigger {
            name: name.clone(),
            cron: schedule.cron.clone(),
        };
        Manifest {
            app: self.name.clone(),
            http: self.http.is_some(),
            messages: self.messages.iter().map(message).collect(),
            objects: self.objects.iter().map(object).collect(),
            schedules: self.schedules.iter().map(schedule).collect(),
            invokes: self.invokes.keys().cloned().collect(),
            ..Manifest::default()
        }
    }

    fn foreign_sources(&self, cloud: &Cloud) -> Vec<String> {
        let foreign = self.sources.iter().filter(|source| !cloud.owns(&source.grant));
        let problem = |source: &super::Source| {
            format!(
                "the trigger on {} is of a resource that this cloud does not know; open it with the cloud that the app is given",
                source.description
            )
        };
        foreign.map(problem).collect()
    }

    fn bad_names(&self) -> Vec<String> {
        let schedules = self.schedules.keys().map(|name| ("schedule", name));
        let invokes = self.invokes.keys().map(|name| ("function", name));
        let names = schedules.chain(invokes).chain([("app", &self.name)]);
        let problem = |(what, name): (&str, &String)| {
            let error = check_name(name).err()?;
            Some(format!("{what}: {}", error.message()))
        };
        names.filter_map(problem).collect()
    }
}
