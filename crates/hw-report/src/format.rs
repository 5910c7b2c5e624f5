//! How a number is written, once for every table, plot and page.
//!
//! A value that is not finite is written as an en dash: it was not measured, or it diverged.

/// What stands where there is no number.
pub const MISSING: &str = "–";

/// NARROW NO-BREAK SPACE: between a number and its unit, and between groups of digits.
pub const THIN: char = '\u{202f}';

/// A share in `[0, 1]` as a percentage: `0.9922` with 2 decimals is "99.22 %".
pub fn percent(share: f64, decimals: usize) -> String {
    if !share.is_finite() {
        return MISSING.to_owned();
    }
    format!("{}{THIN}%", fixed(share * 100.0, decimals))
}

/// Mean and spread of a share: "99.22 ± 0.05 %"; without the spread where it is not finite.
pub fn percent_spread(mean: f64, spread: f64, decimals: usize) -> String {
    if !mean.is_finite() || !spread.is_finite() {
        return percent(mean, decimals);
    }
    let (mean, spread) = (mean * 100.0, spread.abs() * 100.0);
    format!(
        "{} ± {}{THIN}%",
        fixed(mean, decimals),
        fixed(spread, decimals)
    )
}

/// Mean and spread, both to the decimals of the spread's second significant digit:
/// `(1.23456, 0.0123)` is "1.235 ± 0.012".
pub fn spread(mean: f64, spread: f64) -> String {
    if !mean.is_finite() || !spread.is_finite() || spread == 0.0 {
        return significant(mean, 4);
    }
    let decimals = decimals_for(spread.abs(), 2);
    format!(
        "{} ± {}",
        fixed(mean, decimals),
        fixed(spread.abs(), decimals)
    )
}

/// `value` to `digits` significant digits, in powers of ten outside `[1e-4, 1e7)`.
pub fn significant(value: f64, digits: usize) -> String {
    let digits = digits.clamp(1, 17);
    if !value.is_finite() {
        return MISSING.to_owned();
    }
    if value == 0.0 {
        return "0".to_owned();
    }
    let scientific = format!("{value:.*e}", digits - 1);
    let Some((mantissa, exponent)) = scientific.split_once('e') else {
        return scientific;
    };
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if (-4..7).contains(&exponent) {
        let decimals = (digits as i32 - 1 - exponent).max(0) as usize;
        fixed(value, decimals)
    } else {
        format!("{}·10{}", minus(mantissa), superscript(exponent))
    }
}

/// `value` with a fixed number of decimals, a real minus sign, and never "−0"; in powers of ten
/// from 1e15, where a number has no decimals left.
pub fn fixed(value: f64, decimals: usize) -> String {
    if !value.is_finite() {
        return MISSING.to_owned();
    }
    if value.abs() >= 1e15 {
        return significant(value, 4);
    }
    let text = format!("{value:.*}", decimals.min(17));
    if text.starts_with('-') && text.bytes().all(|byte| matches!(byte, b'-' | b'0' | b'.')) {
        return text[1..].to_owned();
    }
    minus(&text)
}

/// A signed difference with its sign always written: "+0.12", "−0.30".
pub fn signed(value: f64, decimals: usize) -> String {
    let text = fixed(value, decimals);
    if value.is_finite() && !text.starts_with('−') {
        format!("+{text}")
    } else {
        text
    }
}

/// A value and its interval to the decimals of the interval's half width, to its second digit where
/// it begins with a 1: "4.0 [3.6, 4.4]"; with `plus`, "+4.0 [+3.6, +4.4]". Without the interval
/// where it has no width; an end that is infinite is written "∞".
pub fn interval(value: f64, low: f64, high: f64, plus: bool) -> String {
    let half = (high - low) / 2.0;
    let measure = [half, value - low, high - value, value];
    let measure = measure.map(f64::abs);
    let Some(&width) = measure.iter().find(|width| width.is_normal()) else {
        return if plus {
            signed(value, 2)
        } else {
            fixed(value, 2)
        };
    };
    let has_interval = low < high;
    let digits = match () {
        () if !has_interval => 3,
        () if width / 10f64.powf(width.log10().floor()) < 2.0 => 2,
        () => 1,
    };
    let decimals = decimals_for(width, digits).min(9);
    let write = |end: f64| match plus {
        _ if end == f64::INFINITY => "∞".to_owned(),
        _ if end == f64::NEG_INFINITY => "−∞".to_owned(),
        true => signed(end, decimals),
        false => fixed(end, decimals),
    };
    if has_interval {
        format!("{} [{}, {}]", write(value), write(low), write(high))
    } else {
        write(value)
    }
}

/// A duration in seconds: "38 µs", "0.46 s", "12.3 s", "1 min 20 s", "2 h 5 min".
pub fn duration(seconds: f64) -> String {
    if !seconds.is_finite() {
        return MISSING.to_owned();
    }
    if seconds < 0.0 {
        return format!("−{}", duration(-seconds));
    }
    let unit = |value: f64, name: &str| format!("{}{THIN}{name}", trimmed(value));
    match seconds {
        0.0 => unit(0.0, "s"),
        s if s < 999.5e-9 => unit(s * 1e9, "ns"),
        s if s < 999.5e-6 => unit(s * 1e6, "µs"),
        s if s < 0.0995 => unit(s * 1e3, "ms"),
        s if s < 59.95 => unit(s, "s"),
        s if s < 3599.5 => pair(s.round(), 60.0, "min", "s"),
        s if s < 360_000.0 => pair((s / 60.0).round(), 60.0, "h", "min"),
        s => unit((s / 3600.0).round(), "h"),
    }
}

/// Two units at once, the second left out where it is zero: "1 min 20 s", "2 h".
fn pair(total: f64, factor: f64, large: &str, small: &str) -> String {
    let (whole, rest) = ((total / factor).floor(), total % factor);
    if rest == 0.0 {
        format!("{whole}{THIN}{large}")
    } else {
        format!("{whole}{THIN}{large} {rest}{THIN}{small}")
    }
}

/// A count in groups of three digits: "814 255".
pub fn count(number: u64) -> String {
    count_with(number, &THIN.to_string())
}

/// A count in groups of three digits with a separator of your choice: "814,255".
pub fn count_with(number: u64, separator: &str) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push_str(separator);
        }
        out.push(digit);
    }
    out
}

/// A large number in thousands, millions or billions: "433 k", "1.77 M".
pub fn compact(value: f64) -> String {
    if !value.is_finite() {
        return MISSING.to_owned();
    }
    let (divisor, suffix) = match value.abs() {
        v if v < 999.5 => return trimmed(value),
        v if v < 999.5e3 => (1e3, "k"),
        v if v < 999.5e6 => (1e6, "M"),
        v if v < 999.5e9 => (1e9, "G"),
        v if v < 999.5e12 => (1e12, "T"),
        _ => return significant(value, 3),
    };
    format!("{}{THIN}{suffix}", trimmed(value / divisor))
}

/// A number of bytes in binary units: "512 B", "11.3 MiB".
pub fn bytes(number: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if number < 1024 {
        return format!("{number}{THIN}B");
    }
    let mut value = number as f64 / 1024.0;
    let mut unit = 0;
    while value >= 1023.5 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    format!("{}{THIN}{}", trimmed(value), UNITS[unit])
}

/// Three significant digits without trailing zeros behind the point.
fn trimmed(value: f64) -> String {
    let text = significant(value, 3);
    if text.contains('.') && !text.contains('·') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text
    }
}

/// Decimals that show `digits` significant digits of a positive value.
fn decimals_for(value: f64, digits: i32) -> usize {
    let exponent = value.log10().floor() as i32;
    (digits - 1 - exponent).clamp(0, 17) as usize
}

/// The typographic minus sign in place of the hyphen.
fn minus(text: &str) -> String {
    text.replacen('-', "−", 1)
}

/// An exponent as superscript: −5 is "⁻⁵".
pub fn superscript(exponent: i32) -> String {
    const DIGITS: [char; 10] = ['⁰', '¹', '²', '³', '⁴', '⁵', '⁶', '⁷', '⁸', '⁹'];
    exponent
        .to_string()
        .chars()
        .map(|character| match character.to_digit(10) {
            Some(digit) => DIGITS[digit as usize],
            None => '⁻',
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(text: String) -> String {
        text.replace(THIN, " ")
    }

    #[test]
    fn percentages_carry_their_decimals_and_spread() {
        assert_eq!(plain(percent(0.9922, 2)), "99.22 %");
        assert_eq!(plain(percent(1.0, 1)), "100.0 %");
        assert_eq!(plain(percent_spread(0.9922, 0.00049, 2)), "99.22 ± 0.05 %");
        assert_eq!(plain(percent_spread(0.9922, f64::NAN, 2)), "99.22 %");
        assert_eq!(percent(f64::NAN, 2), MISSING);
    }

    #[test]
    fn a_spread_decides_the_decimals_of_its_mean() {
        assert_eq!(spread(1.23456, 0.0123), "1.235 ± 0.012");
        assert_eq!(spread(1234.6, 12.0), "1235 ± 12");
        assert_eq!(spread(0.5, 0.0), "0.5000");
    }

    #[test]
    fn significant_digits_survive_any_magnitude() {
        assert_eq!(significant(0.012345, 3), "0.0123");
        assert_eq!(significant(123456.0, 2), "123456");
        assert_eq!(significant(-0.5, 2), "−0.50");
        assert_eq!(significant(1.5e-7, 2), "1.5·10⁻⁷");
        assert_eq!(significant(-2.0e12, 1), "−2·10¹²");
        assert_eq!(significant(9.999, 2), "10");
        assert_eq!(significant(f64::INFINITY, 2), MISSING);
        assert_eq!(fixed(1e300, 2), "1.000·10³⁰⁰");
    }

    #[test]
    fn zero_has_no_sign() {
        assert_eq!(fixed(-0.001, 2), "0.00");
        assert_eq!(signed(-0.001, 2), "+0.00");
        assert_eq!(signed(-0.3, 2), "−0.30");
        assert_eq!(signed(0.12, 2), "+0.12");
    }

    #[test]
    fn an_interval_decides_the_decimals_of_its_value() {
        assert_eq!(interval(4.02, 3.61, 4.43, true), "+4.0 [+3.6, +4.4]");
        assert_eq!(interval(-0.5, -0.625, -0.375, true), "−0.50 [−0.62, −0.38]");
        assert_eq!(interval(1.31, 1.27, 1.36, false), "1.31 [1.27, 1.36]");
        assert_eq!(interval(250.0, 120.0, 380.0, false), "250 [120, 380]");
        assert_eq!(
            interval(1.5, f64::NEG_INFINITY, 2.5, true),
            "+1.5 [−∞, +2.5]"
        );
        assert_eq!(interval(0.123_456, 0.123_456, 0.123_456, true), "+0.123");
        assert_eq!(interval(0.0, 0.0, 0.0, true), "+0.00");
        assert_eq!(interval(f64::NAN, f64::NAN, f64::NAN, true), MISSING);
    }

    #[test]
    fn durations_use_the_unit_a_person_would() {
        let cases = [
            (0.0, "0 s"),
            (38e-6, "38 µs"),
            (0.000_999_9, "1 ms"),
            (0.0123, "12.3 ms"),
            (0.46, "0.46 s"),
            (12.34, "12.3 s"),
            (59.96, "1 min"),
            (80.0, "1 min 20 s"),
            (3599.6, "1 h"),
            (7500.0, "2 h 5 min"),
            (400_000.0, "111 h"),
        ];
        for (seconds, expected) in cases {
            assert_eq!(plain(duration(seconds)), expected);
        }
        assert_eq!(duration(f64::NAN), MISSING);
    }

    #[test]
    fn counts_are_grouped_by_thousands() {
        assert_eq!(plain(count(814_255)), "814 255");
        assert_eq!(count_with(1_234_567, ","), "1,234,567");
        assert_eq!(count(999), "999");
        assert_eq!(plain(compact(433_000.0)), "433 k");
        assert_eq!(plain(compact(1_766_270.0)), "1.77 M");
        assert_eq!(plain(bytes(512)), "512 B");
        assert_eq!(plain(bytes(11_850_000)), "11.3 MiB");
        assert_eq!(plain(bytes(u64::MAX)), "16 EiB");
    }
}
