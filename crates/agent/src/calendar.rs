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
    /// Clocks are put forward and back: an end that a day does not have is when the clock has passed it, and one that it has
    /// twice is the first.
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
