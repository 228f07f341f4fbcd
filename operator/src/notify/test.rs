//! A labelled message to every receiver of a route, so that somebody sees whether they arrive.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use yagura_crds::notification_route::{RouteTest, TestResult};
use yagura_event::Severity;

use super::message::{Message, line};
use super::receiver::{self, SendError};
use super::route::{Kind, Target};
use super::secrets::Secrets;
use super::subject::{Stage, Subject};

/// Sends the test to each receiver in turn; the error of a route that cannot be used is the answer
/// of them all.
pub(super) async fn answer(
    targets: Result<Vec<Target>, String>,
    secrets: &Secrets,
    route: &str,
    cluster: &str,
    home: &str,
    request: String,
) -> RouteTest {
    let mut results = Vec::new();
    match targets {
        Ok(targets) => {
            for target in targets {
                let told = tell(&target, secrets, route, cluster, home, &request).await;
                results.push(TestResult {
                    receiver: target.name,
                    delivered: told.is_ok(),
                    error: told.err().map(|error| error.to_string()),
                });
            }
        }
        Err(error) => results.push(TestResult {
            receiver: "all".to_owned(),
            delivered: false,
            error: Some(line(&format!("the route cannot be used: {error}"), 1_024)),
        }),
    }
    RouteTest {
        request,
        at: Time(Timestamp::now()),
        results,
    }
}

async fn tell(
    target: &Target,
    secrets: &Secrets,
    route: &str,
    cluster: &str,
    home: &str,
    request: &str,
) -> Result<(), SendError> {
    let mut message = Message {
        stage: Stage::Open,
        test: true,
        escalated: false,
        route: route.to_owned(),
        receiver: target.name.clone(),
        cluster: cluster.to_owned(),
        signals: vec![subject(home, request)],
        at: Timestamp::now(),
    };
    receiver::send(target, secrets, &message).await?;
    // What follows a signal's life would keep an incident that nobody ends.
    if matches!(target.kind, Kind::PagerDuty | Kind::Opsgenie | Kind::Alertmanager) {
        message.stage = Stage::Closed;
        receiver::send(target, secrets, &message).await?;
    }
    Ok(())
}

/// A signal that says that it is none.
fn subject(home: &str, request: &str) -> Subject {
    let plain: String = request
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() {
                c.to_ascii_lowercase()
            } else {
                '-'
            }
        })
        .collect();
    let now = Timestamp::now();
    Subject {
        name: format!("test-{plain}"),
        namespace: home.to_owned(),
        origin: home.to_owned(),
        rule: "yagura-notify-test".to_owned(),
        severity: Severity::Info,
        source: "test".to_owned(),
        title: "Somebody tries whether messages arrive".to_owned(),
        description: "A test of a notification route. There is no such signal.".to_owned(),
        remediation: String::new(),
        resource: String::new(),
        node: None,
        resources: Vec::new(),
        attack: Vec::new(),
        controls: Vec::new(),
        count: 0,
        first: now,
        last: now,
        labels: std::collections::BTreeMap::new(),
    }
}
