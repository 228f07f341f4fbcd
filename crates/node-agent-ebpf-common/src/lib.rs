//! What kernel programs and the agent agree on, byte for byte.
#![no_std]
