//! Axes: which range is shown, where the ticks are, and what they say.

use super::{SMALL, plottable};
use crate::format;
use crate::svg::{Element, line, text, text_width};
use std::f64::consts::LN_10;

/// What the numbers of an axis are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Unit {
    /// Plain numbers.
    #[default]
    Number,
    /// Whole numbers, such as epochs: ticks only at whole ones.
    Whole,
    /// Shares in `[0, 1]`, written as percentages.
    Percent,
    /// Durations in seconds.
    Seconds,
    /// Large counts, written as "1.77 M".
    Count,
}

/// How values become places along an axis.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
enum Scale {
    #[default]
    Linear,
    /// Values at or below zero have no place on it.
    Log,
    /// `sign(v) log10(1 + |v| / linear)`: linear about zero, logarithmic beyond `linear`.
    SymLog(f64),
}

/// An axis: its label, unit, scale and, unless fitted to the data, its range.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Axis {
    label: String,
    unit: Unit,
    scale: Scale,
    range: Option<(f64, f64)>,
    signed: bool,
    ticks: Vec<f64>,
}

impl Axis {
    /// A linear axis of plain numbers, fitted to the data.
    pub fn new(label: impl Into<String>) -> Self {
        Self {
            label: label.into(),
            ..Self::default()
        }
    }

    /// The same axis with another unit.
    pub fn unit(mut self, unit: Unit) -> Self {
        self.unit = unit;
        self
    }

    /// The same axis for shares, written as percentages.
    pub fn percent(self) -> Self {
        self.unit(Unit::Percent)
    }

    /// The same axis on a logarithmic scale; values at or below zero cannot be shown on it.
    pub fn log(mut self) -> Self {
        self.scale = Scale::Log;
        self
    }

    /// The same axis linear within about `±linear` and logarithmic beyond, on both sides of zero:
    /// for differences of very different sizes. Ignored unless `linear` is above zero.
    pub fn symlog(mut self, linear: f64) -> Self {
        if (1e-100..1e100).contains(&linear) {
            self.scale = Scale::SymLog(linear);
        }
        self
    }

    /// The same axis for differences: a plus sign before those above zero.
    pub fn signed(mut self) -> Self {
        self.signed = true;
        self
    }

    /// The same axis with ticks at exactly these values, such as the sizes that were run.
    pub fn ticks(mut self, values: impl IntoIterator<Item = f64>) -> Self {
        self.ticks = values.into_iter().collect();
        self.ticks.sort_by(f64::total_cmp);
        self.ticks.dedup();
        self
    }

    /// The same axis showing exactly this range; ignored unless finite and `low < high`.
    pub fn range(mut self, low: f64, high: f64) -> Self {
        self.range = Some((low, high));
        self
    }

    /// Whether it shows a range of its own instead of that of the data.
    pub(crate) fn has_range(&self) -> bool {
        self.fixed_range().is_some()
    }

    fn fixed_range(&self) -> Option<(f64, f64)> {
        let usable = |&(low, high): &(f64, f64)| self.shows(low) && self.shows(high) && low < high;
        self.range.filter(usable)
    }

    /// What is measured along it.
    pub fn label(&self) -> &str {
        &self.label
    }

    /// Whether a value has a place on this axis.
    pub(crate) fn shows(&self, value: f64) -> bool {
        plottable(value) && (self.scale != Scale::Log || value > 1e-150)
    }

    /// A value as it is written beside a mark: one digit more than a tick.
    pub(crate) fn write(&self, value: f64) -> String {
        let written = match self.unit {
            Unit::Number => format::significant(value, 3),
            Unit::Whole => format::fixed(value, 0),
            Unit::Percent => format::percent(value, 2),
            Unit::Seconds => format::duration(value),
            Unit::Count => format::compact(value),
        };
        self.with_sign(value, written)
    }

    fn with_sign(&self, value: f64, written: String) -> String {
        if self.signed && value > 0.0 {
            format!("+{written}")
        } else {
            written
        }
    }

    /// The axis fitted to `values`; `None` when none of them can be shown and no range is fixed.
    pub(crate) fn fit(&self, values: impl IntoIterator<Item = f64>) -> Option<Fitted> {
        self.fit_padded(values, 0.05)
    }

    /// As [`fit`](Self::fit), with this share of the range left free at both ends.
    pub(crate) fn fit_padded(
        &self,
        values: impl IntoIterator<Item = f64>,
        padding: f64,
    ) -> Option<Fitted> {
        let (low, high) = match self.fixed_range() {
            Some((low, high)) => (self.forward(low), self.forward(high)),
            None => self.padded(values, padding)?,
        };
        let mut fitted = Fitted {
            axis: self.clone(),
            low,
            high,
            start: 0.0,
            end: 1.0,
        };
        fitted.widen();
        Some(fitted)
    }

    /// The range of the values on the axis's own scale, with room at both ends.
    fn padded(&self, values: impl IntoIterator<Item = f64>, padding: f64) -> Option<(f64, f64)> {
        let shown = values.into_iter().filter(|&value| self.shows(value));
        let (low, high) = shown
            .map(|value| self.forward(value))
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| {
                (low.min(value), high.max(value))
            });
        if low > high {
            return None;
        }
        let room = (high - low) * padding;
        let (mut wide_low, mut wide_high) = (low - room, high + room);
        if self.scale == Scale::Linear && self.unit == Unit::Percent && low >= 0.0 && high <= 1.0 {
            // There is nothing below 0 % or above 100 %.
            (wide_low, wide_high) = (wide_low.max(0.0), wide_high.min(1.0));
        }
        Some((wide_low, wide_high))
    }

    fn forward(&self, value: f64) -> f64 {
        match self.scale {
            Scale::Linear => value,
            Scale::Log => value.log10(),
            Scale::SymLog(linear) => (value.abs() / linear).ln_1p().copysign(value) / LN_10,
        }
    }

    /// The value at a place on the axis's own scale.
    fn back(&self, place: f64) -> f64 {
        match self.scale {
            Scale::Linear => place,
            Scale::Log => 10f64.powf(place),
            Scale::SymLog(linear) => (place.abs() * LN_10).exp_m1().copysign(place) * linear,
        }
    }
}

/// An axis with its range, mapped to pixels.
#[derive(Clone, Debug)]
pub(crate) struct Fitted {
    axis: Axis,
    /// The range on the axis's own scale (logarithms on a logarithmic axis).
    low: f64,
    high: f64,
    start: f64,
    end: f64,
}

impl Fitted {
    /// Keeps the range from being empty, or too narrow for its numbers to differ.
    fn widen(&mut self) {
        let size = self.low.abs().max(self.high.abs());
        let linear = self.axis.scale == Scale::Linear;
        let least = if linear {
            (size * 1e-6).max(1e-140)
        } else {
            0.04
        };
        if self.high - self.low < least {
            let half = match () {
                () if !linear => 0.5,
                () if self.axis.unit == Unit::Percent => (size * 1e-3).max(0.005),
                () if self.axis.unit == Unit::Whole => (size * 1e-3).max(1.0),
                () if size == 0.0 => 1.0,
                () => size * 0.05,
            };
            let middle = (self.low + self.high) / 2.0;
            (self.low, self.high) = (middle - half, middle + half);
        }
    }

    /// The same axis from pixel `start` (low values) to pixel `end`.
    pub(crate) fn onto(mut self, start: f64, end: f64) -> Self {
        (self.start, self.end) = (start, end);
        self
    }

    /// Where a value is, in pixels; beyond the ends for values outside the range.
    pub(crate) fn at(&self, value: f64) -> f64 {
        let share = (self.axis.forward(value) - self.low) / (self.high - self.low);
        // A value far outside still needs a coordinate that renderers can hold.
        self.start + share.clamp(-100.0, 100.0) * (self.end - self.start)
    }

    /// Whether a value lies inside the range shown.
    pub(crate) fn holds(&self, value: f64) -> bool {
        let slack = (self.high - self.low) * 1e-9;
        let value = self.axis.forward(value);
        value >= self.low - slack && value <= self.high + slack
    }

    /// Where a value is or, for a value outside the range, the end nearest to it.
    pub(crate) fn clamped(&self, value: f64) -> f64 {
        let (left, right) = (self.start.min(self.end), self.start.max(self.end));
        self.at(value).clamp(left, right)
    }

    /// For a value outside the range, the end it lies beyond and the side of it: −1 before the
    /// start, 1 after the end.
    pub(crate) fn beyond(&self, value: f64) -> Option<(f64, f64)> {
        let after = self.axis.forward(value) > self.high;
        let end = if after {
            (self.end, 1.0)
        } else {
            (self.start, -1.0)
        };
        (!self.holds(value)).then_some(end)
    }

    /// About `wanted` ticks, lowest first: value and label.
    pub(crate) fn ticks(&self, wanted: usize) -> Vec<(f64, String)> {
        let wanted = wanted.max(2);
        let values = match self.axis.scale {
            _ if !self.axis.ticks.is_empty() => {
                let given = self.axis.ticks.iter().copied();
                given
                    .filter(|&value| self.axis.shows(value) && self.holds(value))
                    .collect()
            }
            Scale::Linear => self.linear_ticks(self.low, self.high, wanted),
            Scale::Log => self.log_ticks(wanted),
            Scale::SymLog(linear) => self.symlog_ticks(linear, wanted),
        };
        let label = self.labeller(&values);
        values
            .into_iter()
            .map(|value| (value, label(value)))
            .collect()
    }

    fn linear_ticks(&self, low: f64, high: f64, wanted: usize) -> Vec<f64> {
        let step = self.nice_step((high - low) / wanted as f64);
        let first = (low / step - 1e-9).ceil();
        (0..=3 * wanted)
            .map(|index| (first + index as f64) * step)
            .take_while(|&value| value <= high + step * 1e-9)
            // An exact zero instead of a rounding error of the multiplication.
            .map(|value| {
                if value.abs() < step * 1e-9 {
                    0.0
                } else {
                    value
                }
            })
            .collect()
    }

    /// The smallest round step not below `least`.
    fn nice_step(&self, least: f64) -> f64 {
        const CLOCK: [f64; 16] = [
            1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 900.0, 1800.0, 3600.0,
            7200.0, 18_000.0, 36_000.0,
        ];
        if self.axis.unit == Unit::Seconds
            && (1.0..=36_000.0).contains(&least)
            && let Some(&step) = CLOCK.iter().find(|&&step| step >= least)
        {
            return step;
        }
        let power = 10f64.powf(least.log10().floor());
        let factors: &[f64] = match self.axis.unit {
            Unit::Whole => &[1.0, 2.0, 5.0, 10.0],
            _ => &[1.0, 2.0, 2.5, 5.0, 10.0],
        };
        let step = factors
            .iter()
            .map(|factor| factor * power)
            .find(|&step| step >= least * (1.0 - 1e-9))
            .unwrap_or(10.0 * power);
        if self.axis.unit == Unit::Whole {
            step.ceil().max(1.0)
        } else {
            step
        }
    }

    fn log_ticks(&self, wanted: usize) -> Vec<f64> {
        let (low, high) = (10f64.powf(self.low), 10f64.powf(self.high));
        let within = |value: &f64| *value >= low * (1.0 - 1e-9) && *value <= high * (1.0 + 1e-9);
        if self.axis.unit == Unit::Seconds && low >= 1e-3 && high <= 1e6 && high / low > 20.0 {
            const CLOCK: [f64; 10] = [
                1e-3, 1e-2, 0.1, 1.0, 10.0, 60.0, 600.0, 3600.0, 36_000.0, 86_400.0,
            ];
            return CLOCK.into_iter().filter(within).collect();
        }
        let decades = self.high - self.low;
        if decades < 0.7 {
            return self.linear_ticks(low, high, wanted);
        }
        let (first, last) = (self.low.floor() as i32, self.high.ceil() as i32);
        let powers = |every: usize, factors: &'static [f64]| -> Vec<f64> {
            (first..=last)
                .filter(|power| power.rem_euclid(every as i32) == 0)
                .flat_map(|power| factors.iter().map(move |factor| factor * 10f64.powi(power)))
                .filter(within)
                .collect()
        };
        if decades * 3.0 <= wanted as f64 + 1.0 {
            return powers(1, &[1.0, 2.0, 5.0]);
        }
        let every = (decades / wanted as f64).ceil().max(1.0) as usize;
        let whole = powers(every, &[1.0]);
        if whole.len() >= 2 {
            whole
        } else {
            powers(1, &[1.0, 3.0])
        }
    }

    /// Zero and, on both sides of it, as many round values as wanted, from `linear` up.
    fn symlog_ticks(&self, linear: f64, wanted: usize) -> Vec<f64> {
        let (low, high) = (self.axis.back(self.low), self.axis.back(self.high));
        let most = low.abs().max(high.abs());
        if most < 2.0 * linear {
            return self.linear_ticks(low, high, wanted);
        }
        let (first, last) = (linear.log10().floor() as i32, most.log10().ceil() as i32);
        let ticks = |every: usize, factors: &[f64]| -> Vec<f64> {
            let sizes = (first..=last)
                .step_by(every)
                .flat_map(|power| factors.iter().map(move |factor| factor * 10f64.powi(power)))
                .filter(|&size| size >= linear * (1.0 - 1e-9));
            let both = sizes.flat_map(|size| [-size, size]).chain([0.0]);
            let mut inside: Vec<f64> = both.filter(|&value| self.holds(value)).collect();
            inside.sort_by(f64::total_cmp);
            inside
        };
        let rich: [&[f64]; 2] = [&[1.0, 2.0, 5.0], &[1.0, 3.0]];
        let rich = rich.into_iter().map(|factors| ticks(1, factors));
        let sparse = (1..).map(|every| ticks(every, &[1.0]));
        let fits = |ticks: &Vec<f64>| ticks.len() <= wanted.max(3);
        // Leaving out ever more powers ends with zero and at most one power on each side of it.
        rich.chain(sparse)
            .find(fits)
            .expect("zero and a power on each side are three ticks")
    }

    /// How all ticks of this axis are written, so that they match each other.
    fn labeller(&self, values: &[f64]) -> Box<dyn Fn(f64) -> String> {
        let plain = self.plain_labeller(values);
        let axis = self.axis.clone();
        Box::new(move |value| axis.with_sign(value, plain(value)))
    }

    fn plain_labeller(&self, values: &[f64]) -> Box<dyn Fn(f64) -> String> {
        let powers = self.axis.scale != Scale::Linear;
        let step = values
            .windows(2)
            .map(|pair| pair[1] - pair[0])
            .fold(f64::INFINITY, f64::min);
        let decimals = |step: f64| -> usize {
            if !step.is_finite() || step <= 0.0 {
                return 2;
            }
            (0..=9)
                .find(|&digits| {
                    let scaled = step * 10f64.powi(digits);
                    (scaled - scaled.round()).abs() < 1e-6 * scaled.max(1.0) && scaled > 0.5
                })
                .unwrap_or(9) as usize
        };
        let largest = values
            .iter()
            .fold(0.0f64, |most, value| most.max(value.abs()));
        match self.axis.unit {
            Unit::Whole => Box::new(|value| format::fixed(value, 0)),
            Unit::Seconds => Box::new(format::duration),
            Unit::Count => Box::new(format::compact),
            Unit::Percent if powers => {
                Box::new(|value| format!("{}{}%", plain_or_power(value * 100.0), format::THIN))
            }
            Unit::Percent => {
                let digits = decimals(step * 100.0);
                Box::new(move |value| format::percent(value, digits))
            }
            Unit::Number if powers => Box::new(plain_or_power),
            Unit::Number if largest >= 1e5 || step < 1e-5 => {
                Box::new(|value| format::significant(value, 3))
            }
            Unit::Number => {
                let digits = decimals(step);
                Box::new(move |value| format::fixed(value, digits))
            }
        }
    }

    /// The ticks that have room for their labels, side by side along the bottom.
    pub(crate) fn bottom_ticks(&self) -> Vec<(f64, String)> {
        let span = (self.end - self.start).abs();
        let most = ((span / 44.0) as usize).clamp(2, 10);
        if self.axis.scale == Scale::Linear && self.axis.ticks.is_empty() {
            let widest = |wanted: usize| {
                let ticks = self.ticks(wanted);
                let widths = ticks.iter().map(|(_, label)| text_width(label, SMALL));
                (widths.fold(0.0, f64::max) + 18.0) * ticks.len() as f64
            };
            let wanted = (2..=most).rev().find(|&n| widest(n) <= span).unwrap_or(2);
            return self.ticks(wanted);
        }
        self.apart(self.ticks(most))
    }

    /// Ticks without those whose labels would touch others': zero stays, then the last, the first.
    fn apart(&self, ticks: Vec<(f64, String)>) -> Vec<(f64, String)> {
        let extent = |(value, label): &(f64, String)| {
            let half = text_width(label, SMALL) / 2.0 + 4.0;
            (self.at(*value) - half, self.at(*value) + half)
        };
        let last = ticks.len().saturating_sub(1);
        let mut order: Vec<usize> = (0..ticks.len()).collect();
        order.sort_by_key(|&index| (ticks[index].0 != 0.0, index != last, index));
        let mut kept: Vec<usize> = Vec::new();
        for index in order {
            let (from, to) = extent(&ticks[index]);
            let free = |&other: &usize| {
                let (start, end) = extent(&ticks[other]);
                to <= start || from >= end
            };
            if kept.iter().all(free) {
                kept.push(index);
            }
        }
        kept.sort_unstable();
        kept.into_iter().map(|index| ticks[index].clone()).collect()
    }

    /// This axis drawn along the bottom: ticks, vertical grid lines up to `top`, label.
    pub(crate) fn bottom(&self, y: f64, top: f64) -> Vec<Element> {
        let mut out = Vec::new();
        for (value, label) in self.bottom_ticks() {
            let x = self.at(value);
            out.push(line(x, top, x, y, "grid"));
            out.push(text(x, y + 16.0, "small mid quiet", &label));
        }
        out.push(line(self.start, y, self.end, y, "axis"));
        let middle = (self.start + self.end) / 2.0;
        out.push(text(middle, y + 34.0, "small mid quiet", self.axis.label()));
        out
    }

    /// This axis drawn along the left: tick labels, horizontal grid lines up to `right`, and its
    /// label lying above it at `label_y`, where it can be read without turning the head.
    pub(crate) fn left(&self, x: f64, right: f64, label_y: f64) -> Vec<Element> {
        let mut out = Vec::new();
        for (value, label) in self.ticks(self.vertical_ticks()) {
            let y = self.at(value);
            out.push(line(x, y, right, y, "grid"));
            out.push(text(x - 8.0, y + 4.0, "small end quiet", &label));
        }
        out.push(text(0.0, label_y, "small quiet", self.axis.label()));
        out
    }

    /// How wide the tick labels of [`left`](Self::left) are.
    pub(crate) fn left_width(&self) -> f64 {
        let ticks = self.ticks(self.vertical_ticks());
        let widths = ticks.iter().map(|(_, label)| text_width(label, SMALL));
        widths.fold(0.0, f64::max) + 8.0
    }

    fn vertical_ticks(&self) -> usize {
        (((self.end - self.start).abs() / 46.0) as usize).clamp(2, 8)
    }
}

/// A tick of a logarithmic axis: "0.01", "100", but "10⁻⁵".
fn plain_or_power(value: f64) -> String {
    if value < 0.0 {
        return format!("−{}", plain_or_power(-value));
    }
    if (1e-3..1e5).contains(&value) || value == 0.0 {
        let text = format::significant(value, 3);
        if text.contains('.') {
            return text.trim_end_matches('0').trim_end_matches('.').to_owned();
        }
        return text;
    }
    let power = (value.log10() + 1e-9).floor();
    let mantissa = value / 10f64.powf(power);
    if (mantissa - 1.0).abs() < 1e-6 {
        format!("10{}", format::superscript(power as i32))
    } else {
        format!(
            "{}·10{}",
            (mantissa * 10.0).round() / 10.0,
            format::superscript(power as i32)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::{any, prop_assert, proptest};

    fn labels(axis: Axis, values: &[f64], wanted: usize) -> Vec<String> {
        let fitted = axis.fit(values.iter().copied()).unwrap();
        let ticks = fitted.ticks(wanted).into_iter();
        ticks
            .map(|(_, label)| label.replace(format::THIN, " "))
            .collect()
    }

    #[test]
    fn ticks_are_round_and_written_alike() {
        let axis = || Axis::new("x");
        assert_eq!(
            labels(axis().range(0.0, 1.0), &[], 4),
            ["0.00", "0.25", "0.50", "0.75", "1.00"]
        );
        assert_eq!(
            labels(axis().percent().range(0.985, 0.995), &[], 4),
            ["98.50 %", "98.75 %", "99.00 %", "99.25 %", "99.50 %"]
        );
        assert_eq!(
            labels(axis().unit(Unit::Whole).range(1.0, 5.0), &[], 8),
            ["1", "2", "3", "4", "5"]
        );
        assert_eq!(
            labels(axis().unit(Unit::Seconds).range(0.0, 150.0), &[], 5),
            ["0 s", "30 s", "1 min", "1 min 30 s", "2 min", "2 min 30 s"]
        );
        assert_eq!(
            labels(axis().log().range(1e-5, 1.0), &[], 6),
            ["10⁻⁵", "10⁻⁴", "0.001", "0.01", "0.1", "1"]
        );
        assert_eq!(
            labels(axis().log().range(1.0, 10.0), &[], 4),
            ["1", "2", "5", "10"]
        );
    }

    #[test]
    fn an_axis_without_a_value_to_show_says_so() {
        assert!(Axis::new("x").fit([f64::NAN, f64::INFINITY]).is_none());
        assert!(Axis::new("x").log().fit([0.0, -1.0]).is_none());
        assert!(Axis::new("x").fit([f64::MAX, f64::MIN]).is_none());
        assert!(Axis::new("x").fit([3.0]).is_some());
    }

    #[test]
    fn shares_are_never_shown_beyond_a_hundred_percent() {
        let fitted = Axis::new("x").percent().fit([0.0, 1.0]).unwrap();
        assert!(!fitted.holds(1.01) && !fitted.holds(-0.01));
    }

    #[test]
    fn a_symlog_axis_is_even_about_zero_and_labels_both_sides() {
        let axis = || Axis::new("x").symlog(1.0).signed();
        assert_eq!(
            labels(axis().range(-100.0, 100.0), &[], 7),
            ["−100", "−10", "−1", "0", "+1", "+10", "+100"]
        );
        assert_eq!(
            labels(axis().range(-0.5, 1.0), &[], 4),
            ["−0.5", "0", "+0.5", "+1"]
        );
        let fitted = axis()
            .range(-100.0, 100.0)
            .fit([])
            .unwrap()
            .onto(0.0, 200.0);
        assert!((fitted.at(0.0) - 100.0).abs() < 1e-9);
        assert!((fitted.at(10.0) - 100.0 - (100.0 - fitted.at(-10.0))).abs() < 1e-9);
        // log10(1 + 10) / log10(1 + 100)
        assert!((fitted.at(10.0) - 100.0 - 51.957_4).abs() < 1e-3);
    }

    #[test]
    fn given_ticks_are_shown_where_their_labels_have_room() {
        let sizes = [60_000.0, 1000.0, 1100.0, 10_000.0];
        let axis = Axis::new("images").unit(Unit::Count).log().ticks(sizes);
        let fitted = axis.fit(sizes).unwrap().onto(0.0, 300.0);
        let shown: Vec<f64> = fitted
            .bottom_ticks()
            .into_iter()
            .map(|tick| tick.0)
            .collect();
        assert_eq!(shown, [1000.0, 10_000.0, 60_000.0]);
        assert_eq!(fitted.ticks(2).len(), 4);
    }

    proptest! {
        #[test]
        fn any_values_give_a_few_ticks_inside_the_range(
            values in proptest::collection::vec(any::<f64>(), 0..6),
            scale in 0usize..3,
            linear in any::<f64>(),
            unit in 0usize..5,
            wanted in 0usize..12,
        ) {
            let unit = [Unit::Number, Unit::Whole, Unit::Percent, Unit::Seconds, Unit::Count][unit];
            let axis = Axis::new("x").unit(unit);
            let axis = match scale {
                0 => axis,
                1 => axis.log(),
                _ => axis.symlog(linear),
            };
            if let Some(fitted) = axis.fit(values.iter().copied()) {
                let fitted = fitted.onto(0.0, 100.0);
                let ticks = fitted.ticks(wanted);
                prop_assert!(ticks.len() <= 40, "{} ticks", ticks.len());
                prop_assert!(ticks.windows(2).all(|pair| pair[0].0 < pair[1].0));
                prop_assert!(ticks.iter().all(|(value, _)| fitted.at(*value).is_finite()));
            }
        }
    }
}
