//! Methods of Python values that templates call.

use minijinja::value::from_args;
use minijinja::{Error, ErrorKind, State, Value};
use minijinja_contrib::pycompat::unknown_method_callback;

/// The methods of `minijinja-contrib`, and others that templates use.
pub(crate) fn unknown_method(
    state: &mut State<'_, '_>,
    value: &Value,
    method: &str,
    args: &[Value],
) -> Result<Value, Error> {
    match value.as_str() {
        Some(text) => match method {
            "removeprefix" => {
                let (prefix,): (&str,) = from_args(args)?;
                Ok(Value::from(text.strip_prefix(prefix).unwrap_or(text)))
            }
            "removesuffix" => {
                let (suffix,): (&str,) = from_args(args)?;
                Ok(Value::from(text.strip_suffix(suffix).unwrap_or(text)))
            }
            "partition" => {
                let (separator,): (&str,) = from_args(args)?;
                let parts = text.split_once(not_empty(separator)?);
                Ok(tuple(parts.map_or([text, "", ""], |(before, after)| {
                    [before, separator, after]
                })))
            }
            "rpartition" => {
                let (separator,): (&str,) = from_args(args)?;
                let parts = text.rsplit_once(not_empty(separator)?);
                Ok(tuple(parts.map_or(["", "", text], |(before, after)| {
                    [before, separator, after]
                })))
            }
            "rsplit" => {
                let (separator, most): (&str, Option<i64>) = from_args(args)?;
                let most = most.and_then(|most| usize::try_from(most).ok());
                let mut parts: Vec<&str> = text
                    .rsplitn(
                        most.map_or(usize::MAX, |most| most + 1),
                        not_empty(separator)?,
                    )
                    .collect();
                parts.reverse();
                Ok(Value::from_iter(parts))
            }
            _ => unknown_method_callback(state, value, method, args),
        },
        None => unknown_method_callback(state, value, method, args),
    }
}

fn not_empty(separator: &str) -> Result<&str, Error> {
    match separator {
        "" => Err(Error::new(ErrorKind::InvalidOperation, "empty separator")),
        separator => Ok(separator),
    }
}

fn tuple(parts: [&str; 3]) -> Value {
    Value::from_iter(parts)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use minijinja::context;

    use super::super::{CHAT, environment};

    /// As Python answers.
    #[test]
    fn methods_are_pythons() {
        for (call, expected) in [
            ("'a-b-c'.removeprefix('a-')", "b-c"),
            ("'a-b-c'.removeprefix('b')", "a-b-c"),
            ("'a-b-c'.removesuffix('-c')", "a-b"),
            ("'a-b-c'.partition('-') | join('|')", "a|-|b-c"),
            ("'abc'.partition('-') | join('|')", "abc||"),
            ("'a-b-c'.rpartition('-') | join('|')", "a-b|-|c"),
            ("'abc'.rpartition('-') | join('|')", "||abc"),
            ("'a-b-c'.rsplit('-', 1) | join('|')", "a-b|c"),
            ("'a-b-c'.rsplit('-') | join('|')", "a|b|c"),
            (
                "'</think>x</think>y'.split('</think>')[-1].lstrip('\\n')",
                "y",
            ),
            ("'  a b  c '.split() | join('|')", "a|b|c"),
            ("'a,b,c'.split(',', 1) | join('|')", "a|b,c"),
            ("'xxabxx'.strip('x')", "ab"),
            ("{'a': 1}.get('b', 2)", "2"),
            ("{'a': 1}.get('b') is none", "True"),
            ("{'a': 1, 'b': 2}.items() | list | length", "2"),
            ("'It is'.startswith(('It', 'at'))", "True"),
            ("'{} and {}'.format('a', 1)", "a and 1"),
            ("'a'.isdigit() or '12'.isdigit()", "True"),
        ] {
            let source = format!("{{{{ {call} }}}}");
            let environment = environment(&source, Path::new("folder"), None).expect("parses");
            let template = environment.get_template(CHAT).expect("there");
            let text = template.render(context! {}).expect(call);
            assert_eq!(text, expected, "{call}");
        }
        for call in ["'a'.rsplit('')", "'a'.read()", "1.open()", "[].append(1)"] {
            let source = format!("{{{{ {call} }}}}");
            let environment = environment(&source, Path::new("folder"), None).expect("parses");
            let template = environment.get_template(CHAT).expect("there");
            assert!(template.render(context! {}).is_err(), "{call}");
        }
    }
}
