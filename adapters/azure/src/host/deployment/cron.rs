//! Cron lines as Functions reads them.

/// NCRONTAB: a field for seconds before the five of cron, and Sunday is 0 only.
///
/// <https://learn.microsoft.com/azure/azure-functions/functions-bindings-timer#ncrontab-expressions>
pub(super) fn ncrontab(cron: &str) -> String {
    let mut fields: Vec<String> = cron.split_whitespace().map(str::to_owned).collect();
    if let Some(days) = fields.last_mut() {
        *days = days.split(',').map(without_seven).collect::<Vec<_>>().join(",");
    }
    format!("0 {}", fields.join(" "))
}

/// A day, a range of days or a part of one, in which Sunday is not 7.
fn without_seven(days: &str) -> String {
    let (range, step) = days.split_once('/').unwrap_or((days, "1"));
    let (from, to) = range.split_once('-').unwrap_or((range, range));
    let (Ok(from), Ok(to), Ok(step)) = (from.parse::<u8>(), to.parse::<u8>(), step.parse::<usize>()) else {
        return days.to_owned();
    };
    if to != 7 || from > 7 || step == 0 {
        return days.to_owned();
    }
    let all: Vec<String> = (from..=7).step_by(step).map(|day| (day % 7).to_string()).collect();
    all.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sunday_is_never_seven() {
        for (cron, is) in [
            ("0 3 * * *", "0 0 3 * * *"),
            ("*/5 * * * MON-FRI", "0 */5 * * * MON-FRI"),
            ("0 0 * * 7", "0 0 0 * * 0"),
            ("0 0 * * 5-7", "0 0 0 * * 5,6,0"),
            ("0 0 * * 1,3-7/2", "0 0 0 * * 1,3,5,0"),
            ("0 0 7 7 0-6", "0 0 0 7 7 0-6"),
        ] {
            assert_eq!(ncrontab(cron), is);
        }
    }
}
