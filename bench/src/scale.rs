//! The scale of a run: as large as the figures need it, or so small that it only shows that everything works.

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scale {
    Full,
    Smoke,
}

impl Scale {
    pub(crate) fn pick<T>(self, full: T, smoke: T) -> T {
        match self {
            Self::Full => full,
            Self::Smoke => smoke,
        }
    }

    /// How often floor and ours are measured, in turn.
    pub(crate) fn rounds(self) -> u32 {
        self.pick(5, 1)
    }
}
