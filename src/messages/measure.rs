//! Measure: how hard a letter is to read, by the Flesch–Kincaid grade and the length of its sentences.

use super::lint::is_heading;

/// "1. text" → "text".
pub(super) fn numbered(line: &str) -> Option<&str> {
    let (number, rest) = line.split_once('.')?;
    (!number.is_empty() && number.bytes().all(|b| b.is_ascii_digit())).then(|| rest.trim())
}

/// All but the last paragraph: names of people and organisations may be in capitals.
pub(super) fn without_signature(text: &str) -> String {
    let text = text.trim_end();
    let body = text.rsplit_once("\n\n").map_or(text, |(body, _)| body);
    body.lines()
        .filter(|line| !line.starts_with("Dear "))
        .collect::<Vec<_>>()
        .join("\n")
}

/// What is measured for readability: no greeting, headings, signature or list numbers; one line, one paragraph.
pub(super) fn prose(text: &str) -> Vec<String> {
    without_signature(text)
        .lines()
        .filter(|line| !line.trim().is_empty() && !is_heading(line))
        .map(|line| numbered(line).unwrap_or(line).to_owned())
        .collect()
}

/// The number of words of each sentence. A line without an end mark is one.
pub(super) fn sentences(lines: &[String]) -> Vec<usize> {
    let mut found = Vec::new();
    for line in lines {
        let mut words = 0;
        for token in line.split_whitespace() {
            if token.contains(char::is_alphanumeric) {
                words += 1;
            }
            let end = token.trim_end_matches(['"', '\'', ')', '\u{201D}', '\u{2019}']);
            if end.ends_with(['.', '?', '!']) && words > 0 {
                found.push(words);
                words = 0;
            }
        }
        if words > 0 {
            found.push(words);
        }
    }
    found
}

/// Flesch–Kincaid grade of a plain letter; reading age is about five years more.
pub fn reading_grade(text: &str) -> f64 {
    grade(&prose(text))
}

#[expect(clippy::cast_precision_loss, reason = "a letter has few words")]
pub(super) fn grade(lines: &[String]) -> f64 {
    let sentences = sentences(lines);
    let words: usize = sentences.iter().sum();
    if words == 0 {
        return 0.0;
    }
    let syllables: usize = lines
        .iter()
        .flat_map(|line| line.split_whitespace())
        .filter(|token| token.contains(char::is_alphanumeric))
        .map(syllables)
        .sum();
    0.39 * words as f64 / sentences.len() as f64 + 11.8 * syllables as f64 / words as f64 - 15.59
}

fn syllables(word: &str) -> usize {
    let word: String = word
        .chars()
        .filter(|c| c.is_alphabetic())
        .flat_map(char::to_lowercase)
        .collect();
    let stem = if let Some(stem) = word.strip_suffix("es") {
        let spoken = stem.ends_with(|c| "sxzaeiouyhc".contains(c));
        if spoken { word.as_str() } else { stem }
    } else if let Some(stem) = word.strip_suffix("ed") {
        if stem.ends_with(['t', 'd']) {
            word.as_str()
        } else {
            stem
        }
    } else if let Some(stem) = word.strip_suffix('e') {
        if stem.ends_with('l') {
            word.as_str()
        } else {
            stem
        }
    } else {
        word.as_str()
    };
    let mut groups = 0;
    let mut in_vowels = false;
    for c in stem.chars() {
        let vowel = "aeiouy".contains(c);
        groups += usize::from(vowel && !in_vowels);
        in_vowels = vowel;
    }
    groups.max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn syllables_are_counted_as_the_rule_says() {
        for (word, count) in [
            ("the", 1),
            ("password", 2),
            ("make", 1),
            ("table", 2),
            ("needed", 2),
            ("asked", 1),
            ("notices", 3),
            ("boxes", 2),
            ("times", 1),
            ("sign-in", 2),
            ("DB-2507", 1),
            ("5pm", 1),
            ("you", 1),
            ("organisation", 5),
        ] {
            assert_eq!(syllables(word), count, "{word}");
        }
    }

    #[test]
    fn only_the_body_is_measured() {
        let text = "Dear Amina,\n\nThe cat sat.\n\nWHAT TO DO\n\n1. Go home\n2. Stay (\"there.\") Now?\n\nSam Lee\nWestbridge\n";
        assert_eq!(sentences(&prose(text)), [3, 2, 2, 1]);
        // 8 words, 4 sentences, 8 syllables.
        assert!((reading_grade(text) - (0.39 * 2.0 + 11.8 - 15.59)).abs() < 1e-9);
        assert!(grade(&[]).abs() < 1e-9);
    }

    #[test]
    fn half_past_five_does_not_end_a_sentence() {
        assert_eq!(sentences(&["Come at 5.30pm to us.".to_owned()]), [5]);
    }
}
