//! Queries and cases, compiled.

use yagura_event::field::Scalar;
use yagura_event::{FieldId, Registry, Type};

use super::{Case, Correlation, Detect, MAX_QUERIES, Measure, When};
use crate::check::Checker;
use crate::diagnostic::{Code, MethodName, Part, Place, Span};
use crate::source::{CaseSource, CorrelationSource, MeasureSource, QuerySource};
use crate::template::{Piece, Template};

/// Compiles queries into `detect`, and the cases that name them. Its lateness is the caller's.
pub(super) fn compile(
    checker: &mut Checker<'_>,
    source: &CorrelationSource,
    detect: &mut Detect,
    group_by: &[(String, FieldId)],
    registry: &Registry,
) -> Correlation {
    let mut queries = Vec::new();
    for (index, query) in source.queries.iter().take(MAX_QUERIES).enumerate() {
        check_name(checker, &source.queries[..index], index, &query.name);
        let condition = part(Place::Query(index));
        detect
            .steps
            .extend(checker.check_condition(&query.condition, condition));
        queries.push(measure(checker, index, &query.measure, detect, registry));
    }
    let names: Vec<&str> = source.queries.iter().map(|query| query.name.as_str()).collect();
    let cases = source.cases.iter().take(MAX_QUERIES).enumerate();
    let cases = cases.map(|(index, case)| self::case(checker, index, case, &names, group_by, registry));
    Correlation {
        within: source.within,
        queries: queries.into(),
        cases: cases.collect(),
        lateness: 0,
    }
}

fn part(place: Place) -> Part {
    Part::Detect(MethodName::Correlation, place)
}

fn check_name(checker: &mut Checker<'_>, before: &[QuerySource], index: usize, name: &str) {
    let part = part(Place::QueryName(index));
    let span = Span::new(0, name.len());
    let mut letters = name.bytes();
    let is_name = letters.next().is_some_and(|first| first.is_ascii_alphabetic())
        && letters.all(|letter| letter.is_ascii_alphanumeric() || letter == b'_')
        && name.len() <= 63;
    if !is_name {
        let message = format!("{:?} cannot be the name of a query", shorten(name));
        let help = Some("use letters, digits and _, at most 63 and a letter first".to_owned());
        checker.error(Code::BAD_CORRELATION, part, span, message, help);
    } else if before.iter().any(|query| query.name == name) {
        let message = format!("there are two queries {name}");
        checker.error(Code::BAD_CORRELATION, part, span, message, None);
    }
}

fn shorten(name: &str) -> String {
    name.chars().take(60).collect()
}

fn measure(
    checker: &mut Checker<'_>,
    index: usize,
    source: &MeasureSource,
    detect: &mut Detect,
    registry: &Registry,
) -> Measure {
    let Some(name) = source.field() else {
        return Measure::Count;
    };
    let part = part(Place::QueryField(index, source.as_str()));
    let place = detect.values.len();
    let found = super::field(checker, part, name, registry);
    if let (MeasureSource::Sum(_) | MeasureSource::Max(_), Some((_, id))) = (source, &found)
        && registry.field(*id).ty != Type::One(Scalar::Int)
    {
        let span = Span::new(0, name.len());
        let message = format!("{name} is no whole number");
        let help = Some("measure how many different ones there are: distinct".to_owned());
        checker.error(Code::BAD_CORRELATION, part, span, message, help);
    }
    detect.values.extend(found);
    match source {
        MeasureSource::Count => Measure::Count,
        MeasureSource::Distinct(_) => Measure::Distinct(place),
        MeasureSource::Sum(_) => Measure::Sum(place),
        MeasureSource::Max(_) => Measure::Max(place),
    }
}

fn case(
    checker: &mut Checker<'_>,
    index: usize,
    source: &CaseSource,
    names: &[&str],
    group_by: &[(String, FieldId)],
    registry: &Registry,
) -> Case {
    let when = When::compile(&source.when, part(Place::Case(index)), names, &mut checker.sink);
    let title = (!source.title.is_empty()).then(|| {
        let part = part(Place::CaseTitle(index));
        let title = Template::compile(&source.title, part, registry, &mut checker.sink);
        for piece in &title.pieces {
            if let Piece::Field(id) = piece
                && group_by.iter().all(|(_, grouped)| grouped != id)
            {
                let message = format!("matches of a case may differ in {}", registry.field(*id).path);
                let help = Some("name fields of groupBy only".to_owned());
                let span = Span::new(0, source.title.len());
                checker.error(Code::BAD_CORRELATION, part, span, message, help);
            }
        }
        title
    });
    Case {
        when,
        severity: source.severity,
        title,
    }
}
