//! Characters that only their neighbours tell apart: how high each one stands on the line, what
//! kind it is, and which others have its shape.

/// Groups of the same shape in different sizes or kinds.
const GROUPS: [&str; 17] = [
    "0Oo", "1Il", "2Zz", "5Ss", "8B", "6b", "9gq", "cC", "kK", "pP", "uUvV", "wW", "xX", "yY",
    "mM", "Jj", "fF",
];

/// Every character of the shape of `character`, itself left out; they are offered beside it.
pub fn look_alikes(character: char) -> impl Iterator<Item = char> {
    let groups = GROUPS.iter().filter(move |group| group.contains(character));
    groups
        .flat_map(|group| group.chars())
        .filter(move |&other| other != character)
}

/// Top and bottom of a character on the line: 0 is the top of capitals, 1 the base line. `None`
/// where it says nothing (kana).
pub fn stand(character: char) -> Option<[f32; 2]> {
    Some(match character {
        '0'..='9' | 'A'..='Z' | 'b' | 'd' | 'h' | 'k' | 'l' | 'f' => [0.0, 1.0],
        't' => [0.1, 1.0],
        'i' => [0.15, 1.0],
        'j' => [0.15, 1.4],
        'g' | 'p' | 'q' | 'y' => [0.4, 1.4],
        'a'..='z' => [0.4, 1.0],
        _ => return None,
    })
}

/// What kinds of characters make a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// 0 to 9.
    Digit,
    /// A to Z.
    Capital,
    /// a to z.
    Small,
    /// Anything else.
    Other,
}

/// The kind of a character.
pub fn kind(character: char) -> Kind {
    match character {
        '0'..='9' => Kind::Digit,
        'A'..='Z' => Kind::Capital,
        'a'..='z' => Kind::Small,
        _ => Kind::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn look_alikes_are_mutual_and_never_the_character_itself() {
        for character in ('0'..='9').chain('A'..='Z').chain('a'..='z') {
            for other in look_alikes(character) {
                assert_ne!(other, character);
                assert!(
                    look_alikes(other).any(|back| back == character),
                    "{character} {other}"
                );
            }
        }
        assert_eq!(look_alikes('O').collect::<String>(), "0o");
        assert_eq!(look_alikes('ま').count(), 0);
    }
}
