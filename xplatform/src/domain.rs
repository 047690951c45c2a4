//! The list of entities that a binary hosts, and whether its arithmetic is checked.

use xp_domain_sdk::arithmetic::is_checked;
use xp_domain_sdk::host::Registry;
use xp_domain_sdk::{Entity, State};

/// The kinds of entity that this binary hosts.
#[must_use = "a domain hosts nothing until it is run"]
#[derive(Clone, Default)]
pub struct Domain {
    domain: xp_domain_sdk::Domain,
    /// In the order of `host`: the first one is what examples are printed for.
    categories: Vec<&'static str>,
    /// Some entity was built without checks of its arithmetic.
    is_unchecked: bool,
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
        let before: Vec<_> = self.domain.registry().categories().collect();
        self.domain = self.domain.host::<E>();
        self.is_unchecked |= !is_checked::<E>();
        let new = self
            .domain
            .registry()
            .categories()
            .find(|category| !before.contains(category));
        self.categories.extend(new);
        self
    }

    pub(crate) fn is_unchecked(&self) -> bool {
        self.is_unchecked
    }

    pub(crate) fn registry(&self) -> &Registry {
        self.domain.registry()
    }

    pub(crate) fn categories(&self) -> &[&'static str] {
        &self.categories
    }
}
