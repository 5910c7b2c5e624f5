//! What the neighbours say: a network sees each character alone and at one size, so only the line
//! tells o from O from 0. Two things are weighed: how high each character stands beside the others,
//! and that a word is usually of one kind (2026, cat, Cat, CAT).

use crate::layout::Bounds;
use crate::lookalike::{Kind, kind, stand};

/// How much a hand strays from the line, in heights of a capital.
const STRAY: f32 = 0.13;
/// What a height that fits nothing still counts.
const OUTLIER: f32 = 0.003;
/// What a character of the wrong kind still counts.
const WRONG_KIND: f32 = 0.06;

/// Probabilities of the characters of one line, one row a character, after a look at each other.
/// `classes` names the columns; `words` holds the half-open ranges of rows that make words. A
/// character without neighbours is left alone.
pub fn weighed(
    mut rows: Vec<Vec<f32>>,
    bounds: &[Bounds],
    words: &[std::ops::Range<usize>],
    classes: &[char],
) -> Vec<Vec<f32>> {
    if rows.len() > 1 {
        by_height(&mut rows, bounds, classes);
    }
    for word in words {
        if word.len() > 1 {
            by_kind(&mut rows[word.clone()], classes);
        }
    }
    rows
}

/// Where a line's capitals begin, and how high they are.
#[derive(Clone, Copy)]
struct Ruling {
    top: f32,
    height: f32,
}

impl Ruling {
    /// The ruling on which a character of these bounds stands as `stand` says.
    fn under(bounds: &Bounds, [top, bottom]: [f32; 2]) -> Self {
        let height = (bounds.height() / (bottom - top)).max(1e-6);
        Self {
            top: bounds.low[1] - top * height,
            height,
        }
    }

    /// How well a character of these bounds stands as `stand` says, from 0 to 1.
    fn fit(&self, bounds: &Bounds, stand: [f32; 2]) -> f32 {
        let off = |at: f32, expected: f32| ((at - self.top) / self.height - expected) / STRAY;
        let (top, bottom) = (off(bounds.low[1], stand[0]), off(bounds.high[1], stand[1]));
        libm::expf(-0.5 * (top * top + bottom * bottom)) + OUTLIER
    }
}

/// Bayes' rule with the heights, on the ruling that makes the whole line most probable. Candidates
/// for the ruling: each character standing in each way there is.
fn by_height(rows: &mut [Vec<f32>], bounds: &[Bounds], classes: &[char]) {
    let stands: Vec<Option<[f32; 2]>> = classes.iter().map(|&class| stand(class)).collect();
    let fit = |ruling: Ruling, row: &[f32], bounds: &Bounds| -> Vec<f32> {
        let weigh = |(p, stand): (&f32, &Option<[f32; 2]>)| match stand {
            Some(stand) => p * ruling.fit(bounds, *stand),
            None => *p,
        };
        row.iter().zip(&stands).map(weigh).collect()
    };
    let likelihood = |ruling: Ruling| -> f32 {
        let each = rows.iter().zip(bounds).map(|(row, bounds)| {
            let sum: f32 = fit(ruling, row, bounds).iter().sum();
            libm::logf(sum.max(1e-20))
        });
        each.sum()
    };
    let ways = [[0.0, 1.0], [0.4, 1.0], [0.4, 1.4], [0.15, 1.0]];
    let rulings = bounds
        .iter()
        .flat_map(|bounds| ways.map(|way| Ruling::under(bounds, way)));
    let best = rulings
        .map(|ruling| (likelihood(ruling), ruling))
        .reduce(|best, next| if next.0 > best.0 { next } else { best });
    let Some((_, ruling)) = best else { return };
    for (row, bounds) in rows.iter_mut().zip(bounds) {
        *row = normalised(fit(ruling, row, bounds));
    }
}

/// Bayes' rule with the kind of word that is most probable, unless a mixed one is.
fn by_kind(word: &mut [Vec<f32>], classes: &[char]) {
    let kinds: Vec<Kind> = classes.iter().map(|&class| kind(class)).collect();
    let counts = |first: bool, pattern: [Kind; 2], kind: Kind| {
        kind == Kind::Other || kind == pattern[usize::from(!first)]
    };
    let patterns = [
        ([Kind::Small, Kind::Small], 0.4),
        ([Kind::Capital, Kind::Small], 0.25),
        ([Kind::Digit, Kind::Digit], 0.2),
        ([Kind::Capital, Kind::Capital], 0.15),
    ];
    let weigh = |row: &[f32], first: bool, pattern: [Kind; 2]| -> Vec<f32> {
        let share = |(p, &kind): (&f32, &Kind)| match counts(first, pattern, kind) {
            true => *p,
            false => p * WRONG_KIND,
        };
        row.iter().zip(&kinds).map(share).collect()
    };
    let likelihood = |(pattern, prior): ([Kind; 2], f32)| -> f32 {
        let each = word.iter().enumerate().map(|(index, row)| {
            let sum: f32 = weigh(row, index == 0, pattern).iter().sum();
            libm::logf(sum.max(1e-20))
        });
        each.sum::<f32>() + libm::logf(prior)
    };
    let best = patterns
        .map(|pattern| (likelihood(pattern), pattern.0))
        .into_iter()
        .reduce(|best, next| if next.0 > best.0 { next } else { best });
    if let Some((_, pattern)) = best {
        for (index, row) in word.iter_mut().enumerate() {
            *row = normalised(weigh(row, index == 0, pattern));
        }
    }
}

fn normalised(mut row: Vec<f32>) -> Vec<f32> {
    let sum: f32 = row.iter().sum();
    if sum > 0.0 {
        row.iter_mut().for_each(|p| *p /= sum);
    }
    row
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLASSES: [char; 6] = ['0', 'O', 'o', 'l', 'I', 't'];

    fn bounds(top: f32, bottom: f32) -> Bounds {
        Bounds {
            low: [0.0, top],
            high: [10.0, bottom],
        }
    }

    fn best(row: &[f32]) -> char {
        let most = (0..row.len()).max_by(|&a, &b| row[a].total_cmp(&row[b]));
        most.map_or(' ', |index| CLASSES[index])
    }

    #[test]
    fn a_round_letter_is_small_beside_a_tall_one_and_a_capital_when_as_high() {
        let round = vec![0.34, 0.33, 0.33, 0.0, 0.0, 0.0];
        let stem = vec![0.0, 0.0, 0.0, 0.3, 0.3, 0.4];
        let words = std::slice::from_ref(&(0..2));
        let low = weighed(
            vec![stem.clone(), round.clone()],
            &[bounds(0.0, 100.0), bounds(42.0, 101.0)],
            words,
            &CLASSES,
        );
        assert_eq!(best(&low[1]), 'o');
        let high = weighed(
            vec![stem, round],
            &[bounds(0.0, 100.0), bounds(-2.0, 101.0)],
            words,
            &CLASSES,
        );
        assert_ne!(best(&high[1]), 'o');
    }

    #[test]
    fn a_character_alone_is_left_alone() {
        let row = vec![0.4, 0.3, 0.2, 0.05, 0.03, 0.02];
        let same = weighed(
            vec![row.clone()],
            &[bounds(0.0, 1.0)],
            std::slice::from_ref(&(0..1)),
            &CLASSES,
        );
        assert_eq!(same, [row]);
    }

    #[test]
    fn rows_stay_probabilities() {
        let rows = vec![vec![0.5, 0.1, 0.1, 0.1, 0.1, 0.1]; 3];
        let boxes = [bounds(0.0, 1.0), bounds(0.5, 1.0), bounds(5.0, 5.0)];
        for row in weighed(rows, &boxes, std::slice::from_ref(&(0..3)), &CLASSES) {
            assert!((row.iter().sum::<f32>() - 1.0).abs() < 1e-5);
        }
    }
}
