//! What binds tighter, and how parsing goes on after a mistake.

use super::*;

/// The tree with brackets around everything.
fn dump(ast: &Ast, id: NodeId) -> String {
    let of = |id: &NodeId| dump(ast, *id);
    let all = |ids: &[NodeId]| ids.iter().map(of).collect::<Vec<_>>().join(" ");
    match ast.node(id) {
        Node::Error => "?".to_owned(),
        Node::Literal(Tree::Text(text)) => format!("{text:?}"),
        Node::Literal(Tree::Int(value)) => value.to_string(),
        Node::Literal(other) => format!("{other:?}"),
        Node::Ident(name) => name.clone(),
        Node::Variable(binder) => format!("${}", ast.binders[binder.0].name),
        Node::Select(base, name, _) => format!("{}.{name}", of(base)),
        Node::Index(base, index) => format!("{}[{}]", of(base), of(index)),
        Node::Call {
            function,
            target: Some(target),
            arguments,
            ..
        } => format!("({function} {} {})", of(target), all(arguments)),
        Node::Call {
            function, arguments, ..
        } => format!("({function} {})", all(arguments)),
        Node::Has(argument) => format!("(has {})", of(argument)),
        Node::Macro {
            kind, range, body, ..
        } => format!("({} {} {})", kind.as_str(), of(range), of(body)),
        Node::List(elements) => format!("[{}]", all(elements)),
        Node::Not(operand) => format!("(! {})", of(operand)),
        Node::Negate(operand) => format!("(- {})", of(operand)),
        Node::Binary(operator, left, right) => format!("({operator:?} {} {})", of(left), of(right)),
        Node::Conditional(condition, then, otherwise) => {
            format!("(if {} {} {})", of(condition), of(then), of(otherwise))
        }
    }
}

fn parsed(source: &str) -> (String, Vec<String>) {
    let mut sink = Sink::default();
    let ast = parse(source, Part::Condition, &mut sink);
    let tree = ast
        .and_then(|ast| ast.root.map(|root| dump(&ast, root)))
        .unwrap_or_default();
    (tree, sink.finish().iter().map(ToString::to_string).collect())
}

#[track_caller]
fn check(source: &str, tree: &str) {
    assert_eq!(parsed(source), (tree.to_owned(), vec![]), "{source}");
}

#[test]
fn operators_bind_as_in_cel() {
    check("a || b && c || d", "(Or (Or a (And b c)) d)");
    check("a && b == c + d * e", "(And a (Equal b (Add c (Multiply d e))))");
    check("a - b - c", "(Subtract (Subtract a b) c)");
    check("a / b * c % d", "(Remainder (Multiply (Divide a b) c) d)");
    check("a < b == c", "(Equal (Less a b) c)");
    check("!a && -b in c", "(And (! a) (In (- b) c))");
    check("!!a.b", "(! (! a.b))");
    check("- -1", "(- (- 1))");
    check("-a.b[1]", "(- a.b[1])");
    check("(a || b) && c", "(And (Or a b) c)");
    check("a ? b : c ? d : e", "(if a b (if c d e))");
    check("a || b ? c : d", "(if (Or a b) c d)");
    check("a ? b || c : d", "(if a (Or b c) d)");
    check("(a ? b : c) ? d : e", "(if (if a b c) d e)");
}

#[test]
fn members_calls_and_lists() {
    check("a.b.c(d, e)[f].g", "(c a.b d e)[f].g");
    check("f(g(), [1, 2,], [])", "(f (g ) [1 2] [])");
    check("has(a.b) != null", "(NotEqual (has a.b) Null)");
    check("a.in.true.null", "a.in.true.null");
    check(
        "l.exists(x, x == y && m.all(z, z in x))",
        "(exists l (And (Equal $x y) (all m (In $z $x))))",
    );
    check("l.exists(x, x) && x", "(And (exists l $x) x)");
    check("a // b\n&& c", "(And a c)");
}

#[test]
fn parsing_goes_on_after_a_mistake() {
    let (tree, mistakes) = parsed("f(a b, c) && [1, , 2] && (d");
    assert_eq!(tree, "(And (And (f a) [1 ? 2]) d)");
    assert_eq!(
        mistakes,
        [
            "error[Y0010]: expected `)`, found `b`",
            "error[Y0010]: expected a value, found `,`",
            "error[Y0011]: missing `)`",
        ]
    );
    let (tree, mistakes) = parsed("a b c");
    assert_eq!(
        (tree.as_str(), mistakes.len()),
        ("a", 1),
        "one mistake is reported once"
    );
}
