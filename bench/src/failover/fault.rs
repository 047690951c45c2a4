//! The faults that the failover benchmark brings about.

use std::time::Duration;

use clap::ValueEnum;

use super::cluster::Brokers;

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Fault {
    /// Nothing happens for 5 s
    Nothing,
    /// An owner is killed with -9
    Killed,
    /// An owner stands still for 5 s (SIGSTOP), and goes on
    Paused,
    /// An owner stands still for 500 to 900 ms again and again, about as long as it may
    Stuttering,
    /// An owner cannot reach Kafka for 5 s
    CutOff,
    /// A partition is moved to its mirror
    Handover,
    /// The three state nodes are restarted in order, one after the other
    Rolling,
    /// The only broker stands still for 4 s (SIGSTOP), and goes on
    BrokerStopped,
    /// The only broker is killed with -9, and started again after 1.1 s
    BrokerRestarted,
    /// The leader among three brokers is killed with -9
    Broker,
}

impl Fault {
    pub(super) fn on(brokers: Brokers) -> impl Iterator<Item = Self> {
        let is_on = move |fault: &&Self| (brokers == Brokers::Three) == (**fault == Self::Broker);
        Self::value_variants().iter().filter(is_on).copied()
    }

    /// Whether Kafka itself is away, so that a bare client waits as well.
    pub(super) fn is_of_brokers(self) -> bool {
        matches!(
            self,
            Self::BrokerStopped | Self::BrokerRestarted | Self::Broker
        )
    }

    /// When timers that are set just before it fall due: while the only broker is away. Nothing where some broker serves
    /// all the time.
    pub(super) fn timers_due(self) -> Option<Duration> {
        match self {
            Self::BrokerStopped => Some(Duration::from_secs(2)),
            Self::BrokerRestarted => Some(Duration::from_secs(1)),
            _ => None,
        }
    }

    /// Of its entities.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::Killed => "killed",
            Self::Paused => "paused",
            Self::Stuttering => "stuttering",
            Self::CutOff => "cut-off",
            Self::Handover => "handover",
            Self::Rolling => "rolling",
            Self::BrokerStopped => "broker-stopped",
            Self::BrokerRestarted => "broker-restarted",
            Self::Broker => "broker",
        }
    }

    pub(super) fn title(self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::Killed => "owner killed (`kill -9`)",
            Self::Paused => "owner paused for 5 s (SIGSTOP, SIGCONT)",
            Self::Stuttering => {
                "owner stands still for 500–900 ms again and again for 5 s (SIGSTOP, SIGCONT)"
            }
            Self::CutOff => "owner cut off from Kafka for 5 s",
            Self::Handover => "planned handover of one partition",
            Self::Rolling => "rolling restart of three state nodes",
            Self::BrokerStopped => "the only broker stopped for 4 s (SIGSTOP, SIGCONT)",
            Self::BrokerRestarted => "the only broker killed (`kill -9`) and started after 1.1 s",
            Self::Broker => "leader killed among three brokers (session timeout 1 s)",
        }
    }
}
