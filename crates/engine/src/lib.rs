//! Evaluation of compiled rules and posture checks: synchronous, bounded, time injected.
//!
//! - [`RuleSet`] joins rules and gives the [`Match`]es of an event. Keep one [`Scratch`] per thread and hand it
//!   in again and again.
//! - [`strata::Strata`] does the same for rules that tell each other something by [`marks`], in an order in which each knows
//!   what it asks for.
//! - [`Detector`] turns matches into detections, by the thresholds of their rules.
//! - [`fold::Folder`] turns detections into what is sent: the first of a group at once, then counts.
//! - [`signals::Signals`] says which detections are one signal.
//! - [`explain::explain`] says which parts of a condition hold on an event.
//! - [`posture::Judge`] gives a check's verdict on a resource, [`posture::roll_up`] a framework's score.
//! - [`testing`] runs the tests that rules and checks carry.
//!
//! Rules compile to linear code over one graph of expressions, in which a test that many rules share stands once
//! and is evaluated at most once per event. An event meets only the rules that its kind can satisfy and whose necessary
//! literals it has.

#![forbid(unsafe_code)]

mod apart;
mod detector;
mod eval;
pub mod explain;
pub mod fold;
mod literal;
pub mod marks;
pub mod method;
pub mod posture;
mod ruleset;
mod selector;
#[cfg(test)]
mod semantics;
mod show;
pub mod signals;
pub mod strata;
mod subject;
pub mod testing;
mod unit;
pub mod window;

pub use apart::{MAX_COMBINATIONS, compared, tell_apart};
pub use detector::{Changed, Detection, Detector, Place, Tally};
pub use ruleset::{Excepted, Match, RuleSet};
pub use show::group_title;
pub use strata::{Memory, Strata};
pub use unit::Scratch;
