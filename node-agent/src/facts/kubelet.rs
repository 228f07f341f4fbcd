//! The kubelet: its flags, and the members of its configuration that checks read.

use std::collections::BTreeMap;

use serde_json::Value;
use yagura_event::facts::Kubelet;
use yagura_event::{Known, Text, Tree};

use super::HostRoot;
use super::process::Component;

/// A kubelet's configuration is a few KiB.
const MAX_CONFIG_BYTES: u64 = 1 << 20;

/// Longer values (of `--node-labels`, say) are no setting that a check reads.
const MAX_VALUE_BYTES: usize = 4_096;

/// A `KubeletConfiguration` is nested four deep.
const MAX_DEPTH: usize = 32;

/// Members that checks read. Everything else stays on the node.
const MEMBERS: [&str; 37] = [
    "address",
    "allowedUnsafeSysctls",
    "apiVersion",
    "authentication",
    "authorization",
    "cgroupDriver",
    "containerLogMaxFiles",
    "containerLogMaxSize",
    "containerRuntimeEndpoint",
    "enableDebugFlagsHandler",
    "enableDebuggingHandlers",
    "enableProfilingHandler",
    "enableServer",
    "enableSystemLogHandler",
    "enforceNodeAllocatable",
    "eventBurst",
    "eventRecordQPS",
    "failSwapOn",
    "featureGates",
    "healthzBindAddress",
    "healthzPort",
    "kind",
    "makeIPTablesUtilChains",
    "maxPods",
    "podPidsLimit",
    "port",
    "protectKernelDefaults",
    "readOnlyPort",
    "registerNode",
    "rotateCertificates",
    "seccompDefault",
    "serverTLSBootstrap",
    "staticPodPath",
    "streamingConnectionIdleTimeout",
    "tlsCertFile",
    "tlsCipherSuites",
    "tlsMinVersion",
];

/// A member whose path matters although it names a key: the file, not the key, is meant.
const PRIVATE_KEY_MEMBER: &str = "tlsPrivateKeyFile";

/// `root` is the file system that the kubelet sees.
pub(super) fn describe(root: Known<&HostRoot>, component: &Component) -> Kubelet {
    let flags = flags(&component.args);
    let config_path = Known::from(flag(&flags, "config").cloned());
    let config = config_path
        .as_ref()
        .and_then(|path| root.and_then(|root| effective(root, path, flag(&flags, "config-dir"))))
        .map(|config| tree(limit_members(config), 0));
    Kubelet {
        flags,
        config_path,
        config,
    }
}

/// The value of a flag.
pub(super) fn flag<'a>(flags: &'a [(Text, Text)], name: &str) -> Option<&'a Text> {
    flags
        .iter()
        .find(|(flag, _)| flag.as_bytes() == name.as_bytes())
        .map(|(_, value)| value)
}

/// Flags by name, as the kubelet reads them: `_` is `-`, the last of several counts, and
/// feature gates add up.
pub(super) fn flags(args: &[Vec<u8>]) -> Vec<(Text, Text)> {
    let mut found: BTreeMap<Vec<u8>, Vec<u8>> = BTreeMap::new();
    let mut args = args.iter().peekable();
    while let Some(arg) = args.next() {
        if arg == b"--" {
            break;
        }
        let Some(flag) = arg.strip_prefix(b"--").or_else(|| arg.strip_prefix(b"-")) else {
            continue;
        };
        let (name, value) = match flag.iter().position(|byte| *byte == b'=') {
            Some(at) => (&flag[..at], flag[at + 1..].to_vec()),
            None => match args.next_if(|next| is_value(next)) {
                Some(next) => (flag, next.clone()),
                None => (flag, b"true".to_vec()),
            },
        };
        let name: Vec<u8> = name
            .iter()
            .map(|byte| if *byte == b'_' { b'-' } else { *byte })
            .collect();
        if names_a_secret(&name) || value.len() > MAX_VALUE_BYTES {
            continue;
        }
        match found.get_mut(&name) {
            Some(earlier) if name == b"feature-gates" => {
                earlier.push(b',');
                earlier.extend(value);
            }
            _ => {
                found.insert(name, value);
            }
        }
    }
    found
        .into_iter()
        .map(|(name, value)| (Text::from(name), Text::from(value)))
        .collect()
}

/// Whether an argument is the value of the flag before it: not a flag itself, but a negative
/// number is a value.
fn is_value(arg: &[u8]) -> bool {
    match arg {
        [b'-', second, ..] => second.is_ascii_digit(),
        _ => true,
    }
}

fn names_a_secret(name: &[u8]) -> bool {
    let name = String::from_utf8_lossy(name);
    let secret = ["password", "secret", "token"]
        .iter()
        .any(|word| name.contains(word));
    // These switch token review on and say how long an answer is kept.
    secret && !name.starts_with("authentication-token-webhook")
}

/// The file, and what a folder of drop-ins changes of it.
fn effective(root: &HostRoot, path: &Text, drop_ins: Option<&Text>) -> Known<Value> {
    config(root, path).and_then(|base| match drop_ins {
        Some(folder) => with_drop_ins(root, base, folder),
        None => Known::Present(base),
    })
}

fn config(root: &HostRoot, path: &Text) -> Known<Value> {
    root.read(path.as_bytes(), MAX_CONFIG_BYTES).and_then(|content| {
        match serde_saphyr::from_slice::<Value>(&content) {
            Ok(value @ Value::Object(_)) => Known::Present(value),
            _ => Known::Unknown,
        }
    })
}

/// Files ending in `.conf` of the drop-in folder, merged over the configuration in the order of
/// their names, as the kubelet does.
fn with_drop_ins(root: &HostRoot, mut base: Value, folder: &Text) -> Known<Value> {
    let names = match root.list(folder.as_bytes()) {
        Known::Present(names) => names,
        Known::Absent => Vec::new(),
        Known::Unknown => return Known::Unknown,
    };
    for name in names.iter().filter(|name| name.ends_with(b".conf")) {
        let mut path = folder.as_bytes().to_vec();
        path.push(b'/');
        path.extend(name);
        match config(root, &Text::from(path)) {
            Known::Present(over) => merge(&mut base, over, 0),
            Known::Absent | Known::Unknown => return Known::Unknown,
        }
    }
    Known::Present(base)
}

fn merge(base: &mut Value, over: Value, depth: usize) {
    match (base, over) {
        (Value::Object(base), Value::Object(over)) if depth < MAX_DEPTH => {
            for (name, value) in over {
                merge(base.entry(name).or_insert(Value::Null), value, depth + 1);
            }
        }
        (base, over) => *base = over,
    }
}

fn limit_members(config: Value) -> Value {
    let Value::Object(mut members) = config else {
        return config;
    };
    members.retain(|name, _| name == PRIVATE_KEY_MEMBER || MEMBERS.contains(&name.as_str()));
    Value::Object(members)
}

fn tree(value: Value, depth: usize) -> Tree {
    if depth > MAX_DEPTH {
        return Tree::Unknown;
    }
    match value {
        Value::Null => Tree::Null,
        Value::Bool(value) => Tree::Bool(value),
        Value::Number(number) => number
            .as_i64()
            .map(Tree::Int)
            .or_else(|| number.as_u64().map(Tree::Uint))
            .or_else(|| number.as_f64().map(Tree::Double))
            .unwrap_or(Tree::Unknown),
        Value::String(text) => Tree::Text(Text::from(text)),
        Value::Array(items) => Tree::List(items.into_iter().map(|item| tree(item, depth + 1)).collect()),
        Value::Object(members) => Tree::map(
            members
                .into_iter()
                .map(|(name, value)| (Text::from(name), tree(value, depth + 1))),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::{flag, flags};

    fn parse(args: &[&str]) -> Vec<(String, String)> {
        let args: Vec<Vec<u8>> = args.iter().map(|arg| arg.as_bytes().to_vec()).collect();
        flags(&args)
            .iter()
            .map(|(name, value)| (name.to_string(), value.to_string()))
            .collect()
    }

    fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
        expected
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect()
    }

    #[test]
    fn flags_are_read_as_the_kubelet_reads_them() {
        assert_eq!(
            parse(&[
                "--config=/etc/a=b.yaml",
                "--anonymous-auth",
                "--event-qps",
                "-1",
                "--read_only_port=10255",
                "--read-only-port=0",
                "--feature-gates=A=true",
                "--feature-gates=B=false",
                "-v=2",
                "--",
                "--ignored=1",
            ]),
            pairs(&[
                ("anonymous-auth", "true"),
                ("config", "/etc/a=b.yaml"),
                ("event-qps", "-1"),
                ("feature-gates", "A=true,B=false"),
                ("read-only-port", "0"),
                ("v", "2"),
            ])
        );
    }

    #[test]
    fn values_that_are_secrets_are_not_collected() {
        assert_eq!(
            parse(&[
                "--token=abc",
                "--registry-password",
                "hunter2",
                "--authentication-token-webhook=true",
            ]),
            pairs(&[("authentication-token-webhook", "true")])
        );
    }

    #[test]
    fn a_flag_is_found_by_name() {
        let found = flags(&[b"--kubeconfig".to_vec(), b"/k.conf".to_vec()]);
        assert_eq!(flag(&found, "kubeconfig").unwrap().as_bytes(), b"/k.conf");
        assert!(flag(&found, "config").is_none());
    }
}
