//! Flow control between edges and the owner of a partition (R42): what a message weighs, and how much may be taken
//! before the edges hear of it.
//!
//! Both sides count by it: an edge holds back before so much waits that the owner would have told it of less.

/// What a message weighs besides its bytes, so that many small ones are bounded as well.
const MESSAGE: u64 = 1 << 10;

/// An owner says what it has taken at the latest after so much. An edge that knows of less that waits knows nothing of
/// how far the owner is behind.
pub const NOTICE: u64 = 512 << 10;

/// What a message of so many bytes weighs.
#[must_use]
pub const fn weight(bytes: usize) -> u64 {
    bytes as u64 + MESSAGE
}
