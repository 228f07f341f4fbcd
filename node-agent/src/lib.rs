//! The node agent: sees what happens on a node, judges it by rules, and reports what matches.
//!
//! The path of an event: `bpf` reads it from the kernel, `decode` and `enrich` make it a domain
//! event, `judge` meets it with the rules, `recorder` folds matches and writes them to the spool
//! (`journal`), and `uplink` hands them to the operator. Where there is no operator, `output`
//! prints them. Rules come down the `uplink` as a `policy`, or from files.

#![deny(unsafe_code)]

pub mod agent;
pub mod args;
pub mod bpf;
pub mod check;
pub mod decode;
pub mod enrich;
pub mod facts;
pub mod heartbeat;
pub mod host;
pub mod journal;
pub mod judge;
pub mod metrics;
pub mod output;
pub mod pods;
pub mod policy;
pub mod preflight;
pub mod recorder;
pub mod redact;
pub mod rules;
pub mod run;
pub mod sight;
pub mod status;
pub mod uplink;
