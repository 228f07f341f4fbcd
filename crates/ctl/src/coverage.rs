//! `yagura coverage`: which tactics and techniques of MITRE ATT&CK rules are about.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};

use serde_json::{Value, json};
use yagura_crds::source::{self, Object};

use crate::args::CoverageOutput;
use crate::files::Source;
use crate::finding::{Finding, count};
use crate::lint;
use crate::terminal::{Style, Terminal};

/// Version of the layer format of ATT&CK Navigator.
const LAYER_FORMAT: &str = "4.5";

/// Tactics of the enterprise matrix in its order, with the names by which Navigator knows them.
const TACTICS: [(&str, &str); 14] = [
    ("TA0043", "reconnaissance"),
    ("TA0042", "resource-development"),
    ("TA0001", "initial-access"),
    ("TA0002", "execution"),
    ("TA0003", "persistence"),
    ("TA0004", "privilege-escalation"),
    ("TA0005", "defense-evasion"),
    ("TA0006", "credential-access"),
    ("TA0007", "discovery"),
    ("TA0008", "lateral-movement"),
    ("TA0009", "collection"),
    ("TA0011", "command-and-control"),
    ("TA0010", "exfiltration"),
    ("TA0040", "impact"),
];

/// What rules are about.
#[derive(Debug, Default)]
pub struct Coverage {
    /// Rules by tactic, in the order of the matrix, and technique; none where a rule names only the tactic.
    covered: BTreeMap<Place, BTreeSet<String>>,
    /// How many rules there are.
    rules: usize,
    /// Rules that say nothing about ATT&CK.
    unplaced: Vec<String>,
    /// What is wrong with the files.
    pub findings: Vec<Finding>,
}

/// Place of a tactic in the matrix, its id, and a technique.
type Place = (usize, String, Option<String>);

/// Collects what the rules in the files say about themselves.
pub fn of(sources: &[Source]) -> Coverage {
    let mut coverage = Coverage::default();
    for source in sources {
        let file = source::read(&source.name, &source.text);
        let faults = file.faults.into_iter();
        coverage
            .findings
            .extend(faults.map(|fault| lint::of_fault(fault, source)));
        for document in &file.documents {
            let Object::DetectionRule(rule) = &document.object else {
                continue;
            };
            coverage.rules += 1;
            let name = document.object.name().to_owned();
            if rule.spec.attack.is_empty() {
                coverage.unplaced.push(name.clone());
            }
            for attack in &rule.spec.attack {
                let order = TACTICS.iter().position(|(id, _)| *id == attack.tactic);
                let order = order.unwrap_or(TACTICS.len());
                let place = (order, attack.tactic.clone(), attack.technique.clone());
                coverage.covered.entry(place).or_default().insert(name.clone());
            }
        }
    }
    coverage
}

/// The name by which Navigator knows a tactic.
fn short_name(order: usize) -> Option<&'static str> {
    TACTICS.get(order).map(|(_, name)| *name)
}

/// Shows what is covered.
pub fn write(
    coverage: &Coverage,
    output: CoverageOutput,
    terminal: Terminal,
    out: &mut impl Write,
) -> io::Result<()> {
    match output {
        CoverageOutput::Table => write_table(coverage, terminal, out),
        CoverageOutput::Json => write_json(coverage, out),
        CoverageOutput::Navigator => writeln!(out, "{:#}", layer(coverage)),
    }
}

fn write_table(coverage: &Coverage, terminal: Terminal, out: &mut impl Write) -> io::Result<()> {
    let mut last = None;
    for ((order, tactic, technique), rules) in &coverage.covered {
        if last != Some(tactic) {
            last = Some(tactic);
            let name = short_name(*order).unwrap_or("unknown");
            writeln!(out, "{}  {name}", terminal.paint(Style::Name, tactic))?;
        }
        let technique = technique.as_deref().unwrap_or("-");
        let names: Vec<&str> = rules.iter().map(String::as_str).collect();
        let wrapped = terminal.wrap(13, &names.join(", "));
        writeln!(out, "  {technique:<9}  {}", wrapped.trim_start())?;
    }
    if !coverage.unplaced.is_empty() {
        writeln!(out, "{}", terminal.paint(Style::Doubtful, "without ATT&CK ids"))?;
        writeln!(out, "{}", terminal.wrap(13, &coverage.unplaced.join(", ")))?;
    }
    let tactics: BTreeSet<_> = coverage.covered.keys().map(|(_, tactic, _)| tactic).collect();
    let techniques: BTreeSet<_> = coverage
        .covered
        .keys()
        .filter_map(|place| place.2.as_ref())
        .collect();
    writeln!(
        out,
        "{}: {}, {}",
        count(coverage.rules, "rule"),
        count(tactics.len(), "tactic"),
        count(techniques.len(), "technique"),
    )
}

fn write_json(coverage: &Coverage, out: &mut impl Write) -> io::Result<()> {
    for ((order, tactic, technique), rules) in &coverage.covered {
        let line = json!({
            "tactic": tactic,
            "tacticName": short_name(*order),
            "technique": technique,
            "rules": rules,
        });
        writeln!(out, "{line}")?;
    }
    Ok(())
}

/// A layer: the score of a technique is how many rules are about it. What names only a tactic has no place in one.
fn layer(coverage: &Coverage) -> Value {
    let techniques: Vec<Value> = coverage
        .covered
        .iter()
        .filter_map(|((order, _, technique), rules)| {
            let names: Vec<&str> = rules.iter().map(String::as_str).collect();
            Some(json!({
                "techniqueID": technique.as_ref()?,
                "tactic": short_name(*order)?,
                "score": rules.len(),
                "comment": names.join(", "),
                "enabled": true,
                "showSubtechniques": technique.as_ref()?.contains('.'),
            }))
        })
        .collect();
    let most = coverage.covered.values().map(BTreeSet::len).max().unwrap_or(1);
    json!({
        "name": "Yagura",
        "versions": {"layer": LAYER_FORMAT},
        "domain": "enterprise-attack",
        "description": format!("Detection rules of Yagura: {}", coverage.rules),
        "techniques": techniques,
        "gradient": {"colors": ["#ffffff", "#66b1ff"], "minValue": 0, "maxValue": most},
    })
}
