//! Titles with values of fields in them: `Shell {{process.name}} in {{k8s.pod.name}}`.

use yagura_event::{Bearer, FieldId, Registry, Type};

use crate::diagnostic::{Code, Part, Place, Sink, Span};
use crate::limits;
use crate::suggest::nearest;

/// A piece of a title.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// Text as it is.
    Text(String),
    /// The value of a field.
    Field(FieldId),
}

/// A compiled title.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Template {
    /// Its pieces in order.
    pub pieces: Vec<Piece>,
}

impl Template {
    /// Compiles a title; what cannot be read is reported and left out.
    pub(crate) fn compile(source: &str, part: Part, registry: &Registry, sink: &mut Sink) -> Self {
        let mut pieces = Vec::new();
        if source.len() > limits::TITLE_BYTES {
            let message = format!("the title has {} bytes, more than 1,024", source.len());
            sink.push(
                Code::BAD_TEMPLATE,
                part,
                Span::new(limits::TITLE_BYTES, source.len()),
                message,
                None,
            );
            return Self { pieces };
        }
        let mut position = 0;
        while let Some(start) = source[position..].find("{{").map(|offset| position + offset) {
            if start > position {
                pieces.push(Piece::Text(source[position..start].to_owned()));
            }
            let inner = start + 2;
            let Some(end) = source[inner..].find("}}").map(|offset| inner + offset) else {
                let span = Span::new(start, source.len());
                let help = Some("write {{field}}".to_owned());
                sink.push(
                    Code::BAD_TEMPLATE,
                    part,
                    span,
                    "`{{` has no `}}`".to_owned(),
                    help,
                );
                return Self { pieces };
            };
            let name = &source[inner..end];
            let lead = name.len() - name.trim_start().len();
            let span = Span::new(inner + lead, inner + lead + name.trim().len());
            if let Some(field) = find_field(name.trim(), registry, part, span, sink) {
                pieces.push(Piece::Field(field));
            }
            position = end + 2;
        }
        if position < source.len() {
            pieces.push(Piece::Text(source[position..].to_owned()));
        }
        Self { pieces }
    }
}

/// The field of that name, when it has a value that can be shown in a line.
pub(crate) fn find_field(
    name: &str,
    registry: &Registry,
    part: Part,
    span: Span,
    sink: &mut Sink,
) -> Option<FieldId> {
    let code = Code::BAD_FIELD_LIST;
    let in_title = matches!(part, Part::Title | Part::Detect(_, Place::CaseTitle(_)));
    if let Some(id) = registry.find(name) {
        let single = matches!(
            part,
            Part::GroupBy(_)
                | Part::Detect(
                    _,
                    Place::GroupBy(_) | Place::Distinct | Place::QueryField(..) | Place::Text
                )
        );
        if Bearer::of_path(name).is_some() {
            let help = Some("marks are for conditions; they are not shown, nor grouped by".to_owned());
            let code = if in_title { Code::BAD_TEMPLATE } else { code };
            sink.push(code, part, span, format!("{name} cannot be used here"), help);
            return None;
        }
        if single && matches!(registry.field(id).ty, Type::List(_)) {
            let help = Some("group by fields with one value".to_owned());
            sink.push(code, part, span, format!("{name} is a list"), help);
            return None;
        }
        return Some(id);
    }
    let help = if registry.is_prefix(name) {
        Some(format!("{name} is a group of fields; name one of them"))
    } else {
        nearest(name, registry.fields().map(|(_, field)| field.path))
            .map(|near| format!("did you mean {near}?"))
    };
    let code = if in_title { Code::BAD_TEMPLATE } else { code };
    let shown: String = name.chars().take(80).collect();
    sink.push(
        code,
        part,
        span,
        format!("unknown field {}", shown.escape_debug()),
        help,
    );
    None
}
