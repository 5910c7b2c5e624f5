//! How searches and seeds are spent: grids that grow until their best rate lies inside, and how many
//! seeds each run has at each look.

use super::claims::JudgedClaim;
use super::jobs::Job;
use super::paper::Paper;
use super::results::JobResult;

/// A grid is extended so many times at most.
const EXTENSIONS: usize = 6;

/// What follows from a searched grid of learning rates.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Grown {
    /// The best rate lies inside.
    Inside,
    /// The best rate lies at an edge: this one beyond it is to be tried.
    Further(f32),
    /// The best rate still lies at an edge, and no further one is tried.
    Edge,
}

/// What to do after a grid was searched; `search` holds (rate, validation accuracy), lowest rate first,
/// and `declared` is how many of them the paper file names. A rate that diverged has accuracy 0.
pub(crate) fn grow(search: &[(f32, f64)], declared: usize) -> Grown {
    let Some(best) = best_of(search) else {
        return Grown::Edge;
    };
    let upwards = best + 1 == search.len();
    if !upwards && best > 0 {
        return Grown::Inside;
    }
    if search.len() >= declared + EXTENSIONS {
        return Grown::Edge;
    }
    let neighbor = if upwards {
        best.checked_sub(1)
    } else {
        Some(best + 1)
    };
    let neighbor = neighbor.and_then(|index| search.get(index));
    let ratio = neighbor.map_or(3.0, |(rate, _)| {
        let ratio = search[best].0 / rate;
        ratio.max(1.0 / ratio)
    });
    Grown::Further(step(search[best].0, ratio, upwards))
}

/// The best; of equals the one furthest from the edges of the grid, since a tie with the edge is no
/// reason to go on beyond it.
pub(crate) fn best_of(search: &[(f32, f64)]) -> Option<usize> {
    let inside = |index: usize| index.min(search.len() - 1 - index);
    let mut best: Option<usize> = None;
    for (index, (_, accuracy)) in search.iter().enumerate() {
        let better = |best: usize| {
            *accuracy > search[best].1
                || (*accuracy == search[best].1 && inside(index) > inside(best))
        };
        if best.is_none_or(better) {
            best = Some(index);
        }
    }
    best
}

/// The next rate of a grid: of the sequence 1, 3, 10, 30, ... where it has about three to a step, else
/// the next power.
fn step(rate: f32, ratio: f32, upwards: bool) -> f32 {
    let by = if ratio > 5.0 { 10.0 } else { f64::from(ratio) };
    let next = if upwards {
        f64::from(rate) * by
    } else {
        f64::from(rate) / by
    };
    if !(2.5..=4.0).contains(&by) && by != 10.0 {
        return next as f32;
    }
    let decade = next.log10();
    let (whole, part) = (decade.floor(), decade - decade.floor());
    let (mantissa, power) = match part {
        p if p < 0.24 => (1.0, whole),
        p if p < 0.74 => (3.0, whole),
        _ => (1.0, whole + 1.0),
    };
    // The shortest decimal, not the product's binary expansion.
    let text = format!("{mantissa}e{power}");
    text.parse().unwrap_or(next as f32)
}

/// Seeds of each job at the first look: one, and all of them where a paper's spread is measured, where
/// others learn from it, and where the user asked for all.
pub(crate) fn at_first(jobs: &[Job], papers: &[Paper], all: bool) -> Vec<usize> {
    let teaches = |job: &Job| {
        let runs = jobs.iter().filter(|other| other.paper == job.paper);
        let mut teachers = runs.filter_map(|other| other.decl.teacher.as_ref());
        teachers.any(|teacher| teacher.run == job.decl.id)
    };
    let first = |job: &Job| {
        let spread = papers[job.paper]
            .spread_runs()
            .any(|run| run == job.decl.id);
        if all || (spread && job.point.is_none()) || teaches(job) {
            job.configs.len()
        } else {
            job.configs.len().min(1)
        }
    };
    jobs.iter().map(first).collect()
}

/// Seeds of each job after a look: one more for the runs of every part that is not decided yet. `false`
/// if nothing more is needed.
pub(crate) fn after_look(
    jobs: &[Job],
    results: &[JobResult],
    claims: &[(usize, Vec<JudgedClaim>)],
    seeds: &mut [usize],
) -> bool {
    let mut more = false;
    for (paper, claims) in claims {
        for part in claims
            .iter()
            .flat_map(|claim| &claim.parts)
            .filter(|part| part.open)
        {
            for (index, job) in jobs.iter().enumerate() {
                let behind =
                    job.paper == *paper && job.point.is_none() && part.runs.contains(&job.decl.id);
                let next = (results[index].attempted() + 1).min(job.configs.len());
                if behind && job.problem.is_none() && next > seeds[index] {
                    seeds[index] = next;
                    more = true;
                }
            }
        }
    }
    more
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grid_grows_at_the_edge_where_its_best_rate_lies_until_that_lies_inside() {
        let grid = |best: usize| -> Vec<(f32, f64)> {
            let rates = [0.03f32, 0.1, 0.3].into_iter().enumerate();
            rates
                .map(|(i, rate)| (rate, if i == best { 0.9 } else { 0.8 }))
                .collect()
        };
        assert_eq!(grow(&grid(1), 3), Grown::Inside);
        assert_eq!(grow(&grid(2), 3), Grown::Further(1.0));
        assert_eq!(grow(&grid(0), 3), Grown::Further(0.01));
        let decades = [(0.01f32, 0.9), (0.1, 0.8), (1.0, 0.0)];
        assert_eq!(grow(&decades, 3), Grown::Further(0.001));
        assert_eq!(grow(&[(0.1, 0.5)], 1), Grown::Further(0.3));
        // Divergence beyond it ends the grid.
        assert_eq!(
            grow(&[(0.1, 0.5), (0.3, 0.9), (1.0, 0.0)], 2),
            Grown::Inside
        );
        assert_eq!(
            grow(&[(0.1, 0.5), (0.3, 0.5), (1.0, 0.5)], 2),
            Grown::Inside
        );
        assert_eq!(grow(&[], 0), Grown::Edge);
        let long: Vec<(f32, f64)> = (0..9).map(|i| (i as f32 + 1.0, f64::from(i))).collect();
        assert_eq!(grow(&long, 3), Grown::Edge);
    }

    #[test]
    fn steps_follow_one_three_ten() {
        assert_eq!(step(0.3, 3.0, true), 1.0);
        assert_eq!(step(0.1, 3.0, true), 0.3);
        assert_eq!(step(0.0003, 3.0, false), 0.0001);
        assert_eq!(step(0.0001, 10.0, false), 0.00001);
        assert_eq!(step(0.2, 2.0, true), 0.4);
    }
}
