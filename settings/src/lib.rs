//! Settings: how durations and sizes are written, and how a section of a configuration is declared.
//!
//! What a node is told is declared where the node is, once, and the configuration holds those very types. So this is
//! below all of them, and knows none. It is no part of the protocol, which is what bytes on the wire mean.

pub mod secret;
mod section;
pub mod units;

pub use secret::Secret;
pub use units::{Size, Span, UnitError};
