//! Limits of a template that are checked before it is parsed.
//!
//! The parser limits the depth of brackets and blocks, but a chain such as `1+1+1` or `elif` is as
//! deep as it is long, and a very long one overflows the stack. Templates of real models have fewer
//! than 50 words in a tag, 30 `elif`, and 20 KB.

/// A chain of 5,000 fills a stack of 2 MB.
const MOST_WORDS_IN_A_TAG: usize = 2_000;
/// A chain of 1,600 fills a stack of 2 MB.
const MOST_ELIFS: usize = 500;
const MOST_BYTES: usize = 1 << 20;

/// Why a template is rejected, if it is.
pub(crate) fn problem(source: &str) -> Option<String> {
    if source.len() > MOST_BYTES {
        return Some(format!(
            "it has {} bytes; the limit is {MOST_BYTES}",
            source.len()
        ));
    }
    let mut elifs = 0;
    let mut rest = source;
    while let Some(at) = rest.find('{') {
        rest = &rest[at + 1..];
        let Some(kind) = rest.bytes().next().filter(|kind| b"{%#".contains(kind)) else {
            continue;
        };
        if kind == b'#' {
            rest = rest.split_once("#}").map_or("", |(_, after)| after);
            continue;
        }
        let tag = Tag::read(&rest[1..]);
        if tag.words > MOST_WORDS_IN_A_TAG {
            return Some(format!(
                "one of its tags has more than {MOST_WORDS_IN_A_TAG} words and symbols"
            ));
        }
        elifs += usize::from(tag.is_elif);
        if elifs > MOST_ELIFS {
            return Some(format!("it has more than {MOST_ELIFS} `elif` tags"));
        }
        rest = &rest[1 + tag.length..];
    }
    None
}

/// The inside of a tag.
struct Tag {
    /// Words, numbers, quoted strings and punctuation.
    words: usize,
    is_elif: bool,
    length: usize,
}

impl Tag {
    fn read(text: &str) -> Self {
        let bytes = text.as_bytes();
        let (mut at, mut words, mut brackets) = (0, 0, 0_isize);
        while let Some(&byte) = bytes.get(at) {
            let ends = matches!(bytes.get(at..at + 2), Some(b"}}" | b"%}"));
            if brackets == 0 && ends {
                break;
            }
            let length = match byte {
                b'\'' | b'"' => quoted(&bytes[at..]),
                _ if is_word(byte) => bytes[at..].iter().take_while(|b| is_word(**b)).count(),
                _ => 1,
            };
            words += usize::from(!byte.is_ascii_whitespace());
            brackets += match byte {
                b'(' | b'[' | b'{' => 1,
                b')' | b']' | b'}' => -1,
                _ => 0,
            };
            at += length;
        }
        let length = at.min(bytes.len());
        let first = text.trim_start_matches(['-', '+', ' ', '\t', '\r', '\n']);
        Self {
            words,
            is_elif: first.starts_with("elif"),
            length,
        }
    }
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80
}

/// The length of a quoted string, or of the rest of the text if the quote is never closed.
fn quoted(bytes: &[u8]) -> usize {
    let mut at = 1;
    while let Some(&byte) = bytes.get(at) {
        at += match byte {
            b'\\' => 2,
            _ => 1,
        };
        if byte == bytes[0] {
            break;
        }
    }
    at.min(bytes.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chains_are_counted_wherever_they_stand() {
        let long = |chain: &str| chain.repeat(3_000);
        for (source, counted) in [
            (format!("{{{{ {}1 }}}}", long("1+")), "words"),
            (format!("{{{{ {}1 }}}}", long("not ")), "words"),
            (format!("{{{{ a{} }}}}", long(".b")), "words"),
            (
                format!("{{%- set a = {{'}}}}': {{}}}} {} -%}}", long("|abs")),
                "words",
            ),
            (
                format!("{{# {{{{ #}} {{{{ \"}}}}\"{} }}}}", long("~1")),
                "words",
            ),
            (format!("{{{{ é{} ", long("()")), "words"),
            (
                format!("{{% if a %}}{}{{% endif %}}", "{%- elif b %}".repeat(600)),
                "elif",
            ),
            (" ".repeat(2 << 20), "bytes"),
        ] {
            let problem = problem(&source).expect(counted);
            assert!(problem.contains(counted), "{problem}");
        }
    }

    #[test]
    fn what_is_no_chain_is_not_counted() {
        for source in [
            format!("{{{{ '{}' }}}}", "1+\\' }}".repeat(3_000)),
            format!("{{# {} #}}", "1+".repeat(3_000)),
            "{{ a + 1 }}{% if b %}c{% elif d %}e{% endif %}".repeat(400),
            "1+ { } not ".repeat(3_000),
            "{".to_owned(),
            "{{".to_owned(),
            "{{ 'never closed".to_owned(),
            "{{ 'never closed\\".to_owned(),
            String::new(),
        ] {
            assert_eq!(problem(&source), None, "{source:.60}");
        }
    }
}
