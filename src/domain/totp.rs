//! Totp: the second factor: codes that a phone makes from a secret and the time (RFC 6238: SHA-1, six digits, 30 seconds,
//! which is what every authenticator app takes).

use hmac::{Hmac, Mac};
use sha1::Sha1;

use super::Moment;

/// How long one code is shown.
const STEP_MICROS: i64 = 30_000_000;

/// Clocks may differ by so many steps.
const DRIFT: i64 = 1;

/// The step at an instant.
pub const fn step_at(now: Moment) -> i64 {
    now.micros().div_euclid(STEP_MICROS)
}

/// The code of a step, in so many digits.
fn code(secret: &[u8], step: i64, digits: u32) -> u32 {
    // A key of any length is taken.
    let Ok(mut mac) = <Hmac<Sha1> as Mac>::new_from_slice(secret) else {
        return 0;
    };
    mac.update(&step.to_be_bytes());
    let hash = mac.finalize().into_bytes();
    let at = usize::from(hash.last().copied().unwrap_or_default() & 0xf);
    let four = hash.get(at..at + 4).unwrap_or_default();
    let number = four
        .iter()
        .fold(0_u32, |all, byte| (all << 8) | u32::from(*byte));
    (number & 0x7fff_ffff) % 10_u32.pow(digits)
}

/// The six digits of a step, as a phone shows them.
pub fn shown(secret: &[u8], step: i64) -> String {
    format!("{:06}", code(secret, step, 6))
}

/// The step whose code this is, if it is one of now or of the steps next to it, and later than `used`. Blanks do not
/// count. All of them are looked at, whichever it is.
pub fn step_of(secret: &[u8], typed: &str, used: i64, now: Moment) -> Option<i64> {
    let digits: String = typed.chars().filter(|c| !c.is_whitespace()).collect();
    let mut found = None;
    for step in step_at(now) - DRIFT..=step_at(now) + DRIFT {
        if is_same(shown(secret, step).as_bytes(), digits.as_bytes()) && step > used {
            found = Some(step);
        }
    }
    found
}

/// Compares without telling by its time how far two texts are alike.
pub fn is_same(one: &[u8], other: &[u8]) -> bool {
    one.len() == other.len()
        && one
            .iter()
            .zip(other)
            .fold(0_u8, |apart, (a, b)| apart | (a ^ b))
            == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 6238, appendix B, the rows of SHA-1; eight digits.
    const VECTORS: [(i64, u32); 6] = [
        (59, 94_287_082),
        (1_111_111_109, 7_081_804),
        (1_111_111_111, 14_050_471),
        (1_234_567_890, 89_005_924),
        (2_000_000_000, 69_279_037),
        (20_000_000_000, 65_353_130),
    ];
    const SECRET: &[u8] = b"12345678901234567890";

    fn at(seconds: i64) -> Moment {
        Moment::from_micros(seconds * 1_000_000)
    }

    #[test]
    fn codes_are_those_of_the_standard() {
        for (seconds, expected) in VECTORS {
            assert_eq!(code(SECRET, step_at(at(seconds)), 8), expected, "{seconds}");
            assert_eq!(
                shown(SECRET, step_at(at(seconds))),
                format!("{:06}", expected % 1_000_000)
            );
        }
    }

    #[test]
    fn a_code_is_taken_half_a_minute_early_or_late_and_once() {
        let now = at(1_111_111_111);
        let step = step_at(now);
        for apart in [-1, 0, 1] {
            let typed = shown(SECRET, step + apart);
            assert_eq!(step_of(SECRET, &typed, 0, now), Some(step + apart));
            assert_eq!(step_of(SECRET, &typed, step + apart, now), None);
        }
        for apart in [-2, 2] {
            assert_eq!(step_of(SECRET, &shown(SECRET, step + apart), 0, now), None);
        }
        let apart = shown(SECRET, step);
        let (first, last) = apart.split_at(3);
        assert_eq!(
            step_of(SECRET, &format!(" {first} {last} "), 0, now),
            Some(step)
        );
        for typed in ["", "0", "00000000", "abcdef", "０５０４７１"] {
            assert_eq!(step_of(SECRET, typed, 0, now), None, "{typed}");
        }
    }
}
