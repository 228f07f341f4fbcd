//! Metrics, logging and the administrative endpoints.
