//! `NodeSensor`: one object per node with an agent, which shows what runs there.
//!
//! `status` computes it from what is known of the agent; `pace` decides when it is worth a write; `queue` holds
//! the nodes to look at;
//! `run` holds the client.

mod pace;
mod queue;
mod run;
mod status;

pub use run::{SensorError, run};
