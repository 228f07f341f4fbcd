//! The protocol between agent and operator, and its conversions to the domain.
