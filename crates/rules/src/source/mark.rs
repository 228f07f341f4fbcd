//! Marks, as people write them.

/// What bears a mark that a rule sets, and who takes it over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum MarkScope {
    /// The process of the event.
    #[default]
    Process,
    /// The process of the event, and those that it and its descendants start from then on.
    ProcessTree,
    /// The container that the event happened in.
    Container,
    /// The node.
    Node,
}

impl MarkScope {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Process, Self::ProcessTree, Self::Container, Self::Node];

    /// Its name in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Process => "process",
            Self::ProcessTree => "processTree",
            Self::Container => "container",
            Self::Node => "node",
        }
    }

    /// The one of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scope| scope.as_str() == name)
    }
}

/// What a match of a rule tells other rules.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MarkSource {
    /// The name by which it is read.
    pub name: String,
    /// What bears it.
    pub scope: MarkScope,
    /// The field whose value it has; `None`: it is true.
    pub value: Option<String>,
    /// Whether its value is added to those that it has, rather than put in their place.
    pub append: bool,
    /// How long it is there, in nanoseconds.
    pub ttl: i64,
}
