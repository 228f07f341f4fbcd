//! Reading kernel memory by address. A read that fails yields zeros: every caller treats zero as
//! "not there", and a null base address fails in the same way.

use core::mem::MaybeUninit;

use aya_ebpf::helpers::generated::bpf_probe_read_kernel;

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
pub(crate) trait Plain: Copy {}

impl Plain for u8 {}
impl Plain for u16 {}
impl Plain for u32 {}
impl Plain for u64 {}
impl Plain for [u8; 16] {}

/// The value `offset` bytes behind `base`.
///
/// The result is not looked at: the helper fills the destination with zeros when it fails, and a
/// branch here would make the verifier follow two cases for each read.
#[inline(always)]
pub(crate) fn read<T: Plain>(base: u64, offset: u32) -> T {
    let mut value = MaybeUninit::<T>::uninit();
    let address = base.wrapping_add(u64::from(offset));
    // SAFETY: the helper checks the address itself, writes the whole destination in any case, and
    // every bit pattern is a value of the type.
    unsafe {
        bpf_probe_read_kernel(
            value.as_mut_ptr().cast(),
            size_of::<T>() as u32,
            address as *const _,
        );
        value.assume_init()
    }
}
