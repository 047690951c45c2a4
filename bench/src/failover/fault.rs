//! What goes wrong.

use clap::ValueEnum;

use super::cluster::Brokers;

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Fault {
    /// An owner is killed with -9
    Killed,
    /// An owner stands still for 5 s (SIGSTOP), and goes on
    Paused,
    /// An owner cannot reach Kafka for 5 s
    CutOff,
    /// A partition is moved to its mirror
    Handover,
    /// The three state nodes are restarted in order, one after the other
    Rolling,
    /// The leader among three brokers is killed with -9
    Broker,
}

impl Fault {
    pub(super) fn on(brokers: Brokers) -> impl Iterator<Item = Self> {
        let is_on = move |fault: &&Self| (brokers == Brokers::Three) == (**fault == Self::Broker);
        Self::value_variants().iter().filter(is_on).copied()
    }

    /// Of its entities.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Killed => "killed",
            Self::Paused => "paused",
            Self::CutOff => "cut-off",
            Self::Handover => "handover",
            Self::Rolling => "rolling",
            Self::Broker => "broker",
        }
    }

    pub(super) fn title(self) -> &'static str {
        match self {
            Self::Killed => "owner killed (`kill -9`)",
            Self::Paused => "owner paused for 5 s (SIGSTOP, SIGCONT)",
            Self::CutOff => "owner cut off from Kafka for 5 s",
            Self::Handover => "planned handover of one partition",
            Self::Rolling => "rolling restart of three state nodes",
            Self::Broker => "leader killed among three brokers (session timeout 1 s)",
        }
    }
}
