//! Marks: what rules told each other before an event.

use crate::{Text, Tree};

/// What bears a mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Bearer {
    /// A process.
    Process,
    /// A container.
    Container,
    /// A node.
    Host,
}

impl Bearer {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Process, Self::Container, Self::Host];

    /// The field that has its marks.
    pub fn path(self) -> &'static str {
        match self {
            Self::Process => "process.marks",
            Self::Container => "container.marks",
            Self::Host => "host.marks",
        }
    }

    /// The one whose marks the field of that name has.
    pub fn of_path(path: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|bearer| bearer.path() == path)
    }
}

/// The marks of what an event is about, by name and sorted by it. Rules set them; nothing that captures events knows of
/// them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Marks {
    /// Of its process.
    pub process: Vec<(Text, Tree)>,
    /// Of its container.
    pub container: Vec<(Text, Tree)>,
    /// Of its node.
    pub host: Vec<(Text, Tree)>,
}

impl Marks {
    /// Those of one bearer.
    pub fn of(&self, bearer: Bearer) -> &[(Text, Tree)] {
        match bearer {
            Bearer::Process => &self.process,
            Bearer::Container => &self.container,
            Bearer::Host => &self.host,
        }
    }

    /// Those of one bearer, to be changed; they stay sorted by name.
    pub fn of_mut(&mut self, bearer: Bearer) -> &mut Vec<(Text, Tree)> {
        match bearer {
            Bearer::Process => &mut self.process,
            Bearer::Container => &mut self.container,
            Bearer::Host => &mut self.host,
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        Bearer::ALL.iter().all(|bearer| self.of(*bearer).is_empty())
    }
}
