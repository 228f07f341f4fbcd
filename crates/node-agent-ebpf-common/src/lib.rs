//! What kernel programs and the agent agree on, byte for byte.
//!
//! Records are `repr(C)`, made of integers and byte arrays only, without implicit padding: the
//! [`record!`](macro@record) macro asserts size and density at compile time and derives a decoder
//! that copies field by field, so that no byte from the kernel is ever reinterpreted as a Rust
//! type with invalid values. There is no `bool`, `enum` or `String` in here.
#![no_std]
#![forbid(unsafe_code)]

#[macro_use]
mod layout;

mod cgroup;
mod counters;
mod exec;
mod header;
mod lifecycle;
mod offsets;
mod settings;

pub use cgroup::{CGROUP_PATH_MAX, CgroupRecord, CgroupState};
pub use counters::{COUNTER_NAMES, Counters};
pub use exec::{
    ARGS_MAX, EXEC_TAIL_MAX, ExecLineageRecord, ExecRecord, NAME_MAX, PATH_DEPTH_MAX, PATH_MAX, payload_loss,
};
pub use header::{Header, flags, kind};
pub use layout::Scalar;
pub use lifecycle::{ExitRecord, ForkRecord};
pub use offsets::{MANIFEST, MISSING, Need, Offsets, Source};
pub use settings::{SLOTS_PER_CPU, Settings};
