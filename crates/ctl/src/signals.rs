//! `yagura signals`: look at signals and say what becomes of them, from the terminal.
//!
//! It talks to the API server as `kubectl` does, with the same kubeconfig and the rights of whoever runs it. What left
//! the cluster is in the operator's store, which only the operator's own pod shows: the history is read through the API
//! server's port forwarding.

mod cluster;
mod history;
mod row;
mod show;

use std::io::{self, Write};
use std::pin::pin;

use futures::TryStreamExt as _;
use kube::api::DynamicObject;
use kube::runtime::WatchStreamExt as _;
use kube::runtime::watcher::{self, watcher};
use serde_json::{Value, json};

use crate::args::{Filter, ListOutput, SignalsCommand, Target, TriageTarget};
use crate::terminal::Terminal;
use cluster::{Cluster, Name};
use row::Row;

/// A command about signals could not be carried out.
#[derive(Debug, thiserror::Error)]
pub enum SignalsError {
    /// What waits for the API server cannot be set up.
    #[error("cannot start")]
    Runtime(#[source] io::Error),
    /// There is no cluster to talk to.
    #[error("cannot find a cluster; give --kubeconfig and --context, or set KUBECONFIG")]
    Config(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// A name is none.
    #[error("{0:?} names no signal; write NAME with --namespace, or NAMESPACE/NAME")]
    Name(String),
    /// The API server refused or did not answer.
    #[error("cannot {what}{}", advice(.source))]
    Api {
        /// What was to be done.
        what: String,
        /// What the API server says.
        #[source]
        source: Box<kube::Error>,
    },
    /// A watch ended.
    #[error("cannot watch signals")]
    Watch(#[source] Box<watcher::Error>),
    /// The history cannot be read.
    #[error(
        "cannot read the history; it needs to list pods and to get and create pods/portforward in {namespace}"
    )]
    History {
        /// The operator's namespace.
        namespace: String,
        /// Why.
        #[source]
        source: history::HistoryError,
    },
    /// Neither the cluster nor the history has it.
    #[error("no signal {0} in the cluster or in the history")]
    Nowhere(Name),
    /// The result cannot be written.
    #[error("cannot write the result")]
    Write(#[source] io::Error),
}

/// What to do about an answer of the API server.
fn advice(error: &kube::Error) -> &'static str {
    match error {
        kube::Error::Api(status) if status.code == 403 => {
            "; ClusterRole yagura-viewer allows reading, yagura-triager also triage"
        }
        kube::Error::Api(status) if status.code == 404 => {
            "; it may have left the cluster (--history has those), or Yagura is not installed here"
        }
        _ => "",
    }
}

/// Carries out a command. False when something of what was asked could not be done.
pub fn run(command: &SignalsCommand, terminal: Terminal, out: &mut impl Write) -> Result<bool, SignalsError> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(SignalsError::Runtime)?
        .block_on(carry_out(command, terminal, out))
}

async fn carry_out(
    command: &SignalsCommand,
    terminal: Terminal,
    out: &mut impl Write,
) -> Result<bool, SignalsError> {
    match command {
        SignalsCommand::List(args) => {
            let cluster = Cluster::connect(&args.target).await?;
            list(&cluster, &args.filter, args.history, args.output, terminal, out).await?;
        }
        SignalsCommand::Watch(args) => {
            let cluster = Cluster::connect(&args.target).await?;
            watch(&cluster, &args.filter, args.output, terminal, out).await?;
        }
        SignalsCommand::Get(args) => {
            let cluster = Cluster::connect(&args.target).await?;
            let name = cluster.name(&args.name)?;
            let signal = find(&cluster, &name, args.history).await?;
            let shown = match args.output {
                ListOutput::Json => writeln!(out, "{signal}"),
                ListOutput::Table => show::write(&signal, terminal, out),
            };
            shown.map_err(SignalsError::Write)?;
        }
        SignalsCommand::Archive(args) => {
            let mut triage = json!({"state": "archived", "reason": args.reason.as_str()});
            if let Some(comment) = &args.comment {
                triage["comment"] = json!(comment);
            }
            return triage_all(&args.of, &triage, "archived", out).await;
        }
        SignalsCommand::Reopen(args) => {
            let triage = json!({"state": "open", "reason": null});
            return triage_all(&args.of, &triage, "open", out).await;
        }
        SignalsCommand::Assign(args) => {
            let mut triage = json!({"assignee": args.to});
            if args.under_review {
                triage["state"] = json!("underReview");
            }
            let done = match &args.to {
                Some(person) => format!("assigned to {}", row::plain(person)),
                None => "assigned to nobody".to_owned(),
            };
            return triage_all(&args.of, &triage, &done, out).await;
        }
    }
    Ok(true)
}

/// Signals, the most urgent first, or the history, the newest first.
async fn list(
    cluster: &Cluster,
    filter: &Filter,
    history: bool,
    output: ListOutput,
    terminal: Terminal,
    out: &mut impl Write,
) -> Result<(), SignalsError> {
    let shown = if history {
        let everywhere = filter.all_namespaces;
        let namespace = (!everywhere).then_some(cluster.namespace.as_str());
        let mut past = history::list(cluster, filter, namespace).await?;
        past.retain(|signal| row::fits_past(signal, filter));
        past
    } else {
        let mut found = cluster.list(filter).await?;
        found.retain(|signal| row::fits(signal, filter));
        found.sort_by_cached_key(row::urgency);
        found
    };
    let written = match output {
        ListOutput::Json => shown.iter().try_for_each(|signal| writeln!(out, "{signal}")),
        ListOutput::Table => write_table(&shown, terminal, out),
    };
    written.map_err(SignalsError::Write)?;
    if shown.is_empty() && output == ListOutput::Table {
        let place = if filter.all_namespaces {
            "in any namespace".to_owned()
        } else {
            format!("in namespace {}; -A looks in all", cluster.namespace)
        };
        writeln!(out, "No signals {place}.").map_err(SignalsError::Write)?;
    }
    Ok(())
}

fn write_table(signals: &[Value], terminal: Terminal, out: &mut impl Write) -> io::Result<()> {
    if !signals.is_empty() {
        writeln!(out, "{}", row::HEADER)?;
    }
    let now = jiff::Timestamp::now();
    for signal in signals {
        Row::of(signal).write(now, terminal, out)?;
    }
    Ok(())
}

/// What is there, and then every change.
async fn watch(
    cluster: &Cluster,
    filter: &Filter,
    output: ListOutput,
    terminal: Terminal,
    out: &mut impl Write,
) -> Result<(), SignalsError> {
    let api = cluster.signals(filter);
    let config = watcher::Config::default().labels(&cluster::labels(filter));
    let mut events = pin!(watcher(api, config).default_backoff().applied_objects());
    if output == ListOutput::Table {
        writeln!(out, "{}", row::HEADER).map_err(SignalsError::Write)?;
    }
    while let Some(object) = events
        .try_next()
        .await
        .map_err(|error| SignalsError::Watch(Box::new(error)))?
    {
        let signal = value(object);
        if !row::fits(&signal, filter) {
            continue;
        }
        let written = match output {
            ListOutput::Json => writeln!(out, "{signal}"),
            ListOutput::Table => Row::of(&signal).write(jiff::Timestamp::now(), terminal, out),
        };
        written.and_then(|()| out.flush()).map_err(SignalsError::Write)?;
    }
    Ok(())
}

/// A signal in the cluster, or else in the history if that is asked for.
async fn find(cluster: &Cluster, name: &Name, in_history: bool) -> Result<Value, SignalsError> {
    match cluster.get(name).await {
        Ok(signal) => return Ok(signal),
        Err(SignalsError::Api { source, .. })
            if in_history && matches!(&*source, kube::Error::Api(status) if status.code == 404) => {}
        Err(error) => return Err(error),
    }
    history::get(cluster, name)
        .await?
        .ok_or_else(|| SignalsError::Nowhere(name.clone()))
}

/// Writes `spec.triage` of each signal. One that cannot be written does not keep the others from it.
async fn triage_all(
    of: &TriageTarget,
    triage: &Value,
    done: &str,
    out: &mut impl Write,
) -> Result<bool, SignalsError> {
    let cluster = Cluster::connect(&of.target).await?;
    let names = of.names.iter().map(|name| cluster.name(name));
    let names: Vec<Name> = names.collect::<Result<_, _>>()?;
    let mut failed = None;
    let many = names.len() > 1;
    for name in &names {
        match cluster.triage(name, triage).await {
            Ok(()) => writeln!(out, "{name}: {done}").map_err(SignalsError::Write)?,
            Err(error) if many => {
                writeln!(out, "{name}: {error}").map_err(SignalsError::Write)?;
                failed = Some(error);
            }
            Err(error) => return Err(error),
        }
    }
    Ok(failed.is_none())
}

/// The object as JSON, without what only the API server needs.
fn value(mut object: DynamicObject) -> Value {
    object.metadata.managed_fields = None;
    serde_json::to_value(object).expect("an object that was read from JSON is JSON")
}

/// The options that say which cluster and namespace are meant.
fn namespace_of(target: &Target, default: &str) -> String {
    target.namespace.clone().unwrap_or_else(|| default.to_owned())
}
