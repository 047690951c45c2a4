//! The list of entities that a binary hosts.

use std::sync::Arc;

use crate::entity::Entity;
use crate::host::Registry;
use crate::hosted::Hosted;
use crate::word::State;

/// The kinds of entity that one binary hosts.
///
/// ```
/// # use serde::{Deserialize, Serialize};
/// # use xp_domain_sdk::prelude::*;
/// # #[derive(Default, Serialize, Deserialize)]
/// # struct Board;
/// # impl Entity for Board {
/// #     const CATEGORY: Category = Category::new("board");
/// #     type Claims = (); type Command = (); type Query = Never; type Signal = Never;
/// #     type Event = (); type Output = (); type Reply = (); type Rejection = Never;
/// #     fn decide(&self, _: (), cx: &Cx<Self>) -> Outcome<Self> { Ok(cx.decision().record(())) }
/// #     fn apply(&mut self, _: ()) {}
/// # }
/// let domain = Domain::new().host::<Board>();
/// assert_eq!(domain.registry().categories().collect::<Vec<_>>(), ["board"]);
/// ```
#[derive(Clone, Default)]
#[must_use = "a domain hosts nothing until it is run"]
pub struct Domain {
    registry: Registry,
}

impl Domain {
    /// Hosts nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Hosts a kind of entity.
    ///
    /// # Panics
    /// When its category is hosted already, or nothing says which claims it keeps (see [`Entity::CLAIMS`]).
    pub fn host<E: Entity + State>(mut self) -> Self {
        self.registry.add(Arc::new(Hosted::<E>::new()));
        self
    }

    /// The kinds of entity with their types erased, as a node takes them.
    #[must_use]
    pub fn registry(&self) -> &Registry {
        &self.registry
    }
}
