//! Quiet hours: when receivers are left alone, and until when.

use jiff::civil::{Time, Weekday};
use jiff::tz::TimeZone;
use jiff::{Timestamp as Instant, ToSpan as _, Zoned};
use yagura_crds::notification_route::{Day, QuietHours, QuietWindow};
use yagura_event::{Severity, Timestamp};

/// A route's quiet hours, ready to be asked.
#[derive(Clone, Debug)]
pub struct Quiet {
    zone: TimeZone,
    windows: Vec<Window>,
    pierced_by: Vec<Severity>,
}

#[derive(Clone, Debug)]
struct Window {
    days: Vec<Weekday>,
    from: Time,
    to: Time,
}

/// Quiet hours that nobody can follow.
#[derive(Debug, thiserror::Error)]
pub enum InvalidQuietHours {
    /// The time zone is not in the database.
    #[error(
        "spec.quietHours.timeZone: there is no time zone {zone:?}; write a name such as Europe/Berlin or UTC"
    )]
    Zone {
        /// What stands there.
        zone: String,
        /// What the database says.
        #[source]
        source: jiff::Error,
    },
    /// A time of the day that the API server's schema would not have let through.
    #[error("spec.quietHours.windows[{index}]: {text:?} is no time of the day; write HH:MM")]
    Time {
        /// Which window.
        index: usize,
        /// What stands there.
        text: String,
    },
}

/// Adjacent windows are one: this many are followed, which is more than a week's windows can chain.
const MAX_CHAIN: usize = 32;

impl Quiet {
    /// Reads what a route says.
    pub fn new(spec: &QuietHours) -> Result<Self, InvalidQuietHours> {
        let zone = TimeZone::get(&spec.time_zone).map_err(|source| InvalidQuietHours::Zone {
            zone: spec.time_zone.clone(),
            source,
        })?;
        let windows = spec
            .windows
            .iter()
            .enumerate()
            .map(|(index, window)| Window::new(index, window))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            zone,
            windows,
            pierced_by: spec
                .pierced_by
                .iter()
                .map(|severity| (*severity).into())
                .collect(),
        })
    }

    /// The end of the quiet hours that `now` lies in; none when it is time to speak.
    pub fn until(&self, now: Timestamp, severity: Severity) -> Option<Timestamp> {
        if self.pierced_by.contains(&severity) {
            return None;
        }
        let start = Instant::from_nanosecond(now.0.into()).ok()?;
        let mut end = start;
        for _ in 0..MAX_CHAIN {
            let zoned = end.to_zoned(self.zone.clone());
            let Some(later) = self.windows.iter().filter_map(|window| window.end(&zoned)).max() else {
                break;
            };
            end = later;
        }
        (end > start).then(|| Timestamp(i64::try_from(end.as_nanosecond()).unwrap_or(i64::MAX)))
    }
}

impl Window {
    fn new(index: usize, spec: &QuietWindow) -> Result<Self, InvalidQuietHours> {
        let time = |text: &str| {
            let parsed = text
                .split_once(':')
                .and_then(|(hour, minute)| Time::new(hour.parse().ok()?, minute.parse().ok()?, 0, 0).ok());
            parsed.ok_or_else(|| InvalidQuietHours::Time {
                index,
                text: text.to_owned(),
            })
        };
        Ok(Self {
            days: spec.days.iter().copied().map(weekday).collect(),
            from: time(&spec.from)?,
            to: time(&spec.to)?,
        })
    }

    /// When it ends, if `now` lies in the window that began today or yesterday.
    fn end(&self, now: &Zoned) -> Option<Instant> {
        let zone = now.time_zone();
        let yesterday = now.date().yesterday().ok()?;
        [now.date(), yesterday].into_iter().find_map(|day| {
            if !self.days.is_empty() && !self.days.contains(&day.weekday()) {
                return None;
            }
            let last = if self.to <= self.from {
                day.checked_add(1.day()).ok()?
            } else {
                day
            };
            // A time that a change of the clocks leaves out is taken as the one just after it.
            let from = zone
                .to_ambiguous_zoned(day.to_datetime(self.from))
                .compatible()
                .ok()?;
            let to = zone
                .to_ambiguous_zoned(last.to_datetime(self.to))
                .compatible()
                .ok()?;
            let inside = from.timestamp() <= now.timestamp() && now.timestamp() < to.timestamp();
            inside.then(|| to.timestamp())
        })
    }
}

fn weekday(day: Day) -> Weekday {
    match day {
        Day::Mon => Weekday::Monday,
        Day::Tue => Weekday::Tuesday,
        Day::Wed => Weekday::Wednesday,
        Day::Thu => Weekday::Thursday,
        Day::Fri => Weekday::Friday,
        Day::Sat => Weekday::Saturday,
        Day::Sun => Weekday::Sunday,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use yagura_event::{Severity, Timestamp};

    use super::Quiet;

    fn quiet(spec: Value) -> Quiet {
        Quiet::new(&serde_json::from_value(spec).unwrap()).unwrap()
    }

    fn at(text: &str) -> Timestamp {
        let time: jiff::Timestamp = text.parse().unwrap();
        Timestamp(i64::try_from(time.as_nanosecond()).unwrap())
    }

    #[test]
    fn the_end_of_the_hours_is_told_in_their_time_zone() {
        let nights = quiet(json!({
            "timeZone": "Europe/Berlin",
            "windows": [{"from": "22:00", "to": "06:00"}],
        }));
        let cases = [
            // Winter: UTC+1.
            ("2026-01-14T20:59:59Z", None),
            ("2026-01-14T21:00:00Z", Some("2026-01-15T05:00:00Z")),
            ("2026-01-15T04:59:59Z", Some("2026-01-15T05:00:00Z")),
            ("2026-01-15T05:00:00Z", None),
            // Summer: UTC+2.
            ("2026-07-14T20:00:00Z", Some("2026-07-15T04:00:00Z")),
            // The night in which the clocks go forward is an hour shorter.
            ("2026-03-28T21:30:00Z", Some("2026-03-29T04:00:00Z")),
        ];
        for (now, expected) in cases {
            assert_eq!(nights.until(at(now), Severity::High), expected.map(at), "{now}");
        }
    }

    #[test]
    fn windows_that_touch_are_one_and_days_are_those_of_their_beginning() {
        let weekend = quiet(json!({
            "windows": [
                {"days": ["fri"], "from": "18:00", "to": "00:00"},
                {"days": ["sat", "sun"], "from": "00:00", "to": "00:00"},
            ],
        }));
        let cases = [
            ("2026-01-16T17:00:00Z", None),
            ("2026-01-16T18:00:00Z", Some("2026-01-19T00:00:00Z")),
            ("2026-01-18T23:59:00Z", Some("2026-01-19T00:00:00Z")),
            ("2026-01-19T00:00:00Z", None),
        ];
        for (now, expected) in cases {
            assert_eq!(
                weekend.until(at(now), Severity::Medium),
                expected.map(at),
                "{now}"
            );
        }
    }

    #[test]
    fn the_named_severities_pierce() {
        let always = |pierced: Value| {
            let mut spec = json!({"windows": [{"from": "00:00", "to": "00:00"}]});
            if !pierced.is_null() {
                spec["piercedBy"] = pierced;
            }
            quiet(spec)
        };
        let now = at("2026-01-14T12:00:00Z");
        assert_eq!(always(Value::Null).until(now, Severity::Critical), None);
        assert!(always(Value::Null).until(now, Severity::High).is_some());
        assert_eq!(always(json!(["low"])).until(now, Severity::Low), None);
        assert!(always(json!([])).until(now, Severity::Critical).is_some());
    }

    #[test]
    fn hours_without_end_have_one_to_wait_for() {
        let always = quiet(json!({"windows": [{"from": "00:00", "to": "00:00"}]}));
        let end = always.until(at("2026-01-14T12:00:00Z"), Severity::Low).unwrap();
        assert!(end > at("2026-01-20T00:00:00Z"));
    }

    #[test]
    fn an_unknown_time_zone_is_named() {
        let spec = json!({"timeZone": "Mars/Olympus", "windows": [{"from": "00:00", "to": "01:00"}]});
        let error = Quiet::new(&serde_json::from_value(spec).unwrap()).unwrap_err();
        assert!(error.to_string().contains("Mars/Olympus"), "{error}");
    }
}
