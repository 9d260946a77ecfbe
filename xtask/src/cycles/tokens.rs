//! Rust's tokens, as far as paths need them.

/// A word, or one sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Token<'a> {
    pub(super) text: &'a str,
    pub(super) line: usize,
}

/// The tokens of a source without comments, literals and items of tests.
pub(super) fn tokens(source: &str) -> Vec<Token<'_>> {
    without_tests(&all_tokens(source))
}

fn all_tokens(source: &str) -> Vec<Token<'_>> {
    let bytes = source.as_bytes();
    let (mut tokens, mut at, mut line) = (Vec::new(), 0, 1);
    while at < bytes.len() {
        let rest = &source[at..];
        let (length, is_token) = match bytes[at] {
            _ if rest.starts_with("//") => (rest.find('\n').unwrap_or(rest.len()), false),
            _ if rest.starts_with("/*") => (block_comment(rest), false),
            b'"' => (quoted(rest), false),
            b'\'' => (character(rest), false),
            byte if is_word(byte) => match literal(rest) {
                Some(length) => (length, false),
                None => (rest.bytes().take_while(|byte| is_word(*byte)).count(), true),
            },
            byte => (1, !byte.is_ascii_whitespace()),
        };
        let text = &rest[..length];
        if is_token {
            tokens.push(Token { text, line });
        }
        line += text.matches('\n').count();
        at += length;
    }
    tokens
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80
}

fn block_comment(text: &str) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < text.len() {
        let rest = &text.as_bytes()[at..];
        at += if rest.starts_with(b"/*") {
            depth += 1;
            2
        } else if rest.starts_with(b"*/") {
            depth -= 1;
            2
        } else {
            1
        };
        if depth == 0 {
            break;
        }
    }
    at
}

/// The length of a text in double quotes.
fn quoted(text: &str) -> usize {
    let bytes = text.as_bytes();
    let mut at = 1;
    while let Some(&byte) = bytes.get(at) {
        at += if byte == b'\\' { 2 } else { 1 };
        if byte == b'"' {
            break;
        }
    }
    at.min(bytes.len())
}

/// The length of a literal with a prefix, such as `r#"…"#` or `b'…'`.
fn literal(text: &str) -> Option<usize> {
    let prefix = text
        .bytes()
        .take_while(|byte| b"brc".contains(byte))
        .count();
    let rest = &text[prefix..];
    if text[..prefix].contains('r') && prefix <= 2 {
        let hashes = rest.bytes().take_while(|byte| *byte == b'#').count();
        let body = rest[hashes..].strip_prefix('"')?;
        let end = format!("\"{}", "#".repeat(hashes));
        let length = body.find(&end).map_or(body.len(), |at| at + end.len());
        return Some(prefix + hashes + 1 + length);
    }
    match (prefix, rest.as_bytes().first()) {
        (1, Some(b'"')) => Some(1 + quoted(rest)),
        (1, Some(b'\'')) => Some(1 + character(rest)),
        _ => None,
    }
}

/// The length of a character in quotes, or of the quote before a lifetime's name.
fn character(text: &str) -> usize {
    let mut characters = text.char_indices().skip(1);
    match characters.next() {
        Some((_, '\\')) => text[3.min(text.len())..]
            .find('\'')
            .map_or(text.len(), |at| at + 4),
        Some(_) => match characters.next() {
            Some((at, '\'')) => at + 1,
            _ => 1,
        },
        None => 1,
    }
}

/// Leaves out what stands behind `#[cfg(test)]`.
fn without_tests<'a>(tokens: &[Token<'a>]) -> Vec<Token<'a>> {
    let mut kept = Vec::with_capacity(tokens.len());
    let mut at = 0;
    while at < tokens.len() {
        if is(tokens, at, "#") && is(tokens, at + 1, "[") {
            let end = closing(tokens, at + 1);
            let attribute = &tokens[at..=end.min(tokens.len() - 1)];
            let has = |word: &str| attribute.iter().any(|token| token.text == word);
            if attribute.get(2).is_some_and(|token| token.text == "cfg")
                && has("test")
                && !has("not")
            {
                at = item_end(tokens, end + 1);
                continue;
            }
        }
        kept.push(tokens[at]);
        at += 1;
    }
    kept
}

pub(super) fn is(tokens: &[Token<'_>], at: usize, text: &str) -> bool {
    tokens.get(at).is_some_and(|token| token.text == text)
}

/// Where the bracket at `at` is closed.
pub(super) fn closing(tokens: &[Token<'_>], at: usize) -> usize {
    let mut depth = 0;
    for (i, token) in tokens.iter().enumerate().skip(at) {
        match token.text {
            "(" | "[" | "{" => depth += 1,
            ")" | "]" | "}" => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return i;
        }
    }
    tokens.len()
}

/// The place behind the item that begins at `at`.
fn item_end(tokens: &[Token<'_>], mut at: usize) -> usize {
    while at < tokens.len() {
        match tokens[at].text {
            ";" => return at + 1,
            "{" => {
                // The braces of a `use` are followed by a semicolon.
                let end = closing(tokens, at) + 1;
                return end + usize::from(is(tokens, end, ";"));
            }
            "(" | "[" => at = closing(tokens, at) + 1,
            _ => at += 1,
        }
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(source: &str) -> Vec<&str> {
        tokens(source).iter().map(|token| token.text).collect()
    }

    #[test]
    fn comments_literals_and_tests_are_left_out() {
        for (source, expected) in [
            ("a // b\nc /* d /* e */ f */ g", &["a", "c", "g"][..]),
            ("a \"b \\\" c\" d", &["a", "d"]),
            ("r#\"a \" b\"# c b\"d\" br\"e\" f", &["c", "f"]),
            ("'a' '\\'' 'b: '\\u{1f}' c b'd'", &["b", ":", "c"]),
            ("a #[cfg(test)] #[x] mod tests { b { c } } d", &["a", "d"]),
            ("#[cfg(test)] use a::{b, c}; d", &["d"]),
            ("#[cfg(all(test, unix))] fn f(a: [u8; 2]) { b } c", &["c"]),
            (
                "#[cfg(not(test))] a",
                &["#", "[", "cfg", "(", "not", "(", "test", ")", ")", "]", "a"],
            ),
        ] {
            assert_eq!(words(source), expected, "{source}");
        }
    }

    #[test]
    fn lines_are_counted_in_whatever_is_left_out() {
        let tokens = tokens("/*\n*/ \"\n\" a\nb");
        let lines: Vec<usize> = tokens.iter().map(|token| token.line).collect();
        assert_eq!(lines, [3, 4]);
    }
}
