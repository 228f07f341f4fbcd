//! What only a real API server can prove. Needs a cluster: `KUBECONFIG` names it, and nothing of
//! it is changed outside of a namespace made for each test and objects named after it.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failed unwrap is a failed test with a line number"
)]

#[path = "apiserver/certificates.rs"]
mod certificates;
#[path = "apiserver/content.rs"]
mod content;
#[path = "apiserver/identity.rs"]
mod identity;
#[path = "apiserver/leader.rs"]
mod leader;
#[path = "apiserver/namespace.rs"]
mod namespace;
#[path = "apiserver/outage.rs"]
mod outage;
#[path = "apiserver/schemas.rs"]
mod schemas;
#[path = "apiserver/written.rs"]
mod written;
