//! `HyperLogLog`: of each of many parts of a set, how rare its rarest value is.

/// Bits of a value that choose its register.
const PRECISION: u32 = 12;
/// How many registers there are.
pub(super) const REGISTERS: usize = 1 << PRECISION;
/// What a register has at most: the other bits are all 0.
pub(super) const MAX_RANK: u8 = 64 - 12 + 1;

/// The registers, and what they say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sketch {
    /// Of the values of each, the greatest rank: the place of the first 1 behind the bits that choose the register.
    registers: Box<[u8; REGISTERS]>,
    /// How many of them have each rank.
    with_rank: Ranks,
    estimate: u64,
}

type Ranks = [u16; MAX_RANK as usize + 1];
const _: () = assert!(REGISTERS <= u16::MAX as usize);

impl Sketch {
    pub(super) fn add(&mut self, value: u64) {
        if self.raise(value) {
            self.estimate = estimate(&self.with_rank);
        }
    }

    /// Puts a value in. Gives whether that changed a register.
    fn raise(&mut self, value: u64) -> bool {
        let register = usize::try_from(value >> (64 - PRECISION)).unwrap_or(0);
        let zeros = (value << PRECISION).leading_zeros();
        let rank = u8::try_from(zeros + 1).map_or(MAX_RANK, |rank| rank.min(MAX_RANK));
        let greatest = self
            .registers
            .get_mut(register)
            .filter(|greatest| **greatest < rank);
        let Some(greatest) = greatest else { return false };
        if let Some(fewer) = self.with_rank.get_mut(usize::from(*greatest)) {
            *fewer -= 1;
        }
        if let Some(more) = self.with_rank.get_mut(usize::from(rank)) {
            *more += 1;
        }
        *greatest = rank;
        true
    }

    pub(super) fn merge(&mut self, other: &Self) {
        for (greatest, rank) in self.registers.iter_mut().zip(other.registers.iter()) {
            *greatest = (*greatest).max(*rank);
        }
        self.with_rank = ranks(&self.registers);
        self.estimate = estimate(&self.with_rank);
    }

    /// How many values there are.
    pub(super) fn estimate(&self) -> u64 {
        self.estimate
    }

    pub(super) fn registers(&self) -> &[u8; REGISTERS] {
        &self.registers
    }

    /// The sketch with these registers, if there can be such.
    pub(super) fn restore(registers: Box<[u8; REGISTERS]>) -> Option<Self> {
        let with_rank = ranks(&registers);
        let possible = registers.iter().all(|rank| *rank <= MAX_RANK);
        possible.then(|| Self {
            registers,
            with_rank,
            estimate: estimate(&with_rank),
        })
    }
}

impl FromIterator<u64> for Sketch {
    fn from_iter<I: IntoIterator<Item = u64>>(values: I) -> Self {
        let registers = Box::new([0; REGISTERS]);
        let mut sketch = Self {
            with_rank: ranks(&registers),
            registers,
            estimate: 0,
        };
        for value in values {
            sketch.raise(value);
        }
        sketch.estimate = estimate(&sketch.with_rank);
        sketch
    }
}

fn ranks(registers: &[u8; REGISTERS]) -> Ranks {
    let mut with_rank = [0; MAX_RANK as usize + 1];
    for rank in registers {
        if let Some(count) = with_rank.get_mut(usize::from(*rank)) {
            *count += 1;
        }
    }
    with_rank
}

/// How many values registers like these are expected of.
fn estimate(with_rank: &Ranks) -> u64 {
    let [empty, ranks @ .., full] = with_rank.map(f64::from);
    let all = f64::from(1_u32 << PRECISION);
    let mut sum = all * tau(1.0 - full / all);
    for count in ranks.into_iter().rev() {
        sum = 0.5 * (sum + count);
    }
    sum += all * sigma(empty / all);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the cast gives the nearest number there is"
    )]
    let estimate = (all * all / (2.0 * std::f64::consts::LN_2 * sum)).round() as u64;
    estimate
}

/// x + x² + 2 x⁴ + 4 x⁸ + …, for registers that are empty.
fn sigma(mut x: f64) -> f64 {
    if x >= 1.0 {
        return f64::INFINITY;
    }
    let (mut sum, mut weight) = (x, 1.0);
    loop {
        x *= x;
        let before = sum;
        sum += x * weight;
        weight += weight;
        if sum <= before {
            return sum;
        }
    }
}

/// (1 - x - (1 - √x)² / 2 - (1 - ⁴√x)² / 4 - …) / 3, for registers that are full.
fn tau(mut x: f64) -> f64 {
    if x <= 0.0 || x >= 1.0 {
        return 0.0;
    }
    let (mut sum, mut weight) = (1.0 - x, 1.0);
    loop {
        x = x.sqrt();
        let before = sum;
        weight *= 0.5;
        sum -= (1.0 - x).powi(2) * weight;
        if sum >= before {
            return sum / 3.0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registers_take_the_greatest_rank() {
        let mut sketch: Sketch = [0, 1 << 52, (1 << 52) | (1 << 51)].into_iter().collect();
        assert_eq!(sketch.registers()[..3], [MAX_RANK, MAX_RANK, 0]);
        sketch.add((2 << 52) | (1 << 51));
        sketch.add((2 << 52) | (1 << 49));
        assert_eq!(sketch.registers()[2], 3);
        sketch.add(u64::MAX);
        assert_eq!(sketch.registers()[REGISTERS - 1], 1);
        assert_eq!(sketch.registers().iter().filter(|rank| **rank > 0).count(), 4);
        assert_eq!(sketch.estimate(), 4);
    }

    #[test]
    fn any_registers_have_an_estimate() {
        let filled = |rank: u8| Sketch::restore(Box::new([rank; REGISTERS])).map(|sketch| sketch.estimate());
        assert_eq!(filled(0), Some(0));
        assert!(filled(1) < filled(2));
        assert!(filled(MAX_RANK - 1) < filled(MAX_RANK));
        assert_eq!(filled(MAX_RANK), Some(u64::MAX));
        assert_eq!(filled(MAX_RANK + 1), None);
    }
}
