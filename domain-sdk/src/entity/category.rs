use std::fmt;

/// A kind of entity, as it stands in addresses: 1 to 64 of a–z, 0–9 and `-`, starting with a letter.
///
/// A bad one does not compile:
///
/// ```compile_fail
/// # use xp_domain_sdk::Category;
/// const CATEGORY: Category = Category::new("Chess Board");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Category(&'static str);

impl Category {
    /// Names a kind of entity.
    ///
    /// # Panics
    /// When the name breaks the rules; in a `const`, where it belongs, that is a compile error.
    #[must_use]
    pub const fn new(name: &'static str) -> Self {
        assert!(
            xp_protocol::address::is_category(name),
            "a category is 1 to 64 of a-z, 0-9 and '-', starting with a letter"
        );
        Self(name)
    }

    /// The name as it stands before the `/` of an address.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        self.0
    }
}

impl fmt::Display for Category {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}
