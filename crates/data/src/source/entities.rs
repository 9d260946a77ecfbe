//! HTML entities, in which Reddit's posts and comments come.

use std::borrow::Cow;

/// The text with its entities decoded: the five of XML, `&nbsp;`, and numbered ones. Reddit escapes
/// `&` itself, so a zero-width space that an author typed is `&amp;#x200B;`.
pub(crate) fn decoded(text: &str) -> Cow<'_, str> {
    if !text.contains('&') {
        return Cow::Borrowed(text);
    }
    let mut decoded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        decoded.push_str(&rest[..at]);
        rest = &rest[at..];
        let (c, length) = entity(rest).unwrap_or(('&', 1));
        decoded.push(c);
        rest = &rest[length..];
    }
    decoded.push_str(rest);
    Cow::Owned(decoded)
}

/// The character of the entity that a text starts with, and the entity's length.
fn entity(text: &str) -> Option<(char, usize)> {
    const TWICE: [&str; 2] = ["&amp;#x200b;", "&amp;nbsp;"];
    /// No entity that is decoded is longer.
    const LONGEST: usize = 12;
    for (twice, c) in TWICE.into_iter().zip(['\u{200b}', '\u{a0}']) {
        if text
            .get(..twice.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(twice))
        {
            return Some((c, twice.len()));
        }
    }
    let end = text.bytes().take(LONGEST).position(|byte| byte == b';')?;
    let c = match &text[1..end] {
        "amp" => '&',
        "lt" => '<',
        "gt" => '>',
        "quot" => '"',
        "apos" => '\'',
        "nbsp" => '\u{a0}',
        name => {
            let number = name.strip_prefix('#')?;
            let code = match number.strip_prefix(['x', 'X']) {
                Some(hex) => u32::from_str_radix(hex, 16),
                None => number.parse(),
            };
            char::from_u32(code.ok()?).filter(|c| *c != '\0')?
        }
    };
    Some((c, end + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entities_are_decoded_once_and_other_text_stays() {
        for (text, expected) in [
            ("a &gt; b &amp; c", "a > b & c"),
            ("&amp;gt;", "&gt;"),
            ("&#x200B;&#8217;&#39;&nbsp;", "\u{200b}\u{2019}'\u{a0}"),
            ("&amp;#x200B;\n", "\u{200b}\n"),
            (
                "R&D; A&B & &unknown; &#xffffffff; &#0; &",
                "R&D; A&B & &unknown; &#xffffffff; &#0; &",
            ),
            ("été & &é;", "été & &é;"),
            ("none", "none"),
        ] {
            assert_eq!(decoded(text), expected);
        }
    }
}
