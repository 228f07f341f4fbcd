//! What is trusted now, what will be next and what was before: how an authority is replaced without anybody losing it.
//! Pure; what is kept in the Secret is the whole of it, so that another operator goes on where one ended.
//!
//! Steps: the next authority is made and published beside the current one; when every connected agent has it, or after
//! some patience, it is the one that signs; the former is published a while longer, for who could not be seen.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use super::authority::{Authority, CertificateError};

/// Keys of the Secret.
const CURRENT: (&str, &str) = ("ca.crt", "ca.key");
const NEXT: (&str, &str) = ("next.crt", "next.key");
/// When the next one was made, and when the former one was replaced, as RFC 3339.
const NEXT_SINCE: &str = "next.since";
const FORMER: &str = "former.crt";
const FORMER_SINCE: &str = "former.since";

/// Every key that the operator writes; what is not set is removed.
const KEYS: [&str; 7] = [
    CURRENT.0,
    CURRENT.1,
    NEXT.0,
    NEXT.1,
    NEXT_SINCE,
    FORMER,
    FORMER_SINCE,
];

/// Nothing is done more often.
const SHORTEST: SignedDuration = SignedDuration::from_secs(1);

/// How long things last.
#[derive(Clone, Copy, Debug)]
pub struct Lifetimes {
    /// An authority's certificate.
    pub authority: SignedDuration,
    /// How long before its end the next one is made.
    pub renew_before: SignedDuration,
    /// A server certificate; it is renewed when a third of it is left.
    pub leaf: SignedDuration,
    /// How long an agent is waited for that does not show the next authority, and how long the former one stays.
    pub patience: SignedDuration,
}

impl Lifetimes {
    /// Refuses times by which an authority would end before the next one signs, or be replaced without end.
    pub fn check(&self) -> Result<(), &'static str> {
        if self.patience < SHORTEST || self.leaf < SHORTEST {
            return Err("--ca-patience and --certificate-lifetime must be a second or longer");
        }
        if self.renew_before <= self.patience {
            return Err("--ca-renew-before must be longer than --ca-patience, which the change may take");
        }
        if self.authority <= self.renew_before + self.patience * 2 {
            return Err("--ca-lifetime must be longer than --ca-renew-before and twice --ca-patience");
        }
        Ok(())
    }
}

/// The authorities.
#[derive(Clone, Debug)]
pub struct Trust {
    /// Signs.
    pub current: Authority,
    /// Will sign.
    pub next: Option<(Authority, Timestamp)>,
    /// The certificate of the one that signed before.
    pub former: Option<(String, Timestamp)>,
}

/// What is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Make the next authority and publish it.
    Prepare,
    /// Let the next one sign.
    Switch,
    /// Publish the former one no longer.
    Retire,
}

impl Step {
    /// Label value of the metric, and for the log.
    pub fn name(self) -> &'static str {
        match self {
            Self::Prepare => "prepare",
            Self::Switch => "switch",
            Self::Retire => "retire",
        }
    }
}

impl Trust {
    /// With an authority that was just made.
    pub fn new(current: Authority) -> Self {
        Self {
            current,
            next: None,
            former: None,
        }
    }

    /// Reads what the Secret holds; none where it holds no authority. A next or former one that is not whole counts as
    /// none: it is made again, or is not needed.
    pub fn read(data: &BTreeMap<String, Vec<u8>>) -> Option<Self> {
        let text = |key: &str| String::from_utf8(data.get(key)?.clone()).ok();
        let time = |key: &str| text(key)?.parse().ok();
        let pair = |(certificate, key): (&str, &str)| {
            let (certificate, key) = text(certificate).zip(text(key))?;
            Some(Authority { certificate, key })
        };
        Some(Self {
            current: pair(CURRENT)?,
            next: pair(NEXT).zip(time(NEXT_SINCE)),
            former: text(FORMER).zip(time(FORMER_SINCE)),
        })
    }

    /// What the Secret is to hold: a value for each key of ours, or that it is removed.
    pub fn data(&self) -> BTreeMap<&'static str, Option<String>> {
        let mut data: BTreeMap<_, _> = KEYS.iter().map(|key| (*key, None)).collect();
        let mut put = |key, value: &str| data.insert(key, Some(value.to_owned()));
        put(CURRENT.0, &self.current.certificate);
        put(CURRENT.1, &self.current.key);
        if let Some((next, since)) = &self.next {
            put(NEXT.0, &next.certificate);
            put(NEXT.1, &next.key);
            put(NEXT_SINCE, &since.to_string());
        }
        if let Some((former, since)) = &self.former {
            put(FORMER, former);
            put(FORMER_SINCE, &since.to_string());
        }
        data
    }

    /// Everything to trust, in PEM. A switch does not change it.
    pub fn bundle(&self) -> String {
        let next = self.next.iter().map(|(next, _)| next.certificate.as_str());
        let former = self.former.iter().map(|(former, _)| former.as_str());
        let mut all: Vec<&str> = next
            .chain(former)
            .chain([self.current.certificate.as_str()])
            .collect();
        all.sort_unstable();
        let lines = all.iter().map(|pem| format!("{}\n", pem.trim_end()));
        lines.collect()
    }

    /// What is due now. `seen` tells whether everybody who is connected trusts the next authority.
    pub fn due(
        &self,
        lifetimes: &Lifetimes,
        now: Timestamp,
        seen: impl FnOnce(&Authority) -> bool,
    ) -> Result<Option<Step>, CertificateError> {
        if let Some((next, since)) = &self.next {
            let late = now.duration_since(*since) >= lifetimes.patience;
            // Nobody can trust an authority whose time is over.
            let over = self.current.expires()? <= now;
            return Ok((late || over || seen(next)).then_some(Step::Switch));
        }
        if let Some((_, since)) = &self.former {
            let over = now.duration_since(*since) >= lifetimes.patience;
            return Ok(over.then_some(Step::Retire));
        }
        let left = self.current.expires()?.duration_since(now);
        Ok((left <= lifetimes.renew_before).then_some(Step::Prepare))
    }

    /// The trust after a step; itself where the step does not apply.
    pub fn after(&self, step: Step, lifetimes: &Lifetimes, now: Timestamp) -> Result<Self, CertificateError> {
        let mut after = self.clone();
        match step {
            Step::Prepare if after.next.is_some() => {}
            Step::Prepare => {
                let next = Authority::generate(now, lifetimes.authority)?;
                after.next = Some((next, now));
            }
            Step::Switch => {
                if let Some((next, _)) = after.next.take() {
                    let former = std::mem::replace(&mut after.current, next);
                    after.former = Some((former.certificate, now));
                }
            }
            Step::Retire => after.former = None,
        }
        Ok(after)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: SignedDuration = SignedDuration::from_hours(1);

    fn lifetimes() -> Lifetimes {
        Lifetimes {
            authority: HOUR * 100,
            renew_before: HOUR * 10,
            leaf: HOUR * 5,
            patience: HOUR * 3,
        }
    }

    fn stored(trust: &Trust) -> Trust {
        let data = trust.data().into_iter();
        let data = data.filter_map(|(key, value)| Some((key.to_owned(), value?.into_bytes())));
        Trust::read(&data.collect()).unwrap()
    }

    #[test]
    fn an_authority_is_replaced_step_by_step_over_restarts() {
        let lifetimes = lifetimes();
        let start: Timestamp = "2030-01-01T00:00:00Z".parse().unwrap();
        let at = |hours: i32| start + HOUR * hours;
        let never = |_: &Authority| false;
        let first = Authority::generate(start, lifetimes.authority).unwrap();
        let trust = Trust::new(first.clone());
        assert_eq!(trust.due(&lifetimes, at(89), never).unwrap(), None);
        assert_eq!(trust.due(&lifetimes, at(90), never).unwrap(), Some(Step::Prepare));

        let trust = stored(&trust.after(Step::Prepare, &lifetimes, at(90)).unwrap());
        let next = trust.next.clone().unwrap().0;
        assert_eq!(trust.current.certificate, first.certificate, "it signs on");
        assert!(trust.bundle().contains(first.certificate.trim_end()));
        assert!(trust.bundle().contains(next.certificate.trim_end()));
        assert_eq!(trust.due(&lifetimes, at(92), never).unwrap(), None);
        let shown = |authority: &Authority| authority.certificate == next.certificate;
        assert_eq!(trust.due(&lifetimes, at(92), shown).unwrap(), Some(Step::Switch));
        assert_eq!(trust.due(&lifetimes, at(93), never).unwrap(), Some(Step::Switch));

        let mut hurried = trust.clone();
        hurried.next = Some((next.clone(), at(100)));
        assert_eq!(
            hurried.due(&lifetimes, at(100), never).unwrap(),
            Some(Step::Switch),
            "what signs is over"
        );

        let switched = stored(&trust.after(Step::Switch, &lifetimes, at(93)).unwrap());
        assert_eq!(switched.current.certificate, next.certificate);
        assert_eq!(switched.current.key, next.key);
        assert_eq!(
            switched.bundle(),
            trust.bundle(),
            "a switch asks nothing of anybody"
        );
        assert_eq!(switched.due(&lifetimes, at(95), shown).unwrap(), None);
        assert_eq!(
            switched.due(&lifetimes, at(96), never).unwrap(),
            Some(Step::Retire)
        );

        let retired = stored(&switched.after(Step::Retire, &lifetimes, at(96)).unwrap());
        assert_eq!(retired.bundle(), next.certificate);
        assert_eq!(retired.due(&lifetimes, at(100), never).unwrap(), None);
        assert!(retired.data().values().flatten().count() == 2);
    }

    #[test]
    fn times_that_cannot_work_are_refused() {
        assert_eq!(lifetimes().check(), Ok(()));
        let hasty = Lifetimes {
            renew_before: HOUR * 3,
            ..lifetimes()
        };
        assert!(hasty.check().unwrap_err().contains("--ca-renew-before"));
        let endless = Lifetimes {
            authority: HOUR * 16,
            ..lifetimes()
        };
        assert!(endless.check().unwrap_err().contains("--ca-lifetime"));
    }

    #[test]
    fn what_is_half_stored_is_made_again() {
        let lifetimes = lifetimes();
        let now = Timestamp::now();
        let trust = Trust::new(Authority::generate(now, lifetimes.authority).unwrap());
        let trust = trust.after(Step::Prepare, &lifetimes, now).unwrap();
        let whole: BTreeMap<String, Vec<u8>> = trust
            .data()
            .into_iter()
            .filter_map(|(key, value)| Some((key.to_owned(), value?.into_bytes())))
            .collect();
        for missing in [NEXT.0, NEXT.1, NEXT_SINCE] {
            let mut data = whole.clone();
            data.remove(missing);
            assert!(Trust::read(&data).unwrap().next.is_none(), "{missing}");
        }
        let mut data = whole.clone();
        data.insert(NEXT_SINCE.to_owned(), b"yesterday".to_vec());
        assert!(Trust::read(&data).unwrap().next.is_none());
        data.remove(CURRENT.1);
        assert!(Trust::read(&data).is_none());
    }
}
