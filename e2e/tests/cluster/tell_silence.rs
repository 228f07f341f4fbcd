//! A node whose agent is silent gets a signal, exactly where nothing explains it.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use yagura_e2e::cluster::INSTALLATION;
use yagura_e2e::components::{self, Component};
use yagura_e2e::install::{self, Values};
use yagura_e2e::outpost::{Outpost, with_outpost};
use yagura_e2e::signals::Signal;
use yagura_e2e::{
    Space, api_server, eventually, host, metrics, objects, sensors, signals, with_namespace, workload,
};

/// The rule that says so.
const RULE: &str = "yagura-node-silent";

/// Signals that the operator has opened.
const OPENED: &str = "yagura_operator_opened_signals_total";

/// Seconds until a sensor is not ready, and from then on until a signal: short, so that the test is.
const NOT_READY: u64 = 3;
const SIGNAL: u64 = 3;

#[tokio::test]
#[ignore = "needs the one-node cluster: cargo xtask test"]
async fn a_stopped_agent_is_told_and_one_that_is_replaced_or_removed_is_not() -> Result<()> {
    with_namespace(|space| async move {
        let values = install::values().await?;
        let quick = [
            format!("operator.silence.notReadySeconds={NOT_READY}"),
            format!("operator.silence.signalSeconds={SIGNAL}"),
        ];
        let quick: Vec<&str> = quick.iter().map(String::as_str).collect();
        install::upgrade(&values, &quick).await?;
        let outcome = told(&space, &values, &quick).await;
        // The next tests find the installation as it was.
        install::upgrade(&values, &[]).await?;
        settled(&space).await?;
        outcome
    })
    .await
}

async fn told(space: &Space, values: &Values, quick: &[&str]) -> Result<()> {
    settled(space).await?;
    forget(space).await?;

    // A process that was stopped looks alive to everybody but the operator.
    let signal = while_the_agent_is_stopped(space, async {
        let signal = signals::only_in(space, INSTALLATION, RULE).await?;
        sensors::not_ready(&space.client, "Silent").await?;
        Ok(signal)
    })
    .await?;
    ensure!(signal["status"]["severity"] == "high", "{:?}", signal["status"]);
    signal.resource("Node")?;
    sensors::settled(&space.client).await?;
    eventually("the signal is resolved", || async {
        let signal = signals::one(&space.client, INSTALLATION, RULE).await?;
        ensure!(
            signal["status"]["resolvedAt"].is_string(),
            "{:?}",
            signal["status"]
        );
        Ok(())
    })
    .await?;
    forget(space).await?;

    while_the_agent_is_stopped(space, Box::pin(told_after_an_outage(space))).await?;
    settled(space).await?;
    forget(space).await?;

    // A new revision whose pod never starts: while it is young, the update explains the silence.
    let broken = [quick, &["agent.image.repository=registry.invalid/nothing"]].concat();
    install::upgrade(values, &broken).await?;
    lasting(space, "AgentUpdating").await?;
    install::upgrade(values, quick).await?;
    settled(space).await?;

    // No node is selected any more: the agent says goodbye and goes.
    let nowhere = [quick, &["agent.nodeSelector.no-such-label=here"]].concat();
    install::upgrade(values, &nowhere).await?;
    lasting(space, "AgentStopped").await?;
    install::upgrade(values, quick).await?;
    settled(space).await?;
    let found = signals::of(&space.client, INSTALLATION, RULE).await?;
    ensure!(found.is_empty(), "told although it was explained: {found:?}");
    with_outpost(space, |outpost| drained(space, outpost)).await
}

/// Stops the process of the agent for as long as `meanwhile` takes.
async fn while_the_agent_is_stopped<T>(
    space: &Space,
    meanwhile: impl Future<Output = Result<T>>,
) -> Result<T> {
    let agent = components::ready(&space.client, Component::Agent).await?;
    let id = workload::container_id(&agent)?;
    host::signal_container(&id, "-STOP").await?;
    let outcome = meanwhile.await;
    host::signal_container(&id, "-CONT").await?;
    outcome
}

/// While the API server is away nobody can say whether a silence is meant. It is told when the server is back.
async fn told_after_an_outage(space: &Space) -> Result<()> {
    let operator = components::ready(&space.client, Component::Operator).await?;
    let opened = async || {
        let scrape = metrics::scrape_from_node(&operator).await?;
        Ok::<_, anyhow::Error>(scrape.sum(OPENED, &[]))
    };
    api_server::stopped(async {
        let before = opened().await?;
        lasts("the API server is away", || async { Ok(()) }).await?;
        let more = opened().await? - before;
        ensure!(more < 1.0, "{more} signals were opened without an API server");
        Ok(())
    })
    .await?;
    signals::only_in(space, INSTALLATION, RULE).await.map(drop)
}

/// A node that is emptied is not told; one that takes pods again is.
async fn drained(space: &Space, outpost: Outpost) -> Result<()> {
    let client = &space.client;
    let _stream = outpost.served(&outpost.token().await?).await?;
    outpost.cordon(true).await?;
    // The operator ends the stream with the pod, and the pod that comes instead never starts.
    outpost.delete_pod().await?;
    let node = &outpost.node;
    lasts("Drained", || sensors::one_is_not_ready(client, node, "Drained")).await?;
    let told = async || signals::of_node(client, RULE, node).await;
    let found = told().await?;
    ensure!(found.is_empty(), "told although it is drained: {found:?}");
    outpost.cordon(false).await?;
    eventually("a signal about the node", || async {
        let found = told().await?;
        ensure!(found.len() == 1, "{found:?}");
        Ok(())
    })
    .await
}

/// Waits until both components run and the agents are connected.
async fn settled(space: &Space) -> Result<()> {
    components::ready(&space.client, Component::Operator).await?;
    components::ready(&space.client, Component::Agent).await?;
    sensors::settled(&space.client).await.map(drop)
}

/// Removes the signals of the rule, and waits until they are gone.
async fn forget(space: &Space) -> Result<()> {
    for signal in signals::of(&space.client, INSTALLATION, RULE).await? {
        objects::delete(&space.client, "SecuritySignal", Some(INSTALLATION), signal.name()).await?;
    }
    eventually("no signal of the rule is left", || async {
        let left: Vec<Signal> = signals::of(&space.client, INSTALLATION, RULE).await?;
        ensure!(left.is_empty(), "{left:?}");
        Ok(())
    })
    .await
}

/// Waits until the sensors are not ready for this reason, and that for longer than it takes to tell of silence.
async fn lasting(space: &Space, reason: &str) -> Result<()> {
    lasts(reason, || sensors::are_not_ready(&space.client, reason)).await
}

/// Waits until something is so for longer than it takes to tell of silence.
async fn lasts<F>(what: &str, is_so: impl Fn() -> F) -> Result<()>
where
    F: Future<Output = Result<()>>,
{
    eventually(what, &is_so).await?;
    let begun = Instant::now();
    let enough = Duration::from_secs(2 * (NOT_READY + SIGNAL));
    eventually(&format!("{what} lasts"), || async {
        is_so().await?;
        ensure!(begun.elapsed() > enough, "for {:?}", begun.elapsed());
        Ok(())
    })
    .await
}
