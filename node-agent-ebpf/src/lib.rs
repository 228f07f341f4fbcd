//! The library target is empty on purpose: it lets other crates name this one as a dependency.
//! The kernel programs are the binary target, built for the kernel's own virtual machine only.
#![no_std]
