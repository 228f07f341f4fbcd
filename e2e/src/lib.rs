//! Black-box tests against a real Kubernetes, and the harness that they share.
//!
//! The tests know what a user knows: YAML, names from the documentation, `kubectl`'s verbs, Helm, and the wire
//! protocol where a peer misbehaves. They do not link the operator, the agent or the types of the custom resources,
//! so that a renamed field fails here. Copy `tests/skeleton.rs` to start a new one.
//!
//! `cargo xtask test` runs them against the one-node cluster. To run them by hand, set `KUBECONFIG`, load the images,
//! and set `YAGURA_HELM` and `YAGURA_CTL` when Helm and `yagura` are not on the path; the first test installs the chart when it is not installed yet.

#![forbid(unsafe_code)]

pub mod admission;
pub mod api_server;
pub mod cluster;
pub mod components;
pub mod ctl;
mod dump;
pub mod eventually;
pub mod host;
pub mod install;
pub mod lies;
pub mod metrics;
pub mod mint;
pub mod objects;
pub mod outpost;
pub mod peer;
pub mod posture;
pub mod receiver;
pub mod rules;
pub mod sensors;
pub mod signals;
pub mod space;
mod tool;
pub mod workload;

pub use eventually::eventually;
pub use space::{Space, with_namespace};
