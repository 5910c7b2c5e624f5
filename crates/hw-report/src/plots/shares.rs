//! How much of each thing is in each other thing, as a matrix of shades.

use super::{Plot, SMALL, no_data, usable};
use crate::format;
use crate::svg::{Element, Svg, ellipsis, rect, text, text_width};

/// A square matrix of shares, 0 to 1; the columns are called by the numbers of the rows.
///
/// ```
/// use hw_report::plots::{Plot, ShareMatrix};
/// let shares = vec![vec![None, Some(0.86)], vec![Some(0.14), None]];
/// let matrix = ShareMatrix::new(["test", "train"], shares);
/// assert!(matrix.draw(350.0).body().contains("86 % of test is in train"));
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct ShareMatrix {
    names: Vec<String>,
    shares: Vec<Vec<Option<f64>>>,
}

impl ShareMatrix {
    /// A matrix from `shares[of][into]`; `None` where there is nothing to say, as on the diagonal.
    pub fn new(
        names: impl IntoIterator<Item = impl Into<String>>,
        shares: Vec<Vec<Option<f64>>>,
    ) -> Self {
        Self {
            names: names.into_iter().map(Into::into).collect(),
            shares,
        }
    }

    fn share(&self, of: usize, into: usize) -> Option<f64> {
        let share = self.shares.get(of)?.get(into).copied().flatten()?;
        share.is_finite().then(|| share.clamp(0.0, 1.0))
    }

    fn cell(&self, of: usize, into: usize, x: f64, y: f64, side: f64) -> Vec<Element> {
        let Some(share) = self.share(of, into) else {
            return Vec::new();
        };
        if share == 0.0 {
            return Vec::new();
        }
        let words = whole_percent(share);
        let told = format!("{words} % of {} is in {}", self.names[of], self.names[into]);
        let shade = 0.15 + 0.85 * share;
        let mut out = vec![
            rect(x + 0.5, y + 0.5, side - 1.0, side - 1.0, "s2 cell")
                .attr("opacity", &format!("{shade:.2}"))
                .tooltip(&told),
        ];
        if text_width(&words, SMALL) < side - 2.0 {
            let ink = if shade > 0.68 { " onmid" } else { "" };
            let middle = (x + side / 2.0, y + side / 2.0 + SMALL * 0.36);
            let number = text(middle.0, middle.1, &format!("mid small{ink}"), &words);
            out.push(number.attr("pointer-events", "none"));
        }
        out
    }
}

/// Per cent without decimals; the smallest share is not nothing, and almost all is not all.
fn whole_percent(share: f64) -> String {
    match share * 100.0 {
        low if low < 0.5 => "<1".into(),
        high if high > 99.5 && share < 1.0 => ">99".into(),
        other => format::fixed(other, 0),
    }
}

impl Plot for ShareMatrix {
    fn draw(&self, width: f64) -> Svg {
        let (width, count) = (usable(width), self.names.len());
        if count == 0 {
            return no_data(width, 160.0);
        }
        let labels: Vec<String> = self
            .names
            .iter()
            .zip(1..)
            .map(|(name, number)| ellipsis(&format!("{name}  {number}"), SMALL, width * 0.45))
            .collect();
        let widest = labels.iter().map(|label| text_width(label, SMALL));
        let left = widest.fold(0.0, f64::max) + 8.0;
        let side = ((width - left - 1.0) / count as f64)
            .clamp(18.0, 40.0)
            .floor();
        let (top, size) = (20.0, side * count as f64);
        let mut out = vec![rect(left, top, size, size, "frame")];
        for (of, label) in labels.iter().enumerate() {
            let middle = side * (of as f64 + 0.5);
            let baseline = top + middle + SMALL * 0.36;
            out.push(text(left - 6.0, baseline, "end small", label));
            let number = (of + 1).to_string();
            out.push(text(left + middle, top - 6.0, "mid small", &number));
            for into in 0..count {
                let (x, y) = (left + side * into as f64, top + side * of as f64);
                out.extend(self.cell(of, into, x, y, side));
            }
        }
        let key = "per cent of the row's images that are in the column's part";
        let below = top + size + 16.0;
        let key = ellipsis(key, SMALL, width);
        let total = (left + size + 1.0).max(text_width(&key, SMALL));
        out.push(text(0.0, below, "small quiet", &key));
        let svg = Svg::new(total, below + 6.0, out);
        if total > width + 1.0 {
            svg.rigid()
        } else {
            svg
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn almost_nothing_is_not_nothing_and_almost_all_is_not_all() {
        assert_eq!(
            [0.0001, 0.142, 0.999, 1.0].map(whole_percent),
            ["<1", "14", ">99", "100"]
        );
    }

    #[test]
    fn empty_cells_and_missing_rows_draw_nothing() {
        let matrix = ShareMatrix::new(["a", "b"], vec![vec![None, Some(0.0)]]);
        assert!(!matrix.draw(350.0).body().contains("<title>"));
        assert!(
            ShareMatrix::new(Vec::<String>::new(), vec![])
                .draw(350.0)
                .height()
                > 0.0
        );
    }
}
