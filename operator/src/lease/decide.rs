//! Whether a lease may be taken: pure.

use k8s_openapi::api::coordination::v1::LeaseSpec;
use tokio::time::{Duration, Instant};

/// What was seen of a lease and since when, by this process' own clock: clocks of different
/// machines are never compared.
#[derive(Debug, Default)]
pub(super) struct Observed {
    last: Option<(LeaseSpec, Instant)>,
}

/// What to do about a lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Decision {
    /// Write it with this number of transitions.
    Take {
        /// How often it changed hands then.
        transitions: i32,
    },
    /// Somebody else holds it.
    Wait,
}

/// Decides by the lease as it stands and what was seen of it before.
pub(super) fn decide(
    spec: Option<&LeaseSpec>,
    identity: &str,
    observed: &mut Observed,
    now: Instant,
) -> Decision {
    let Some(spec) = spec else {
        return Decision::Take { transitions: 0 };
    };
    let next = spec.lease_transitions.unwrap_or(0).saturating_add(1);
    match spec.holder_identity.as_deref() {
        // A restart under the same name is a new holder too: its lists must follow the old ones.
        None | Some("") => return Decision::Take { transitions: next },
        Some(holder) if holder == identity => return Decision::Take { transitions: next },
        Some(_) => {}
    }
    let since = match &observed.last {
        Some((seen, since)) if seen == spec => *since,
        _ => {
            observed.last = Some((spec.clone(), now));
            now
        }
    };
    let duration = spec.lease_duration_seconds.and_then(|s| u64::try_from(s).ok());
    let duration = Duration::from_secs(duration.unwrap_or(super::DURATION.as_secs()));
    if now.duration_since(since) >= duration {
        Decision::Take { transitions: next }
    } else {
        Decision::Wait
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::coordination::v1::LeaseSpec;
    use tokio::time::{Duration, Instant};

    use super::{Decision, Observed, decide};

    fn held_by(holder: &str, transitions: i32) -> LeaseSpec {
        LeaseSpec {
            holder_identity: Some(holder.to_owned()),
            lease_duration_seconds: Some(15),
            lease_transitions: Some(transitions),
            ..LeaseSpec::default()
        }
    }

    #[test]
    fn a_free_lease_and_ones_own_are_taken_as_a_new_epoch() {
        let mut seen = Observed::default();
        let now = Instant::now();
        let mut check = |spec: Option<&LeaseSpec>| decide(spec, "me", &mut seen, now);
        assert_eq!(check(None), Decision::Take { transitions: 0 });
        assert_eq!(check(Some(&held_by("me", 3))), Decision::Take { transitions: 4 });
        let released = LeaseSpec {
            holder_identity: None,
            ..held_by("", 5)
        };
        assert_eq!(check(Some(&released)), Decision::Take { transitions: 6 });
    }

    #[test]
    fn anothers_lease_is_taken_only_after_it_stood_still_for_its_duration() {
        let mut seen = Observed::default();
        let start = Instant::now();
        let after = |seconds| start + Duration::from_secs(seconds);
        let other = held_by("other", 1);
        let mut check = |spec: &LeaseSpec, now| decide(Some(spec), "me", &mut seen, now);
        assert_eq!(check(&other, start), Decision::Wait);
        assert_eq!(check(&other, after(14)), Decision::Wait);
        // It renewed: the wait starts anew.
        let renewed = LeaseSpec {
            lease_transitions: Some(2),
            ..other
        };
        assert_eq!(check(&renewed, after(14)), Decision::Wait);
        assert_eq!(check(&renewed, after(28)), Decision::Wait);
        assert_eq!(check(&renewed, after(29)), Decision::Take { transitions: 3 });
    }
}
