//! Reading kernel memory by address. A read that fails yields zeros: every caller treats zero as
//! "not there", and a null base address fails in the same way.

use aya_ebpf::helpers::bpf_probe_read_kernel;

/// The value of a read-only global. Volatile, because the loader replaces what the compiler saw.
macro_rules! offset {
    ($field:ident) => {
        // SAFETY: the global is initialised for the life of the program.
        unsafe { core::ptr::read_volatile(&raw const $crate::maps::OFFSETS.$field) }
    };
}

/// A field of the settings, see [`offset!`].
macro_rules! setting {
    ($field:ident) => {
        // SAFETY: the global is initialised for the life of the program.
        unsafe { core::ptr::read_volatile(&raw const $crate::maps::SETTINGS.$field) }
    };
}

/// A value that may be read as any bytes.
pub(crate) trait Plain: Copy + Default {}

impl Plain for u8 {}
impl Plain for u16 {}
impl Plain for u32 {}
impl Plain for u64 {}
impl Plain for [u8; 16] {}

/// The value `offset` bytes behind `base`.
#[inline(always)]
pub(crate) fn read<T: Plain>(base: u64, offset: u32) -> T {
    let address = base.wrapping_add(u64::from(offset)) as *const T;
    // SAFETY: the helper checks the address itself and fails on one that cannot be read.
    unsafe { bpf_probe_read_kernel(address) }.unwrap_or_default()
}
