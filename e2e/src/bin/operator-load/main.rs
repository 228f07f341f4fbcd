//! Load for `cargo xtask bench operator`: thousands of agents in one process, over real gRPC and TLS, against a real
//! operator with a real API server. It makes the nodes and pods, runs the operator as its child, plays what agents do,
//! and prints one JSON line a figure.
//!
//! The API server that `KUBECONFIG` names is full of made-up nodes afterwards: give it one that is thrown away.

#![forbid(unsafe_code)]

mod agent;
mod calls;
mod figures;
mod fleet;
mod messages;
mod objects;
mod operator;
mod scenes;
mod signals;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;
use clap::Parser;
use yagura_e2e::cluster;

use calls::Calls;
use fleet::Fleet;
use operator::Operator;
use scenes::Stage;

/// Plays the agents of a cluster to an operator.
#[derive(Debug, Parser)]
struct Arguments {
    /// How many agents there are, each on a node of its own.
    #[arg(long)]
    agents: usize,
    /// Pods of each node beside the agent's.
    #[arg(long, default_value_t = 2)]
    workloads: usize,
    /// The operator's program.
    #[arg(long)]
    operator: PathBuf,
    /// A folder for the operator's store, log and kubeconfig.
    #[arg(long)]
    folder: PathBuf,
    /// The API server's audit log of what the operator does.
    #[arg(long)]
    calls: PathBuf,
    /// How long nothing happens while it is looked what that costs, in seconds.
    #[arg(long, default_value_t = 120)]
    quiet: u64,
}

/// Objects of the nodes are made at this rate of writes, which saves minutes; everything that is measured has the default.
const FILLING: u32 = 400;

#[tokio::main]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let client = cluster::client().await?;
    let identities = objects::make(&client, arguments.agents, arguments.workloads).await?;
    let kubeconfig = objects::kubeconfig(&client, &arguments.folder).await?;
    let calls = Calls::new(arguments.calls);

    let operator =
        Operator::start(&arguments.operator, &arguments.folder, &kubeconfig, Some(FILLING)).await?;
    let bundle = yagura_e2e::eventually("the trust bundle is published", || {
        yagura_e2e::peer::bundle(&client)
    })
    .await?;
    let fleet = Fleet::start(identities, &bundle, operator.agents_address())?;
    let mut stage = Stage {
        client,
        calls,
        operator,
        fleet,
        agents: arguments.agents,
        quiet: Duration::from_secs(arguments.quiet),
    };
    let played = scenes::play(&mut stage).await;
    let stopped = stage.operator.stop().await;
    played.and(stopped)
}
