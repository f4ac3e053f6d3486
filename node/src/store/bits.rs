//! Bit packing of numbers, on which the chunk format is built.
//!
//! A packed list of up to a block's worth of u64 stores each number in two parts, because ids have two: the upper 16
//! bits (inline flag and shard) and the lower 48 (local index and kind). Each part is a frame of reference: its minimum
//! once, then differences in as many bits as the largest needs. Differences of the lower part also leave out the zero
//! bits that all of them end with, such as the kind bits of a column of IRIs.
//!
//! ```text
//! width_low u8 | width_high u8 | shift u8 | min_low varint | min_high varint | low differences | high differences
//! ```
//!
//! Invariant: every width is at most 48, so one unaligned 64-bit load reads any number. Readers need [`PADDING`] bytes
//! after the last list.

use entail_model::Fault;

/// Bytes that must follow the last list.
pub const PADDING: usize = 8;

const LOW_BITS: u32 = 48;
const LOW_MASK: u64 = (1 << LOW_BITS) - 1;
const HIGH_BITS: u32 = 64 - LOW_BITS;

/// The widths and minimums with which a list is packed.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    count: usize,
    min_low: u64,
    min_high: u64,
    width_low: u32,
    width_high: u32,
    shift: u32,
}

impl Shape {
    /// The shape for these numbers.
    pub fn of(numbers: &[u64]) -> Self {
        let Some(first) = numbers.first() else {
            return Self { count: 0, min_low: 0, min_high: 0, width_low: 0, width_high: 0, shift: 0 };
        };
        let (mut min_low, mut max_low, mut min_high, mut max_high) = (u64::MAX, 0, u64::MAX, 0);
        let mut varying = 0;
        for number in numbers {
            let (low, high) = (number & LOW_MASK, number >> LOW_BITS);
            (min_low, max_low) = (min_low.min(low), max_low.max(low));
            (min_high, max_high) = (min_high.min(high), max_high.max(high));
            varying |= (number ^ first) & LOW_MASK;
        }
        // The low bits that all numbers share are zero in their differences.
        let shift = if varying == 0 { 0 } else { varying.trailing_zeros() };
        let width_low = width((max_low - min_low) >> shift);
        Self { count: numbers.len(), min_low, min_high, width_low, width_high: width(max_high - min_high), shift }
    }

    /// An estimate of the packed list's bytes.
    pub fn bytes(&self) -> usize {
        8 + packed_bytes(self.count, self.width_low) + packed_bytes(self.count, self.width_high)
    }
}

fn width(used: u64) -> u32 {
    u64::BITS - used.leading_zeros()
}

fn packed_bytes(count: usize, width: u32) -> usize {
    (count * width as usize).div_ceil(8)
}

/// Appends a packed list; `shape` is that of `numbers`.
pub fn put_list(out: &mut Vec<u8>, shape: &Shape, numbers: &[u64]) {
    out.extend([shape.width_low as u8, shape.width_high as u8, shape.shift as u8]);
    put_varint(out, shape.min_low);
    put_varint(out, shape.min_high);
    let lows = numbers.iter().map(|number| ((number & LOW_MASK) - shape.min_low) >> shape.shift);
    put_bits(out, shape.width_low, lows);
    put_bits(out, shape.width_high, numbers.iter().map(|number| (number >> LOW_BITS) - shape.min_high));
}

fn put_bits(out: &mut Vec<u8>, width: u32, numbers: impl Iterator<Item = u64>) {
    if width == 0 {
        return;
    }
    let (mut waiting, mut filled) = (0u128, 0);
    for number in numbers {
        waiting |= u128::from(number) << filled;
        filled += width;
        if filled >= 64 {
            out.extend((waiting as u64).to_le_bytes());
            waiting >>= 64;
            filled -= 64;
        }
    }
    out.extend(&waiting.to_le_bytes()[..(filled as usize).div_ceil(8)]);
}

/// Appends a number in seven bits per byte, lowest first.
pub fn put_varint(out: &mut Vec<u8>, number: u64) {
    let mut rest = number;
    while rest >= 0x80 {
        out.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}

/// Bytes that are read from the front.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a>(pub &'a [u8]);

impl<'a> Reader<'a> {
    /// The next `count` bytes.
    pub fn take(&mut self, count: usize) -> Result<&'a [u8], Fault> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or_else(cut_off)?;
        self.0 = rest;
        Ok(taken)
    }

    /// The next byte.
    pub fn byte(&mut self) -> Result<u8, Fault> {
        Ok(self.take(1)?[0])
    }

    /// Reads a number that [`put_varint`] wrote.
    pub fn varint(&mut self) -> Result<u64, Fault> {
        let mut number = 0;
        for shift in (0..u64::BITS).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err(Fault::corrupt("a stored number that does not end"))
    }

    /// The `count` numbers that [`put_list`] wrote, into `out`, which is cleared.
    pub fn list(&mut self, count: usize, out: &mut Vec<u64>) -> Result<(), Fault> {
        let [width_low, width_high, shift] = [self.byte()?, self.byte()?, self.byte()?].map(u32::from);
        if width_low > LOW_BITS || width_high > HIGH_BITS || shift > LOW_BITS {
            return Err(Fault::corrupt("stored numbers of impossible width"));
        }
        let (min_low, min_high) = (self.varint()?, self.varint()?);
        out.clear();
        out.resize(count, min_low.wrapping_add(min_high << LOW_BITS));
        self.add_bits(width_low, shift, out)?;
        self.add_bits(width_high, LOW_BITS, out)
    }

    /// Adds each stored difference, shifted, to its number.
    fn add_bits(&mut self, width: u32, shift: u32, out: &mut [u64]) -> Result<(), Fault> {
        if width == 0 {
            return Ok(());
        }
        let used = packed_bytes(out.len(), width);
        let readable = self.0.get(..used + PADDING).ok_or_else(cut_off)?;
        let mask = (1u64 << width) - 1;
        for (index, number) in out.iter_mut().enumerate() {
            let bit = index * width as usize;
            let word: [u8; 8] = readable[bit / 8..bit / 8 + 8].try_into().expect("eight bytes");
            let difference = u64::from_le_bytes(word) >> (bit % 8) & mask;
            *number = number.wrapping_add(difference << shift);
        }
        self.0 = &self.0[used..];
        Ok(())
    }
}

fn cut_off() -> Fault {
    Fault::corrupt("stored bytes that are cut off")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn lists_come_back(numbers in prop_oneof![
            prop::collection::vec(any::<u64>(), 0..300),
            prop::collection::vec((0u64..16, 0u64..1000).prop_map(|(high, low)| high << 48 | low << 2), 0..300),
        ]) {
            let shape = Shape::of(&numbers);
            let mut bytes = Vec::new();
            put_list(&mut bytes, &shape, &numbers);
            prop_assert!(bytes.len() <= shape.bytes() + 8);
            bytes.extend([0; PADDING]);
            let mut reader = Reader(&bytes);
            let mut found = Vec::new();
            reader.list(numbers.len(), &mut found).expect("our own bytes");
            prop_assert_eq!(found, numbers);
            prop_assert_eq!(reader.0.len(), PADDING);
        }

        #[test]
        fn varints_come_back(number in any::<u64>()) {
            let mut bytes = Vec::new();
            put_varint(&mut bytes, number);
            prop_assert_eq!(Reader(&bytes).varint().expect("our own bytes"), number);
        }
    }
}
