//! [`CronSchedule`]: cron lines that all clouds understand.
//!
//! The portable subset is small. A crate for all of cron used a fifth of the instructions of a cold start and a twelfth of
//! a clean build; the tests compare this parser with it. The clouds differ in fields, names and the number of Sunday:
//! [EventBridge](https://docs.aws.amazon.com/scheduler/latest/UserGuide/schedule-types.html),
//! [Azure](https://learn.microsoft.com/azure/azure-functions/functions-bindings-timer#ncrontab-expressions),
//! [Cloud Scheduler](https://cloud.google.com/scheduler/docs/configuring/cron-job-schedules).

use std::fmt;
use std::ops::RangeInclusive;
use std::time::{Duration, SystemTime};

use chrono::{Datelike, Days, Months, NaiveDate, NaiveTime, Timelike};

use crate::clock::{latest, to_utc};
use crate::{Error, Result};

/// A cron line that all clouds understand, in UTC: minute, hour, day of month, month and day of week, each of numbers,
/// names, `*`, `,`, `-` and `/`.
///
/// A line can have a day of month or a day of week, not both, because EventBridge cannot express "or" of them. A list must
/// not contain `*`. At least one day must exist: `0 0 30 2 *` is rejected. Sunday is 0 or 7.
///
/// ```
/// use std::time::{Duration, SystemTime};
/// use isobar_abstraction::driver::CronSchedule;
///
/// let nightly = CronSchedule::parse("0 3 * * *").unwrap();
/// let next = nightly.next_after(SystemTime::UNIX_EPOCH);
/// assert_eq!(next, Some(SystemTime::UNIX_EPOCH + Duration::from_secs(3 * 3600)));
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct CronSchedule {
    line: String,
    minutes: Set,
    hours: Set,
    days: Set,
    months: Set,
    weekdays: Set,
}

/// The times of a schedule: a cron line, from a text, or the line of [`every`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule(Result<String, String>);

impl Schedule {
    /// The cron line, which is not checked yet. Errors: the problem of a duration.
    pub(crate) fn line(self) -> Result<String, String> {
        self.0
    }
}

impl From<&str> for Schedule {
    fn from(line: &str) -> Self {
        Self(Ok(line.to_owned()))
    }
}

impl From<String> for Schedule {
    fn from(line: String) -> Self {
        Self(Ok(line))
    }
}

/// A schedule that runs in equal intervals, starting at midnight UTC: of 1, 2, 3, 4, 5, 6, 10, 12, 15, 20 or 30 minutes, or of
/// 1, 2, 3, 4, 6, 8, 12 or 24 hours. These divide an hour or a day, so that one cron line has the times of every interval.
///
/// Any other duration is a problem that [`App::start`](crate::App::start) reports.
///
/// ```
/// use std::time::Duration;
/// use isobar_abstraction::{App, TestClient, every};
///
/// let sync = |interval| App::new("sync").on_schedule("pull", every(interval), async |_tick, _cx| {});
/// let client = TestClient::new(|_| sync(Duration::from_secs(15 * 60)))?;
/// assert_eq!(client.manifest().schedules().next().unwrap().cron, "*/15 * * * *");
/// assert!(TestClient::new(|_| sync(Duration::from_secs(7 * 60))).is_err());
/// # Ok::<(), isobar_abstraction::Error>(())
/// ```
pub fn every(interval: Duration) -> Schedule {
    let (minutes, rest) = (interval.as_secs() / 60, interval.as_nanos() % 60_000_000_000);
    let line = match (minutes, minutes / 60) {
        _ if rest != 0 => None,
        (1, _) => Some("* * * * *".to_owned()),
        (2..=59, _) if 60 % minutes == 0 => Some(format!("*/{minutes} * * * *")),
        (60, _) => Some("0 * * * *".to_owned()),
        (1_440, _) => Some("0 0 * * *".to_owned()),
        (_, hours @ 2..=23) if minutes % 60 == 0 && 24 % hours == 0 => Some(format!("0 */{hours} * * *")),
        _ => None,
    };
    Schedule(line.ok_or_else(|| {
        format!(
            "an interval of {interval:?} is not one of 1, 2, 3, 4, 5, 6, 10, 12, 15, 20 or 30 minutes, or 1, 2, 3, 4, 6, 8, 12 or 24 \
             hours; use one of them, or a cron line"
        )
    }))
}

/// The numbers of one field: bit `n` represents `n`.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Set(u64);

impl Set {
    fn has(self, number: u32) -> bool {
        self.0 >> number & 1 == 1
    }

    /// The first number from `number` on; `None` if there is none.
    fn from(self, number: u32) -> Option<u32> {
        let rest = self.0.checked_shr(number).filter(|rest| *rest != 0)?;
        Some(number + rest.trailing_zeros())
    }
}

impl Set {
    /// The numbers as text, each with `shift` added; `*` if the set contains all of `all`.
    fn list(self, all: RangeInclusive<u32>, shift: u32) -> String {
        if all.clone().all(|number| self.has(number)) {
            return "*".to_owned();
        }
        let mut parts = Vec::new();
        let mut next = self.from(*all.start());
        while let Some(first) = next.filter(|number| all.contains(number)) {
            let last = (first..=*all.end()).take_while(|number| self.has(*number)).last().unwrap_or(first);
            parts.push(match last - first {
                0 => (first + shift).to_string(),
                _ => format!("{}-{}", first + shift, last + shift),
            });
            next = self.from(last + 1);
        }
        parts.join(",")
    }
}

/// The rules of one field.
struct Field {
    name: &'static str,
    numbers: RangeInclusive<u32>,
    /// The names of the numbers, from the first number on.
    names: &'static [&'static str],
}

const MINUTE: Field = Field { name: "minute", numbers: 0..=59, names: &[] };
const HOUR: Field = Field { name: "hour", numbers: 0..=23, names: &[] };
const DAY: Field = Field { name: "day of month", numbers: 1..=31, names: &[] };
const MONTH: Field = Field {
    name: "month",
    numbers: 1..=12,
    names: &["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"],
};
/// Both 0 and 7 are Sunday.
const WEEKDAY: Field =
    Field { name: "day of week", numbers: 0..=7, names: &["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"] };

impl Field {
    /// Parses a field. Errors: the reason as text.
    fn parse(&self, text: &str) -> Result<Set, String> {
        if text.contains(',') && text.contains('*') {
            return Err(format!("`{text}` has `*` in a list, which not all clouds understand"));
        }
        text.split(',').try_fold(Set(0), |set, part| Ok(Set(set.0 | self.part(part)?.0)))
    }

    /// Parses one part of a list: `*`, `5` or `1-5`, each with or without a step such as `/2`.
    fn part(&self, text: &str) -> Result<Set, String> {
        let wrong = || {
            let (first, last) = (self.numbers.start(), self.numbers.end());
            format!("`{text}` is not a valid {}: use {first} to {last}, `*`, `,`, `-` and `/`", self.name)
        };
        let (range, step) = match text.split_once('/') {
            Some((range, step)) => (range, Some(step.parse().ok().filter(|step| *step > 0).ok_or_else(wrong)?)),
            None => (text, None),
        };
        let (first, last) = match (range, range.split_once('-')) {
            ("*", _) => (*self.numbers.start(), *self.numbers.end()),
            (_, Some((first, last))) => (self.number(first).ok_or_else(wrong)?, self.number(last).ok_or_else(wrong)?),
            // With a step, a number is the beginning of a range to the last number.
            (one, None) => {
                let first = self.number(one).ok_or_else(wrong)?;
                (first, if step.is_some() { *self.numbers.end() } else { first })
            }
        };
        if first > last {
            return Err(wrong());
        }
        let numbers = (first..=last).step_by(step.unwrap_or(1));
        Ok(Set(numbers.fold(0, |set, number| set | 1 << number)))
    }

    fn number(&self, text: &str) -> Option<u32> {
        if let Some(place) = self.names.iter().position(|name| name.eq_ignore_ascii_case(text)) {
            return Some(self.numbers.start() + u32::try_from(place).ok()?);
        }
        let digits = text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse().ok().filter(|number| digits && self.numbers.contains(number))
    }
}

/// The number of days of a month in a leap year.
const fn longest(month: u32) -> u32 {
    match month {
        2 => 29,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// The longest time between two days that a line names: from one February 29 to another, and one day.
const LONGEST_WAIT: Days = Days::new(8 * 366 + 1);

impl CronSchedule {
    /// Parses a line. Errors: `Config` with the line and the reason.
    pub fn parse(line: &str) -> Result<Self> {
        let wrong = |why: String| Error::config(format!("`{}` is not a cron line: {why}", line.escape_debug()));
        let fields: Vec<&str> = line.split_whitespace().collect();
        let [minute, hour, day, month, weekday] = fields[..] else {
            return Err(wrong(format!(
                "it has {} fields and needs 5: minute, hour, day of month, month, day of week",
                fields.len()
            )));
        };
        let portable = |c: char| c.is_ascii_alphanumeric() || matches!(c, '*' | ',' | '-' | '/');
        if let Some(character) = fields.iter().flat_map(|field| field.chars()).find(|c| !portable(*c)) {
            return Err(wrong(format!("`{}` is not understood by all clouds", character.escape_debug())));
        }
        // EventBridge cannot express "or" of the two.
        if day != "*" && weekday != "*" {
            return Err(wrong("use a day of month or a day of week; for both, make two schedules".to_owned()));
        }
        let set = |field: Field, text: &str| field.parse(text).map_err(wrong);
        let (days, months, weekdays) = (set(DAY, day)?, set(MONTH, month)?, set(WEEKDAY, weekday)?);
        if !(1..=12).any(|month| months.has(month) && days.from(1).is_some_and(|day| day <= longest(month))) {
            return Err(wrong("no month has such a day, so it never runs".to_owned()));
        }
        Ok(Self {
            line: line.to_owned(),
            minutes: set(MINUTE, minute)?,
            hours: set(HOUR, hour)?,
            days,
            months,
            // Sunday is 0 or 7 in a line, and 0 in the set.
            weekdays: Set((weekdays.0 | weekdays.0 >> 7 & 1) & 0x7f),
        })
    }

    /// For adapters: minute, hour, day of month, month and day of week as text, for the cron line of a cloud.
    ///
    /// Each field is `*`, or numbers and ranges with `,` between them. It contains no names, no steps and no range across
    /// the end of a week, because the clouds read those differently. `sunday` is the cloud's number of Sunday, 0 or 1.
    ///
    /// ```
    /// use isobar_abstraction::driver::CronSchedule;
    /// let weekend = CronSchedule::parse("*/30 6 * * FRI-7").unwrap();
    /// assert_eq!(weekend.fields(0), ["0,30", "6", "*", "*", "0,5-6"]);
    /// assert_eq!(weekend.fields(1), ["0,30", "6", "*", "*", "1,6-7"]);
    /// ```
    pub fn fields(&self, sunday: u32) -> [String; 5] {
        [
            self.minutes.list(0..=59, 0),
            self.hours.list(0..=23, 0),
            self.days.list(1..=31, 0),
            self.months.list(1..=12, 0),
            self.weekdays.list(0..=6, sunday),
        ]
    }

    /// The first time after `time` that the line names, a whole minute; `None` after the year 9999.
    pub fn next_after(&self, time: SystemTime) -> Option<SystemTime> {
        let from = time.checked_add(Duration::from_secs(60)).filter(|from| *from <= latest())?;
        let from = to_utc(from);
        let last = from.date_naive().checked_add_days(LONGEST_WAIT)?;
        let (mut date, mut from) = (from.date_naive(), from.time());
        while date <= last {
            if !self.months.has(date.month()) {
                date = date.with_day(1)?.checked_add_months(Months::new(1))?;
            } else {
                if let Some(found) = self.time_of(date, from) {
                    return Some(date.and_time(found).and_utc().into());
                }
                date = date.succ_opt()?;
            }
            from = NaiveTime::MIN;
        }
        None
    }

    /// The first time of a day at or after the minute of `from`.
    fn time_of(&self, date: NaiveDate, from: NaiveTime) -> Option<NaiveTime> {
        if !self.days.has(date.day()) || !self.weekdays.has(date.weekday().num_days_from_sunday()) {
            return None;
        }
        let hour = self.hours.from(from.hour())?;
        let minute = if hour == from.hour() { self.minutes.from(from.minute()) } else { self.minutes.from(0) };
        let (hour, minute) = match minute {
            Some(minute) => (hour, minute),
            None => (self.hours.from(hour + 1)?, self.minutes.from(0)?),
        };
        NaiveTime::from_hms_opt(hour, minute, 0)
    }
}

impl fmt::Debug for CronSchedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CronSchedule({})", self.line)
    }
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, Utc};
    use croner::parser::{CronParser, Seconds};

    use super::*;

    #[test]
    fn cron_lines_that_not_all_clouds_understand_are_rejected() {
        for good in ["0 3 * * *", "*/5 * * * *", "0 9 * * MON-FRI", "15,45 0-6 1 JAN *", "0 0 * * sun", "5/20 * * * 7"]
        {
            assert!(CronSchedule::parse(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "0 3 * *",
            "* * * * * *",
            "61 * * * *",
            "0 3 L * *",
            "0 3 1 * 1",
            "@daily",
            "0 3 * * 1#2",
            "a b c d e",
            "*/0 * * * *",
            "5- * * * *",
            "-5 * * * *",
            "9-5 * * * *",
            "1,,2 * * * *",
            "+5 * * * *",
            "0 24 * * *",
            "0 0 0 * *",
            "0 0 * 13 *",
            "0 0 * * 8",
            "*,5 * * * *",
            "0 0 * MON *",
            "1/2/3 * * * *",
            "1-2-3 * * * *",
            "\u{1b} * * * *",
            "99999999999999999999 * * * *",
            "0 0 30 2 *",
            "0 0 30-31 FEB *",
            "* * 31 2,4,6,9,11 *",
        ] {
            assert_eq!(CronSchedule::parse(bad).unwrap_err().kind(), crate::ErrorKind::Config, "{bad}");
        }
    }

    #[test]
    fn every_time_of_a_clock_has_a_next_time_or_none() {
        let nightly = CronSchedule::parse("0 3 * * *").unwrap();
        let year = Duration::from_secs(365 * 86_400);
        assert_eq!(nightly.next_after(SystemTime::UNIX_EPOCH + year * 300_000), None);
        let old = SystemTime::UNIX_EPOCH - year;
        assert_eq!(nightly.next_after(old), Some(old + Duration::from_secs(3 * 3600)));
        assert!(nightly.next_after(SystemTime::UNIX_EPOCH - year * 300_000).is_some());
    }

    #[test]
    fn a_rare_day_has_a_next_time() {
        let leap = CronSchedule::parse("0 0 29 2 *").unwrap();
        let before_2100 = SystemTime::from(DateTime::parse_from_rfc3339("2096-03-01T00:00:00Z").unwrap());
        let next = DateTime::<Utc>::from(leap.next_after(before_2100).unwrap());
        assert_eq!(next.to_rfc3339(), "2104-02-29T00:00:00+00:00");
    }

    #[test]
    fn fields_are_numbers_and_ranges_that_every_cron_reads_in_the_same_way() {
        for (line, unix, sunday_is_one) in [
            // From Monday to 7, which is Sunday.
            ("0 0 * * 1/2", "0 0 * * 0-1,3,5", "0 0 * * 1-2,4,6"),
            ("0 0 * * FRI-7", "0 0 * * 0,5-6", "0 0 * * 1,6-7"),
            ("0 0 * * 5-7", "0 0 * * 0,5-6", "0 0 * * 1,6-7"),
            ("0 0 * * 2/2", "0 0 * * 2,4,6", "0 0 * * 3,5,7"),
            ("0 0 * * 0-6", "0 0 * * *", "0 0 * * *"),
            ("0 0 * * 1-7", "0 0 * * *", "0 0 * * *"),
            ("*/20 */12 */10 */6 *", "0,20,40 0,12 1,11,21,31 1,7 *", "0,20,40 0,12 1,11,21,31 1,7 *"),
            ("50/5 0-23 1-31 JAN-DEC *", "50,55 * * * *", "50,55 * * * *"),
        ] {
            let parsed = CronSchedule::parse(line).unwrap();
            assert_eq!([parsed.fields(0).join(" "), parsed.fields(1).join(" ")], [unix, sunday_is_one], "{line}");
        }
    }

    /// A random field; with the seed a failure can be repeated.
    fn field(random: &mut fastrand::Rng, numbers: RangeInclusive<u32>) -> String {
        let number = |random: &mut fastrand::Rng| random.u32(numbers.clone());
        let part = |random: &mut fastrand::Rng| match random.u8(0..7) {
            0 => "*".to_owned(),
            1 => format!("*/{}", random.u32(1..=9)),
            2 | 3 => number(random).to_string(),
            4 => format!("{}/{}", number(random), random.u32(1..=9)),
            it => {
                let (one, other) = (number(random), number(random));
                let step = if it == 5 { String::new() } else { format!("/{}", random.u32(1..=5)) };
                format!("{}-{}{step}", one.min(other), one.max(other))
            }
        };
        (0..random.u8(1..=3)).map(|_| part(random)).collect::<Vec<_>>().join(",")
    }

    /// `5/20` as `5-59/20`, because the other implementation does not have the short form.
    fn without_open_steps(line: &str) -> String {
        let part = |part: &str, end: u32| match part.split_once('/') {
            Some((first, step)) if first.parse::<u32>().is_ok() => format!("{first}-{end}/{step}"),
            _ => part.to_owned(),
        };
        let fields = line.split(' ').zip([59, 23, 31, 12, 7]);
        let field = |(field, end): (&str, u32)| field.split(',').map(|it| part(it, end)).collect::<Vec<_>>().join(",");
        fields.map(field).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn next_times_are_those_of_another_implementation() {
        let mut random = fastrand::Rng::with_seed(5);
        let parser = CronParser::builder().seconds(Seconds::Disallowed).build();
        let sunday_is_one = CronParser::builder().seconds(Seconds::Disallowed).alternative_weekdays(true).build();
        let mut compared = 0;
        for _ in 0..20_000 {
            let of_month = random.bool();
            let day = if of_month { field(&mut random, 1..=31) } else { "*".to_owned() };
            let weekday = if of_month { "*".to_owned() } else { field(&mut random, 0..=7) };
            let (minute, hour) = (field(&mut random, 0..=59), field(&mut random, 0..=23));
            let line = format!("{minute} {hour} {day} {} {weekday}", field(&mut random, 1..=12));
            if line.split(' ').any(|field| field.contains('*') && field.contains(',')) {
                assert!(CronSchedule::parse(&line).is_err(), "{line}");
                continue;
            }
            let time = DateTime::<Utc>::from_timestamp(random.i64(0..4_000_000_000), random.u32(0..1_000)).unwrap();
            let next = |parser: &CronParser, line: &str| {
                let theirs = parser.parse(line).unwrap_or_else(|error| panic!("`{line}`: {error}"));
                theirs.find_next_occurrence(&time, false).ok()
            };
            let theirs = next(&parser, &without_open_steps(&line));
            let Ok(ours) = CronSchedule::parse(&line) else {
                assert_eq!(theirs, None, "`{line}` is refused");
                continue;
            };
            assert_eq!(ours.next_after(time.into()).map(DateTime::<Utc>::from), theirs, "`{line}` after {time}");
            for (parser, fields) in [(&parser, ours.fields(0)), (&sunday_is_one, ours.fields(1))] {
                let rendered = fields.join(" ");
                let plain = |c: char| c.is_ascii_digit() || "*,- ".contains(c);
                assert!(rendered.chars().all(plain), "`{line}` as `{rendered}`");
                // EventBridge accepts 256 characters, with `cron(`, `)` and a year.
                assert!(rendered.len() <= 246, "`{line}` as `{rendered}`");
                assert_eq!(next(parser, &rendered), theirs, "`{line}` as `{rendered}` after {time}");
            }
            compared += 1;
        }
        assert!(compared > 1_000, "{compared}");
    }
}
