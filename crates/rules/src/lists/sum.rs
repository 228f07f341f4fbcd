//! SHA-256 sums in hexadecimal.

use yagura_event::Text;

use super::named::{ValueFault, tell};

/// The sum that a text says: also as images are named, `sha256:…`, and whatever its case.
pub(super) fn sum(text: &[u8]) -> Option<[u8; 32]> {
    let digits = text.strip_prefix(b"sha256:").unwrap_or(text);
    if digits.len() != 64 {
        return None;
    }
    let mut sum = [0; 32];
    for (byte, pair) in sum.iter_mut().zip(digits.chunks_exact(2)) {
        let high = char::from(pair[0]).to_digit(16)?;
        let low = char::from(pair[1]).to_digit(16)?;
        *byte = u8::try_from(high << 4 | low).ok()?;
    }
    Some(sum)
}

pub(super) fn sums(values: &[Text], faults: &mut Vec<ValueFault>) -> Result<Vec<[u8; 32]>, ()> {
    let mut sums = Vec::with_capacity(values.len());
    for (index, value) in values.iter().enumerate() {
        match sum(value.as_bytes()) {
            Some(sum) => sums.push(sum),
            None => tell(
                faults,
                index,
                "it is no SHA-256: write its 64 hexadecimal digits".to_owned(),
            ),
        }
    }
    sums.sort_unstable();
    sums.dedup();
    if faults.is_empty() { Ok(sums) } else { Err(()) }
}
