//! The sensor on the running kernel: act, then wait for the event.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking, also in what its tests share"
)]

#[path = "sensor/container.rs"]
mod container;
#[path = "sensor/exec.rs"]
mod exec;
#[path = "sensor/lineage.rs"]
mod lineage;
#[path = "sensor/loss.rs"]
mod loss;
#[path = "sensor/watch.rs"]
mod watch;
