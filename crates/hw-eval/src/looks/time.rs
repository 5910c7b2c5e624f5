//! The time of a look: UTC to the second, as RFC 3339 writes it. Equal lengths, so that the order of
//! the texts is the order of the times.

use std::time::SystemTime;

/// The form of a time; a zero stands for any digit.
const FORM: &[u8; 20] = b"0000-00-00T00:00:00Z";

/// The time now: RFC 3339, UTC, whole seconds, "2026-01-31T23:59:59Z" for instance.
pub fn now() -> String {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    // A clock before 1970 is not set.
    rfc3339(since.map_or(0, |time| time.as_secs()))
}

/// Whether `text` has the form of a time.
pub(super) fn is_time(text: &str) -> bool {
    let fits = |(&form, byte): (&u8, u8)| match form {
        b'0' => byte.is_ascii_digit(),
        other => byte == other,
    };
    text.len() == FORM.len() && FORM.iter().zip(text.bytes()).all(fits)
}

/// The time so many seconds after the beginning of 1970.
fn rfc3339(seconds: u64) -> String {
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    let (year, month, day) = date(days);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// Year, month and day of the Gregorian calendar so many days after 1 January 1970.
fn date(days: u64) -> (u64, u64, u64) {
    // Years that begin in March have their leap day at the end (Hinnant, "chrono-compatible low-level
    // date algorithms"); 719,468 days lie between 1 March 0000 and 1 January 1970.
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let leap_days = day_of_era / 1460 - day_of_era / 36_524 + day_of_era / 146_096;
    let year_of_era = (day_of_era - leap_days) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = (month_from_march + 2) % 12 + 1;
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_become_the_dates_that_gnu_date_gives() {
        // date -u -d @SECONDS +%Y-%m-%dT%H:%M:%SZ
        for (seconds, expected) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_000_000_000, "2001-09-09T01:46:40Z"),
            (1_735_689_599, "2024-12-31T23:59:59Z"),
            (1_735_689_600, "2025-01-01T00:00:00Z"),
            (4_107_542_399, "2100-02-28T23:59:59Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
        ] {
            assert_eq!(rfc3339(seconds), expected);
        }
    }

    #[test]
    fn days_follow_each_other_for_a_thousand_years() {
        let mut before = (1969, 12, 31);
        for days in 0..366_000 {
            let (year, month, day) = date(days);
            let next = match before {
                (y, 12, 31) => (y + 1, 1, 1),
                (y, m, d) if (year, month, day) == (y, m, d + 1) => (y, m, d + 1),
                (y, m, d) => {
                    assert!(d >= 28, "{before:?}");
                    (y, m + 1, 1)
                }
            };
            assert_eq!((year, month, day), next);
            before = next;
        }
    }

    #[test]
    fn only_that_form_is_a_time() {
        assert!(is_time(&now()));
        for wrong in [
            "",
            "2026-01-31",
            "2026-01-31T23:59:59+01:00",
            "2026-01-31t23:59:59Z",
        ] {
            assert!(!is_time(wrong), "{wrong}");
        }
    }
}
