//! All simulated agents, and what is known of them together.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tonic::transport::{Certificate, ClientTlsConfig, Endpoint, Uri};
use yagura_e2e::cluster::INSTALLATION;
use yagura_proto::v1::RuleBody;

use crate::agent::Agent;
use crate::messages::Matches;
use crate::objects::Identity;

/// Matches that wait in an agent until it has sent earlier ones.
const WAITING: usize = 1_024;

/// What agents share.
pub(crate) struct Shared {
    /// How to connect.
    pub(crate) endpoint: Endpoint,
    /// The list that each agent runs while it is connected.
    active: Mutex<Vec<Option<String>>>,
    /// Uid and hash of each rule by name.
    rules: Mutex<HashMap<String, (String, String)>>,
    /// Why connections ended.
    ends: Mutex<BTreeMap<String, u64>>,
}

impl Shared {
    /// An agent runs a list.
    pub(crate) fn activated(&self, place: usize, revision: &str) {
        lock(&self.active)[place] = Some(revision.to_owned());
    }

    /// An agent lost its connection.
    pub(crate) fn ended(&self, place: usize, error: &anyhow::Error) {
        lock(&self.active)[place] = None;
        *lock(&self.ends).entry(format!("{error:#}")).or_default() += 1;
    }

    /// Rules arrived at an agent.
    pub(crate) fn learn(&self, rules: &[RuleBody]) {
        let mut known = lock(&self.rules);
        for rule in rules {
            known.insert(rule.name.clone(), (rule.uid.clone(), rule.hash.clone()));
        }
    }

    /// Uid and hash of a rule.
    pub(crate) fn rule(&self, name: &str) -> Option<(String, String)> {
        lock(&self.rules).get(name).cloned()
    }
}

/// Running agents.
pub(crate) struct Fleet {
    shared: Arc<Shared>,
    senders: Vec<mpsc::Sender<Matches>>,
    // Ends the agents when it is dropped.
    _agents: JoinSet<()>,
}

impl Fleet {
    /// Starts every agent; the port is the operator's. All of them connect at once.
    pub(crate) fn start(identities: Vec<Identity>, bundle: &str, port: u16) -> Result<Self> {
        let shared = Arc::new(Shared {
            endpoint: endpoint(bundle, port)?,
            active: Mutex::new(vec![None; identities.len()]),
            rules: Mutex::default(),
            ends: Mutex::default(),
        });
        let mut agents = JoinSet::new();
        let mut senders = Vec::new();
        for (place, identity) in identities.into_iter().enumerate() {
            let (sender, matches) = mpsc::channel(WAITING);
            senders.push(sender);
            agents.spawn(Agent::new(place, identity, Arc::clone(&shared), matches).run());
        }
        Ok(Self {
            shared,
            senders,
            _agents: agents,
        })
    }

    /// How many agents are connected and run a list.
    pub(crate) fn running(&self) -> usize {
        lock(&self.shared.active).iter().flatten().count()
    }

    /// Waits until every agent is connected and all run the same list, another one than `not`. Returns that list's
    /// revision and how long it took.
    pub(crate) async fn agree(&self, not: Option<&str>, patience: Duration) -> Result<(String, Duration)> {
        let from = Instant::now();
        loop {
            if let Some(revision) = self.agreed().filter(|revision| Some(revision.as_str()) != not) {
                return Ok((revision, from.elapsed()));
            }
            ensure!(
                from.elapsed() < patience,
                "{} of {} agents run a list after {patience:?}; connections ended: {:?}",
                self.running(),
                self.senders.len(),
                lock(&self.shared.ends)
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Why connections ended since the last call, for a person.
    pub(crate) fn ends(&self) -> BTreeMap<String, u64> {
        std::mem::take(&mut *lock(&self.shared.ends))
    }

    /// An agent sees matches.
    pub(crate) fn matches(&self, place: usize, matches: Matches) -> Result<()> {
        let sender = self.senders.get(place).context("there is no such agent")?;
        sender
            .try_send(matches)
            .map_err(|_full| anyhow::anyhow!("agent {place} does not get rid of its matches"))
    }

    fn agreed(&self) -> Option<String> {
        let active = lock(&self.shared.active);
        let lists: HashSet<&Option<String>> = active.iter().collect();
        match (lists.len(), lists.into_iter().next()) {
            (1, Some(Some(revision))) => Some(revision.clone()),
            _ => None,
        }
    }
}

fn endpoint(bundle: &str, port: u16) -> Result<Endpoint> {
    let uri: Uri = format!("https://127.0.0.1:{port}").parse()?;
    let tls = ClientTlsConfig::new()
        .ca_certificate(Certificate::from_pem(bundle))
        .domain_name(format!("yagura-operator.{INSTALLATION}.svc"));
    Ok(Endpoint::from(uri)
        .tls_config(tls)?
        .connect_timeout(Duration::from_secs(5))
        .http2_keep_alive_interval(Duration::from_secs(10))
        .keep_alive_timeout(Duration::from_secs(10))
        .keep_alive_while_idle(true)
        .tcp_nodelay(true))
}

fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}
