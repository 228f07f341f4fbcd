//! The one atomic operation that every kernel with BTF has: an addition whose result nobody sees.
//! The language's own atomic types do not offer it for this target, which has no compare-and-swap.

/// Adds `value` to the integer at `place`.
///
/// # Safety
/// `place` points to an aligned integer in memory that the verifier lets this program write.
#[inline(always)]
pub(crate) unsafe fn add(place: *mut u64, value: u64) {
    // SAFETY: the caller vouches for the place.
    unsafe {
        core::arch::asm!(
            "lock *(u64 *)({place} + 0) += {value}",
            place = in(reg) place,
            value = in(reg) value,
            options(nostack),
        );
    }
}
