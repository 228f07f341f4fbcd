//! Rows as the store keeps them.

use serde::{Deserialize, Serialize};
use yagura_event::{Severity, Timestamp};
use yagura_store::signals::{Delivery, Stored};

use super::row::Row;
use super::subject::Stage;

/// What the store keeps of a row beside its own columns; stages and severities as numbers.
#[derive(Serialize, Deserialize)]
struct State {
    group: String,
    severity: u8,
    stage: u8,
    told: Option<u8>,
    gave_up: Option<u8>,
    tried: Option<i64>,
}

const STAGES: [Stage; 3] = [Stage::Open, Stage::Acknowledged, Stage::Closed];

fn number(stage: Stage) -> u8 {
    match stage {
        Stage::Open => 0,
        Stage::Acknowledged => 1,
        Stage::Closed => 2,
    }
}

fn stage(number: u8) -> Option<Stage> {
    STAGES.into_iter().find(|stage| self::number(*stage) == number)
}

/// The name under which the store keeps a receiver of a route; neither has a slash in it.
pub(super) fn key(route: &str, receiver: &str) -> String {
    format!("{route}/{receiver}")
}

/// How a signal stands.
pub(super) fn stage_of(signal: &Stored) -> Stage {
    if signal.closed_at.is_some() {
        Stage::Closed
    } else if signal.acknowledged_at.is_some() {
        Stage::Acknowledged
    } else {
        Stage::Open
    }
}

impl Row {
    /// For the store.
    pub(super) fn delivery(&self) -> Delivery {
        let state = State {
            group: self.group.clone(),
            severity: self.severity.rank(),
            stage: number(self.stage),
            told: self.told.map(number),
            gave_up: self.gave_up.map(number),
            tried: self.tried.map(|tried| tried.0),
        };
        Delivery {
            signal: self.signal,
            route: key(&self.route, &self.receiver),
            due: self.due,
            attempts: u32::from(self.tried.is_some()),
            result: self.result().map(str::to_owned),
            at: self.at,
            state: serde_json::to_vec(&state).expect("numbers and a text are valid JSON"),
        }
    }

    /// From the store; none when another build wrote it in a way that this one does not know.
    pub(super) fn of_delivery(delivery: &Delivery) -> Option<Self> {
        let state: State = serde_json::from_slice(&delivery.state).ok()?;
        let (route, receiver) = delivery.route.split_once('/')?;
        let severity = Severity::ALL
            .into_iter()
            .find(|severity| severity.rank() == state.severity)?;
        let optional = |number: Option<u8>| number.map(stage);
        Some(Self {
            signal: delivery.signal,
            route: route.to_owned(),
            receiver: receiver.to_owned(),
            group: state.group,
            severity,
            stage: stage(state.stage)?,
            told: optional(state.told).flatten(),
            gave_up: optional(state.gave_up).flatten(),
            due: delivery.due,
            tried: state.tried.map(Timestamp),
            at: delivery.at,
        })
    }
}

#[cfg(test)]
mod tests {
    use yagura_event::{Severity, Timestamp};

    use super::super::row::Row;
    use super::super::subject::Stage;

    #[test]
    fn a_row_comes_back_from_the_store_as_it_was() {
        for (told, gave_up) in [
            (None, None),
            (Some(Stage::Open), Some(Stage::Closed)),
            (Some(Stage::Closed), None),
        ] {
            let row = Row {
                signal: 7,
                route: "ops".to_owned(),
                receiver: "chat".to_owned(),
                group: "g".to_owned(),
                severity: Severity::Critical,
                stage: Stage::Acknowledged,
                told,
                gave_up,
                due: Some(Timestamp(5)),
                tried: Some(Timestamp(3)),
                at: Some(Timestamp(2)),
            };
            let delivery = row.delivery();
            assert_eq!(delivery.route, "ops/chat");
            assert_eq!(Row::of_delivery(&delivery), Some(row));
        }
    }
}
