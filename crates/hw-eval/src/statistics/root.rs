//! Where a decreasing function crosses 0.

/// The place between `low` and `high`, or the nearer end (regula falsi of the Illinois kind).
pub(crate) fn decreasing_root(f: impl Fn(f64) -> f64, mut low: f64, mut high: f64) -> f64 {
    let (mut at_low, mut at_high) = (f(low), f(high));
    if at_low <= 0.0 {
        return low;
    }
    if at_high >= 0.0 {
        return high;
    }
    while high - low > 1e-12 * low.abs().max(high.abs()) {
        let between = low + (high - low) * at_low / (at_low - at_high);
        let middle = match low < between && between < high {
            true => between,
            false => 0.5 * (low + high),
        };
        if middle <= low || middle >= high {
            break;
        }
        let value = f(middle);
        if value.abs() < 1e-13 {
            return middle;
        }
        if value > 0.0 {
            (low, at_low) = (middle, value);
            at_high *= 0.5;
        } else {
            (high, at_high) = (middle, value);
            at_low *= 0.5;
        }
    }
    0.5 * (low + high)
}
