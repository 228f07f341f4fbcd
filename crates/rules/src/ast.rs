//! The syntax tree, flat: children stand before their parents, so that whoever walks it needs no recursion, and
//! dropping it needs none either.

use yagura_event::Tree;

use crate::diagnostic::Span;

/// A node by its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NodeId(u32);

impl NodeId {
    pub(crate) fn index(self) -> usize {
        self.0 as usize
    }
}

/// A variable of a macro, by the order in which they are bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BinderId(pub(crate) usize);

/// A variable of a macro.
#[derive(Clone, Debug)]
pub(crate) struct Binder {
    pub(crate) name: String,
    pub(crate) span: Span,
    /// The list whose elements it takes.
    pub(crate) range: NodeId,
    /// How many macros are around the one that binds it.
    pub(crate) level: u8,
}

/// A binary operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BinaryOp {
    Or,
    And,
    Equal,
    NotEqual,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
    In,
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
}

/// What a node is.
#[derive(Clone, Debug)]
pub(crate) enum Node {
    /// Something that is not there because of a mistake, which is reported.
    Error,
    Literal(Tree),
    Ident(String),
    Variable(BinderId),
    Select(NodeId, String, Span),
    Index(NodeId, NodeId),
    /// A function or method; `name` is where its name stands.
    Call {
        function: String,
        name: Span,
        target: Option<NodeId>,
        arguments: Vec<NodeId>,
    },
    Has(NodeId),
    Macro {
        kind: crate::expr::MacroKind,
        binder: BinderId,
        range: NodeId,
        body: NodeId,
    },
    List(Vec<NodeId>),
    Not(NodeId),
    Negate(NodeId),
    Binary(BinaryOp, NodeId, NodeId),
    Conditional(NodeId, NodeId, NodeId),
}

/// A parsed source.
#[derive(Debug, Default)]
pub(crate) struct Ast {
    nodes: Vec<(Node, Span)>,
    pub(crate) binders: Vec<Binder>,
    pub(crate) root: Option<NodeId>,
}

impl Ast {
    pub(crate) fn push(&mut self, node: Node, span: Span) -> NodeId {
        // A token gives at most two nodes and tokens are bounded, so the count fits.
        let id = NodeId(u32::try_from(self.nodes.len()).unwrap_or(u32::MAX));
        self.nodes.push((node, span));
        id
    }

    pub(crate) fn span(&self, id: NodeId) -> Span {
        self.nodes[id.index()].1
    }

    pub(crate) fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.index()].0
    }

    pub(crate) fn nodes(&self) -> &[(Node, Span)] {
        &self.nodes
    }
}
