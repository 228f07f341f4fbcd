//! The rule language: text in, a typed program or diagnostics out.
