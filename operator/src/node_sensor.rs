//! `NodeSensor`: one object per node with an agent, which shows what runs there.
//!
//! `excuse` says what explains that an agent has no stream, `silence` when that matters and who is told; `status` computes
//! the object from what is known of the agent, `pace` decides when it is worth a write, `queue` holds the
//! nodes to look at; `run` holds the client.

mod excuse;
mod pace;
mod queue;
mod run;
mod silence;
mod status;
mod tell;

pub use run::{SensorError, run};
