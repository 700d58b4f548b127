//! Cron lines.

use std::fmt;
use std::time::SystemTime;

use chrono::{DateTime, Utc};
use croner::Cron;
use croner::parser::{CronParser, Seconds};

use crate::{Error, Result};

/// A cron line that all clouds understand: five fields of numbers, names, `*`, `,`, `-` and `/`,
/// in UTC, and no more than one of day of month and day of week.
///
/// ```
/// use std::time::{Duration, SystemTime};
/// use isobar_abstraction::CronSchedule;
///
/// let nightly = CronSchedule::parse("0 3 * * *").unwrap();
/// let next = nightly.next_after(SystemTime::UNIX_EPOCH);
/// assert_eq!(next, Some(SystemTime::UNIX_EPOCH + Duration::from_secs(3 * 3600)));
/// ```
#[derive(Clone)]
pub struct CronSchedule(Cron);

const NAMES: [&str; 19] = [
    "JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC", "SUN", "MON", "TUE", "WED",
    "THU", "FRI", "SAT",
];

impl CronSchedule {
    /// Parses a line. Errors: `Config`, saying what is wrong with it.
    pub fn parse(line: &str) -> Result<Self> {
        let wrong = |why: String| Error::config(format!("`{line}` is not a cron line: {why}"));
        let fields: Vec<&str> = line.split_whitespace().collect();
        let [_, _, day_of_month, _, day_of_week] = fields[..] else {
            return Err(wrong(format!(
                "it has {} fields and needs 5: minute, hour, day of month, month, day of week",
                fields.len()
            )));
        };
        let portable = |c: char| c.is_ascii_alphanumeric() || matches!(c, '*' | ',' | '-' | '/');
        if let Some(character) = fields.iter().flat_map(|field| field.chars()).find(|c| !portable(*c)) {
            return Err(wrong(format!("`{character}` is not understood by all clouds")));
        }
        let words = line.split(|c: char| !c.is_ascii_alphabetic()).filter(|word| !word.is_empty());
        if let Some(word) = words.into_iter().find(|word| !NAMES.contains(&word.to_ascii_uppercase().as_str())) {
            return Err(wrong(format!("`{word}` is neither a month nor a day")));
        }
        // EventBridge has no way to say "or" of the two.
        if day_of_month != "*" && day_of_week != "*" {
            return Err(wrong("give a day of month or a day of week; for both, make two schedules".to_owned()));
        }
        let parser = CronParser::builder().seconds(Seconds::Disallowed).build();
        parser.parse(line).map(Self).map_err(|error| wrong(error.to_string()))
    }

    /// The first time after `time` that the line names; `None` where there is none.
    pub fn next_after(&self, time: SystemTime) -> Option<SystemTime> {
        self.0.find_next_occurrence(&DateTime::<Utc>::from(time), false).ok().map(SystemTime::from)
    }
}

impl fmt::Debug for CronSchedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CronSchedule({})", self.0.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cron_lines_are_held_to_what_all_clouds_understand() {
        for good in ["0 3 * * *", "*/5 * * * *", "0 9 * * MON-FRI", "15,45 0-6 1 JAN *"] {
            assert!(CronSchedule::parse(good).is_ok(), "{good}");
        }
        for bad in
            ["", "0 3 * *", "* * * * * *", "61 * * * *", "0 3 L * *", "0 3 1 * 1", "@daily", "0 3 * * 1#2", "a b c d e"]
        {
            assert_eq!(CronSchedule::parse(bad).unwrap_err().kind(), crate::ErrorKind::Config, "{bad}");
        }
    }
}
