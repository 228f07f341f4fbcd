//! The tables of `semantics.txt`, row by row.

use std::collections::BTreeMap;
use std::sync::Arc;

use yagura_event::{Registry, Tree};
use yagura_rules::{CheckSource, Lists, compile_check};

use crate::posture::{Judge, Verdict};
use crate::subject::Resource;
use crate::unit::{Graph, Scratch};

/// The members of the resource that the tables speak of. `absent` is none of them.
fn resource() -> Tree {
    let list = |values: &[&str]| Tree::List(values.iter().map(|value| Tree::from(*value)).collect());
    let members = [
        ("true", Tree::Bool(true)),
        ("false", Tree::Bool(false)),
        ("null", Tree::Null),
        ("unknown", Tree::Unknown),
        ("text", "text".into()),
        ("v4", "10.1.2.3".into()),
        ("v6", "2001:DB8:0::1".into()),
        ("mapped", "::ffff:10.1.2.3".into()),
        ("network", "10.1.2.3/8".into()),
        ("minute", "1m".into()),
        ("mebi", "1024Mi".into()),
        ("milli", "500m".into()),
        ("second", "1000ms".into()),
        ("moment", "1970-01-01T00:00:01.5Z".into()),
        ("later", "1970-01-01T01:00:02+01:00".into()),
        ("a", "a".into()),
        ("c", "c".into()),
        ("zero", Tree::Int(0)),
        ("one", Tree::Int(1)),
        ("uno", Tree::Double(1.0)),
        ("two", Tree::Int(2)),
        ("minus", Tree::Int(-1)),
        ("half", Tree::Double(0.5)),
        ("max", Tree::Uint(u64::MAX)),
        ("list", list(&["a", "b"])),
        ("part", Tree::List(vec!["a".into(), Tree::Unknown])),
        ("empty", list(&[])),
        ("map", Tree::map([("a".into(), Tree::Int(1))])),
    ];
    Tree::map(members.map(|(name, value)| (name.into(), value)))
}

/// The value of an expression as the tables write it.
fn evaluate(expression: &str, resource: &Tree) -> String {
    let mut source = CheckSource::new("c", "any", "resource.true");
    source.evidence = vec![expression.to_owned()];
    let compiled = compile_check(&source, &BTreeMap::new(), &Lists::default());
    let Some(check) = compiled.check else {
        return format!("{:?}", compiled.diagnostics);
    };
    let mut graph = Graph::default();
    let nodes = graph.add(&check.program, Registry::resource());
    let (unit, ranges) = graph.lower(&[nodes[check.evidence[0].1.index()]]);
    let mut scratch = Scratch::default();
    scratch.begin(&unit);
    let subject = Resource(resource);
    let value = scratch.machine(&unit, &subject).value(ranges[0]).to_tree();
    match value {
        None | Some(Tree::Null) => "absent".to_owned(),
        Some(Tree::Unknown) => "unknown".to_owned(),
        Some(Tree::Bool(value)) => value.to_string(),
        Some(Tree::Int(value)) => value.to_string(),
        Some(Tree::Uint(value)) => value.to_string(),
        Some(Tree::Double(value)) => format!("{value:?}"),
        Some(other) => format!("{other:?}")
            .trim_start_matches("Text(")
            .trim_end_matches(')')
            .to_owned(),
    }
}

/// A row without its last `count` words, and those.
fn split_row(row: &str, count: usize) -> (&str, Vec<&str>) {
    let mut rest = row.trim_end();
    let mut cells = Vec::new();
    for _ in 0..count {
        let cut = rest.rfind(' ').unwrap_or(0);
        cells.push(rest[cut..].trim());
        rest = rest[..cut].trim_end();
    }
    cells.reverse();
    (rest, cells)
}

#[test]
fn the_tables_hold() {
    const OPERATORS: [&str; 13] = [
        "&&", "||", "==", "!=", "<", ">=", "in", "+", "-", "/", "%", "[]", "X",
    ];
    let resource = resource();
    let mut wrong = Vec::new();
    let mut checked = 0;
    for table in include_str!("semantics.txt").split("\n\n") {
        let mut rows = table.lines();
        let header: Vec<&str> = rows.next().unwrap_or_default().split_whitespace().collect();
        let Some((operator, columns)) = header
            .split_first()
            .filter(|(first, _)| OPERATORS.contains(*first))
        else {
            continue;
        };
        for row in rows {
            let (left, cells) = split_row(row, columns.len());
            for (column, expected) in columns.iter().zip(cells) {
                let right = format!("resource.{column}");
                let expression = match *operator {
                    // X stands alone; the one in "TEXT" and the like does not.
                    "X" => left
                        .replace("X ", &format!("{right} "))
                        .replace("X)", &format!("{right})"))
                        .replace("X.", &format!("{right}."))
                        .replace("X,", &format!("{right},"))
                        .replace("!X", &format!("!{right}"))
                        .replace("-X", &format!("-{right}")),
                    "[]" => format!("resource.{left}[{right}]"),
                    operator => format!("resource.{left} {operator} {right}"),
                };
                checked += 1;
                let got = evaluate(&expression, &resource);
                if got != expected {
                    wrong.push(format!("{expression}: {got}, the table says {expected}"));
                }
            }
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
    assert!(checked > 700, "only {checked} cells were read");
}

#[test]
fn a_check_counts_its_pass_by_the_same_tables() {
    let judge = |pass: &str| {
        let compiled = compile_check(
            &CheckSource::new("c", "any", pass),
            &BTreeMap::new(),
            &Lists::default(),
        );
        let judge = Judge::new(Arc::clone(compiled.check.as_ref().unwrap()));
        judge.evaluate(&resource(), &mut Scratch::default()).verdict
    };
    assert_eq!(judge("resource.absent != true"), Verdict::Pass);
    assert_eq!(judge("resource.absent == true"), Verdict::Fail);
    assert_eq!(
        judge("resource.unknown == true"),
        Verdict::Error(vec!["resource.unknown".to_owned()])
    );
}
