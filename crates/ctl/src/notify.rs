//! `yagura notify`: try a notification route from the terminal.
//!
//! The command sends nothing by itself. It annotates the route; the operator answers in the route's
//! status, so what is tried is the way that real messages take.

use std::io::{self, Write};
use std::time::Duration;

use kube::api::{DynamicObject, Patch, PatchParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, Config, CustomResourceExt as _};
use serde_json::{Value, json};
use tokio::time::{Instant, MissedTickBehavior, interval};
use yagura_crds::NotificationRoute;
use yagura_crds::notification_route::TEST_ANNOTATION;

use crate::args::{NotifyCommand, NotifyTest};

/// How often the answer is looked for.
const PERIOD: Duration = Duration::from_millis(500);

/// A route cannot be tried.
#[derive(Debug, thiserror::Error)]
pub enum NotifyError {
    /// What waits for the API server cannot be set up.
    #[error("cannot start")]
    Runtime(#[source] io::Error),
    /// There is no cluster to talk to.
    #[error("cannot find a cluster; give --kubeconfig and --context, or set KUBECONFIG")]
    Config(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The API server refused or did not answer.
    #[error("cannot {what} route {route}{}", advice(.source))]
    Api {
        /// What was to be done.
        what: &'static str,
        /// Name of the route.
        route: String,
        /// What the API server says.
        #[source]
        source: Box<kube::Error>,
    },
    /// The operator did not answer.
    #[error(
        "the operator did not answer within {seconds} s; is it running and ready? It answers in status.test of route {route}"
    )]
    NoAnswer {
        /// How long it was waited for.
        seconds: u64,
        /// Name of the route.
        route: String,
    },
    /// The result cannot be written.
    #[error("cannot write the result")]
    Write(#[source] io::Error),
}

/// What to do about an answer of the API server.
fn advice(error: &kube::Error) -> &'static str {
    match error {
        kube::Error::Api(status) if status.code == 403 => {
            "; a test needs to get and patch notificationroutes"
        }
        kube::Error::Api(status) if status.code == 404 => "; `kubectl get nroute` lists those that are there",
        _ => "",
    }
}

/// Carries out a command. False when a receiver did not take its message.
pub fn run(command: &NotifyCommand, out: &mut impl Write) -> Result<bool, NotifyError> {
    let NotifyCommand::Test(args) = command;
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(NotifyError::Runtime)?
        .block_on(test(args, out))
}

async fn test(args: &NotifyTest, out: &mut impl Write) -> Result<bool, NotifyError> {
    let api: Api<DynamicObject> = Api::all_with(client(args).await?, &NotificationRoute::api_resource());
    let failed = |what| {
        move |source| NotifyError::Api {
            what,
            route: args.route.clone(),
            source: Box::new(source),
        }
    };
    let request = jiff::Timestamp::now().as_nanosecond().to_string();
    let patch = Patch::Merge(json!({"metadata": {"annotations": {TEST_ANNOTATION: request}}}));
    api.patch(&args.route, &PatchParams::default(), &patch)
        .await
        .map_err(failed("ask for a test of"))?;
    let deadline = Instant::now() + Duration::from_secs(args.timeout);
    let mut turns = interval(PERIOD);
    turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while Instant::now() < deadline {
        turns.tick().await;
        let route = api.get(&args.route).await.map_err(failed("read"))?;
        if let Some(results) = answer(&route.data, &request) {
            return show(results, out).map_err(NotifyError::Write);
        }
    }
    Err(NotifyError::NoAnswer {
        seconds: args.timeout,
        route: args.route.clone(),
    })
}

async fn client(args: &NotifyTest) -> Result<Client, NotifyError> {
    let options = KubeConfigOptions {
        context: args.context.clone(),
        ..KubeConfigOptions::default()
    };
    let config = match &args.kubeconfig {
        Some(path) => {
            let file = Kubeconfig::read_from(path).map_err(|error| NotifyError::Config(error.into()))?;
            let config = Config::from_custom_kubeconfig(file, &options).await;
            config.map_err(|error| NotifyError::Config(error.into()))?
        }
        None if args.context.is_some() => {
            let config = Config::from_kubeconfig(&options).await;
            config.map_err(|error| NotifyError::Config(error.into()))?
        }
        None => Config::infer()
            .await
            .map_err(|error| NotifyError::Config(error.into()))?,
    };
    Client::try_from(config).map_err(|error| NotifyError::Config(error.into()))
}

/// The receivers' answers, once they are those to this request.
fn answer<'a>(route: &'a Value, request: &str) -> Option<&'a [Value]> {
    let test = route.pointer("/status/test")?;
    let is_ours = test["request"] == request;
    is_ours.then(|| test["results"].as_array().map_or(&[][..], Vec::as_slice))
}

fn show(results: &[Value], out: &mut impl Write) -> io::Result<bool> {
    let mut all = true;
    let width = results
        .iter()
        .filter_map(|result| result["receiver"].as_str())
        .map(str::len)
        .max();
    for result in results {
        let delivered = result["delivered"] == true;
        all &= delivered;
        let name = result["receiver"].as_str().unwrap_or_default();
        let said = if delivered {
            "delivered"
        } else {
            result["error"].as_str().unwrap_or("failed")
        };
        // What a receiver answers must not control the terminal.
        let said: String = said.chars().filter(|character| !character.is_control()).collect();
        writeln!(out, "{name:width$}  {said}", width = width.unwrap_or(0))?;
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{answer, show};

    #[test]
    fn only_the_answer_to_this_request_counts() {
        let route = json!({"status": {"test": {"request": "7", "results": [{"receiver": "chat", "delivered": true}]}}});
        assert_eq!(answer(&route, "7").unwrap().len(), 1);
        assert!(answer(&route, "8").is_none());
        assert!(answer(&json!({"spec": {}}), "7").is_none());
    }

    #[test]
    fn a_receiver_that_did_not_take_it_is_shown_and_decides() {
        let results = [
            json!({"receiver": "chat", "delivered": true}),
            json!({"receiver": "pager-2", "delivered": false, "error": "answers 403\u{1b}[2J"}),
        ];
        let mut out = Vec::new();
        assert!(!show(&results, &mut out).unwrap());
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "chat     delivered\npager-2  answers 403[2J\n"
        );
        let mut out = Vec::new();
        assert!(show(&results[..1], &mut out).unwrap());
    }
}
