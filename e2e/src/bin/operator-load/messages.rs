//! What agents say, of the size that real ones say it.

use std::time::{SystemTime, UNIX_EPOCH};

use yagura_proto::v1::subscribe_request::Message as Request;
use yagura_proto::v1::value::Kind;
use yagura_proto::v1::{
    AgentStatus, FileFact, FileStat, Flag, Fold, GroupPart, Hello, HookStatus, Kubelet, NodeFacts, PolicyAck,
    Sample, SubscribeRequest, Value, ValueEntry, ValueMap,
};

/// The version that these agents show.
const VERSION: &str = "0.0.0-bench";
const KERNEL: &str = "6.12.0-bench";

/// Repeated matches of one rule in one group.
#[derive(Clone, Debug)]
pub(crate) struct Matches {
    /// Name of the rule.
    pub(crate) rule: String,
    /// What tells the group from others on the same node.
    pub(crate) group: String,
    /// How many.
    pub(crate) count: u64,
}

/// The first message of a Subscribe stream.
pub(crate) fn hello(node: &str, held: Vec<String>) -> SubscribeRequest {
    request(Request::Hello(Hello {
        protocol: 1,
        agent_version: VERSION.to_owned(),
        language_version: 1,
        node_name: node.to_owned(),
        boot_id: "00000000-0000-0000-0000-000000000000".to_owned(),
        kernel_release: KERNEL.to_owned(),
        held,
    }))
}

/// Every rule of the list runs.
pub(crate) fn ack(revision: &str) -> SubscribeRequest {
    request(Request::Ack(PolicyAck {
        revision: revision.to_owned(),
        failures: Vec::new(),
    }))
}

fn request(message: Request) -> SubscribeRequest {
    SubscribeRequest {
        message: Some(message),
    }
}

/// A status with counters that rise.
pub(crate) fn status(revision: &str, rules: usize, beat: u64) -> AgentStatus {
    let hook = |kind: &str| HookStatus {
        kind: kind.to_owned(),
        backend: "tracepoint".to_owned(),
        reason: String::new(),
    };
    let counters = [
        "sensor.seen",
        "sensor.filtered",
        "sensor.delivered",
        "sensor.dropped.missed",
        "sensor.dropped.throttled",
        "sensor.dropped.scratch_busy",
        "sensor.dropped.ring_full",
        "sensor.dropped.oversized",
        "sensor.dropped.undecodable",
        "events.matched",
        "events.unmatched",
        "matches.total",
        "matches.spooled",
        "matches.suppressed",
        "matches.dropped.evicted",
        "spool.failed",
        "agent.gap_seconds",
    ];
    let count = |name: &str| if is_loss(name) { 0 } else { beat * 1_000 };
    AgentStatus {
        agent_version: VERSION.to_owned(),
        kernel_release: KERNEL.to_owned(),
        revision: revision.to_owned(),
        rules_active: u32::try_from(rules).unwrap_or(u32::MAX),
        hooks: ["process.exec", "process.fork", "process.exit"].map(hook).into(),
        counters: counters.map(|name| (name.to_owned(), count(name))).into(),
        // One authority, by the fingerprint of its certificate.
        trusted: vec!["0".repeat(64)],
    }
}

/// A healthy agent loses nothing.
fn is_loss(name: &str) -> bool {
    name.contains("dropped") || name.contains("failed") || name.contains("gap")
}

/// The facts of a node as kubeadm sets one up.
pub(crate) fn facts(node: &str) -> NodeFacts {
    let flags = [
        "config",
        "kubeconfig",
        "bootstrap-kubeconfig",
        "node-labels",
        "pod-infra-container-image",
    ];
    let settings = (0..40).map(|n| (format!("setting{n:02}"), text(&format!("value-{n}"))));
    let anonymous = (
        "anonymous".to_owned(),
        map([("enabled".to_owned(), boolean(false))]),
    );
    let fixed = [
        ("authentication".to_owned(), map([anonymous])),
        ("readOnlyPort".to_owned(), int(0)),
        ("protectKernelDefaults".to_owned(), boolean(true)),
    ];
    let files = [
        "kubelet.conf",
        "config.yaml",
        "ca.crt",
        "10-kubeadm.conf",
        "proxy.conf",
        "containerd.toml",
    ];
    NodeFacts {
        version: 1,
        node: node.to_owned(),
        kubelet: Some(Kubelet {
            flags: flags
                .map(|name| Flag {
                    name: name.to_owned(),
                    value: format!("/etc/kubernetes/{name}").into_bytes(),
                })
                .into(),
            config_path: "/var/lib/kubelet/config.yaml".to_owned(),
            config: Some(map(fixed.into_iter().chain(settings))),
        }),
        kubelet_unknown: false,
        files: files
            .map(|name| FileFact {
                key: name.to_owned(),
                path: format!("/etc/kubernetes/{name}").into_bytes(),
                stat: Some(FileStat {
                    mode: 0o600,
                    uid: 0,
                    gid: 0,
                    owner: "root".to_owned(),
                    group: "root".to_owned(),
                }),
                unknown: false,
            })
            .into(),
    }
}

/// One fold, as the agent sends one a second for each group: the count, the times and three samples.
pub(crate) fn fold(matches: &Matches, uid: &str, hash: &str, pod: &str) -> Fold {
    let time = now();
    let sample = |n: i64| Sample {
        time: time - n,
        fields: Some(fields(pod, n)),
    };
    Fold {
        rule_uid: uid.to_owned(),
        rule_hash: hash.to_owned(),
        group: vec![GroupPart {
            field: "process.name".to_owned(),
            value: Some(text(&matches.group)),
        }],
        title: format!("Bench {}", matches.group),
        count: matches.count,
        first: time - 3,
        last: time,
        samples: (1..=3).map(sample).collect(),
        incomplete: false,
        pending: false,
        case_number: 0,
    }
}

/// What a sample of an execution in a container shows.
fn fields(pod: &str, n: i64) -> Value {
    let process = [
        ("name".to_owned(), text("curl")),
        ("executable".to_owned(), text("/usr/bin/curl")),
        (
            "command_line".to_owned(),
            text("curl -fsSL https://example.com/install.sh"),
        ),
        ("pid".to_owned(), int(4_000 + n)),
        ("working_directory".to_owned(), text("/srv/app")),
        ("parent".to_owned(), map([("name".to_owned(), text("sh"))])),
    ];
    let pod = map([("uid".to_owned(), text(pod))]);
    map([
        (
            "event".to_owned(),
            map([("kind".to_owned(), text("process.exec"))]),
        ),
        ("process".to_owned(), map(process)),
        ("user".to_owned(), map([("id".to_owned(), int(0))])),
        ("k8s".to_owned(), map([("pod".to_owned(), pod)])),
    ])
}

fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}

fn text(text: &str) -> Value {
    value(Kind::Text(text.as_bytes().to_vec()))
}

fn int(number: i64) -> Value {
    value(Kind::Int(number))
}

fn boolean(answer: bool) -> Value {
    value(Kind::Bool(answer))
}

fn map(entries: impl IntoIterator<Item = (String, Value)>) -> Value {
    let entries = entries
        .into_iter()
        .map(|(key, value)| ValueEntry {
            key: key.into_bytes(),
            value: Some(value),
        })
        .collect();
    value(Kind::Map(ValueMap { entries }))
}

fn value(kind: Kind) -> Value {
    Value { kind: Some(kind) }
}
