//! Numbers and text as the report writes them: digits, signs and spacing are decided here.

/// Stands in for a number that is missing or not finite.
pub(super) const MISSING: &str = "–";

/// The decimals for a quantity whose interval is `spread` wide: two significant digits of the half
/// width, one where it starts with 35 or more.
pub(super) fn decimals_for(spread: f64) -> usize {
    let half = spread.abs() / 2.0;
    if !half.is_finite() || half < 1e-9 {
        return 3;
    }
    (-(half / 3.5).log10().floor()).clamp(0.0, 4.0) as usize
}

/// A number with fixed decimals, a true minus sign and no negative zero.
pub(super) fn fixed(value: f64, decimals: usize) -> String {
    if !value.is_finite() {
        return MISSING.to_owned();
    }
    let magnitude = format!("{:.decimals$}", value.abs());
    let is_zero = magnitude.bytes().all(|byte| matches!(byte, b'0' | b'.'));
    if value < 0.0 && !is_zero {
        format!("−{magnitude}")
    } else {
        magnitude
    }
}

/// A difference: always signed, except for zero.
pub(super) fn signed(value: f64, decimals: usize) -> String {
    let text = fixed(value, decimals);
    let is_positive =
        value.is_finite() && value > 0.0 && text.bytes().any(|b| (b'1'..=b'9').contains(&b));
    if is_positive {
        format!("+{text}")
    } else {
        text
    }
}

/// A fraction as a percentage without its sign; `0.123` gives `12 %`.
pub(super) fn percent(fraction: f64, decimals: usize) -> String {
    format!("{}\u{202f}%", fixed(fraction * 100.0, decimals))
}

/// A fraction as a percentage with its sign.
pub(super) fn signed_percent(fraction: f64, decimals: usize) -> String {
    format!("{}\u{202f}%", signed(fraction * 100.0, decimals))
}

/// `[low, high]`.
pub(super) fn interval(low: f64, high: f64, decimals: usize) -> String {
    format!("[{}, {}]", fixed(low, decimals), fixed(high, decimals))
}

/// `[low, high]` of a difference.
pub(super) fn signed_interval(low: f64, high: f64, decimals: usize) -> String {
    format!("[{}, {}]", signed(low, decimals), signed(high, decimals))
}

/// A p-value; a bootstrap supports no more than three decimals.
pub(super) fn p_value(p: f64) -> String {
    if !p.is_finite() {
        return format!("p {MISSING}");
    }
    if p < 0.001 {
        "p < 0.001".to_owned()
    } else {
        format!("p = {p:.3}")
    }
}

/// A count with thin spaces between thousands.
pub(super) fn count(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    text
}

/// `1 prompt`, `2 prompts`.
pub(super) fn counted(number: usize, one: &str) -> String {
    format!(
        "{} {one}{}",
        count(number),
        if number == 1 { "" } else { "s" }
    )
}

/// A logged value of unknown magnitude: four significant digits, powers of ten where they read
/// better.
pub(super) fn significant(value: f64) -> String {
    if !value.is_finite() {
        return MISSING.to_owned();
    }
    let size = value.abs();
    if size != 0.0 && !(1e-3..1e6).contains(&size) {
        let exponent = size.log10().floor();
        let mantissa = value / 10f64.powf(exponent);
        return format!(
            "{}·10{}",
            trimmed(fixed(mantissa, 2)),
            superscript(exponent as i64)
        );
    }
    let decimals = if size >= 1000.0 {
        0
    } else if size >= 100.0 {
        1
    } else if size >= 10.0 {
        2
    } else {
        3
    };
    trimmed(fixed(value, decimals))
}

/// A coordinate in a drawing: a tenth of a unit is finer than the eye can see.
pub(super) fn coordinate(value: f64) -> String {
    if !value.is_finite() {
        return "0".to_owned();
    }
    let text = trimmed(format!("{value:.1}"));
    if text == "-0" { "0".to_owned() } else { text }
}

/// A text cut to at most `limit` characters at the end of a word, and whether it was cut.
pub(super) fn clipped(text: &str, limit: usize) -> (&str, bool) {
    let Some((end, _)) = text.char_indices().nth(limit) else {
        return (text, false);
    };
    let head = &text[..end];
    let cut = head
        .rfind(char::is_whitespace)
        .filter(|&at| at > end / 2)
        .unwrap_or(end);
    (text[..cut].trim_end(), true)
}

fn trimmed(number: String) -> String {
    if number.contains('.') {
        number
            .trim_end_matches('0')
            .trim_end_matches('.')
            .to_owned()
    } else {
        number
    }
}

fn superscript(exponent: i64) -> String {
    exponent
        .to_string()
        .chars()
        .map(|character| match character {
            '-' => '⁻',
            '0' => '⁰',
            '1' => '¹',
            '2' => '²',
            '3' => '³',
            '4' => '⁴',
            '5' => '⁵',
            '6' => '⁶',
            '7' => '⁷',
            '8' => '⁸',
            _ => '⁹',
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_true_minus_and_no_negative_zero() {
        assert_eq!(fixed(0.1 + 0.2, 3), "0.300");
        assert_eq!(fixed(-0.0004, 3), "0.000");
        assert_eq!(fixed(-1.25, 1), "−1.2");
        assert_eq!(fixed(f64::NAN, 3), "–");
        assert_eq!(signed(0.0, 2), "0.00");
        assert_eq!(signed(0.001, 2), "0.00");
        assert_eq!(signed(0.5, 2), "+0.50");
        assert_eq!(signed_percent(-0.034, 1), "−3.4\u{202f}%");
    }

    #[test]
    fn decimals_follow_the_interval() {
        assert_eq!(decimals_for(0.04), 3);
        assert_eq!(decimals_for(0.5), 2);
        assert_eq!(decimals_for(0.018), 3);
        assert_eq!(decimals_for(0.09), 2);
        assert_eq!(decimals_for(60.0), 0);
        assert_eq!(decimals_for(0.0), 3);
        assert_eq!(decimals_for(f64::NAN), 3);
    }

    #[test]
    fn logged_values_read_well_at_every_size() {
        assert_eq!(significant(0.71234), "0.712");
        assert_eq!(significant(5e-6), "5·10⁻⁶");
        assert_eq!(significant(-132.04), "−132");
        assert_eq!(significant(1234.5), "1234");
        assert_eq!(significant(0.0), "0");
        assert_eq!(significant(f64::INFINITY), "–");
    }

    #[test]
    fn clips_at_words_and_never_inside_a_character() {
        assert_eq!(clipped("a hedgehog sleeps", 12), ("a hedgehog", true));
        assert_eq!(clipped("🦔🦔🦔", 2), ("🦔🦔", true));
        assert_eq!(clipped("short", 5), ("short", false));
    }

    #[test]
    fn counts_are_grouped() {
        assert_eq!(count(1_234_567), "1\u{202f}234\u{202f}567");
        assert_eq!(counted(1, "prompt"), "1 prompt");
    }
}
