//! The rules of the log protocol (docs/rules.md) that a simulator can switch off one by one, to see that its checkers
//! notice.

/// Which rules hold. For the simulator only: a platform without any of them loses or repeats something.
/// Each field names its rule and is asked at the line that keeps it; the edge's own are in its `watch`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// R3: a record counts only if its number is the next. Off: any of its epoch counts.
    pub seq: bool,
    /// R2: a claim counts only if its view and attempt are greater. Off: any claim does.
    pub view: bool,
    /// R12: after an error everything uncommitted is appended again, in order. Off: what failed, alone.
    pub again_in_order: bool,
    /// R14: an effect is done when it and all before it are acknowledged. Off: an acknowledgement vouches for
    /// everything before it.
    pub prefix: bool,
    /// R8: a new owner sends everything after `sent` again.
    pub emit_again: bool,
    /// R10: an acknowledgement commits only at the expected offset. Off: any does.
    pub expected_offset: bool,
    /// R11: nothing leaves before every earlier record is committed.
    pub gate: bool,
    /// R13: a query is answered only within the lease.
    pub lease: bool,
    /// R14: no more effects are under way at once than a bound.
    pub bounded: bool,
    /// R15: ticks are due at times that nothing heard in between moves. Off: each word heard moves them.
    pub due_ticks: bool,
    /// R16: a message that may have ended a process is decided after a record says so.
    pub trying: bool,
    /// R17: a claim waits for the living owner's `Release`, or one lease.
    pub release: bool,
    /// R23: a commit that detaches or replaces a socket closes it in the chain.
    pub close_in_chain: bool,
    /// R27: an earlier socket's Connect and Disconnect are ignored.
    pub attempts: bool,
    /// R30: a command is taken only if its number is the next. Off: numbers need only rise.
    pub dense_numbers: bool,
    /// R34: a tell is taken only if its number is the next.
    pub tell_numbers: bool,
    /// R34: the oldest tell that is not confirmed is timed, and a failed append is repeated. Off: the newest counts,
    /// and nobody hears of failures.
    pub oldest_tell: bool,
    /// R35: a snapshot is written once its cut is committed, and used only if its header fits the log.
    pub committed_snapshots: bool,
    /// R35: no cut passes an entity that is not in it. Off: what cannot be encoded is left out of it.
    pub whole_snapshots: bool,
    /// R36: what an entity of a restored snapshot has seen is not applied to it again. Off: it is.
    pub ahead: bool,
    /// R45: what was forgotten is not found again in a snapshot that was cut before.
    pub removals: bool,
    /// R15: who takes over goes on with what it has read ahead only where that reaches back to its position.
    pub ahead_reaches: bool,
    /// R45: an entity is not forgotten while chain records about it are on their way.
    pub forgets_when_heard: bool,
    /// R46: an owner that is not warm for longer than a moment yields to a member that is. Off: it keeps its partition
    /// as long as it lives.
    pub yields: bool,
    /// R42: after a hole in `inbound` the edges are asked which sockets they still hold.
    pub ask_after_a_hole: bool,
    /// R27: the edge of a dial that came in although it is no later one is asked whether it holds its socket.
    pub ask_of_late_dials: bool,
    /// R49: where entities have ended, one that is remembered nowhere begins above all that any had. Off: at 1.
    pub revisions_rise: bool,
    /// R44: what comes for an entity in quarantine is parked. Off: it is taken without effect.
    pub parking: bool,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            seq: true,
            view: true,
            again_in_order: true,
            prefix: true,
            emit_again: true,
            expected_offset: true,
            gate: true,
            lease: true,
            bounded: true,
            due_ticks: true,
            trying: true,
            release: true,
            close_in_chain: true,
            attempts: true,
            dense_numbers: true,
            tell_numbers: true,
            oldest_tell: true,
            committed_snapshots: true,
            whole_snapshots: true,
            ahead: true,
            removals: true,
            forgets_when_heard: true,
            ahead_reaches: true,
            yields: true,
            ask_after_a_hole: true,
            ask_of_late_dials: true,
            revisions_rise: true,
            parking: true,
        }
    }
}
