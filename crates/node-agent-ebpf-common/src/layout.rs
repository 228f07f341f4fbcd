//! The macro that declares a record, and the scalars that a record may hold.

/// A value that crosses the boundary: fixed size, every bit pattern valid, no padding.
pub trait Scalar: Sized {
    /// Splits the value off the front of `bytes`; `None` when they are too few.
    fn take(bytes: &[u8]) -> Option<(Self, &[u8])>;

    /// Writes the value to the front of `out` and returns the rest; `None` when it does not fit.
    fn put(self, out: &mut [u8]) -> Option<&mut [u8]>;
}

macro_rules! integer_scalar {
    ($($integer:ty),+) => {$(
        impl Scalar for $integer {
            fn take(bytes: &[u8]) -> Option<(Self, &[u8])> {
                let (value, rest) = bytes.split_first_chunk()?;
                Some((Self::from_ne_bytes(*value), rest))
            }

            fn put(self, out: &mut [u8]) -> Option<&mut [u8]> {
                let (place, rest) = out.split_first_chunk_mut()?;
                *place = self.to_ne_bytes();
                Some(rest)
            }
        }
    )+};
}

integer_scalar!(u32, u64);

impl<const N: usize> Scalar for [u8; N] {
    fn take(bytes: &[u8]) -> Option<(Self, &[u8])> {
        let (value, rest) = bytes.split_first_chunk()?;
        Some((*value, rest))
    }

    fn put(self, out: &mut [u8]) -> Option<&mut [u8]> {
        let (place, rest) = out.split_first_chunk_mut()?;
        *place = self;
        Some(rest)
    }
}

/// Declares a record of the ABI with its size in bytes.
macro_rules! record {
    (
        $(#[$meta:meta])*
        pub struct $name:ident: $size:literal {
            $( $(#[$field_meta:meta])* pub $field:ident: $type:ty, )+
        }
    ) => {
        $(#[$meta])*
        #[repr(C)]
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub struct $name {
            $( $(#[$field_meta])* pub $field: $type, )+
        }

        const _: () = assert!(size_of::<$name>() == $size, "size is part of the ABI");
        const _: () = assert!(0 $( + size_of::<$type>() )+ == $size, "no implicit padding");

        impl $name {
            /// Size in bytes.
            pub const SIZE: usize = $size;

            /// Splits a record off the front of `bytes`; `None` when they are too few.
            pub fn take(bytes: &[u8]) -> Option<(Self, &[u8])> {
                let rest = bytes;
                $( let ($field, rest) = <$type as $crate::Scalar>::take(rest)?; )+
                Some((Self { $($field),+ }, rest))
            }

            /// The record as the kernel would write it.
            pub fn to_bytes(self) -> [u8; $size] {
                let mut bytes = [0; $size];
                // The density assertion above makes every write fit exactly.
                let _rest = self.put(&mut bytes);
                bytes
            }

            fn put(self, out: &mut [u8]) -> Option<&mut [u8]> {
                $( let out = <$type as $crate::Scalar>::put(self.$field, out)?; )+
                Some(out)
            }
        }
    };
}
