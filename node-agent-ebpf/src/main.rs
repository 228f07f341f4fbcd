//! Kernel programs: exec, fork and exit as BTF tracepoints. On every other target than the
//! kernel's virtual machine this is an empty program, so that a build of the workspace passes.
#![cfg_attr(target_arch = "bpf", no_std, no_main, feature(asm_experimental_arch))]
#![cfg_attr(
    target_arch = "bpf",
    expect(
        unsafe_code,
        reason = "kernel memory is read by address; the verifier checks every access"
    )
)]

// Modules that define macros come first.
#[cfg(target_arch = "bpf")]
mod atomic;
#[cfg(target_arch = "bpf")]
#[macro_use]
mod read;
#[cfg(target_arch = "bpf")]
#[macro_use]
mod scratch;
#[cfg(target_arch = "bpf")]
#[macro_use]
mod emit;
#[cfg(target_arch = "bpf")]
mod cgroup;
#[cfg(target_arch = "bpf")]
mod exec;
#[cfg(target_arch = "bpf")]
mod lifecycle;
#[cfg(target_arch = "bpf")]
mod maps;
#[cfg(target_arch = "bpf")]
mod path;
#[cfg(target_arch = "bpf")]
mod task;

/// The helpers that read memory are for programs under a licence that the kernel knows.
#[cfg(target_arch = "bpf")]
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";

#[cfg(target_arch = "bpf")]
#[panic_handler]
fn panic(_info: &core::panic::PanicInfo<'_>) -> ! {
    // No code path panics: there is no indexing, slicing or arithmetic that could. The verifier
    // would refuse the program if this loop were reachable.
    loop {}
}

#[cfg(not(target_arch = "bpf"))]
fn main() {}
