//! Types of values, and what fits together.

use yagura_event::field::Scalar;
use yagura_event::{Text, Tree, Type};

/// What a tree's type is as a literal.
pub(super) fn type_of_tree(value: &Tree) -> Type {
    match value {
        Tree::Null => Type::One(Scalar::Null),
        Tree::Bool(_) => Type::BOOL,
        Tree::Int(_) | Tree::Uint(_) => Type::INT,
        Tree::Double(_) => Type::DOUBLE,
        Tree::Text(_) => Type::STRING,
        Tree::Unknown | Tree::Map(_) => Type::DYNAMIC,
        Tree::List(values) => {
            let mut types = values.iter().map(type_of_tree);
            match types.next().map(|first| types.fold(first, unify)) {
                Some(Type::One(scalar)) => Type::List(scalar),
                _ => Type::List(Scalar::Dynamic),
            }
        }
    }
}

pub(super) fn is_boolean(ty: Type) -> bool {
    matches!(ty, Type::One(Scalar::Bool | Scalar::Dynamic))
}

/// A type that both fit.
pub(super) fn unify(left: Type, right: Type) -> Type {
    match (left, right) {
        (left, right) if left == right => left,
        (Type::One(Scalar::Null), other) | (other, Type::One(Scalar::Null)) => other,
        (Type::List(_), Type::List(_)) => Type::List(Scalar::Dynamic),
        (Type::One(Scalar::Int | Scalar::Double), Type::One(Scalar::Int | Scalar::Double)) => Type::DOUBLE,
        _ => Type::DYNAMIC,
    }
}

pub(super) fn article(ty: Type) -> String {
    match ty {
        Type::One(Scalar::Int | Scalar::Address) => format!("an {ty}"),
        Type::One(Scalar::Null | Scalar::Dynamic) => ty.to_string(),
        _ => format!("a {ty}"),
    }
}

pub(super) fn is_int(ty: Type) -> bool {
    matches!(ty, Type::One(Scalar::Int | Scalar::Dynamic))
}

pub(super) fn is_number(ty: Type) -> bool {
    matches!(ty, Type::One(Scalar::Int | Scalar::Double | Scalar::Dynamic))
}

/// Whether a value of one means something only among its own kind, and the other is of another. Nothing converts
/// either by itself: what a rule compares is written out.
pub(super) fn are_apart(left: Type, right: Type) -> bool {
    let scalar = |ty| match ty {
        Type::One(scalar) | Type::List(scalar) => scalar,
    };
    let (left, right) = (scalar(left), scalar(right));
    let null = left == Scalar::Null || right == Scalar::Null;
    left != right && !null && (left.stands_apart() || right.stands_apart())
}

/// What to write where one type stands apart and the other could be read as it.
pub(super) fn as_the_other(left: Type, right: Type) -> Option<String> {
    let scalar = |ty| match ty {
        Type::One(scalar) | Type::List(scalar) => scalar,
    };
    let (apart, other) = match (scalar(left), scalar(right)) {
        (left, right) if left.stands_apart() && right.stands_apart() && left != Scalar::Network => {
            return None;
        }
        (left, right) if left.stands_apart() => (left, right),
        (left, right) if right.stands_apart() => (right, left),
        _ => return None,
    };
    Some(match (apart, other) {
        (Scalar::Network, _) => "ask for addresses in it: cidr(…).containsIP(…)".to_owned(),
        (apart, Scalar::String | Scalar::Dynamic) => format!("write {apart}(…) around the other"),
        (apart, _) => format!("write the other as {apart}(\"…\")"),
    })
}

/// Whether values of these types can be equal.
pub(super) fn comparable(left: Type, right: Type) -> bool {
    match (left, right) {
        // A network is asked for its addresses, and is kept in the form in which it was written.
        (Type::One(Scalar::Network), _) | (_, Type::One(Scalar::Network)) => false,
        (left, right) if are_apart(left, right) => false,
        (Type::One(Scalar::Dynamic), _)
        | (_, Type::One(Scalar::Dynamic))
        | (Type::List(_), Type::List(_)) => true,
        (Type::One(Scalar::Object(_)), _) | (_, Type::One(Scalar::Object(_))) => false,
        (left, right) if is_number(left) && is_number(right) => true,
        (left, right) => left == right,
    }
}

/// The text, when it is one.
pub(super) fn text_of(value: &Tree) -> Option<&Text> {
    match value {
        Tree::Text(text) => Some(text),
        _ => None,
    }
}
