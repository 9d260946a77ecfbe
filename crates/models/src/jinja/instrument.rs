//! Adds size checks to a template.
//!
//! Expressions whose value can be larger than its parts are wrapped in the filters of
//! [`value_size`](super::value_size). Strings need no check, since fuel pays for every byte.

use std::collections::BTreeSet;

use minijinja::machinery::ast::{BinOpKind, Call, CallArg, CallType, Expr, Stmt};
use minijinja::machinery::parse;
use minijinja::syntax::SyntaxConfig;

use super::value_size::{BOUNDED, STORED};

/// Filters that return a string or a number.
const SCALAR_FILTERS: [&str; 21] = [
    "abs",
    "bool",
    "capitalize",
    "count",
    "e",
    "escape",
    "float",
    "format",
    "indent",
    "int",
    "join",
    "length",
    "lower",
    "replace",
    "round",
    "safe",
    "string",
    "title",
    "tojson",
    "trim",
    "upper",
];
/// Filters that return their input, an argument or a part of either.
const PART_FILTERS: [&str; 5] = ["attr", "d", "default", "first", "last"];
/// Functions that return a string and whose names a template cannot redefine.
const SCALAR_FUNCTIONS: [&str; 2] = ["loop", "super"];
/// Each attribute of a namespace can hold a value of the maximum size.
const MOST_ATTRIBUTES: usize = 64;
/// Every partial sum is wrapped in brackets, whose depth the parser limits.
const LONGEST_SUM: usize = 16;

/// The template with size checks.
///
/// # Errors
/// minijinja's error if the template does not parse. The inner result is an error message if the
/// template cannot be checked.
pub(super) fn instrumented(
    source: &str,
    name: &str,
    syntax: SyntaxConfig,
) -> Result<Result<String, String>, minijinja::Error> {
    let template = parse(source, name, syntax)?;
    let mut wraps = Wraps::default();
    wraps.statement(&template);
    Ok(match wraps.problem {
        Some(problem) => Err(problem),
        None => Ok(wraps.applied(source)),
    })
}

/// The expressions to wrap.
#[derive(Default)]
struct Wraps {
    /// Start, end and filter of an expression.
    wraps: Vec<(usize, usize, &'static str)>,
    /// Attributes of namespaces that are assigned to.
    attributes: BTreeSet<String>,
    problem: Option<String>,
}

impl Wraps {
    fn applied(mut self, source: &str) -> String {
        // Inner expressions end before outer ones. Opening brackets are all alike, so only the ends
        // need an order.
        self.wraps
            .sort_by_key(|&(start, end, _)| (end, usize::MAX - start));
        let mut starts: Vec<usize> = self.wraps.iter().map(|wrap| wrap.0).collect();
        starts.sort_unstable();
        let (mut starts, mut ends) = (starts.into_iter().peekable(), self.wraps.iter().peekable());
        let mut text = String::with_capacity(source.len() + 16 * self.wraps.len());
        let mut at = 0;
        loop {
            let start = starts.peek().copied();
            match ends.peek() {
                Some(&&(_, end, filter)) if start.is_none_or(|start| end <= start) => {
                    text.push_str(&source[at..end]);
                    text.push_str(&format!(")|{filter})"));
                    at = end;
                    ends.next();
                }
                _ => match starts.next() {
                    Some(start) => {
                        text.push_str(&source[at..start]);
                        text.push_str("((");
                        at = start;
                    }
                    None => break,
                },
            }
        }
        text + &source[at..]
    }

    fn wrap(&mut self, expr: &Expr<'_>, filter: &'static str) {
        let end = expr.span().end_offset as usize;
        self.wraps.push((start(expr), end, filter));
    }

    fn refuse(&mut self, problem: String) {
        self.problem.get_or_insert(problem);
    }

    fn statements(&mut self, statements: &[Stmt<'_>]) {
        for statement in statements {
            self.statement(statement);
        }
    }

    fn statement(&mut self, statement: &Stmt<'_>) {
        match statement {
            Stmt::Template(template) => self.statements(&template.children),
            Stmt::EmitExpr(emit) => self.expr(&emit.expr),
            Stmt::ForLoop(loops) => {
                self.expr(&loops.iter);
                self.exprs(&loops.filter_expr);
                self.statements(&loops.body);
                self.statements(&loops.else_body);
            }
            Stmt::IfCond(condition) => {
                self.expr(&condition.expr);
                self.statements(&condition.true_body);
                self.statements(&condition.false_body);
            }
            Stmt::WithBlock(with) => {
                self.exprs(with.assignments.iter().map(|(_, value)| value));
                self.statements(&with.body);
            }
            Stmt::Set(set) => match self.sets_attribute(&set.target) {
                true if !is_scalar(&set.expr) => {
                    self.parts(&set.expr);
                    self.wrap(&set.expr, STORED);
                }
                _ => self.expr(&set.expr),
            },
            Stmt::SetBlock(set) => {
                self.sets_attribute(&set.target);
                if let Some(filter) = &set.filter {
                    self.block_filter(filter);
                }
                self.statements(&set.body);
            }
            Stmt::AutoEscape(escape) => {
                self.expr(&escape.enabled);
                self.statements(&escape.body);
            }
            Stmt::FilterBlock(block) => {
                self.block_filter(&block.filter);
                self.statements(&block.body);
            }
            Stmt::Block(block) => self.statements(&block.body),
            Stmt::Import(import) => self.expr(&import.expr),
            Stmt::FromImport(import) => self.expr(&import.expr),
            Stmt::Extends(extends) => self.expr(&extends.name),
            Stmt::Include(include) => self.expr(&include.name),
            Stmt::Macro(declared) => {
                self.exprs(&declared.defaults);
                self.statements(&declared.body);
            }
            Stmt::CallBlock(block) => {
                self.call(&block.call);
                self.exprs(&block.macro_decl.defaults);
                self.statements(&block.macro_decl.body);
            }
            Stmt::Do(run) => self.call(&run.call),
            Stmt::EmitRaw(_) | Stmt::Continue(_) | Stmt::Break(_) => {}
        }
    }

    /// Whether an assignment's target is an attribute, or has one among its parts.
    fn sets_attribute(&mut self, target: &Expr<'_>) -> bool {
        match target {
            Expr::GetAttr(attribute) => {
                self.attributes.insert(attribute.name.to_owned());
                if self.attributes.len() > MOST_ATTRIBUTES {
                    self.refuse(format!(
                        "it assigns to more than {MOST_ATTRIBUTES} attributes of namespaces"
                    ));
                }
                true
            }
            Expr::List(list) => {
                let sets = list.items.iter().map(|item| self.sets_attribute(item));
                sets.fold(false, |any, sets| any | sets)
            }
            _ => false,
        }
    }

    /// The filters of a block, which are not part of an expression that could be wrapped.
    fn block_filter(&mut self, filter: &Expr<'_>) {
        let mut inner = Some(filter);
        while let Some(Expr::Filter(filter)) = inner {
            if !SCALAR_FILTERS.contains(&filter.name) {
                self.refuse(format!(
                    "it applies the filter `{}` to a block; only filters that return a string are allowed there",
                    filter.name
                ));
            }
            self.arguments(&filter.args);
            inner = filter.expr.as_ref();
        }
    }

    fn exprs<'a, 'b: 'a>(&mut self, exprs: impl IntoIterator<Item = &'a Expr<'b>>) {
        for expr in exprs {
            self.expr(expr);
        }
    }

    fn expr(&mut self, expr: &Expr<'_>) {
        self.parts(expr);
        let grows = match expr {
            Expr::BinOp(op) => matches!(op.op, BinOpKind::Add | BinOpKind::Mul),
            Expr::List(list) => list
                .items
                .iter()
                .any(|item| !matches!(item, Expr::Const(_))),
            Expr::Tuple(tuple) => (tuple.items.iter()).any(|item| !matches!(item, Expr::Const(_))),
            Expr::Map(map) => {
                (map.keys.iter().chain(&map.values)).any(|item| !matches!(item, Expr::Const(_)))
            }
            Expr::Filter(filter) => !PART_FILTERS.contains(&filter.name),
            Expr::Slice(_) | Expr::Call(_) => true,
            _ => false,
        };
        if grows && !is_scalar(expr) {
            self.wrap(expr, BOUNDED);
        }
    }

    /// The parts of an expression.
    fn parts(&mut self, expr: &Expr<'_>) {
        match expr {
            Expr::Var(_) | Expr::Const(_) => {}
            Expr::Slice(slice) => {
                self.expr(&slice.expr);
                self.exprs(slice.start.iter().chain(&slice.stop).chain(&slice.step));
            }
            Expr::UnaryOp(op) => self.expr(&op.expr),
            Expr::BinOp(op) => {
                if sum_length(expr) > LONGEST_SUM {
                    self.refuse(format!(
                        "it adds up more than {LONGEST_SUM} values without a string literal among them"
                    ));
                }
                self.exprs([&op.left, &op.right]);
            }
            Expr::Compare(compare) => {
                self.expr(&compare.expr);
                self.exprs(compare.ops.iter().map(|op| &op.expr));
            }
            Expr::IfExpr(choice) => {
                self.exprs([&choice.test_expr, &choice.true_expr]);
                self.exprs(&choice.false_expr);
            }
            Expr::Filter(filter) => {
                self.exprs(&filter.expr);
                self.arguments(&filter.args);
            }
            Expr::Test(test) => {
                self.expr(&test.expr);
                self.arguments(&test.args);
            }
            Expr::GetAttr(attribute) => self.expr(&attribute.expr),
            Expr::GetItem(item) => self.exprs([&item.expr, &item.subscript_expr]),
            Expr::Call(call) => self.call(call),
            Expr::List(list) => self.items(&list.items),
            Expr::Tuple(tuple) => self.items(&tuple.items),
            Expr::Map(map) => self.items(map.keys.iter().chain(&map.values)),
        }
    }

    /// The items of a literal. Nested literals are checked with the outermost one.
    fn items<'a, 'b: 'a>(&mut self, items: impl IntoIterator<Item = &'a Expr<'b>>) {
        for item in items {
            match item {
                Expr::List(_) | Expr::Tuple(_) | Expr::Map(_) => self.parts(item),
                item => self.expr(item),
            }
        }
    }

    fn call(&mut self, call: &Call<'_>) {
        self.expr(match &call.expr {
            // A method name is not a value.
            Expr::GetAttr(method) => &method.expr,
            called => called,
        });
        self.arguments(&call.args);
    }

    fn arguments(&mut self, arguments: &[CallArg<'_>]) {
        for argument in arguments {
            let (CallArg::Pos(value)
            | CallArg::Kwarg(_, value)
            | CallArg::PosSplat(value)
            | CallArg::KwargSplat(value)) = argument;
            self.expr(value);
        }
    }
}

/// The number of additions in a row.
fn sum_length(expr: &Expr<'_>) -> usize {
    let (mut length, mut left) = (0, expr);
    while let Expr::BinOp(op) = left
        && matches!(op.op, BinOpKind::Add)
        && length <= LONGEST_SUM
        && !is_scalar(left)
    {
        length += 1;
        left = &op.left;
    }
    length
}

/// Whether the value of an expression is always a string or a number.
fn is_scalar(expr: &Expr<'_>) -> bool {
    match expr {
        Expr::Const(_) | Expr::UnaryOp(_) | Expr::Compare(_) | Expr::Test(_) => true,
        Expr::BinOp(op) => match op.op {
            BinOpKind::ScAnd | BinOpKind::ScOr => false,
            // A sum with a string or a number is a string or a number.
            BinOpKind::Add => {
                let mut expr = expr;
                loop {
                    match expr {
                        Expr::BinOp(op) if matches!(op.op, BinOpKind::Add) => {
                            if is_scalar(&op.right) {
                                return true;
                            }
                            expr = &op.left;
                        }
                        first => return is_scalar(first),
                    }
                }
            }
            BinOpKind::Mul => is_scalar(&op.left) && is_scalar(&op.right),
            _ => true,
        },
        Expr::Filter(filter) => SCALAR_FILTERS.contains(&filter.name),
        Expr::Call(call) => match call.identify_call() {
            CallType::Function(name) => SCALAR_FUNCTIONS.contains(&name),
            CallType::Block(_) => true,
            // A map can contain any function under the name of a method.
            CallType::Method(..) | CallType::Object(_) => false,
        },
        _ => false,
    }
}

/// The start of an expression. The parser's spans of postfix operators do not include their
/// operand.
fn start(expr: &Expr<'_>) -> usize {
    let span = expr.span().start_offset as usize;
    match expr {
        Expr::Slice(slice) => start(&slice.expr),
        Expr::BinOp(op) => start(&op.left),
        Expr::Compare(compare) => start(&compare.expr),
        Expr::IfExpr(choice) => start(&choice.true_expr),
        Expr::Filter(filter) => filter.expr.as_ref().map_or(span, start),
        Expr::Test(test) => start(&test.expr),
        Expr::GetAttr(attribute) => start(&attribute.expr),
        Expr::GetItem(item) => start(&item.expr),
        Expr::Call(call) => start(&call.expr),
        Expr::UnaryOp(op) => span.min(start(&op.expr)),
        // The span of a tuple without brackets starts after the first item.
        Expr::Tuple(tuple) => tuple
            .items
            .first()
            .map_or(span, |first| span.min(start(first))),
        Expr::Var(_) | Expr::Const(_) | Expr::List(_) | Expr::Map(_) => span,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rewritten(source: &str) -> Result<String, String> {
        instrumented(source, "test", SyntaxConfig::default()).expect("parses")
    }

    #[test]
    fn what_can_grow_is_wrapped() {
        // ⟨ ⟩ stand for one filter, ⟪ ⟫ for the other.
        for (source, expected) in [
            ("{{ [x] }}", "{{ ⟨[x]⟩ }}"),
            ("{{ x + y }}", "{{ ⟨x + y⟩ }}"),
            ("{{ (x or y) + z * w }}", "{{ (⟨x or y) + ⟨z * w⟩⟩ }}"),
            ("{{ x.items() }}", "{{ ⟨x.items()⟩ }}"),
            ("{{ a.b[1:].c }}", "{{ ⟨a.b[1:]⟩.c }}"),
            ("{{ (x | list)[0](1) }}", "{{ (⟨⟨x | list⟩)[0](1)⟩ }}"),
            ("{{ 'é' ~ x[::2] }}", "{{ 'é' ~ ⟨x[::2]⟩ }}"),
            ("{% set x = [y], z %}", "{% set x = ⟨[y], z⟩ %}"),
            ("{{ [[x], (1, y.z())] }}", "{{ ⟨[[x], (1, ⟨y.z()⟩)]⟩ }}"),
            (
                "{% set ns.x = y if y else z %}",
                "{% set ns.x = ⟪y if y else z⟫ %}",
            ),
            ("{% set ns.x = (y + z) %}", "{% set ns.x = (⟪y + z⟫) %}"),
            ("{% set ns.x, y = z %}", "{% set ns.x, y = ⟪z⟫ %}"),
            (
                "{{ {'a': not (b not in c + d)} }}",
                "{{ ⟨{'a': not (b not in ⟨c + d⟩)}⟩ }}",
            ),
            (
                "{% for i in x|sort if i %}{% endfor %}",
                "{% for i in ⟨x|sort⟩ if i %}{% endfor %}",
            ),
            (
                "{% macro m(a=[b]) %}{% endmacro %}",
                "{% macro m(a=⟨[b]⟩) %}{% endmacro %}",
            ),
            (
                "{% call m([a]) %}{% endcall %}",
                "{% call m(⟨[a]⟩) %}{% endcall %}",
            ),
        ] {
            let expected = expected
                .replace(['⟨', '⟪'], "((")
                .replace('⟩', ")|__bounded)")
                .replace('⟫', ")|__stored)");
            assert_eq!(rewritten(source).as_deref(), Ok(&*expected));
            let syntax = SyntaxConfig::default();
            assert!(parse(&expected, "test", syntax).is_ok(), "{expected}");
        }
    }

    #[test]
    fn texts_numbers_and_parts_are_not() {
        for source in [
            "[x] + y",
            "{# [x] #}{% raw %}{{ [x] }}{% endraw %}",
            "{{ '<s>' + x.role + y }}",
            "{{ x + '\n' + y }}",
            "{{ x ~ y ~ [1, 'a'] }}",
            "{{ x - 1 * 2 }}",
            "{{ (x.y | trim) + z }}",
            "{{ x.y[0] | default(z) }}",
            "{% if x is defined and x.y == 'z' and 'a' not in b %}{% endif %}",
            "{% set x = y %}{% set ns.x = 'a' + y %}{% set ns.x = true %}",
            "{% for x in y recursive %}{{ loop(x.z) }}{% endfor %}",
            "{% filter trim %}a{% endfilter %}{% set x | upper %}a{% endset %}",
        ] {
            assert_eq!(rewritten(source).as_deref(), Ok(source));
        }
    }

    #[test]
    fn what_cannot_be_bounded_is_refused() {
        let sum = vec!["x"; 20].join(" + ");
        let attributes: String = (0..70)
            .map(|i| format!("{{% set ns.a{i} = 1 %}}"))
            .collect();
        for (source, needle) in [
            (&*format!("{{{{ {sum} }}}}"), "adds up more than 16"),
            (&attributes, "more than 64 attributes"),
            (
                "{% set x | chain(x, x) %}a{% endset %}",
                "`chain` to a block",
            ),
            ("{% filter list %}a{% endfilter %}", "`list` to a block"),
        ] {
            let problem = rewritten(source).expect_err(source);
            assert!(problem.contains(needle), "{problem}");
        }
    }
}
