//! `{% generation %}` tags, which mark the assistant's text in a template.

use std::ops::Range;

use minijinja::Value;

/// Sentinels at the ends of a span. They are noncharacters, which do not occur in text.
const OPEN: char = '\u{fdd0}';
const CLOSE: char = '\u{fdd1}';
/// The variables that print them; while they are undefined, the tags print nothing.
const OPEN_NAME: &str = "__generation_begins";
const CLOSE_NAME: &str = "__generation_ends";

/// The template with its tags replaced by conditions that are always true and keep the white-space
/// control of the tags; or an error if the tags are invalid.
pub(crate) fn tags_to_conditions(source: &str) -> Result<String, &'static str> {
    const UNPAIRED: &str = "{% generation %} and {% endgeneration %} are not paired";
    let mut open = 0_usize;
    let mut text = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(at) = rest.find("{%") {
        text.push_str(&rest[..at]);
        rest = &rest[at..];
        match tag(rest) {
            Some(tag) => {
                open = match tag.opens {
                    true => open + 1,
                    false => open.checked_sub(1).ok_or(UNPAIRED)?,
                };
                let name = if tag.opens { OPEN_NAME } else { CLOSE_NAME };
                let (left, right) = (tag.left, tag.right);
                text.push_str(&format!(
                    "{{%{left} if true %}}{{{{ {name} }}}}{{% endif {right}%}}"
                ));
                rest = &rest[tag.length..];
            }
            None => {
                text.push_str("{%");
                rest = &rest[2..];
            }
        }
    }
    match open {
        0 => Ok(text + rest),
        _ => Err(UNPAIRED),
    }
}

/// Whether a template has `{% generation %}` tags.
pub(crate) fn has_generation_tags(source: &str) -> bool {
    source
        .match_indices("{%")
        .any(|(at, _)| tag(&source[at..]).is_some_and(|tag| tag.opens))
}

/// The variables that make a template print sentinels.
pub(crate) fn sentinels() -> [(&'static str, Value); 2] {
    [
        (OPEN_NAME, Value::from(OPEN.to_string())),
        (CLOSE_NAME, Value::from(CLOSE.to_string())),
    ]
}

/// The text without its sentinels, and the spans between them in bytes; `None` if they are not
/// paired.
pub(crate) fn split_sentinels(shown: &str) -> Option<(String, Vec<Range<usize>>)> {
    let mut text = String::with_capacity(shown.len());
    let mut spans = Vec::new();
    let mut begun = None;
    for c in shown.chars() {
        match (c, begun) {
            (OPEN, None) => begun = Some(text.len()),
            (CLOSE, Some(start)) => {
                spans.push(start..text.len());
                begun = None;
            }
            (OPEN | CLOSE, _) => return None,
            (c, _) => text.push(c),
        }
    }
    begun.is_none().then_some((text, spans))
}

struct Tag<'a> {
    opens: bool,
    /// White-space control: `-`, `+` or nothing.
    left: &'a str,
    right: &'a str,
    length: usize,
}

/// The tag at the start of a text.
fn tag(text: &str) -> Option<Tag<'_>> {
    let (left, inside) = sign(text.strip_prefix("{%")?);
    let inside = inside.trim_start();
    let (opens, after) = match inside.strip_prefix("endgeneration") {
        Some(after) => (false, after),
        None => (true, inside.strip_prefix("generation")?),
    };
    let (right, after) = sign(after.trim_start());
    let after = after.strip_prefix("%}")?;
    Some(Tag {
        opens,
        left,
        right,
        length: text.len() - after.len(),
    })
}

fn sign(text: &str) -> (&str, &str) {
    match text.as_bytes().first() {
        Some(b'-' | b'+') => text.split_at(1),
        _ => ("", text),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::path::Path;

    use minijinja::context;

    use super::super::{CHAT, environment};
    use super::*;

    fn render(source: &str, context: Value) -> String {
        let environment = environment(source, Path::new("folder"), None).expect("parses");
        environment
            .get_template(CHAT)
            .and_then(|template| template.render(context))
            .expect("renders")
    }

    #[test]
    fn tags_print_nothing_and_keep_their_white_space_control() {
        for (source, text) in [
            ("a {% generation %}b{% endgeneration %} c", "a b c"),
            ("a {%- generation -%} b {%- endgeneration -%} c", "abc"),
            ("a {%-   generation%} b {%endgeneration  -%} c", "a b c"),
            (
                "a\n  {% generation %}\nb\n  {%- endgeneration %}\nc",
                "a\nbc",
            ),
            ("a\n  {%+ generation %}b{% endgeneration %}", "a\n  b"),
            ("a{%\n generation\n%}b{% endgeneration %}", "ab"),
        ] {
            assert!(has_generation_tags(source), "{source:?}");
            assert_eq!(render(source, context! {}), text, "{source:?}");
            let shown = render(source, BTreeMap::from(sentinels()).into());
            let (plain, spans) = split_sentinels(&shown).expect("pairs");
            assert_eq!(plain, text);
            assert_eq!(text[spans[0].clone()].trim(), "b");
        }
        assert!(!has_generation_tags(
            "{% if generation %}{{ generation }}{% endif %}"
        ));
        assert!(!has_generation_tags("{% generations %}"));
    }

    #[test]
    fn unpaired_sentinels_are_none() {
        for shown in [
            "\u{fdd0}a",
            "a\u{fdd1}",
            "\u{fdd0}\u{fdd0}a\u{fdd1}\u{fdd1}",
        ] {
            assert_eq!(split_sentinels(shown), None);
        }
    }
}
