//! The operator's one watch of pods, and of namespaces' labels: it fills the index with compact
//! records, and shows each pod once, whole, to whoever judges its configuration.

mod record;
mod watch;

pub(crate) use record::{owner, record};
pub use watch::{PodEvent, run};
