//! The reference documentation of the rule language, rendered from the registries that the compiler uses.
//! `tests/generated.rs` compares it with the files.

use std::fmt::Write as _;
use yagura_event::Registry;
use yagura_event::field::{Field, ObjectKind, Scalar, Type};
use yagura_rules::{CATALOGUE, functions};

use crate::registry::{REGISTRIES, form, kernel_tests, kinds};

/// A generated file.
#[derive(Clone, Debug)]
pub struct File {
    /// Path from the root of the repository.
    pub path: &'static str,
    /// Its content.
    pub content: String,
}

const HEADER: &str = "Generated from the registries of the compiler; `cargo xtask gen` rewrites it.";

/// Every file of the reference that comes from the language.
pub fn files() -> [File; 3] {
    [
        File {
            path: "docs/reference/fields.md",
            content: fields(),
        },
        File {
            path: "docs/reference/functions.md",
            content: function_table(),
        },
        File {
            path: "docs/reference/diagnostics.md",
            content: diagnostics(),
        },
    ]
}

fn fields() -> String {
    let mut out = format!(
        "# Fields\n\n{HEADER}\n\nWhat conditions can ask about; `yagura fields` prints the same. What kernel programs can test of a \
         field decides how much of a rule can run in the kernel: see [kernel.md](kernel.md).\n"
    );
    for registry in REGISTRIES.map(|registry| registry()) {
        let (head, line) = if registry.has_kinds() {
            (" in the kernel |", "---|")
        } else {
            ("", "")
        };
        write!(
            out,
            "\n## {}\n\n| field | type | meaning | example |{head}\n|---|---|---|---|{line}\n",
            registry.name()
        )
        .expect("a string takes everything");
        for (_, field) in registry.fields() {
            let (name, ty, example) = (code(field.path), field.ty.to_string(), code(field.example));
            let meaning = meaning(registry, field);
            let kernel = kernel_tests(field);
            let mut cells: Vec<&str> = vec![&name, &ty, &meaning, &example];
            if registry.has_kinds() {
                cells.push(&kernel);
            }
            row(&mut out, &cells);
        }
    }
    out.push_str("\n## Where kernel programs read fields\n\n");
    out.push_str("Members of the kernel's structures, at the hooks that the table above names.\n\n| field | from |\n|---|---|\n");
    for (_, field) in Registry::workload().fields() {
        if let Some(known) = field.in_kernel {
            row(&mut out, &[&code(field.path), known.from]);
        }
    }
    out.push_str("\n## Members of a process in `process.ancestors`\n\n");
    out.push_str("The same stand below `process.parent`.\n\n| member | type | meaning | example |\n|---|---|---|---|\n");
    for (_, member) in ObjectKind::Ancestor.members() {
        let mut meaning = member.doc.to_owned();
        if member.may_be_unknown {
            meaning.push_str(" May be unknown.");
        }
        row(
            &mut out,
            &[
                &code(member.name),
                &member.ty.to_string(),
                &meaning,
                &code(member.example),
            ],
        );
    }
    out
}

fn meaning(registry: &Registry, field: &Field) -> String {
    let mut text = field.doc.to_owned();
    if let Some(unit) = field.unit {
        write!(text, " In {unit}.").expect("a string takes everything");
    }
    if let Some(kinds) = kinds(registry, field) {
        write!(text, " Only in {}.", kinds.join(", ")).expect("a string takes everything");
    }
    if matches!(
        field.ty,
        Type::One(Scalar::Object(_)) | Type::List(Scalar::Object(_))
    ) {
        text.push_str(" Its members stand below.");
    }
    if field.may_be_unknown {
        text.push_str(" May be unknown.");
    }
    text
}

fn function_table() -> String {
    let mut out = format!(
        "# Functions\n\n{HEADER}\n\nWhat conditions can call; `yagura functions` prints the same. A function on an absent \
         value is absent; a test on one is false.\n\n| usage | form | meaning | example |\n|---|---|---|---|\n"
    );
    for function in functions() {
        row(
            &mut out,
            &[
                &code(&function.usage()),
                form(function),
                function.doc,
                &code(function.example),
            ],
        );
    }
    out
}

fn diagnostics() -> String {
    let mut out = format!(
        "# Diagnostics\n\n{HEADER}\n\nWhat `yagura lint`, `kubectl apply` and the status of objects say about a condition. \
         A code is never given another meaning. Errors keep an object from running; warnings do not.\n\n\
         | code | level | meaning | example | what to do |\n|---|---|---|---|---|\n"
    );
    for entry in CATALOGUE {
        let level = entry.code.level().as_str();
        row(
            &mut out,
            &[
                &entry.code.to_string(),
                level,
                entry.meaning,
                &code(entry.example),
                entry.help,
            ],
        );
    }
    out
}

/// Text as code: two backquotes around what has one in it.
fn code(text: &str) -> String {
    if text.contains('`') {
        format!("`` {text} ``")
    } else {
        format!("`{text}`")
    }
}

fn row(out: &mut String, cells: &[&str]) {
    for cell in cells {
        out.push_str("| ");
        out.push_str(&cell.replace('|', "\\|").replace('\n', " "));
        out.push(' ');
    }
    out.push_str("|\n");
}
