//! `yagura fields` and `yagura functions`: what the rule language knows, for people and as JSON.

use std::fmt::Write as _;
use std::io::{self, Write};

use serde_json::json;
use yagura_event::Registry;
use yagura_event::field::kernel::Precision;
use yagura_event::field::{Field, KindSet};
use yagura_rules::function::{Form, FunctionDoc, functions};

use crate::args::ListOutput;
use crate::terminal::{Style, Terminal};

/// The registries by the names that people give.
pub const REGISTRIES: [fn() -> &'static Registry; 2] = [Registry::workload, Registry::resource];

/// There is no source of that name.
#[derive(Debug, thiserror::Error)]
#[error("there is no source {0:?}; use one of {1}")]
pub struct UnknownSource(String, String);

/// The registries that a person asks for.
pub fn select(source: Option<&str>) -> Result<Vec<&'static Registry>, UnknownSource> {
    let all = REGISTRIES.map(|registry| registry());
    let Some(name) = source else {
        return Ok(all.to_vec());
    };
    match all.iter().find(|registry| registry.name() == name) {
        Some(registry) => Ok(vec![registry]),
        None => Err(UnknownSource(name.to_owned(), all.map(Registry::name).join(", "))),
    }
}

/// Lists fields.
pub fn write_fields(
    registries: &[&Registry],
    output: ListOutput,
    terminal: Terminal,
    out: &mut impl Write,
) -> io::Result<()> {
    for registry in registries {
        for (_, field) in registry.fields() {
            match output {
                ListOutput::Json => writeln!(
                    out,
                    "{}",
                    json!({
                        "source": registry.name(),
                        "path": field.path,
                        "type": field.ty.to_string(),
                        "meaning": field.doc,
                        "example": field.example,
                        "unit": field.unit,
                        "kinds": kinds(registry, field),
                        "mayBeUnknown": field.may_be_unknown,
                        "shown": field.shown,
                        "kernel": in_kernel(field),
                    })
                )?,
                ListOutput::Table => {
                    let name = terminal.paint(Style::Name, field.path);
                    writeln!(out, "{name}  {}", field.ty)?;
                    writeln!(out, "{}", terminal.wrap(4, &about(registry, field)))?;
                }
            }
        }
    }
    Ok(())
}

/// Event kinds that have a field, when not all have it.
pub fn kinds(registry: &Registry, field: &Field) -> Option<Vec<&'static str>> {
    let all = KindSet::ALL;
    (registry.has_kinds() && field.kinds != all)
        .then(|| field.kinds.iter().map(yagura_event::EventKind::as_str).collect())
}

fn in_kernel(field: &Field) -> Option<serde_json::Value> {
    let known = field.in_kernel?;
    Some(json!({
        "kinds": known.kinds.iter().map(yagura_event::EventKind::as_str).collect::<Vec<_>>(),
        "tests": known.test.as_str(),
        "precision": match known.precision {
            Precision::Exact => "exact",
            Precision::TrueIsSure => "true is sure",
        },
        "from": known.from,
    }))
}

/// What kernel programs can test of a field, and at which hooks.
pub fn kernel_tests(field: &Field) -> String {
    let Some(known) = field.in_kernel else {
        return "no".to_owned();
    };
    let kinds: Vec<&str> = known.kinds.iter().map(yagura_event::EventKind::as_str).collect();
    let only = match known.precision {
        Precision::Exact => "",
        Precision::TrueIsSure => ", only that it is false",
    };
    let at = if known.kinds == KindSet::ALL {
        "everywhere".to_owned()
    } else {
        format!("at {}", kinds.join(", "))
    };
    format!("{}{only}; {at}", known.test.as_str())
}

/// Meaning, example and limits of a field in a few sentences.
fn about(registry: &Registry, field: &Field) -> String {
    let mut text = field.doc.to_owned();
    if let Some(unit) = field.unit {
        write!(text, " In {unit}.").expect("a string takes everything");
    }
    write!(text, " Example: {}", field.example).expect("a string takes everything");
    if let Some(kinds) = kinds(registry, field) {
        write!(text, " Only in {}.", kinds.join(", ")).expect("a string takes everything");
    }
    if field.may_be_unknown {
        text.push_str(" May be unknown.");
    }
    if field.in_kernel.is_some() {
        write!(text, " In the kernel: {}.", kernel_tests(field)).expect("a string takes everything");
    }
    text
}

/// Lists functions.
pub fn write_functions(output: ListOutput, terminal: Terminal, out: &mut impl Write) -> io::Result<()> {
    for function in functions() {
        match output {
            ListOutput::Json => writeln!(
                out,
                "{}",
                json!({
                    "name": function.name,
                    "form": form(function),
                    "usage": function.usage(),
                    "meaning": function.doc,
                    "example": function.example,
                })
            )?,
            ListOutput::Table => {
                writeln!(out, "{}", terminal.paint(Style::Name, &function.usage()))?;
                writeln!(
                    out,
                    "{}",
                    terminal.wrap(4, &format!("{} Example: {}", function.doc, function.example))
                )?;
            }
        }
    }
    Ok(())
}

/// How a function is written: `x.name()`, `name(x)` or either.
pub fn form(function: &FunctionDoc) -> &'static str {
    match function.form {
        Form::Method => "method",
        Form::Global => "function",
        Form::Both => "method or function",
    }
}
