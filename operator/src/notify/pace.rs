//! The pace of one receiver: how many messages it takes, and how long it is left alone after it
//! failed.

use std::collections::VecDeque;

use yagura_event::Timestamp;

const SECOND: i64 = 1_000_000_000;
/// The pause after the first failure; it doubles with each in a row.
const FIRST_PAUSE: i64 = 2 * SECOND;
/// The longest pause.
const LONGEST_PAUSE: i64 = 600 * SECOND;
/// What a receiver may ask for as a pause.
const LONGEST_ASKED: i64 = 3_600 * SECOND;

/// Messages sent within a sliding time.
#[derive(Clone, Debug, Default)]
pub struct Rate {
    sent: VecDeque<Timestamp>,
}

impl Rate {
    /// A message was sent.
    pub fn note(&mut self, now: Timestamp) {
        self.sent.push_back(now);
    }

    /// How many more messages may be sent now, of `messages` within `per` nanoseconds.
    pub fn left(&mut self, messages: u32, per: i64, now: Timestamp) -> usize {
        while self.sent.front().is_some_and(|sent| now.since(*sent) >= per) {
            self.sent.pop_front();
        }
        let messages = usize::try_from(messages).unwrap_or(usize::MAX);
        // A limit that was lowered leaves more than fit.
        messages.saturating_sub(self.sent.len())
    }

    /// When the next message may be sent, while none may be now.
    pub fn next(&self, messages: u32, per: i64) -> Option<Timestamp> {
        let messages = usize::try_from(messages).unwrap_or(usize::MAX);
        let over = self.sent.len().checked_sub(messages)?;
        self.sent.get(over).map(|sent| sent.after(per))
    }
}

/// A receiver that fails is left alone for a time that grows; then one message tries it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Circuit {
    failures: u32,
    open_until: Option<Timestamp>,
}

impl Circuit {
    /// When the receiver may be tried again, if that is not now.
    pub fn open_until(&self, now: Timestamp) -> Option<Timestamp> {
        self.open_until.filter(|until| *until > now)
    }

    /// It took a message.
    pub fn succeeded(&mut self) {
        *self = Self::default();
    }

    /// It did not. `asked` is the pause in nanoseconds that it asked for; `jitter` lies between 0
    /// and 1 and keeps receivers that failed together from being tried together.
    pub fn failed(&mut self, now: Timestamp, asked: Option<i64>, jitter: f64) {
        let doubled = FIRST_PAUSE
            .saturating_mul(1 << self.failures.min(16))
            .min(LONGEST_PAUSE);
        self.failures = self.failures.saturating_add(1);
        // Between a half and the whole.
        let half = doubled / 2;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_precision_loss,
            reason = "at most ten minutes in nanoseconds, which a double holds exactly"
        )]
        let pause = half + (half as f64 * jitter.clamp(0.0, 1.0)) as i64;
        let pause = pause.max(asked.unwrap_or(0).min(LONGEST_ASKED));
        self.open_until = Some(now.after(pause));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use yagura_event::Timestamp;

    use super::{Circuit, LONGEST_PAUSE, Rate, SECOND};

    #[test]
    fn pauses_double_up_to_ten_minutes_and_end_with_a_success() {
        let mut circuit = Circuit::default();
        let mut pauses = Vec::new();
        for _ in 0..12 {
            circuit.failed(Timestamp(0), None, 1.0);
            pauses.push(circuit.open_until(Timestamp(0)).unwrap().0 / SECOND);
        }
        assert_eq!(pauses, [2, 4, 8, 16, 32, 64, 128, 256, 512, 600, 600, 600]);
        circuit.succeeded();
        assert_eq!(circuit.open_until(Timestamp(0)), None);
    }

    #[test]
    fn a_receiver_may_ask_for_a_longer_pause_within_bounds() {
        let mut circuit = Circuit::default();
        circuit.failed(Timestamp(0), Some(90 * SECOND), 0.0);
        assert_eq!(circuit.open_until(Timestamp(0)), Some(Timestamp(90 * SECOND)));
        circuit.failed(Timestamp(0), Some(i64::MAX), 0.0);
        assert_eq!(circuit.open_until(Timestamp(0)), Some(Timestamp(3_600 * SECOND)));
    }

    proptest! {
        #[test]
        fn no_period_ever_has_more_messages_than_the_limit(
            limit in 1u32..5,
            per in 1i64..50,
            steps in proptest::collection::vec(0i64..10, 1..200),
        ) {
            let mut rate = Rate::default();
            let mut now = Timestamp(0);
            let mut sent = Vec::new();
            for step in steps {
                now = now.after(step);
                if rate.left(limit, per, now) > 0 {
                    rate.note(now);
                    sent.push(now.0);
                } else {
                    let next = rate.next(limit, per).unwrap();
                    prop_assert!(next > now);
                }
            }
            for start in &sent {
                let within = sent.iter().filter(|time| **time >= *start && **time < start + per).count();
                prop_assert!(within <= limit as usize);
            }
        }

        #[test]
        fn a_pause_lies_between_half_of_what_is_due_and_all_of_it(failures in 1usize..20, jitter in 0.0f64..1.0) {
            let mut circuit = Circuit::default();
            for _ in 0..failures {
                circuit.failed(Timestamp(0), None, jitter);
            }
            let pause = circuit.open_until(Timestamp(0)).unwrap().0;
            let full = (2 * SECOND).saturating_mul(1 << (failures - 1).min(16)).min(LONGEST_PAUSE);
            prop_assert!(pause >= full / 2 && pause <= full);
        }
    }
}
