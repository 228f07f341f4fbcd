//! Rules from files, for an agent that runs alone.
//!
//! A file or a rule with a mistake is reported with file, line and column, and does not keep the
//! others from running; when none is left there is nothing to do, which is an error.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use yagura_crds::convert::rule_source;
use yagura_crds::source::{self, Document, File, MAX_FILE_BYTES, Object};
use yagura_crds::{DetectionRule, ValueList, value_list};
use yagura_event::Registry;
use yagura_rules::Lists;

use super::{Active, ActiveRule};

/// Files of a folder that are read, and folders below it that are entered.
const MAX_FILES: usize = 20_000;
const MAX_DEPTH: usize = 16;

/// No rules can be had from the paths that were given.
#[derive(Debug, thiserror::Error)]
pub enum FilesError {
    /// A path cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The path.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// The paths hold no rule at all.
    #[error("no DetectionRule in {paths}; give *.yaml or *.yml files or folders with them")]
    None {
        /// The paths as given.
        paths: String,
    },
    /// The paths hold rules, and every one has a mistake.
    #[error("none of the rules can run; {count} mistakes are named above, correct them or try `yagura lint`")]
    AllBroken {
        /// How many mistakes.
        count: usize,
    },
}

/// Rules that run, and what was wrong with the others.
#[derive(Debug)]
pub struct Loaded {
    /// The rules.
    pub active: Active,
    /// Mistakes and warnings as compilers show them, file, line and column first.
    pub messages: Vec<String>,
    /// How many of the messages are mistakes that keep something from running.
    pub mistakes: usize,
}

/// Reads and compiles every rule in files and folders.
pub fn load(paths: &[PathBuf]) -> Result<Loaded, FilesError> {
    let mut files = Vec::new();
    for path in paths {
        list(path, 0, &mut files)?;
    }
    let mut load = Load::default();
    for file in &files {
        load.file(file)?;
    }
    load.compile();
    load.order();
    let Load {
        rules,
        found,
        messages,
        mistakes,
        ..
    } = load;
    if rules.is_empty() && found == 0 && mistakes == 0 {
        let paths: Vec<String> = paths.iter().map(|path| path.display().to_string()).collect();
        return Err(FilesError::None {
            paths: paths.join(", "),
        });
    }
    Ok(Loaded {
        active: Active::new(rules, String::new()),
        messages,
        mistakes,
    })
}

#[derive(Default)]
struct Load {
    /// What was read: a rule may name a list of a file after its own.
    files: Vec<(String, File)>,
    rules: Vec<ActiveRule>,
    /// Rules that were read, whether they run or not.
    found: usize,
    /// The file that each name was first seen in.
    names: BTreeMap<String, String>,
    /// The same of lists.
    lists: BTreeMap<String, String>,
    messages: Vec<String>,
    mistakes: usize,
}

impl Load {
    fn file(&mut self, path: &Path) -> Result<(), FilesError> {
        let wrap = |source| FilesError::Read {
            path: path.to_owned(),
            source,
        };
        let name = path.display().to_string();
        let length = fs::metadata(path).map_err(wrap)?.len();
        if usize::try_from(length).is_ok_and(|length| length <= MAX_FILE_BYTES) {
            let content = fs::read(path).map_err(wrap)?;
            let text = String::from_utf8_lossy(&content);
            let file = source::read(&name, &text);
            self.files.push((name, file));
        } else {
            self.mistake(format!(
                "{name}:1:1: the file is larger than {MAX_FILE_BYTES} bytes"
            ));
        }
        Ok(())
    }

    /// Compiles what was read.
    fn compile(&mut self) {
        let files = std::mem::take(&mut self.files);
        let documents = files.iter().flat_map(|(_, file)| &file.documents);
        let lists = value_list::known(documents.filter_map(|document| match &document.object {
            Object::ValueList(list) => Some(&**list),
            _ => None,
        }));
        for (name, file) in &files {
            self.documents(name, file, &lists);
        }
    }

    fn documents(&mut self, name: &str, file: &File, lists: &Lists) {
        for fault in &file.faults {
            self.mistake(format!("{fault}"));
        }
        for document in &file.documents {
            match &document.object {
                Object::DetectionRule(rule) => {
                    self.found += 1;
                    self.rule(name, document, rule, lists);
                }
                Object::ValueList(list) => self.list(name, document, list),
                Object::Exception(_) | Object::ClusterException(_) => self.messages.push(format!(
                    "{name}:{}:{}: warning: {} {} is not read: without an operator, write spec.exceptions of the rule",
                    document.position.line,
                    document.position.column,
                    document.object.kind(),
                    document.object.name(),
                )),
                Object::PostureCheck(_) | Object::PostureFramework(_) => {}
            }
        }
    }

    /// Rules find out themselves that a list of theirs cannot be used; here it is said why.
    fn list(&mut self, file: &str, document: &Document, list: &ValueList) {
        let name = document.object.name();
        let position = document.position;
        if let Some(first) = self.lists.insert(name.to_owned(), file.to_owned()) {
            self.mistake(format!(
                "{file}:{}:{}: another list is called {name}, in {first}; names are unique",
                position.line, position.column
            ));
        }
        for fault in list.spec.list().err().unwrap_or_default() {
            let path = match fault.index {
                Some(index) => format!("spec.values[{index}]"),
                None => "spec.values".to_owned(),
            };
            let at = document.position_of(&path);
            self.mistake(format!(
                "{file}:{}:{}: {path}: {}",
                at.line, at.column, fault.message
            ));
        }
    }

    fn rule(&mut self, file: &str, document: &Document, rule: &DetectionRule, lists: &Lists) {
        if !rule.spec.enabled {
            return;
        }
        let position = document.position;
        let place = format!("{file}:{}:{}", position.line, position.column);
        let source = match rule_source(rule) {
            Ok(source) => source,
            Err(error) => return self.mistake(format!("{place}: {error}")),
        };
        if let Some(first) = self.names.insert(source.name.clone(), file.to_owned()) {
            return self.mistake(format!(
                "{place}: another rule is called {}, in {first}; names are unique",
                source.name
            ));
        }
        if rule
            .spec
            .scope_in_effect()
            .is_some_and(|scope| scope.node_selector.is_some())
        {
            self.messages.push(format!(
                "{place}: warning: {} selects nodes by labels; without Kubernetes this node has none, and the rule runs",
                source.name
            ));
        }
        let compiled = yagura_rules::compile(&source, Registry::workload(), lists);
        for diagnostic in &compiled.diagnostics {
            let rendered = yagura_rules::render(
                diagnostic,
                file,
                source.text_of(diagnostic.part),
                &document.origin(diagnostic.part),
            );
            if diagnostic.is_error() {
                self.mistake(rendered);
            } else {
                self.messages.push(rendered);
            }
        }
        if let Some(rule) = compiled.rule {
            self.rules.push(ActiveRule {
                hash: rule.hash.clone(),
                rule,
            });
        }
    }

    /// Leaves out rules that wait for each other's marks.
    fn order(&mut self) {
        let (rules, unordered) = super::ordered(std::mem::take(&mut self.rules));
        self.rules = rules;
        for (rule, why) in unordered {
            self.mistake(format!("rule {} cannot run: {why}", rule.rule.name));
        }
    }

    fn mistake(&mut self, message: String) {
        self.mistakes += 1;
        self.messages.push(message);
    }
}

/// A file as given, or the YAML files in a folder and below, sorted. Hidden ones are left out.
fn list(path: &Path, depth: usize, files: &mut Vec<PathBuf>) -> Result<(), FilesError> {
    let wrap = |source| FilesError::Read {
        path: path.to_owned(),
        source,
    };
    if files.len() >= MAX_FILES || depth > MAX_DEPTH {
        return Err(wrap(io::Error::other("too many files or folders")));
    }
    if !fs::metadata(path).map_err(wrap)?.is_dir() {
        files.push(path.to_owned());
        return Ok(());
    }
    let mut entries = fs::read_dir(path)
        .and_then(Iterator::collect::<io::Result<Vec<_>>>)
        .map_err(wrap)?
        .into_iter()
        .map(|entry| entry.path())
        .collect::<Vec<_>>();
    entries.sort();
    for entry in entries {
        let hidden = entry
            .file_name()
            .is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        let yaml = entry
            .extension()
            .is_some_and(|extension| extension == "yaml" || extension == "yml");
        if !hidden && (yaml || entry.is_dir()) {
            list(&entry, depth + 1, files)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::{FilesError, load};

    fn rule(name: &str, condition: &str) -> String {
        format!(
            "apiVersion: yagura.dev/v1alpha1\nkind: DetectionRule\nmetadata: {{name: {name}}}\nspec:\n  \
             title: t\n  severity: low\n  condition: {condition}\n"
        )
    }

    #[test]
    fn a_broken_file_and_a_broken_rule_are_named_and_the_others_run() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
        write("a.yaml", &rule("good", "process.name == \"sh\""));
        write("b.yaml", &rule("typo", "process.nmae == \"sh\""));
        write("c.yml", "spec: [");
        write("d.txt", "not looked at");
        write("e.yaml", &rule("good", "process.name == \"bash\""));
        let exception = "apiVersion: yagura.dev/v1alpha1\nkind: ClusterException\nmetadata: {name: mine}\nspec:\n  \
             {reason: r, rules: [good], condition: \"true\"}\n";
        write("f.yaml", exception);
        let loaded = load(&[folder.path().to_owned()]).unwrap();
        assert_eq!(loaded.active.rules.len(), 1);
        assert_eq!(loaded.active.rules[0].rule.name, "good");
        let text = loaded.messages.join("\n");
        assert!(text.contains("b.yaml:7:14"), "{text}");
        assert!(text.contains("c.yml:2:1: not YAML"), "{text}");
        assert!(text.contains("another rule is called good"), "{text}");
        assert!(text.contains("ClusterException mine is not read"), "{text}");
        assert_eq!(loaded.mistakes, 3);
    }

    #[test]
    fn lists_are_read_beside_rules_in_whatever_order() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
        let list = |name: &str, rest: &str| {
            format!(
                "apiVersion: yagura.dev/v1alpha1\nkind: ValueList\nmetadata: {{name: {name}}}\nspec:\n  {rest}\n"
            )
        };
        write("a.yaml", &rule("uses", "process.executable in lists[\"paths\"]"));
        write("b.yaml", &rule("broken", "process.name in lists[\"networks\"]"));
        write("c.yaml", &rule("missing", "process.name in lists[\"path\"]"));
        write("x.yaml", &list("paths", "{type: glob, values: [/tmp/*]}"));
        write(
            "y.yaml",
            &list("networks", "{type: cidr, values: [10.0.0.0/8, ten]}"),
        );
        let loaded = load(&[folder.path().to_owned()]).unwrap();
        let names: Vec<&str> = loaded
            .active
            .rules
            .iter()
            .map(|rule| rule.rule.name.as_str())
            .collect();
        assert_eq!(names, ["uses"]);
        let text = loaded.messages.join("\n");
        assert!(
            text.contains("y.yaml:5:37: spec.values[1]: it is no network"),
            "{text}"
        );
        assert!(
            text.contains("the list \"networks\" cannot be used: values[1]"),
            "{text}"
        );
        assert!(text.contains("did you mean paths?"), "{text}");
        assert_eq!(loaded.mistakes, 3);

        // The same with another list is the same rule no more.
        let before = loaded.active.rules[0].hash.clone();
        write(
            "x.yaml",
            &list("paths", "{type: glob, values: [/tmp/*, /var/tmp/*]}"),
        );
        let loaded = load(&[folder.path().to_owned()]).unwrap();
        assert_ne!(loaded.active.rules[0].hash, before);

        write("z.yaml", &list("paths", "{values: [a]}"));
        let loaded = load(&[folder.path().to_owned()]).unwrap();
        assert!(
            loaded
                .messages
                .join("\n")
                .contains("another list is called paths")
        );
    }

    #[test]
    fn rules_that_wait_for_each_others_marks_are_named_and_the_others_run() {
        let folder = tempfile::tempdir().unwrap();
        let marking = |name: &str, asks: &str, sets: &str| {
            let mark = format!("  mark: {{name: {sets}, scope: node, ttl: 1m}}\n");
            rule(name, &format!("has(host.marks[\"{asks}\"])")) + &mark
        };
        let files = [
            ("a.yaml", marking("a", "y", "x")),
            ("b.yaml", marking("b", "x", "y")),
            ("c.yaml", rule("c", "host.marks[\"x\"]")),
        ];
        for (name, text) in files {
            fs::write(folder.path().join(name), text).unwrap();
        }
        let loaded = load(&[folder.path().to_owned()]).unwrap();
        assert_eq!(loaded.active.rules.len(), 1);
        assert_eq!(loaded.active.rules[0].rule.name, "c");
        let text = loaded.messages.join("\n");
        assert!(
            text.contains("rule b cannot run: rules wait for each other's marks"),
            "{text}"
        );
        assert_eq!(loaded.mistakes, 2);
    }

    #[test]
    fn paths_without_rules_are_an_error() {
        let folder = tempfile::tempdir().unwrap();
        assert!(matches!(
            load(&[folder.path().to_owned()]),
            Err(FilesError::None { .. })
        ));
        assert!(matches!(
            load(&[folder.path().join("missing.yaml")]),
            Err(FilesError::Read { .. })
        ));
    }
}
