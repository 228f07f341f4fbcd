//! Reads custom resources from YAML files, so that everything said about them names the file's own
//! line and column.
//!
//! A file may hold several documents of several kinds. They are checked against the same schema
//! that the API server uses, and unknown members are faults rather than dropped.

mod node;
mod scalar;
mod schema;
mod trace;

use std::fmt;
use std::sync::LazyLock;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt as _;
use yagura_rules::diagnostic::{Origin, Part, Position};

use crate::exception::AnyException;
use crate::{
    API_VERSION, ClusterException, DetectionRule, Exception, PostureCheck, PostureFramework, ValueList,
};
use node::Node;

/// Longest file that is read.
pub const MAX_FILE_BYTES: usize = 8 * 1024 * 1024;

/// The kinds that are read.
const KINDS: &str = "DetectionRule, PostureCheck, PostureFramework, Exception, ClusterException or ValueList";

/// Something wrong with a file, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Name of the file as it was given.
    pub file: String,
    /// Where in it.
    pub position: Position,
    /// What is wrong, in one line.
    pub message: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}:{}:{}: {}",
            self.file, self.position.line, self.position.column, self.message
        )
    }
}

impl std::error::Error for Fault {}

/// What a file holds.
#[derive(Debug, Default)]
pub struct File {
    /// Its objects, as far as they can be understood.
    pub documents: Vec<Document>,
    /// Everything that is wrong with it, in the order of the text.
    pub faults: Vec<Fault>,
}

/// An object with the places of its parts.
#[derive(Debug)]
pub struct Document {
    /// The object.
    pub object: Object,
    /// Where it begins.
    pub position: Position,
    root: Node,
}

/// An object of a kind that people write.
#[derive(Clone, Debug, PartialEq)]
pub enum Object {
    /// A rule.
    DetectionRule(Box<DetectionRule>),
    /// A check.
    PostureCheck(Box<PostureCheck>),
    /// A framework.
    PostureFramework(Box<PostureFramework>),
    /// An exception of a namespace.
    Exception(Box<Exception>),
    /// An exception of the cluster.
    ClusterException(Box<ClusterException>),
    /// A list.
    ValueList(Box<ValueList>),
}

impl Object {
    /// Its kind.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::DetectionRule(_) => "DetectionRule",
            Self::PostureCheck(_) => "PostureCheck",
            Self::PostureFramework(_) => "PostureFramework",
            Self::Exception(_) => "Exception",
            Self::ClusterException(_) => "ClusterException",
            Self::ValueList(_) => "ValueList",
        }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        let metadata = match self {
            Self::DetectionRule(object) => &object.metadata,
            Self::PostureCheck(object) => &object.metadata,
            Self::PostureFramework(object) => &object.metadata,
            Self::Exception(object) => &object.metadata,
            Self::ClusterException(object) => &object.metadata,
            Self::ValueList(object) => &object.metadata,
        };
        metadata.name.as_deref().unwrap_or_default()
    }
}

impl Object {
    /// The object as an exception, if it is one.
    pub fn as_exception(&self) -> Option<AnyException> {
        match self {
            Self::Exception(exception) => Some((&**exception).into()),
            Self::ClusterException(exception) => Some((&**exception).into()),
            Self::DetectionRule(_)
            | Self::PostureCheck(_)
            | Self::PostureFramework(_)
            | Self::ValueList(_) => None,
        }
    }
}

impl Document {
    /// Where the text of a part stands in the file, for diagnostics that count from that text.
    pub fn origin(&self, part: Part) -> Origin {
        let path = match &self.object {
            Object::DetectionRule(rule) => rule.spec.path_of(part),
            // The part that a rule gets.
            Object::Exception(_) | Object::ClusterException(_) => "spec.condition".to_owned(),
            _ => format!("spec.{part}"),
        };
        self.root.find(&path).map(Node::origin).unwrap_or_default()
    }

    /// Where the value at a path such as `spec.tests[2].name` stands; the closest value above it
    /// where there is none.
    pub fn position_of(&self, path: &str) -> Position {
        self.root.closest(path).position
    }
}

/// Reads the objects of a file. `file` is the name that faults carry.
pub fn read(file: &str, text: &str) -> File {
    let mut result = File::default();
    if text.len() > MAX_FILE_BYTES {
        result.faults.push(Fault {
            file: file.to_owned(),
            position: Position { line: 1, column: 1 },
            message: format!(
                "the file has {} bytes; {MAX_FILE_BYTES} at most are read: split it",
                text.len()
            ),
        });
        return result;
    }
    let (roots, error) = node::parse(text);
    for root in roots {
        match object(root) {
            Ok(document) => result.documents.push(document),
            Err(faults) => result.faults.extend(faults),
        }
    }
    result.faults.extend(error);
    for fault in &mut result.faults {
        file.clone_into(&mut fault.file);
    }
    result
}

// The definitions, each made once: a file may hold thousands of documents.
static DETECTION_RULE: Definition = Definition::new(DetectionRule::crd);
static POSTURE_CHECK: Definition = Definition::new(PostureCheck::crd);
static POSTURE_FRAMEWORK: Definition = Definition::new(PostureFramework::crd);
static EXCEPTION: Definition = Definition::new(Exception::crd);
static CLUSTER_EXCEPTION: Definition = Definition::new(ClusterException::crd);
static VALUE_LIST: Definition = Definition::new(ValueList::crd);

type Definition = LazyLock<CustomResourceDefinition>;

/// Types a document. Faults carry no file name yet.
fn object(root: Node) -> Result<Document, Vec<Fault>> {
    match root.text_at("apiVersion") {
        Some(API_VERSION) => {}
        Some(other) => {
            let at = root.closest("apiVersion");
            return Err(vec![
                at.fault(format!("apiVersion: {other:?} is not {API_VERSION}")),
            ]);
        }
        None => {
            return Err(vec![
                root.fault(format!("apiVersion: missing; use {API_VERSION}")),
            ]);
        }
    }
    match root.text_at("kind") {
        Some("DetectionRule") => typed(root, &DETECTION_RULE, |rule| {
            Object::DetectionRule(Box::new(rule))
        }),
        Some("PostureCheck") => typed(root, &POSTURE_CHECK, |check| {
            Object::PostureCheck(Box::new(check))
        }),
        Some("PostureFramework") => typed(root, &POSTURE_FRAMEWORK, |framework| {
            Object::PostureFramework(Box::new(framework))
        }),
        Some("Exception") => typed(root, &EXCEPTION, |exception| {
            Object::Exception(Box::new(exception))
        }),
        Some("ClusterException") => typed(root, &CLUSTER_EXCEPTION, |exception| {
            Object::ClusterException(Box::new(exception))
        }),
        Some("ValueList") => typed(root, &VALUE_LIST, |list| Object::ValueList(Box::new(list))),
        Some(other) => Err(vec![root.closest("kind").fault(format!(
            "kind: {other:?} is not one that people write; use {KINDS}"
        ))]),
        None => Err(vec![root.fault(format!("kind: missing; use {KINDS}"))]),
    }
}

fn typed<T: serde::de::DeserializeOwned>(
    root: Node,
    crd: &CustomResourceDefinition,
    wrap: impl FnOnce(T) -> Object,
) -> Result<Document, Vec<Fault>> {
    let faults = schema::check(&root, crd);
    if !faults.is_empty() {
        return Err(faults);
    }
    match serde_json::from_value(root.to_json()) {
        Ok(object) => Ok(Document {
            object: wrap(object),
            position: root.position,
            root,
        }),
        Err(error) => Err(vec![root.fault(error.to_string())]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULE: &str = r#"# a comment
apiVersion: yagura.dev/v1alpha1
kind: DetectionRule
metadata:
  name: shell
spec:
  title: Shell
  severity: high
  let:
    - {name: shells, value: '["sh", "it''s"]'}
  condition: |
    event.kind == "process.exec" &&

      process.nmae in shells
  signal:
    groupBy: [container.id]
  tests:
    - name: fires
      events: [{kind: process.exec, process: {name: sh}}]
      expect: {signals: 1}
"#;

    fn faults(text: &str) -> Vec<String> {
        read("f.yaml", text)
            .faults
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    /// Position of `needle` within the part's text, as the file has it.
    fn locate(document: &Document, part: Part, text: &str, needle: &str) -> (u32, u32) {
        let offset = u32::try_from(text.find(needle).unwrap()).unwrap();
        let position = document.origin(part).locate(text, offset);
        (position.line, position.column)
    }

    #[test]
    fn a_span_in_a_condition_is_found_in_the_file() {
        let file = read("f.yaml", RULE);
        assert_eq!(file.faults, []);
        let document = &file.documents[0];
        let Object::DetectionRule(rule) = &document.object else {
            panic!("a rule was read")
        };
        let condition = &rule.spec.condition;
        assert_eq!(
            locate(document, Part::Condition, condition, "event.kind"),
            (12, 5)
        );
        assert_eq!(locate(document, Part::Condition, condition, "nmae"), (14, 15));
        let shells = &rule.spec.definitions[0].value;
        assert_eq!(shells, "[\"sh\", \"it's\"]");
        assert_eq!(locate(document, Part::Let(0), shells, "sh"), (10, 32));
        assert_eq!(locate(document, Part::Let(0), shells, "s\"]"), (10, 42));
        assert_eq!(document.position_of("spec.tests[0].name").line, 18);
        assert_eq!(
            document.position_of("spec.tests[0].absent"),
            document.position_of("spec.tests[0]")
        );
    }

    #[test]
    fn every_way_to_write_a_text_keeps_its_places() {
        let cases = [
            ("a == 1 &&\n    bb == 2", "plain", (1, 11), (2, 5)),
            ("'a == 1 &&\n    bb == 2'", "single quotes", (1, 12), (2, 5)),
            (
                "\"a == \\u0031 &&\n    bb == 2\"",
                "double quotes",
                (1, 12),
                (2, 5),
            ),
            (">\n    a == 1 &&\n    bb == 2", "folded", (2, 5), (3, 5)),
            (
                ">-\n    a == 1 &&\n\n    bb == 2",
                "folded, with a blank line",
                (2, 5),
                (4, 5),
            ),
            (
                "|2-\n    a == 1 &&\n    bb == 2",
                "literal, with an indicator",
                (2, 5),
                (3, 5),
            ),
            (
                "\"a == 1 &&\\\n    \\ bb == 2\"",
                "an escaped line break",
                (1, 12),
                (2, 7),
            ),
        ];
        let head = "apiVersion: yagura.dev/v1alpha1\nkind: DetectionRule\nmetadata: {name: a}\nspec:\n  title: t\n  severity: low\n";
        for (written, name, first, second) in cases {
            // The condition begins on the seventh line.
            let text = format!("{head}  condition: {written}\n");
            let file = read("f.yaml", &text);
            assert_eq!(file.faults, [], "{name}");
            let Object::DetectionRule(rule) = &file.documents[0].object else {
                panic!("a rule was read")
            };
            let condition = &rule.spec.condition;
            let at = |needle| locate(&file.documents[0], Part::Condition, condition, needle);
            let (line, column) = first;
            let expected = if line == 1 {
                (7, column + 3)
            } else {
                (6 + line, column)
            };
            assert_eq!(at("a =="), expected, "{name}: {condition:?}");
            assert_eq!(at("bb"), (6 + second.0, second.1), "{name}: {condition:?}");
        }
    }

    #[test]
    fn faults_name_the_place_and_the_way_out() {
        let cases = [
            (
                RULE.replace("severity: high", "severity: urgent"),
                "f.yaml:8:13: spec.severity: \"urgent\" is none of info, low, medium, high, critical",
            ),
            (
                RULE.replace("title: Shell", "tittle: Shell"),
                "f.yaml:7:3: spec.tittle: unknown field; did you mean title?",
            ),
            (
                RULE.replace("  title: Shell\n", ""),
                "f.yaml:7:3: spec.title: missing",
            ),
            (
                RULE.replace("signals: 1", "signals: one"),
                "f.yaml:20:25: spec.tests[0].expect.signals: must be an integer, not a text",
            ),
            (
                RULE.replace("{kind: process.exec,", "{at: soon, kind: process.exec,"),
                "f.yaml:19:21: spec.tests[0].events[0].at: \"soon\" does not match ^([0-9]{1,4}h)?([0-9]{1,5}m)?([0-9]{1,5}s)?$",
            ),
            (
                RULE.replace("signals: 1", "securitySignals: [{severity: urgent}]"),
                "f.yaml:20:45: spec.tests[0].expect.securitySignals[0].severity: \"urgent\" is none of info, low, medium, high, critical",
            ),
            (
                RULE.replace("kind: DetectionRule", "kind: Detection"),
                "f.yaml:3:7: kind: \"Detection\" is not one that people write; use DetectionRule, PostureCheck, PostureFramework, Exception, ClusterException or ValueList",
            ),
            (
                RULE.replace("v1alpha1", "v1"),
                "f.yaml:2:13: apiVersion: \"yagura.dev/v1\" is not yagura.dev/v1alpha1",
            ),
            (
                RULE.replace("name: shell\n", "name: Shell\n"),
                "f.yaml:5:9: metadata.name: \"Shell\" is no name: lower-case letters, digits, - and . only, beginning and ending with a letter or digit, 63 at most",
            ),
            (
                RULE.replace("[container.id]", "[container.id, container.id]"),
                "f.yaml:16:29: spec.signal.groupBy[1]: stands here twice",
            ),
            (
                RULE.replace("  title: Shell", "  title: Shell\n  title: Again"),
                "f.yaml:8:3: title: stands here twice",
            ),
            (
                RULE.replace("title: Shell", "title: &a Shell\n  remediation: *a"),
                "f.yaml:8:16: aliases are not read: write the value out",
            ),
        ];
        for (text, expected) in cases {
            assert!(
                faults(&text).contains(&expected.to_owned()),
                "{expected}\n{:#?}",
                faults(&text)
            );
        }
    }

    #[test]
    fn an_exception_of_the_overrides_is_found_where_it_stands() {
        let overrides = "  exceptions:\n    - {name: a, condition: 'true', reason: r}\n  overrides:\n    exceptions:\n      - name: b\n        condition: process.name == 1\n        reason: r\n";
        let file = read("f.yaml", &format!("{RULE}{overrides}"));
        assert_eq!(file.faults, []);
        let document = &file.documents[0];
        let place = locate(document, Part::Exception(1), "process.name == 1", "1");
        let line = u32::try_from(RULE.lines().count()).unwrap() + 6;
        assert_eq!(place, (line, 36));
        assert_eq!(locate(document, Part::Exception(0), "true", "true").0, line - 4);
    }

    #[test]
    fn documents_of_several_kinds_stand_in_one_file_and_one_fault_hides_no_other_document() {
        let text = format!(
            "---\n{RULE}---\nkind: Nothing\n---\napiVersion: yagura.dev/v1alpha1\nkind: PostureCheck\nmetadata: {{name: c}}\nspec: {{title: t, severity: low, resource: k8s.pod, pass: \"true\"}}\n...\n"
        );
        let file = read("f.yaml", &text);
        let names: Vec<_> = file
            .documents
            .iter()
            .map(|d| (d.object.kind(), d.object.name()))
            .collect();
        assert_eq!(names, [("DetectionRule", "shell"), ("PostureCheck", "c")]);
        assert_eq!(file.faults.len(), 1);
        assert!(read("f.yaml", "").documents.is_empty() && faults("# nothing\n").is_empty());
    }

    #[test]
    fn hostile_files_end_early_with_a_fault() {
        assert!(faults(&"[".repeat(100))[0].contains("nested deeper than 64"));
        assert!(faults(&"[".repeat(100_000))[0].contains("not YAML"));
        assert!(faults(&"- ".repeat(100_000))[0].contains("nested deeper than 64"));
        let long = "x".repeat(MAX_FILE_BYTES + 1);
        assert!(faults(&long)[0].contains("split it"));
        assert!(!faults("a: [1, 2").is_empty());
        assert!(!faults("\u{0}\u{1}").is_empty());
        let laughs = "a: &a [x, x]\nb: &b [*a, *a]\n";
        assert!(faults(laughs)[0].contains("aliases"));
    }
}
