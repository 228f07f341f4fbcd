//! The protocol between agent and operator, and its conversions to the domain.
//!
//! `v1` is generated from `agent/v1/agent.proto` and committed. Conversions into the domain are
//! fallible: the peer is never trusted to send what the domain can hold.

#![forbid(unsafe_code)]

pub mod content;
pub mod convert;

/// Messages and services of protocol version 1.
#[expect(
    missing_docs,
    unused_qualifications,
    clippy::pedantic,
    clippy::allow_attributes,
    clippy::allow_attributes_without_reason,
    clippy::clone_on_ref_ptr,
    reason = "generated; the definition carries the documentation"
)]
pub mod v1 {
    include!("generated/yagura.agent.v1.rs");
}

/// The version that both sides of this build speak.
pub const PROTOCOL_VERSION: u32 = 1;
