//! Limits of the values that a template creates.
//!
//! minijinja's fuel pays for instructions and for the data that they create. It does not pay for a
//! list that contains another list twice, or for lazy sums and repetitions of lists: after 40 such
//! steps, printing the value exhausts any memory. Therefore [`instrument`](super::instrument)
//! passes every expression that can create such a value through the filter [`BOUNDED`], and values
//! that are assigned to an attribute of a namespace through [`STORED`]. No value is larger than
//! [`MOST_BYTES`] or deeper than [`DEEPEST`].

use minijinja::value::ObjectRepr;
use minijinja::{Environment, Error, ErrorKind, State, Value};

/// Name of the filter that checks a value and turns a lazy sequence into a list.
pub(super) const BOUNDED: &str = "__bounded";
/// Name of the filter that does the same for a value to be stored in a namespace.
pub(super) const STORED: &str = "__stored";

/// A conversation of a million tokens takes about 4 MB.
const MOST_BYTES: usize = 8 << 20;
/// JSON schemas of tools have 10 to 20 levels. minijinja prints and compares values recursively.
const DEEPEST: usize = 100;
/// Size of an item without its text: about what a list needs for it.
const ITEM: usize = 32;
/// Number of visited items per unit of fuel.
const ITEMS_PER_FUEL: usize = 16;

/// Adds both filters.
pub(super) fn add_filters(environment: &mut Environment<'_>) {
    environment.add_filter(BOUNDED, bounded);
    environment.add_filter(STORED, stored);
}

fn bounded(state: &State<'_, '_>, value: Value) -> Result<Value, Error> {
    let value = materialized(state, value)?;
    Size::check(state, &value)?;
    Ok(value)
}

fn stored(state: &State<'_, '_>, value: Value) -> Result<Value, Error> {
    if is_mutable(&value) {
        return Err(refused("it puts a namespace or a loop into a namespace"));
    }
    bounded(state, value)
}

/// Turns a lazy sequence into a list, and leaves other values unchanged. Otherwise reading a slice
/// of a slice would go through both.
fn materialized(state: &State<'_, '_>, value: Value) -> Result<Value, Error> {
    let Some(object) = value.as_object() else {
        return Ok(value);
    };
    let is_lazy = match object.repr() {
        ObjectRepr::Iterable => true,
        ObjectRepr::Seq => object.downcast_ref::<Vec<Value>>().is_none() && !value.is_tuple(),
        _ => false,
    };
    if !is_lazy {
        return Ok(value);
    }
    let mut items = Vec::new();
    for item in value.try_iter()?.checked() {
        if items.len() * ITEM > MOST_BYTES {
            return Err(too_large());
        }
        if items.len().is_multiple_of(ITEMS_PER_FUEL) {
            state.consume_fuel(1)?;
        }
        items.push(item?);
    }
    Ok(Value::from(items))
}

/// The remaining size while a value is visited.
struct Size<'a, 'b, 'c> {
    state: &'a State<'b, 'c>,
    bytes: usize,
    items: usize,
}

impl Size<'_, '_, '_> {
    fn check(state: &State<'_, '_>, value: &Value) -> Result<(), Error> {
        let mut size = Size {
            state,
            bytes: MOST_BYTES,
            items: 0,
        };
        size.visit(value, DEEPEST)
    }

    fn visit(&mut self, value: &Value, depth: usize) -> Result<(), Error> {
        let text = value.as_bytes().map_or(0, <[u8]>::len);
        let left = self.bytes.checked_sub(text + ITEM);
        self.bytes = left.ok_or_else(too_large)?;
        let Some(object) = value.as_object() else {
            return Ok(());
        };
        let deeper = depth
            .checked_sub(1)
            .ok_or_else(|| refused(format!("it nests a value more than {DEEPEST} levels deep")))?;
        match object.repr() {
            ObjectRepr::Map => {
                for (key, value) in object.try_iter_pairs().into_iter().flatten() {
                    self.item(&key, deeper)?;
                    self.item(&value, deeper)?;
                }
            }
            ObjectRepr::Seq | ObjectRepr::Iterable => {
                for item in object.try_iter().into_iter().flatten() {
                    self.item(&item, deeper)?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn item(&mut self, item: &Value, depth: usize) -> Result<(), Error> {
        if is_mutable(item) {
            return Err(refused("it puts a namespace or a loop into a list or map"));
        }
        if self.items.is_multiple_of(ITEMS_PER_FUEL) {
            self.state.consume_fuel(1)?;
        }
        self.items += 1;
        self.visit(item, depth)
    }
}

/// Whether a value can change after it has been checked, and could thus grow or contain itself.
fn is_mutable(value: &Value) -> bool {
    value.as_object().is_some_and(|object| {
        let name = object.type_name();
        name.ends_with("::Namespace") || name.ends_with("::Loop")
    })
}

fn too_large() -> Error {
    refused(format!(
        "it makes a value of more than {} MB",
        MOST_BYTES >> 20
    ))
}

fn refused(reason: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidOperation, reason.into())
}

#[cfg(test)]
mod tests {
    use minijinja::context;

    use super::*;

    fn render(source: &str) -> Result<String, String> {
        let mut environment = Environment::new();
        add_filters(&mut environment);
        environment.set_fuel(Some(1_000_000));
        environment
            .render_str(source, context! {})
            .map_err(|error| error.to_string())
    }

    #[test]
    fn values_within_bounds_are_unchanged() {
        for (value, written) in [
            ("none", "None"),
            ("missing", ""),
            ("'text'", "text"),
            ("(1, 2)", "(1, 2)"),
            ("[1, [2]]", "[1, [2]]"),
            ("{'b': 1, 'a': {}}", "{'b': 1, 'a': {}}"),
            ("[1] + [2]", "[1, 2]"),
            ("[1] * 3", "[1, 1, 1]"),
            ("'abc'[1:]", "bc"),
            ("[1, 2, 3][::-1]", "[3, 2, 1]"),
        ] {
            for filter in [BOUNDED, STORED] {
                let found = render(&format!("{{{{ ({value})|{filter} }}}}"));
                assert_eq!(found.as_deref(), Ok(written), "{value}");
            }
        }
        let lazy = "{{ ([1, 2, 3][1:])|__bounded is sequence }}";
        assert_eq!(render(lazy).as_deref(), Ok("True"));
    }

    #[test]
    fn values_out_of_bounds_are_refused() {
        let text = "{% set x = 'x' * 5000000 %}";
        for (source, needle) in [
            ("{{ ([1] * 100000000)|__bounded }}", "more than 8 MB"),
            (
                &format!("{text}{{{{ [x, x]|__bounded }}}}"),
                "more than 8 MB",
            ),
            (
                "{% set x = namespace() %}{{ [x]|__bounded }}",
                "into a list or map",
            ),
            (
                "{% set x = namespace() %}{{ {'a': [x]}|__bounded }}",
                "into a list or map",
            ),
            (
                "{% set x = namespace() %}{{ x|__stored }}",
                "into a namespace",
            ),
            (
                "{% for i in [1] %}{{ [loop]|__bounded }}{% endfor %}",
                "into a list or map",
            ),
        ] {
            let error = render(source).expect_err(source);
            assert!(error.contains(needle), "{source}: {error}");
        }
        for (depth, is_refused) in [(90, false), (110, true)] {
            let value = (0..depth).fold(Value::from(1), |value, _| Value::from(vec![value]));
            let environment = Environment::new();
            let found = Size::check(&environment.empty_state(), &value);
            assert_eq!(found.is_err(), is_refused, "{depth}");
        }
    }
}
