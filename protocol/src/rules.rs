//! The rules of the log protocol (docs/rules.md) as questions, to which only a simulator ever answers no.
//!
//! A simulator switches rules off one by one, to see that its checkers notice: a platform without any of them loses or
//! repeats something. Each rule is asked for at the line that keeps it. Production has one answer, [`AllRules`]; whoever
//! can say no lives with the simulator.
//!
//! Who asks holds a `&'static dyn Rules` and is not generic over the answer: some fifty lines ask, deep inside of the
//! partition's core, and a type parameter would stand in each of the 150 signatures that hand the core on and have it
//! compiled once more in each crate that drives it. Such a question costs a call that is always predicted.

use std::fmt::Debug;

/// A rule that a simulator can switch off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// R3: a record counts only if its number is the next. Off: any of its epoch counts.
    Seq,
    /// R2: a claim counts only if its view and attempt are greater. Off: any claim does.
    View,
    /// R12: after an error everything uncommitted is appended again, in order. Off: what failed, alone.
    AgainInOrder,
    /// R14: an effect is done when it and all before it are acknowledged. Off: an acknowledgement vouches for
    /// everything before it.
    Prefix,
    /// R8: a new owner sends everything after `sent` again.
    EmitAgain,
    /// R10: an acknowledgement commits only at the expected offset. Off: any does.
    ExpectedOffset,
    /// R11: nothing leaves before every earlier record is committed.
    Gate,
    /// R13: a query is answered only within the lease.
    Lease,
    /// R14: no more effects are under way at once than a bound.
    Bounded,
    /// R15: ticks are due at times that nothing heard in between moves. Off: each word heard moves them.
    DueTicks,
    /// R16: a message that may have ended a process is decided after a record says so.
    Trying,
    /// R17: a claim waits for the living owner's `Release`, or one lease.
    Release,
    /// R23: a commit that detaches or replaces a socket closes it in the chain.
    CloseInChain,
    /// R27: an earlier socket's Connect and Disconnect are ignored.
    Attempts,
    /// R30: a command is taken only if its number is the next. Off: numbers need only rise.
    DenseNumbers,
    /// R34: a tell is taken only if its number is the next.
    TellNumbers,
    /// R34: the oldest tell that is not confirmed is timed, and a failed append is repeated. Off: the newest counts,
    /// and nobody hears of failures.
    OldestTell,
    /// R35: a snapshot is written once its cut is committed, and used only if its header fits the log.
    CommittedSnapshots,
    /// R35: no cut passes an entity that is not in it. Off: what cannot be encoded is left out of it.
    WholeSnapshots,
    /// R36: what an entity of a restored snapshot has seen is not applied to it again. Off: it is.
    Ahead,
    /// R45: what was forgotten is not found again in a snapshot that was cut before.
    Removals,
    /// R15: who takes over goes on with what it has read ahead only where that reaches back to its position.
    AheadReaches,
    /// R45: an entity is not forgotten while chain records about it are on their way.
    ForgetWhenHeard,
    /// R42: after a hole in `inbound` the edges are asked which sockets they still hold.
    AskAfterAHole,
    /// R27: the edge of a dial that came in although it is no later one is asked whether it holds its socket.
    AskOfLateDials,
    /// R49: where entities have ended, one that is remembered nowhere begins above all that any had. Off: at 1.
    RevisionsRise,
    /// R44: what comes for an entity in quarantine is parked. Off: it is taken without effect.
    Parking,
    /// R19, R20: to an edge, a record whose `prev` is above what a session has is a gap.
    Gaps,
    /// R20: an edge drops revisions that a session has.
    Once,
    /// R20: an edge delivers nothing during a repair, and repairs until the highest dropped revision.
    Repair,
    /// R24: an edge drops frames of another attempt.
    SocketAttempts,
    /// The chain never reaches a session that the entity has not accepted.
    Pending,
    /// R41: an edge puts pieces together in their order and under their own name. Off: in the order in which they come.
    Pieces,
}

/// Who says which rules hold.
pub trait Rules: Debug + Send + Sync {
    /// Whether a rule holds.
    fn holds(&self, rule: Rule) -> bool;
}

/// All rules hold, as everywhere but in a simulator.
#[derive(Clone, Copy, Debug)]
pub struct AllRules;

impl Rules for AllRules {
    fn holds(&self, _: Rule) -> bool {
        true
    }
}
