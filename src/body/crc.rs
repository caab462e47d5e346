//! CRC-64/NVME, and its combination from pieces, so that the digest does not depend on where the output was cut.

/// The reflected polynomial.
const POLYNOMIAL: u64 = 0x9a6c_9329_ac4b_c9b5;

/// Returns the CRC-64/NVME of `bytes`.
pub(crate) fn of(bytes: &[u8]) -> u64 {
    crc_fast::checksum(crc_fast::CrcAlgorithm::Crc64Nvme, bytes)
}

/// Returns the CRC of `a` followed by `b`, from their CRCs and the length of `b` (as zlib's `crc32_combine` does).
pub(crate) fn combine(a: u64, b: u64, b_len: u64) -> u64 {
    shift(a, b_len) ^ b
}

/// Returns the CRC of `b`, from the CRC of `a` followed by `b`, the CRC of `a`, and the length of `b`.
#[cfg(test)]
pub(crate) fn remove(ab: u64, a: u64, b_len: u64) -> u64 {
    ab ^ shift(a, b_len)
}

/// Returns `crc` as if `bytes` zero bytes followed, without the inversions: x^(8 * bytes) * crc mod P.
fn shift(crc: u64, mut bytes: u64) -> u64 {
    let mut power = 1u64 << 63;
    let mut i = 3;
    while bytes != 0 {
        if bytes & 1 == 1 {
            power = multiply(POWERS[i & 63], power);
        }
        bytes >>= 1;
        i += 1;
    }
    multiply(power, crc)
}

/// Returns a * b mod P, with bits reflected.
const fn multiply(a: u64, mut b: u64) -> u64 {
    let mut bit = 1u64 << 63;
    let mut product = 0;
    while bit != 0 {
        if a & bit != 0 {
            product ^= b;
        }
        bit >>= 1;
        b = if b & 1 == 1 { (b >> 1) ^ POLYNOMIAL } else { b >> 1 };
    }
    product
}

/// x^(2^i) mod P.
const POWERS: [u64; 64] = {
    let mut table = [0; 64];
    table[0] = 1 << 62;
    let mut i = 1;
    while i < 64 {
        table[i] = multiply(table[i - 1], table[i - 1]);
        i += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn it_is_the_nvme_crc() {
        // the check value of the catalogue
        assert_eq!(of(b"123456789"), 0xae8b_1486_0a79_9888);
    }

    proptest! {
        #[test]
        fn a_whole_is_combined_from_its_pieces(bytes in proptest::collection::vec(any::<u8>(), 0..2000), cut in 0usize..2000) {
            let (a, b) = bytes.split_at(cut.min(bytes.len()));
            prop_assert_eq!(combine(of(a), of(b), b.len() as u64), of(&bytes));
            prop_assert_eq!(remove(of(&bytes), of(a), b.len() as u64), of(b));
        }
    }
}
