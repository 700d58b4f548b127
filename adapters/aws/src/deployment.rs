//! The names of resources and the schedule expressions of EventBridge, for deployments.

use isobar_abstraction::Result;
use isobar_abstraction::driver::{CronSchedule, Derived, Place, ResourceKind};
use isobar_abstraction::manifest::Manifest;

use crate::AwsConfig;
use crate::pub_sub::FIFO;

/// The resources that a deployment of the app needs on AWS, without secrets: those of tables, buckets and topics, then those
/// of triggers, each in the order of the manifest. It makes no call. Errors: `Config`.
pub fn places(manifest: &Manifest, config: &AwsConfig) -> Result<Vec<Place>> {
    let prefix = config.prefix.get()?;
    let mut places = Vec::new();
    for kind in ResourceKind::OWN {
        for resource in manifest.of_kind(kind) {
            let name = config.place(&config.location(kind, &resource.name))?.name;
            places.extend(match kind {
                ResourceKind::Table => vec![Place::new("DynamoDB table", name)],
                ResourceKind::Bucket => vec![Place::new("S3 bucket", name)],
                _ => [String::new(), FIFO.to_owned()].map(|end| Place::new("SNS topic", format!("{name}{end}"))).into(),
            });
        }
    }
    places.extend(manifest.http().then(|| Place::new("Lambda, by URL or API Gateway", "/")));
    for (queue, _) in manifest.queues() {
        let placed = config.place(&config.location(queue.kind(), queue.source()))?;
        let name = queue.physical(&placed.queue);
        let names = [name.clone(), Derived::DeadLetters.of(&name)].map(|name| Place::new("SQS queue", name));
        match queue.kind() {
            ResourceKind::Topic => places.extend(names.iter().cloned().flat_map(|place| {
                let ordered = format!("{}{FIFO}", place.name);
                [place, Place::new("SQS queue", ordered)]
            })),
            ResourceKind::Bucket => {
                places.push(Place::new("SNS topic", placed.queue));
                places.extend(names);
            }
            _ => places.extend([vec![Place::new("stream of the table", placed.name)], names.to_vec()].concat()),
        }
    }
    for schedule in manifest.schedules() {
        places.push(Place::new("EventBridge schedule", format!("{prefix}{}", schedule.name)));
        places.push(Place::new("its expression", schedule_expression(&schedule.cron)?));
    }
    places.extend(manifest.functions().map(|name| Place::new("Lambda invoke", name)));
    Ok(places)
}

/// The `ScheduleExpression` of a schedule of EventBridge, in UTC: `cron(…)` with `?` for the day that is
/// not restricted, Sunday as 1, and a year. At most 256 characters. Errors: `Config`.
///
/// ```
/// assert_eq!(isobar_aws::schedule_expression("0 9 * * MON-FRI").unwrap(), "cron(0 9 ? * 2-6 *)");
/// assert_eq!(isobar_aws::schedule_expression("0 0 1 */6 *").unwrap(), "cron(0 0 1 1,7 ? *)");
/// ```
///
/// <https://docs.aws.amazon.com/scheduler/latest/UserGuide/schedule-types.html#cron-based>
pub fn schedule_expression(cron: &str) -> Result<String> {
    let [minute, hour, day, month, weekday] = CronSchedule::parse(cron)?.fields(1);
    let (day, weekday) = if weekday == "*" { (day.as_str(), "?") } else { ("?", weekday.as_str()) };
    Ok(format!("cron({minute} {hour} {day} {month} {weekday} *)"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schedule_expression_has_a_question_mark_for_one_day_and_1_for_sunday() {
        for (cron, expected) in [
            ("0 3 * * *", "cron(0 3 * * ? *)"),
            ("0 0 * * 1/2", "cron(0 0 ? * 1-2,4,6 *)"),
            ("0 0 * * FRI-7", "cron(0 0 ? * 1,6-7 *)"),
            ("0 0 * * 0-6", "cron(0 0 * * ? *)"),
            ("*/30 0 31 JAN,3 *", "cron(0,30 0 31 1,3 ? *)"),
        ] {
            assert_eq!(schedule_expression(cron).unwrap(), expected);
        }
        assert!(schedule_expression("0 0 30 2 *").is_err());
    }
}
