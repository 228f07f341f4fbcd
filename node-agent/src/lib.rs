//! The node agent.

pub mod bpf;
pub mod decode;
pub mod enrich;
