//! Cron lines as Functions reads them.

use isobar_abstraction::{CronSchedule, Result};

/// NCRONTAB: a field for seconds before the five of cron, and Sunday is 0. Errors: `Config`.
///
/// <https://learn.microsoft.com/azure/azure-functions/functions-bindings-timer#ncrontab-expressions>
pub(super) fn ncrontab(cron: &str) -> Result<String> {
    Ok(format!("0 {}", CronSchedule::parse(cron)?.fields(0).join(" ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_is_explicit_and_sunday_is_0() {
        for (cron, is) in [
            ("0 3 * * *", "0 0 3 * * *"),
            ("*/15 * * * MON-FRI", "0 0,15,30,45 * * * 1-5"),
            ("0 0 * * 7", "0 0 0 * * 0"),
            ("0 0 * * 1/2", "0 0 0 * * 0-1,3,5"),
            ("0 0 * * FRI-7", "0 0 0 * * 0,5-6"),
            ("0 0 7 7 *", "0 0 0 7 7 *"),
        ] {
            assert_eq!(ncrontab(cron).unwrap(), is);
        }
        assert!(ncrontab("0 0 30 2 *").is_err());
    }
}
