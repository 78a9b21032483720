//! Personal parts of references: random to look at, unique within their campaign, without keeping those that are taken.

use crate::messages::Reference;

/// A number is counted up and scattered over four letters and digits by a multiplication that no two numbers share;
/// beyond that many people, over six.
pub(super) struct References {
    next: u64,
    factor: u64,
    offset: u64,
}

impl References {
    /// First character a letter (22 of Crockford's), then three or five of 32.
    const SHORT: u64 = 22 * 32 * 32 * 32;
    const LONG: u64 = Self::SHORT * 32 * 32;

    pub(super) fn new() -> Self {
        // Prime to both sizes, which are 2 and 11 times over: odd, and no multiple of 11.
        let mut factor = (rand::random::<u64>() % Self::SHORT) | 1;
        while factor.is_multiple_of(11) || factor < 1000 {
            factor += 2;
        }
        Self {
            next: 0,
            factor,
            offset: rand::random::<u64>() % Self::SHORT,
        }
    }

    pub(super) fn next(&mut self) -> String {
        loop {
            let text = self.any();
            // A dozen of them, such as WWW7, read like links, and no letter goes out with one.
            if Reference::new("DB-2507", &text).is_ok() {
                return text;
            }
        }
    }

    fn any(&mut self) -> String {
        const CROCKFORD: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
        let number = self.next;
        self.next += 1;
        let (size, places) = if number < Self::SHORT {
            (Self::SHORT, 3)
        } else {
            (Self::LONG, 5)
        };
        let mut scattered = u64::try_from(
            (u128::from(number) * u128::from(self.factor) + u128::from(self.offset))
                % u128::from(size),
        )
        .unwrap_or(0);
        let mut text = Vec::with_capacity(places + 1);
        for _ in 0..places {
            text.push(
                CROCKFORD
                    .get(usize::try_from(scattered % 32).unwrap_or(0))
                    .copied()
                    .unwrap_or(b'X'),
            );
            scattered /= 32;
        }
        text.push(
            CROCKFORD
                .get(10 + usize::try_from(scattered % 22).unwrap_or(0))
                .copied()
                .unwrap_or(b'X'),
        );
        text.reverse();
        String::from_utf8(text).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_unique_and_start_with_a_letter() {
        let mut references = References::new();
        let mut seen = std::collections::HashSet::new();
        for _ in 0..100_000 {
            let one = references.next();
            assert_eq!(one.len(), 4);
            assert!(one.starts_with(|c: char| c.is_ascii_uppercase()), "{one}");
            assert!(seen.insert(one));
        }
        references.next = References::SHORT;
        assert_eq!(references.next().len(), 6);
    }

    #[test]
    fn whatever_the_chance_every_letter_takes_its_reference() {
        let mut references = References::new();
        let mut refused = 0;
        while references.next < References::SHORT {
            let before = references.next;
            let own = references.next();
            refused += references.next - before - 1;
            assert!(Reference::new("DB-2507", &own).is_ok(), "{own}");
        }
        assert!((1..100).contains(&refused), "{refused} are never given");
    }
}
