//! Evaluation of compiled rules and posture checks: synchronous, bounded, time injected.
