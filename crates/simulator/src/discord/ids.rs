//! Snowflakes.

pub(crate) use crate::shared::ids::{random, random_bytes, since_epoch};

/// The identifier of anything.
pub(crate) type Id = u64;

/// The first second of 2015, from which snowflakes count, in milliseconds since 1970.
const EPOCH: u64 = 1_420_070_400_000;

/// Gives out snowflakes, none twice, each greater than the one before.
#[derive(Debug, Default)]
pub(crate) struct Snowflakes {
    last: Id,
}

impl Snowflakes {
    /// The next one.
    pub(crate) fn next(&mut self) -> Id {
        let now = now_ms().saturating_sub(EPOCH) << 22;
        self.last = now.max(self.last + 1);
        self.last
    }
}

/// Milliseconds since 1970.
pub(crate) fn now_ms() -> u64 {
    u64::try_from(since_epoch().as_millis()).unwrap_or(u64::MAX)
}

/// A constant snowflake as a number.
pub(crate) fn id(text: &str) -> Id {
    text.parse().unwrap_or_default()
}

/// A moment, in milliseconds since 1970, as ISO 8601 has it.
pub(crate) fn iso(ms: u64) -> String {
    let (days, rest) = (ms / 86_400_000, ms % 86_400_000);
    // Days are counted from March, so that a leap day is the last of its year.
    let shifted = days + 719_468;
    let (era, of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    let (hour, minute) = (rest / 3_600_000, rest / 60_000 % 60);
    let (second, milli) = (rest / 1_000 % 60, rest % 1_000);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{milli:03}000+00:00")
}

#[cfg(test)]
mod tests {
    use super::iso;

    #[test]
    fn days_become_dates() {
        assert_eq!(iso(0), "1970-01-01T00:00:00.000000+00:00");
        assert_eq!(iso(951_782_400_000), "2000-02-29T00:00:00.000000+00:00");
        assert_eq!(iso(1_767_225_599_999), "2025-12-31T23:59:59.999000+00:00");
    }
}
