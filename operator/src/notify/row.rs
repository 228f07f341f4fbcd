//! What one receiver knows and is to know of one signal: pure.
//!
//! A row follows its signal. It is told what follows from what it was told last and from how the
//! signal stands, so what happens while a message is on its way, or while the operator is away,
//! needs no bookkeeping of its own.

use yagura_event::{Severity, Timestamp};

use super::route::Target;
use super::subject::Stage;

/// One receiver's view of one signal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The store's id of the signal.
    pub signal: i64,
    /// Name of the route.
    pub route: String,
    /// Name of the receiver.
    pub receiver: String,
    /// What the signals of a message have in common.
    pub group: String,
    /// How urgent the signal is.
    pub severity: Severity,
    /// How the signal stands.
    pub stage: Stage,
    /// What the receiver was told last.
    pub told: Option<Stage>,
    /// What it will not be told any more because it did not take it.
    pub gave_up: Option<Stage>,
    /// When it is to be told next; none when there is nothing to tell.
    pub due: Option<Timestamp>,
    /// When it first did not take what it is told now.
    pub tried: Option<Timestamp>,
    /// When it was told what it was told last, or that was given up.
    pub at: Option<Timestamp>,
}

impl Row {
    /// What the receiver is to be told.
    pub fn wanted(&self, target: &Target) -> Option<Stage> {
        let opens = match self.stage {
            Stage::Open => true,
            Stage::Acknowledged => !target.escalates(),
            Stage::Closed => false,
        };
        let wanted = match (self.told, self.stage) {
            (None | Some(Stage::Closed), _) => opens.then_some(Stage::Open),
            (Some(_), Stage::Closed) => target.send_resolved.then_some(Stage::Closed),
            (Some(Stage::Open), Stage::Acknowledged) if target.kind.acknowledges() => {
                Some(Stage::Acknowledged)
            }
            (Some(_), _) => target.kind.refresh().map(|_| Stage::Open),
        };
        wanted.filter(|wanted| self.gave_up != Some(*wanted))
    }

    /// The signal stands differently now.
    pub fn follow(&mut self, stage: Stage, target: &Target, now: Timestamp) {
        let before = self.wanted(target);
        if stage != self.stage && self.told.is_some() {
            self.gave_up = None;
        }
        self.stage = stage;
        let after = self.wanted(target);
        if after != before || self.due.is_none() {
            self.tried = None;
            self.due = after.map(|wanted| now.after(delay(wanted, target)));
        }
    }

    /// The receiver took what it was told.
    pub fn delivered(&mut self, sent: Stage, target: &Target, now: Timestamp) {
        if self.told != Some(sent) || self.gave_up.is_some() {
            self.at = Some(now);
        }
        self.told = Some(sent);
        self.gave_up = None;
        self.tried = None;
        self.due = self.wanted(target).map(|wanted| {
            let again = wanted == sent;
            now.after(if again {
                target.kind.refresh().unwrap_or(0)
            } else {
                0
            })
        });
    }

    /// What the signal's status says of the receiver.
    pub fn result(&self) -> Option<&'static str> {
        match (self.gave_up, self.told) {
            (Some(_), _) => Some("failed"),
            (None, Some(Stage::Open)) => Some("delivered"),
            (None, Some(Stage::Acknowledged)) => Some("acknowledged"),
            (None, Some(Stage::Closed)) => Some("resolved"),
            (None, None) => None,
        }
    }

    /// It did not, and what it was to be told is not sent any more.
    pub fn give_up(&mut self, stage: Stage, target: &Target, now: Timestamp) {
        self.gave_up = Some(stage);
        self.at = Some(now);
        self.tried = None;
        self.due = self.wanted(target).map(|_| now);
    }
}

/// How long a message waits for others, or for somebody to look.
fn delay(wanted: Stage, target: &Target) -> i64 {
    match wanted {
        Stage::Open if target.escalates() => target.escalate_after,
        _ => target.wait,
    }
}

/// The row of a signal that opened, if its receiver is to be told of it at all.
pub fn first(mut row: Row, target: &Target, now: Timestamp) -> Option<Row> {
    row.due = Some(now.after(delay(row.wanted(target)?, target)));
    Some(row)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};
    use yagura_event::{Severity, Timestamp};

    use super::super::route::Target;
    use super::super::route::tests::route;
    use super::super::subject::Stage::{self, Acknowledged, Closed, Open};
    use super::{Row, first};

    const SECOND: i64 = 1_000_000_000;

    fn target(mut receiver: Value) -> Target {
        receiver["name"] = json!("r");
        route(&json!({"receivers": [receiver]})).unwrap().targets["r"].clone()
    }

    fn slack() -> Target {
        target(json!({"slack": {"url": {"secretKeyRef": {"name": "s", "key": "k"}}}}))
    }

    fn pager(more: &Value) -> Target {
        let mut receiver = json!({"pagerDuty": {"routingKey": {"secretKeyRef": {"name": "s", "key": "k"}}}});
        for (key, value) in more.as_object().unwrap() {
            receiver[key] = value.clone();
        }
        target(receiver)
    }

    fn alertmanager() -> Target {
        target(json!({"alertmanager": {"url": {"value": "http://am"}}}))
    }

    fn row(stage: Stage) -> Row {
        Row {
            signal: 1,
            route: "ops".to_owned(),
            receiver: "r".to_owned(),
            group: "g".to_owned(),
            severity: Severity::High,
            stage,
            told: None,
            gave_up: None,
            due: None,
            tried: None,
            at: None,
        }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp(second * SECOND)
    }

    /// What is told along a life: each step is a second later, and everything due is delivered.
    fn told(target: &Target, life: &[Stage]) -> Vec<Stage> {
        let mut told = Vec::new();
        let mut row = first(row(life[0]), target, at(0)).unwrap_or_else(|| row(life[0]));
        for (index, stage) in life.iter().enumerate() {
            let now = at(1_000 * i64::try_from(index).unwrap());
            row.follow(*stage, target, now);
            while row.due.is_some_and(|due| due <= now.after(100 * SECOND)) {
                let stage = row.wanted(target).unwrap();
                told.push(stage);
                row.delivered(stage, target, now);
            }
        }
        told
    }

    #[test]
    fn a_receiver_is_told_what_it_understands_and_once() {
        let life = [Open, Open, Acknowledged, Acknowledged, Closed, Closed];
        assert_eq!(told(&slack(), &life), [Open, Closed]);
        assert_eq!(told(&pager(&json!({})), &life), [Open, Acknowledged, Closed]);
        assert_eq!(
            told(&pager(&json!({"sendResolved": false})), &life),
            [Open, Acknowledged]
        );
        assert_eq!(
            told(&slack(), &[Open, Closed, Open, Closed]),
            [Open, Closed, Open, Closed]
        );
    }

    #[test]
    fn what_ended_before_it_was_told_is_not_told() {
        let mut row = first(row(Open), &slack(), at(0)).unwrap();
        assert_eq!(row.due, Some(at(5)));
        row.follow(Closed, &slack(), at(1));
        assert_eq!(row.due, None);
        assert!(first(Row { stage: Closed, ..row }, &slack(), at(0)).is_none());
    }

    #[test]
    fn an_escalation_comes_only_when_nobody_looked_in_time() {
        let target = pager(&json!({"escalateAfter": "30m"}));
        let mut row = first(row(Open), &target, at(0)).unwrap();
        assert_eq!(row.due, Some(at(1_800)));
        row.follow(Acknowledged, &target, at(60));
        assert_eq!(row.due, None);
        // Whoever looked gave it back: the time begins anew.
        row.follow(Open, &target, at(120));
        assert_eq!(row.due, Some(at(1_920)));
        // A further match of the open signal does not begin it anew.
        row.follow(Open, &target, at(500));
        assert_eq!(row.due, Some(at(1_920)));
        row.follow(Closed, &target, at(600));
        assert_eq!(row.due, None);
    }

    #[test]
    fn what_happens_while_a_message_is_on_its_way_is_told_after_it() {
        let target = pager(&json!({}));
        let mut row = first(row(Open), &target, at(0)).unwrap();
        row.follow(Closed, &target, at(1));
        assert_eq!(row.due, None);
        row.delivered(Open, &target, at(2));
        assert_eq!((row.wanted(&target), row.due), (Some(Closed), Some(at(2))));
        row.delivered(Closed, &target, at(3));
        assert_eq!((row.wanted(&target), row.due), (None, None));
    }

    #[test]
    fn what_was_given_up_is_not_tried_again_by_further_matches() {
        let target = slack();
        let mut row = first(row(Open), &target, at(0)).unwrap();
        row.give_up(Open, &target, at(10));
        assert_eq!(row.due, None);
        row.follow(Open, &target, at(20));
        row.follow(Acknowledged, &target, at(30));
        row.follow(Closed, &target, at(40));
        assert_eq!(row.due, None);
    }

    #[test]
    fn alertmanager_is_told_again_until_the_end() {
        let target = alertmanager();
        let mut row = first(row(Open), &target, at(0)).unwrap();
        row.delivered(Open, &target, at(0));
        assert_eq!((row.wanted(&target), row.due), (Some(Open), Some(at(300))));
        row.follow(Acknowledged, &target, at(10));
        assert_eq!(row.due, Some(at(300)));
        row.follow(Closed, &target, at(20));
        assert_eq!((row.wanted(&target), row.due), (Some(Closed), Some(at(20))));
        row.delivered(Closed, &target, at(21));
        assert_eq!(row.due, None);
    }

    fn stages() -> impl Strategy<Value = Vec<Stage>> {
        proptest::collection::vec(prop_oneof![Just(Open), Just(Acknowledged), Just(Closed)], 1..40)
    }

    proptest! {
        #[test]
        fn nobody_is_told_of_an_end_without_a_beginning_or_twice_the_same(life in stages()) {
            for target in [slack(), pager(&json!({})), pager(&json!({"escalateAfter": "1s"}))] {
                let told = told(&target, &life);
                prop_assert!(told.first().is_none_or(|first| *first == Open), "{told:?}");
                prop_assert!(told.windows(2).all(|pair| pair[0] != pair[1]), "{told:?}");
                // Whatever was told in between, a receiver of everything knows how it ended.
                if life.last() == Some(&Closed) {
                    prop_assert!(told.last().is_none_or(|last| *last == Closed), "{told:?}");
                }
            }
        }
    }
}
