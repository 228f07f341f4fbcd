//! The domain: events, facts and signals, and the registry of fields that rules may name.
