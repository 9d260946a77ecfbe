//! Jinja as transformers gives it to chat templates.
//!
//! A template comes with a model, and a model can come from anyone: it reads no files, and what it
//! takes is limited ([`mod@bounded`]).

mod bounded;
mod generation_spans;
mod instrument;
mod json;
mod limits;
mod methods;
mod value_size;

use std::path::Path;
use std::sync::Arc;

use jiff::civil::DateTime;
use jiff::fmt::strtime;
use minijinja::{Environment, Error, ErrorKind, Value, syntax::SyntaxConfig};

use crate::error::ModelError;
use bounded::bounded;
pub(crate) use generation_spans::{has_generation_tags, sentinels, split_sentinels};

/// The name under which an environment holds its only template.
pub(crate) const CHAT: &str = "chat_template";

/// What one rendering may cost: a unit is about one instruction, or 64 bytes of data. A hundred
/// turns of a thousand words each take a few hundred thousand.
const FUEL: u64 = 4_000_000;

/// An environment with one template, [`CHAT`], read from `path`.
///
/// `strftime_now` formats `now`. Without a date it is not defined, which templates check before they
/// call it.
pub(crate) fn environment(
    source: &str,
    path: &Path,
    now: Option<DateTime>,
) -> Result<Environment<'static>, ModelError> {
    if let Some(problem) = limits::problem(source) {
        return Err(ModelError::chat_template(path, problem));
    }
    let source = generation_spans::tags_to_conditions(source)
        .map_err(|problem| ModelError::chat_template(path, problem.to_owned()))?;
    let place = path.to_owned();
    bounded(path, move || parsed(source, &place, now))
}

/// What the template of an [`environment`] writes.
pub(crate) fn render(
    environment: &Arc<Environment<'static>>,
    path: &Path,
    context: Value,
) -> Result<String, ModelError> {
    let (environment, place) = (Arc::clone(environment), path.to_owned());
    bounded(path, move || {
        environment
            .get_template(CHAT)
            .and_then(|template| template.render(context))
            .map_err(|error| failed(&place, &error))
    })
}

fn parsed(
    source: String,
    path: &Path,
    now: Option<DateTime>,
) -> Result<Environment<'static>, ModelError> {
    let mut environment = Environment::new();
    let syntax = SyntaxConfig::builder()
        .trim_blocks(true)
        .lstrip_blocks(true)
        .build();
    let syntax = syntax.map_err(|error| failed(path, &error))?;
    environment.set_syntax(syntax.clone());
    environment.set_fuel(Some(FUEL));
    environment.set_unknown_method_callback(methods::unknown_method);
    environment.set_loader(|name| -> Result<Option<String>, Error> {
        Err(Error::new(
            ErrorKind::InvalidOperation,
            format!(
                "it asks for the file `{name}`; a chat template is a single text and reads no files"
            ),
        ))
    });
    environment.add_function(
        "raise_exception",
        |message: String| -> Result<String, Error> {
            Err(Error::new(ErrorKind::InvalidOperation, message))
        },
    );
    if let Some(now) = now {
        environment.add_function("strftime_now", move |format: String| strftime(now, &format));
    }
    environment.add_filter("tojson", json::tojson);
    value_size::add_filters(&mut environment);
    let source = instrument::instrumented(&source, CHAT, syntax)
        .map_err(|error| failed(path, &error))?
        .map_err(|problem| ModelError::chat_template(path, problem))?;
    environment
        .add_template_owned(CHAT, source)
        .map_err(|error| failed(path, &error))?;
    Ok(environment)
}

/// The root cause of a template's error, with the template's file.
fn failed(path: &Path, error: &Error) -> ModelError {
    let mut root: &dyn std::error::Error = error;
    while let Some(source) = root.source() {
        root = source;
    }
    let root_kind = root.downcast_ref::<Error>().map(Error::kind);
    let reason = match root_kind {
        Some(ErrorKind::OutOfFuel) => {
            "it does not come to an end, or writes more than any model reads".to_owned()
        }
        _ => root.to_string(),
    };
    ModelError::chat_template(path, reason)
}

/// Python's `datetime.strftime` without a time zone.
fn strftime(now: DateTime, format: &str) -> Result<String, Error> {
    // For a time without a zone, Python writes nothing.
    let format = format.replace("%Z", "").replace("%z", "");
    strtime::format(&format, now).map_err(|error| {
        Error::new(
            ErrorKind::InvalidOperation,
            format!("strftime_now cannot write `{format}`: {error}"),
        )
    })
}

#[cfg(test)]
mod tests {
    use minijinja::context;

    use super::*;

    fn render(source: &str, context: Value) -> Result<String, String> {
        let path = Path::new("folder");
        let date = jiff::civil::datetime(2024, 7, 6, 9, 5, 3, 0);
        environment(source, path, Some(date))
            .and_then(|environment| super::render(&Arc::new(environment), path, context))
            .map_err(|error| error.to_string())
    }

    /// As Python writes `datetime(2024, 7, 6, 9, 5, 3)`.
    #[test]
    fn dates_are_pythons() {
        for (format, expected) in [
            ("%d %b %Y", "06 Jul 2024"),
            ("%Y-%m-%d", "2024-07-06"),
            ("%A, %B %d, %Y", "Saturday, July 06, 2024"),
            ("%a %-d %e %y %j", "Sat 6  6 24 188"),
            ("%H:%M:%S %I %p", "09:05:03 09 AM"),
            ("%U %W %u %w %V %G", "26 27 6 6 27 2024"),
            ("%D %T %F %R", "07/06/24 09:05:03 2024-07-06 09:05"),
            ("100 %% %Z%z.", "100 % ."),
        ] {
            let source = format!("{{{{ strftime_now('{format}') }}}}");
            assert_eq!(render(&source, context! {}).expect("renders"), expected);
        }
    }

    #[test]
    fn without_a_date_there_is_no_strftime_now() {
        let source = "{{ strftime_now('%Y') if strftime_now is defined else 'undated' }}";
        assert_eq!(render(source, context! {}).expect("renders"), "2024");
        let environment = environment(source, Path::new("folder"), None).expect("parses");
        let template = environment.get_template(CHAT).expect("there");
        assert_eq!(template.render(context! {}).expect("renders"), "undated");
    }

    #[test]
    fn files_are_refused_by_name() {
        for source in [
            "{% include '/etc/passwd' %}",
            "{% include '/etc/passwd' ignore missing %}",
            "{% extends '/etc/passwd' %}",
            "{% import '/etc/passwd' as m %}",
            "{% from '/etc/passwd' import m %}",
            "{% include ['a', '/etc/passwd'] %}",
        ] {
            let error = render(source, context! {}).expect_err(source);
            assert!(error.contains("asks for the file"), "{source}: {error}");
        }
    }

    #[test]
    fn endless_recursion_is_stopped() {
        for source in [
            "{% include 'chat_template' %}",
            "{% macro a() %}{{ a() }}{% endmacro %}{{ a() }}",
            "{% macro a() %}{{ b() }}{% endmacro %}{% macro b() %}{{ a() }}{% endmacro %}{{ a() }}",
            "{% for a in [[1]] recursive %}{{ loop([[1]]) }}{% endfor %}",
        ] {
            let error = render(source, context! {}).expect_err(source);
            assert!(error.contains("recursion limit"), "{source}: {error}");
        }
    }

    #[test]
    fn endless_loops_and_growing_texts_are_stopped() {
        let nested = (0..9).fold("x".to_owned(), |inner, i| {
            format!("{{% for i{i} in range(1000) %}}{inner}{{% endfor %}}")
        });
        for source in [
            &nested,
            "{{ 'x' * 100000000000 }}",
            "{{ range(100000000000) | list }}",
            "{% set ns = namespace(s='xxxxxxxx') %}{% for i in range(100) %}{% set ns.s = ns.s + ns.s %}{% endfor %}{{ ns.s }}",
            "{% set ns = namespace(s='xxxxxxxx') %}{% for i in range(100) %}{% set ns.s = ns.s.replace('x', 'xxxx') %}{% endfor %}",
            "{% set ns = namespace(s=['x']) %}{% for i in range(100) %}{% set ns.s = ns.s * 8 %}{% endfor %}",
            "{% for i in range(10000) %}{% set a = 'x' * 1000000 %}{{ a }}{% endfor %}",
        ] {
            let error = render(source, context! {}).expect_err(source);
            let told = ["come to an end", "too many", "too large", "more than 8 MB"]
                .iter()
                .any(|told| error.contains(told));
            assert!(told, "{source}: {error}");
        }
    }

    /// `body`, many times, of a namespace that holds `x` and `y`.
    fn over_and_over(times: u32, body: &str, after: &str) -> String {
        format!(
            "{{% set ns = namespace(x=[1], y=[1]) %}}{{% for i in range({times}) %}}{body}{{% endfor %}}{after}"
        )
    }

    #[test]
    fn nested_values_are_written_compared_and_dropped() {
        let both = "{% set ns.x = [ns.x] %}{% set ns.y = {'a': ns.y} %}";
        for (after, text) in [
            ("", ""),
            ("{{ ns.x | tojson | length }}", "183"),
            ("{{ ns.y | tojson(sort_keys=true) | length }}", "633"),
            ("{{ ns.x | string | length }}", "183"),
            ("{{ (ns.x ~ '') | length }}", "183"),
            ("{{ ns.x == [ns.x] }}", "False"),
        ] {
            let found = render(&over_and_over(90, both, after), context! {});
            assert_eq!(found.as_deref(), Ok(text), "{after}");
        }
    }

    #[test]
    fn values_nested_too_deep_are_refused() {
        let inline = format!(
            "{{% set ns.x = {}ns.x{} %}}",
            "[".repeat(30),
            "]".repeat(30)
        );
        for body in [
            "{% set ns.x = [ns.x] %}",
            "{% set ns.x = {'a': ns.x} %}",
            "{% set ns.x = (ns.x,) %}",
            "{% set ns.x = dict(a=ns.x) %}",
            "{% set ns.x = [ns.x] + [] %}",
            "{% set ns.x = [ns.x] | map('list') %}",
            &inline,
        ] {
            let error = render(&over_and_over(10_000, body, ""), context! {}).expect_err(body);
            assert!(error.contains("100 levels deep"), "{body}: {error}");
        }
        let by_macro =
            "{% macro f(x, n) %}{{ f([x], n - 1) if n else x }}{% endmacro %}{{ f(1, 110) }}";
        let error = render(by_macro, context! {}).expect_err("deep");
        assert!(
            error.contains("100 levels deep") || error.contains("recursion limit"),
            "{error}"
        );
    }

    /// Few instructions, each cheap, and a value that no memory holds.
    #[test]
    fn values_that_take_all_memory_are_refused() {
        let double = "{% set ns.x = ns.x + ns.x %}";
        let twice = "{% set ns.x = [ns.x, ns.x] %}";
        let repeated = "[[1] * 100000000] * 100000000";
        for source in [
            &over_and_over(40, double, ""),
            &over_and_over(40, twice, "{{ ns.x ~ '' }}"),
            &over_and_over(40, twice, "{{ ns.x | tojson }}"),
            &over_and_over(40, twice, "{{ ns.x in 'text' }}"),
            &over_and_over(40, "{% set ns.x = ns.x * 2 %}", "{{ ns.x }}"),
            &over_and_over(40, "{% set ns.x = ns.x | chain(ns.x) %}", "{{ ns.x }}"),
            &over_and_over(40, "{% set ns.x = {'a': ns.x, 'b': ns.x} %}", "{{ ns.x }}"),
            &over_and_over(40, "{% set ns.x = (ns.x, ns.x) %}", "{{ ns.x }}"),
            &over_and_over(40, "{% set ns.x = dict(a=ns.x, b=ns.x) %}", "{{ ns.x }}"),
            &over_and_over(40, "{% set d = {'strip': dict} %}{% set ns.x = d.strip(a=ns.x, b=ns.x) %}", "{{ ns.x }}"),
            &format!("{{{{ ({repeated}) ~ '' }}}}"),
            &format!("{{{{ ({repeated}) | tojson(sort_keys=true) }}}}"),
            &"{% set x = [1] * 100000000 ~ '' %}".to_owned(),
            &"{{ [[1] * 100000] | tojson(indent=100000) }}".to_owned(),
            &"{% macro f(x, n) %}{{ f([x, x], n - 1) if n else x ~ '' }}{% endmacro %}{{ f(1, 60) }}".to_owned(),
            &format!("{{% set x = [1] %}}{}{{{{ x }}}}", "{% set x = [x, x] %}".repeat(40)),
        ] {
            let error = render(source, context! {}).expect_err(source);
            let told = ["more than 8 MB", "come to an end", "more than 16 MB"];
            assert!(told.iter().any(|told| error.contains(told)), "{source}: {error}");
        }
    }

    /// A namespace is the only value that can change, so nothing may hold it.
    #[test]
    fn namespaces_cannot_hold_themselves() {
        for body in [
            "{% set ns.x = ns %}",
            "{% set ns.x = [ns] %}",
            "{% set ns.x = {'a': ns} %}",
            "{% set ns.x = namespace(y=ns) %}",
        ] {
            let error = render(&over_and_over(2, body, "{{ ns }}"), context! {}).expect_err(body);
            assert!(error.contains("puts a namespace"), "{body}: {error}");
        }
    }

    #[test]
    fn slices_of_slices_take_no_longer_than_slices() {
        let found = render(
            &over_and_over(20_000, "{% set ns.x = ns.x[:] %}", "{{ ns.x }}"),
            context! {},
        );
        assert_eq!(found.as_deref(), Ok("[1]"));
    }

    #[test]
    fn nonsense_is_an_error_that_names_it() {
        let deep = |open: &str, close: &str| open.repeat(500) + &close.repeat(500);
        for (source, needle) in [
            (&*format!("{{{{ {} }}}}", deep("(", ")")), "recursion"),
            (&format!("{{{{ {} }}}}", deep("[", "]")), "recursion"),
            (&deep("{% if true %}", "{% endif %}"), "recursion"),
            ("{{ load_file('/etc/passwd') }}", "load_file"),
            ("{{ 'x' | shell }}", "shell"),
            ("{{ 'x' is executable }}", "executable"),
            ("{{ 'x'.__class__() }}", "__class__"),
            ("{{ messages[0].content }}", "undefined"),
            ("{% for m in messages %}", "end of input"),
            ("{% generation %}never closed", "endgeneration"),
            ("{% if a %}{% endgeneration %}{% endif %}", "endgeneration"),
            (&format!("{{{{ {}1 }}}}", "1+".repeat(100_000)), "words"),
            (
                "{{ raise_exception('Roles must alternate') }}",
                "Roles must alternate",
            ),
            ("{{ strftime_now('%') }}", "strftime_now"),
        ] {
            let error = render(source, context! {}).expect_err(needle);
            assert!(error.contains(needle), "{needle}: {error:.300}");
            assert!(error.contains("`chat_template` in folder"), "{error:.300}");
        }
    }
}
