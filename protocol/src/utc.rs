//! Times as people read them.

use crate::ids::TimeMs;

/// UTC in ISO 8601, by the civil calendar (Howard Hinnant, "chrono-compatible low-level date algorithms").
#[must_use]
pub fn utc(time: TimeMs) -> String {
    let (seconds, ms) = (time.0 / 1_000, time.0 % 1_000);
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    let shifted = days + 719_468;
    let era = shifted / 146_097;
    let day_of_era = shifted % 146_097;
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 {
        shifted_month + 3
    } else {
        shifted_month - 9
    };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    format!(
        "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}.{ms:03}Z",
        second / 3_600,
        second / 60 % 60,
        second % 60
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_shown_in_utc() {
        assert_eq!(utc(TimeMs(0)), "1970-01-01T00:00:00.000Z");
        assert_eq!(utc(TimeMs(951_782_400_123)), "2000-02-29T00:00:00.123Z");
        assert_eq!(utc(TimeMs(1_798_761_599_999)), "2026-12-31T23:59:59.999Z");
    }
}
