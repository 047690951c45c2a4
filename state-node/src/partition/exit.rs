//! The end of a role: what an input comes to where the partition cannot go on as what it is.

use xp_protocol::Offset;

/// What the partition becomes.
pub(super) enum Exit {
    /// This node's claim has been read back: it owns the partition from here on (R8).
    Own(LastOwner),
    /// It has released the partition, and follows from this offset on (R17).
    Follow(Offset),
    /// R18: what is in memory is thrown away, and the partition is opened anew.
    Lost(&'static str),
    /// It cannot go on; a person must look.
    Stop(String),
}

/// How the epoch before ended.
pub(super) enum LastOwner {
    /// In order, or there was none.
    Released,
    /// Without `Release`: some message may have ended its owner (R16). Where messages are `resent`, the inbound log that
    /// had them is gone (R4), and their clients send them again.
    Lost { resent: bool },
}

/// A step of a role: whoever gets an [`Exit`] does nothing more and hands it on.
pub(super) type Step<T = ()> = Result<T, Exit>;
