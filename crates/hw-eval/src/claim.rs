//! A claim of several parts: what became of the whole.

use crate::family::Judged;
use crate::verdict::Verdict;
use serde::{Deserialize, Serialize};

/// The verdict on a claim, with the verdicts of its parts counted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClaimVerdict {
    /// Reproduced if every part is. Contradicted if any part is: a statement of several parts is
    /// false when one of them is, and the family's correction covers every part in both directions.
    /// Otherwise the first that some part has of: not run, too small to decide, undecidable as
    /// reported, within noise.
    pub verdict: Verdict,
    /// Parts that are reproduced.
    pub reproduced: usize,
    /// Parts that are contradicted.
    pub contradicted: usize,
    /// Parts within noise.
    pub within_noise: usize,
    /// Parts that are undecidable as reported.
    pub undecidable: usize,
    /// Parts too small to decide.
    pub too_small: usize,
    /// Parts that were not run.
    pub not_run: usize,
}

impl ClaimVerdict {
    /// Number of parts.
    pub fn parts(&self) -> usize {
        self.reproduced
            + self.contradicted
            + self.within_noise
            + self.undecidable
            + self.too_small
            + self.not_run
    }

    /// The verdict in words, with the parts: "contradicted in 1 of 3 parts; 2 reproduced".
    pub fn summary(&self) -> String {
        let parts = self.parts();
        let counts = [
            (self.reproduced, "reproduced"),
            (self.contradicted, "contradicted"),
            (self.within_noise, "within noise"),
            (self.undecidable, "undecidable as reported"),
            (self.too_small, "too small to decide"),
            (self.not_run, "not run"),
        ];
        let name = self.verdict.name();
        let there = counts.iter().filter(|(count, _)| *count > 0);
        let others: Vec<String> = there
            .clone()
            .filter(|(_, other)| *other != name)
            .map(|(count, other)| format!("{count} {other}"))
            .collect();
        let mut there = there;
        match there.find(|(_, verdict)| *verdict == name) {
            Some((count, _)) if *count < parts => {
                format!("{name} in {count} of {parts} parts; {}", others.join(", "))
            }
            Some(_) if parts > 1 => format!("{name} in all {parts} parts"),
            _ => name.to_owned(),
        }
    }
}

/// The verdict on a claim from those on its parts, as judged with their family.
pub fn overall(parts: &[Judged]) -> ClaimVerdict {
    let count = |wanted: fn(&Verdict) -> bool| {
        let verdicts = parts.iter().map(|part| &part.verdict);
        verdicts.filter(|verdict| wanted(verdict)).count()
    };
    ClaimVerdict {
        verdict: whole(parts),
        reproduced: count(|v| *v == Verdict::Reproduced),
        contradicted: count(|v| *v == Verdict::Contradicted),
        within_noise: count(|v| matches!(v, Verdict::WithinNoise { .. })),
        undecidable: count(|v| matches!(v, Verdict::UndecidableAsReported { .. })),
        too_small: count(|v| matches!(v, Verdict::TooSmall { .. })),
        not_run: count(|v| matches!(v, Verdict::NotRun { .. })),
    }
}

fn whole(parts: &[Judged]) -> Verdict {
    let rank = |verdict: &Verdict| match verdict {
        Verdict::Contradicted => 0,
        Verdict::NotRun { .. } => 1,
        Verdict::TooSmall { .. } => 2,
        Verdict::UndecidableAsReported { .. } => 3,
        Verdict::WithinNoise { .. } => 4,
        Verdict::Reproduced => 5,
    };
    let verdicts = parts.iter().map(|part| &part.verdict);
    match verdicts.min_by_key(|verdict| rank(verdict)) {
        Some(verdict) => verdict.clone(),
        None => Verdict::NotRun {
            reason: "the claim has no part".to_owned(),
        },
    }
}
