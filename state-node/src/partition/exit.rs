//! The end of a role: what an input comes to where the partition cannot go on as what it is.

use xp_protocol::Offset;

/// What the partition becomes.
pub(super) enum Exit {
    /// This node's claim has been read back: it owns the partition from here on (R8).
    Own(Predecessor),
    /// It has released the partition, and follows from this offset on (R17).
    Follow(Offset),
    /// R18: what is in memory is thrown away, and the partition is opened anew.
    Lost(&'static str),
    /// It cannot go on; a person must look.
    Stop(String),
}

/// How the epoch before ended, and what it leaves to its successor.
#[derive(Clone, Copy)]
pub(super) struct Predecessor {
    /// It ended in order, or there was none. Otherwise some message may have ended its owner (R16).
    pub(super) released: bool,
    /// The inbound log from which it took messages is the one that there is now. Otherwise it is gone, and clients send
    /// again what it had (R4).
    pub(super) same_inbound: bool,
}

/// A step of a role: whoever gets an [`Exit`] does nothing more and hands it on.
pub(super) type Step<T = ()> = Result<T, Exit>;
