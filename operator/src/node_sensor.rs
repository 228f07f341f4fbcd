//! `NodeSensor`: one object per node with an agent, which shows what runs there.
//!
//! `status` computes it from what is known of the agent; `pace` decides when it is worth a write;
//! `run` holds the client.

mod pace;
mod run;
mod status;

pub use run::{SensorError, run};
