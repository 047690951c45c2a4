//! Rules that a run can do without, to see that the checkers notice.

use xp_protocol::rules::{AllRules, Rule, Rules};

/// One rule of the log protocol (docs/rules.md), switched off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Switch {
    /// R3: records of an epoch count without being the next.
    Seq,
    /// R2: any claim counts, whatever its view.
    View,
    /// R7: an owner decides as soon as its claim is acknowledged, without having read what lies before it.
    ReadBack,
    /// R12: after an error only what failed is appended again.
    AgainInOrder,
    /// R14: an acknowledgement vouches for everything before it.
    Prefix,
    /// R26: who has ended is forgotten at once.
    Memory,
    /// R8: a new owner sends nothing again.
    EmitAgain,
    /// R10: any acknowledgement commits.
    ExpectedOffset,
    /// R11: outputs leave before their commits are acknowledged.
    Gate,
    /// R19: an edge sees no gaps.
    Prev,
    /// R20: an edge shows revisions again.
    Once,
    /// R20: an edge delivers during a repair.
    Repair,
    /// R24: an edge delivers frames of another attempt.
    SocketAttempts,
    /// A session that is not accepted hears the chain.
    Pending,
    /// R13: queries are answered by whoever thinks that it owns.
    Lease,
    /// R14: whatever is committed leaves at once, though `outbound` is away.
    Bounded,
    /// R48: a clock that was set is believed at once.
    ClockDoubt,
    /// R15: whatever a shell hears puts its next tick off.
    DueTicks,
    /// R16: nobody notes what it is about to try.
    Trying,
    /// R17: who should own claims at once, whatever the former owner does.
    Release,
    /// R23: commits close no sockets in the chain.
    CloseInChain,
    /// R27: an owner listens to old sockets.
    Attempts,
    /// R30: numbers need only rise.
    DenseNumbers,
    /// R34: tells are taken whatever their number.
    TellNumbers,
    /// R34: the newest tell is timed instead of the oldest, and failed appends of tells are not heard of.
    OldestTell,
    /// R35: snapshots are written before their cut is committed.
    CommittedSnapshots,
    /// R35: what cannot be encoded is left out of snapshots.
    WholeSnapshots,
    /// R45: what was forgotten is found again in a snapshot that was cut before.
    Removals,
    /// R46: an owner that is not warm says that it is, and so keeps its partition as long as it lives.
    Yields,
    /// R41: pieces are put together in the order in which they come.
    Pieces,
    /// R36: `events` are deleted by their age alone, whatever is published.
    Covered,
    /// R36: an entity that was published later than its head sees again what it has seen.
    Ahead,
    /// An edge closes its sockets as soon as the log does not take an append.
    Patience,
    /// An edge lets any number of frames wait for a client that does not listen.
    Slow,
    /// An edge takes what comes with a token that has ended.
    TokenEnds,
    /// R42: an edge holds nothing back for an owner that is behind.
    FlowControl,
    /// R42: nobody is asked what was lost in a hole in `inbound`.
    AskAfterAHole,
    /// R15: who takes over goes on with what it has read ahead, whatever is missing before that.
    AheadReaches,
    /// R45: an entity is forgotten although edges may still hear of its last life.
    ForgetWhenHeard,
    /// R27: nobody is asked whether a dial that came in from below has a socket.
    AskOfLateDials,
    /// R49: an entity that is remembered nowhere begins at revision 1, whatever it was before.
    RevisionsRise,
    /// R44: an entity that its build cannot read takes what comes, without effect.
    Parking,
}

impl Switch {
    /// All of them; some seed notices each.
    pub const ALL: &'static [Self] = &[
        Self::Seq,
        Self::View,
        Self::ReadBack,
        Self::AgainInOrder,
        Self::Prefix,
        Self::Memory,
        Self::EmitAgain,
        Self::ExpectedOffset,
        Self::Gate,
        Self::Prev,
        Self::Once,
        Self::Repair,
        Self::SocketAttempts,
        Self::Pending,
        Self::Lease,
        Self::Bounded,
        Self::ClockDoubt,
        Self::DueTicks,
        Self::Trying,
        Self::Release,
        Self::CloseInChain,
        Self::Attempts,
        Self::DenseNumbers,
        Self::TellNumbers,
        Self::OldestTell,
        Self::CommittedSnapshots,
        Self::WholeSnapshots,
        Self::Removals,
        Self::Yields,
        Self::Pieces,
        Self::Covered,
        Self::Ahead,
        Self::Patience,
        Self::TokenEnds,
        Self::Slow,
        Self::FlowControl,
        Self::AskAfterAHole,
        Self::AheadReaches,
        Self::ForgetWhenHeard,
        Self::AskOfLateDials,
        Self::RevisionsRise,
        Self::Parking,
    ];

    /// A seed in which its absence was noticed when this was written: where the search for one begins.
    pub(super) fn seed(self) -> u64 {
        match self {
            Self::View => 9,
            Self::ReadBack => 9,
            Self::Trying => 9,
            Self::Lease => 16,
            Self::Release => 31,
            Self::Memory | Self::Pieces => 1,
            Self::WholeSnapshots => 14,
            Self::OldestTell => 28,
            Self::AskAfterAHole => 12,
            Self::AskOfLateDials => 6,
            Self::ForgetWhenHeard => 64,
            _ => 0,
        }
    }

    /// Who says which rules hold without this one.
    #[must_use]
    pub fn rules(without: Option<Self>) -> &'static dyn Rules {
        let mut switches = Self::ALL.iter();
        match switches.find(|switch| Some(**switch) == without) {
            Some(switch) => switch,
            None => &AllRules,
        }
    }

    /// What it switches off inside of the platform; the others change what the platform is driven with.
    fn rule(self) -> Option<Rule> {
        Some(match self {
            Self::Seq => Rule::Seq,
            Self::View => Rule::View,
            Self::AgainInOrder => Rule::AgainInOrder,
            Self::Prefix => Rule::Prefix,
            Self::EmitAgain => Rule::EmitAgain,
            Self::ExpectedOffset => Rule::ExpectedOffset,
            Self::Gate => Rule::Gate,
            Self::Lease => Rule::Lease,
            Self::Bounded => Rule::Bounded,
            Self::DueTicks => Rule::DueTicks,
            Self::Trying => Rule::Trying,
            Self::Release => Rule::Release,
            Self::CloseInChain => Rule::CloseInChain,
            Self::Attempts => Rule::Attempts,
            Self::DenseNumbers => Rule::DenseNumbers,
            Self::TellNumbers => Rule::TellNumbers,
            Self::OldestTell => Rule::OldestTell,
            Self::CommittedSnapshots => Rule::CommittedSnapshots,
            Self::WholeSnapshots => Rule::WholeSnapshots,
            Self::Ahead => Rule::Ahead,
            Self::Removals => Rule::Removals,
            Self::AheadReaches => Rule::AheadReaches,
            Self::ForgetWhenHeard => Rule::ForgetWhenHeard,
            Self::AskAfterAHole => Rule::AskAfterAHole,
            Self::AskOfLateDials => Rule::AskOfLateDials,
            Self::RevisionsRise => Rule::RevisionsRise,
            Self::Parking => Rule::Parking,
            Self::Prev => Rule::Gaps,
            Self::Once => Rule::Once,
            Self::Repair => Rule::Repair,
            Self::SocketAttempts => Rule::SocketAttempts,
            Self::Pending => Rule::Pending,
            Self::Pieces => Rule::Pieces,
            Self::ReadBack
            | Self::Memory
            | Self::ClockDoubt
            | Self::Yields
            | Self::Covered
            | Self::Patience
            | Self::Slow
            | Self::TokenEnds
            | Self::FlowControl => return None,
        })
    }
}

impl Rules for Switch {
    fn holds(&self, rule: Rule) -> bool {
        self.rule() != Some(rule)
    }
}
