//! Schedule expressions of EventBridge, for deployments.

use isobar_abstraction::Result;
use isobar_abstraction::driver::CronSchedule;

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
