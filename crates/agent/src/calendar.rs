//! Days and hours as people write them in a file: when somebody is away, and when they want to be left alone.

use std::{borrow::Cow, fmt, str::FromStr};

use channel::Timestamp;
use jiff::{
    civil::{Date, DateTime, Time},
    tz::TimeZone,
};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, de};

/// Days, written `2026-12-01/2026-12-14`; both are among them. They begin and end at midnight where the clock of a time zone says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Days {
    first: Date,
    last: Date,
}

impl Days {
    /// Whether it is one of these days in this time zone.
    pub fn contain(&self, now: Timestamp, zone: &TimeZone) -> bool {
        (self.first..=self.last).contains(&zone.to_datetime(now).date())
    }
}

impl FromStr for Days {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bad =
            || format!("`{text}` is no first and last day; write for example \"2026-12-01/2026-12-14\"");
        let (first, last) = text.split_once('/').ok_or_else(bad)?;
        let days = Self { first: date(first).ok_or_else(bad)?, last: date(last).ok_or_else(bad)? };
        if days.last < days.first {
            return Err(format!("`{text}` ends before it begins"));
        }
        Ok(days)
    }
}

impl fmt::Display for Days {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.first, self.last)
    }
}

/// Hours of every day, written `22:00-07:00`: from the first to the second, which may be on the next day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hours {
    from: Time,
    to: Time,
}

impl Hours {
    /// When these hours end, if it is one of them in this time zone.
    ///
    /// Clocks are put forward and back: an end that a day leaves out is as much later as is left out, and of one that it has twice
    /// the first counts.
    pub fn end(&self, now: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        let here = zone.to_datetime(now);
        let (today, time) = (here.date(), here.time());
        let over_midnight = self.to <= self.from;
        let day = match (over_midnight, time >= self.from, time < self.to) {
            (true, true, _) => today.tomorrow().ok()?,
            (true, false, true) | (false, true, true) => today,
            (true, false, false) | (false, _, _) => return None,
        };
        let end = zone.to_ambiguous_timestamp(DateTime::from_parts(day, self.to)).compatible().ok()?;
        // Where the clock was put back behind the end, the hours of that day are over all the same.
        (end > now).then_some(end)
    }
}

impl FromStr for Hours {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bad = || format!("`{text}` is no time of the day to another; write for example \"22:00-07:00\"");
        let (from, to) = text.split_once('-').ok_or_else(bad)?;
        let hours = Self { from: time(from).ok_or_else(bad)?, to: time(to).ok_or_else(bad)? };
        if hours.from == hours.to {
            return Err(format!("`{text}` is the whole day, or none of it"));
        }
        Ok(hours)
    }
}

impl fmt::Display for Hours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.from.strftime("%H:%M"), self.to.strftime("%H:%M"))
    }
}

/// A date of ten letters; what a library reads beyond that would be a surprise.
fn date(text: &str) -> Option<Date> {
    Date::strptime("%Y-%m-%d", text).ok().filter(|date| date.to_string() == text)
}

/// Hours and minutes, five letters.
fn time(text: &str) -> Option<Time> {
    Time::strptime("%H:%M", text).ok().filter(|time| time.strftime("%H:%M").to_string() == text)
}

/// Makes a type of one that is read from a text.
macro_rules! written {
    ($name:ident, $description:literal) => {
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
            }
        }

        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn inline_schema() -> bool {
                true
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": "string", "description": $description })
            }
        }
    };
}

written!(Days, "first and last day: \"2026-12-01/2026-12-14\"");
written!(Hours, "hours of every day: \"22:00-07:00\"");

#[cfg(test)]
mod tests {
    use super::*;

    /// Central Europe: an hour is left out at 2:00 on the last Sunday of March, and one comes twice at 3:00 on that of October.
    fn europe() -> TimeZone {
        TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap()
    }

    fn utc(text: &str) -> Timestamp {
        format!("{text}:00Z").parse().unwrap()
    }

    #[test]
    fn days_begin_and_end_with_the_clock_of_the_place() {
        let days: Days = "2026-12-01/2026-12-14".parse().unwrap();
        for (now, away) in [
            ("2026-11-30T22:59", false),
            ("2026-11-30T23:00", true),
            ("2026-12-14T22:59", true),
            ("2026-12-14T23:00", false),
        ] {
            assert_eq!(days.contain(utc(now), &europe()), away, "{now}");
        }
        assert!(!days.contain(utc("2026-11-30T23:00"), &TimeZone::UTC));
        let one: Days = "2026-12-01/2026-12-01".parse().unwrap();
        assert!(one.contain(utc("2026-12-01T12:00"), &TimeZone::UTC), "one day is days");
    }

    #[test]
    fn hours_end_when_the_clock_says_so() {
        for (hours, now, end) in [
            ("22:00-07:00", "2026-01-10T20:59", None),
            ("22:00-07:00", "2026-01-10T21:00", Some("2026-01-11T06:00")),
            ("22:00-07:00", "2026-01-11T05:59", Some("2026-01-11T06:00")),
            ("22:00-07:00", "2026-01-11T06:00", None),
            ("12:00-13:30", "2026-01-10T10:59", None),
            ("12:00-13:30", "2026-01-10T11:00", Some("2026-01-10T12:30")),
            ("12:00-13:30", "2026-01-10T12:30", None),
            ("22:00-00:00", "2026-01-10T22:30", Some("2026-01-10T23:00")),
            // The night in which the clock is put forward is an hour shorter, and that in which it is put back an hour longer.
            ("22:00-07:00", "2026-03-28T21:00", Some("2026-03-29T05:00")),
            ("22:00-07:00", "2026-10-24T20:00", Some("2026-10-25T06:00")),
            // 2:30 is left out: the clock passes it when it is put from 2:00 to 3:00, so these hours go on as long as they would.
            ("22:00-02:30", "2026-03-29T00:30", Some("2026-03-29T01:30")),
            // 2:30 comes twice, and the hours are over after the first.
            ("22:00-02:30", "2026-10-25T00:10", Some("2026-10-25T00:30")),
            ("22:00-02:30", "2026-10-25T00:30", None),
            ("22:00-02:30", "2026-10-25T01:10", None),
        ] {
            let parsed: Hours = hours.parse().unwrap();
            assert_eq!(parsed.end(utc(now), &europe()), end.map(utc), "{hours} at {now}");
        }
    }

    #[test]
    fn what_is_written_is_read_as_it_was_meant_or_not_at_all() {
        for text in ["2026-12-01/2026-12-14", "2028-02-29/2028-02-29"] {
            assert_eq!(text.parse::<Days>().unwrap().to_string(), text);
        }
        for text in [
            "",
            "2026-12-01",
            "2026-12-14/2026-12-01",
            "2026-2-1/2026-2-3",
            "2026-02-29/2026-03-01",
            "1.12.2026/2.12.2026",
        ] {
            assert!(text.parse::<Days>().is_err(), "{text} was taken");
        }
        for text in ["22:00-07:00", "00:00-23:59"] {
            assert_eq!(text.parse::<Hours>().unwrap().to_string(), text);
        }
        for text in [
            "",
            "22:00",
            "22-7",
            "22:00-24:00",
            "07:00-07:00",
            "7:00-9:00",
            "22:00 - 07:00",
            "22:00:00-07:00:00",
        ] {
            assert!(text.parse::<Hours>().is_err(), "{text} was taken");
        }
    }
}
