//! Kernel programs; empty on every target but the kernel own virtual machine.
#![no_std]
