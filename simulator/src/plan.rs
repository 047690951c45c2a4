//! The plan of a run: everything it is made of.

mod text;
mod bounds;
mod features;

use xp_protocol::TimeMs;

pub(crate) use bounds::{limits, pace, settings};
pub use features::{Feature, Features};
pub use text::NoPlan;

use super::switch::Switch;

/// The lanes, whose partition counts differ.
pub const LANES: [Lane; 2] = [
    Lane {
        name: "main",
        categories: &["ledger", ROOM],
        partitions: 3,
        outbound_partitions: 2,
        entities: 4,
    },
    Lane {
        name: "side",
        categories: &["journal"],
        partitions: 2,
        outbound_partitions: 3,
        entities: 2,
    },
];
/// How many books there are.
pub const ENTITIES: u64 = LANES[0].entities + LANES[1].entities;
/// The category of the entities that never have an event.
pub const ROOM: &str = "room";
/// How many of them there are, where a plan has them.
const ROOMS: u64 = 8;
/// How many chain records of a partition may be under way to `outbound` at once.
pub(super) const CHAINED_MAX: usize = 12;
/// For how long clients leave nobody in peace, in milliseconds.
const DENSE_MS: u64 = 4_000;
/// How many frames may wait for a client.
pub(super) const WAITING_MAX: usize = 24;
/// The longest time for which `inbound` is away, in milliseconds.
pub(super) const OUTAGE_MS: u64 = 2_500;
/// When virtual time begins, in milliseconds since the Unix epoch.
pub const EPOCH_MS: u64 = 1_700_000_000_000;

/// The largest record that the platform appends where they are small, in bytes; and the largest that the log takes then.
const RECORD_BYTES_MAX: usize = 4 << 10;
const LOGGED_BYTES_MAX: usize = 5 << 10;
/// The largest piece of what is too large, in bytes.
const PIECE_BYTES_MAX: usize = 48;

/// How long who has left is remembered where entities are forgotten, in milliseconds: little longer than the log may take to
/// land a Connect once more.
const SHORT_MEMORY_MS: u64 = 1_500;

/// So few messages that a partition without an owner soon misses some.
const KEPT: u64 = 40;
/// So few that clients leave again and again, because their goodbyes are what is lost.
const KEPT_LITTLE: u64 = 8;
/// More than edges let wait that hold back, where nearly all of it is large.
const KEPT_IN_A_FLOOD: u64 = 400;
/// The same where much of it is small: an edge lets 4 MiB wait, and each message weighs a little more than 1 KiB.
const KEPT_IN_A_DENSE_FLOOD: u64 = 8_000;

/// A lane of the simulated entities.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lane {
    /// Its name, the prefix of its topics.
    pub name: &'static str,
    /// The categories that it serves, books first.
    pub categories: &'static [&'static str],
    /// Its partitions of `inbound` and `events`.
    pub partitions: u32,
    /// Its partitions of `outbound`; edges read one that all lanes have.
    pub outbound_partitions: u32,
    /// How many books it has.
    pub entities: u64,
}

/// One run: the same plan gives the same history.
///
/// Its text form, which [`FromStr`](std::str::FromStr) reads again, names what differs from [`Plan::rough`] of its seed:
/// `seed=42 busy=3000 clients=2 nodes=2 weather=events,inbound spared=0,4 without=Gate`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Everything random comes from it.
    pub seed: u64,
    /// A rule that does not hold in this run.
    pub without: Option<Switch>,
    /// For how long clients talk and faults happen, in virtual milliseconds.
    pub busy_ms: u64,
    /// How long the platform has afterwards to answer everything, in virtual milliseconds.
    pub calm_ms: u64,
    /// How many clients there are.
    pub clients: usize,
    /// How many state nodes there are.
    pub nodes: usize,
    /// What it has, or not.
    pub features: Features,
    /// In which topics records are lost, doubled and late.
    pub weather: Weather,
    /// When the `events` of the busiest partition lose their newest records, in virtual milliseconds.
    pub truncated_ms: Option<u64>,
    /// How many of its newest records each partition of `inbound` keeps; all of them, if it is not said.
    pub kept: Option<u64>,
    /// Acts that do not happen, by their index in the order of the run; the others stay as they are.
    pub spared: Spared,
}

impl Plan {
    /// A run with faults.
    #[must_use]
    pub fn rough(seed: u64) -> Self {
        // What another build cannot read is folded anew from the whole log.
        let is_published = seed % 11 == 10 && seed % 6 != 1;
        let features = [
            (Feature::Acts, true),
            (Feature::Asking, seed % 5 == 4),
            (Feature::Dense, seed % 8 == 3),
            (Feature::Builds, seed % 6 == 1),
            (Feature::Rooms, seed % 9 == 6),
            (Feature::Pieces, seed % 9 == 4),
            (Feature::Spoils, seed % 9 == 2),
            (Feature::Ends, seed % 9 == 7),
            (Feature::Tokens, seed % 9 == 5),
            (Feature::Published, is_published),
        ];
        Self {
            seed,
            without: None,
            busy_ms: 12_000,
            calm_ms: 20_000,
            clients: 6,
            nodes: 3,
            features: features
                .into_iter()
                .fold(Features::default(), |all, (one, has)| all.having(one, has)),
            weather: Weather::ALL,
            truncated_ms: None,
            kept: (seed % 7 == 5).then_some(KEPT),
            spared: Spared::default(),
        }
    }

    /// Whether it has a feature.
    #[must_use]
    pub fn has(&self, feature: Feature) -> bool {
        self.features.has(feature)
    }

    /// The same run with a feature.
    #[must_use]
    pub fn with(self, feature: Feature) -> Self {
        self.having(feature, true)
    }

    /// The same run without some features.
    #[must_use]
    pub fn but<const N: usize>(self, features: [Feature; N]) -> Self {
        let without = |plan: Self, feature| plan.having(feature, false);
        features.into_iter().fold(self, without)
    }

    fn having(self, feature: Feature, has: bool) -> Self {
        Self {
            features: self.features.having(feature, has),
            ..self
        }
    }

    /// A run in which one client says more than its partition takes, and nothing else goes wrong.
    #[must_use]
    pub fn flood(seed: u64) -> Self {
        let fair = Self::fair(seed);
        let kept = match fair.has(Feature::Dense) {
            true => KEPT_IN_A_DENSE_FLOOD,
            false => KEPT_IN_A_FLOOD,
        };
        let flood = fair.with(Feature::Flood).but([Feature::Asking]);
        Self {
            kept: Some(kept),
            ..flood
        }
    }

    /// A flood of which the log keeps less than edges let wait, because so many small messages weigh so little: partitions
    /// miss some again and again, and none of them was acknowledged.
    #[must_use]
    pub fn overrun(seed: u64) -> Self {
        Self {
            kept: Some(KEPT_IN_A_FLOOD),
            ..Self::flood(seed).with(Feature::Dense)
        }
    }

    /// Whether edges keep a flood from overrunning its partition.
    pub(super) fn holds_back(&self) -> bool {
        let kept_min = match self.has(Feature::Dense) {
            true => KEPT_IN_A_DENSE_FLOOD,
            false => KEPT_IN_A_FLOOD,
        };
        self.has(Feature::Flood) && self.kept.is_some_and(|kept| kept >= kept_min)
    }

    /// A run with faults, in which every process can read all there is, people meet in books alone, and records and
    /// states are small and sound.
    fn plain(seed: u64) -> Self {
        Self::rough(seed).but([
            Feature::Builds,
            Feature::Rooms,
            Feature::Ends,
            Feature::Spoils,
            Feature::Pieces,
        ])
    }

    /// A run in which nothing goes wrong.
    #[must_use]
    pub fn fair(seed: u64) -> Self {
        let plain = Self::plain(seed);
        Self {
            weather: Weather::NONE,
            kept: None,
            ..plain.but([Feature::Acts, Feature::Published, Feature::Tokens])
        }
    }

    /// A run in which `inbound` is away again and again.
    #[must_use]
    pub fn outages(seed: u64) -> Self {
        let fair = Self::fair(seed);
        fair.with(Feature::Acts).with(Feature::Outages)
    }

    /// A run in which one client hardly listens.
    #[must_use]
    pub fn slow(seed: u64) -> Self {
        let fair = Self::fair(seed);
        fair.with(Feature::Slow)
            .but([Feature::Dense, Feature::Asking])
    }

    /// A run in which snapshots are published, the oldest events deleted, and disks lost.
    #[must_use]
    pub fn published(seed: u64) -> Self {
        Self {
            kept: None,
            ..Self::plain(seed).with(Feature::Published)
        }
    }

    /// A run in which partitions are taken over, and nothing else goes wrong.
    #[must_use]
    pub fn takeovers(seed: u64) -> Self {
        let taken = Self::plain(seed).with(Feature::Takeovers);
        Self {
            weather: Weather::NONE,
            ..taken.but([Feature::Asking, Feature::Published, Feature::Tokens])
        }
    }

    /// The same run without one rule.
    #[must_use]
    pub fn without(self, switch: Switch) -> Self {
        Self {
            without: Some(switch),
            ..self
        }
    }

    /// A run that shows most easily what a rule is for, without it. Whether a query sees too little (R13, R17) shows
    /// where the log is quiet and partitions move away from owners that hear of it late.
    #[must_use]
    pub fn revealing(seed: u64, switch: Switch) -> Self {
        let plan = Self::plain(seed).without(switch);
        match switch {
            Switch::Parking => plan.with(Feature::Builds),
            Switch::ForgetWhenHeard => Self {
                clients: 20,
                weather: Weather::EDGES,
                ..plan.with(Feature::Rooms)
            },
            Switch::Removals => plan.with(Feature::Rooms),
            Switch::RevisionsRise => plan.with(Feature::Ends),
            Switch::WholeSnapshots => plan.with(Feature::Spoils),
            Switch::Pieces => plan.with(Feature::Pieces),
            Switch::Covered | Switch::Ahead | Switch::ReadBack => {
                Self::published(seed).without(switch)
            }
            Switch::Slow => Self::slow(seed).without(switch),
            Switch::TokenEnds => plan.with(Feature::Tokens),
            Switch::Patience => Self::outages(seed).without(switch),
            Switch::FlowControl => Self::flood(seed).without(switch),
            Switch::AskAfterAHole => Self {
                kept: Some(KEPT_LITTLE),
                ..plan
            },
            Switch::AskOfLateDials => Self {
                kept: Some(KEPT_LITTLE),
                weather: Weather::EDGES,
                ..plan.but([Feature::Acts])
            },
            Switch::Bounded => plan.with(Feature::Dense),
            Switch::DueTicks => Self {
                weather: Weather::NONE,
                ..plan.with(Feature::Dense).but([Feature::Acts])
            },
            Switch::Lease | Switch::Release => Self {
                weather: Weather::NONE,
                ..plan.with(Feature::Asking).with(Feature::Moves)
            },
            Switch::Yields => Self::takeovers(seed).without(switch),
            Switch::OldestTell => Self::telling(seed).without(switch),
            _ => plan,
        }
    }

    /// Whether so little of `inbound` is kept that clients leave often.
    pub(super) fn keeps_little(&self) -> bool {
        self.kept.is_some_and(|kept| kept <= KEPT_LITTLE)
    }

    /// A run in which tells flow all the time and some are lost: each must arrive soon nevertheless.
    #[must_use]
    pub fn telling(seed: u64) -> Self {
        let telling = Self::plain(seed).with(Feature::Telling);
        Self {
            clients: 12,
            weather: Weather::INBOUND,
            ..telling.but([Feature::Asking, Feature::Published, Feature::Acts])
        }
    }

    /// How many entities clients may enter.
    pub(super) fn entities(&self) -> u64 {
        match self.has(Feature::Rooms) {
            true => ENTITIES + ROOMS,
            false => ENTITIES,
        }
    }

    /// The largest record that a lane's topics take, in bytes.
    pub(super) fn logged_bytes_max(&self) -> usize {
        match self.has(Feature::Pieces) {
            true => LOGGED_BYTES_MAX,
            false => usize::MAX,
        }
    }

    /// Whether anything goes wrong.
    pub(super) fn has_faults(&self) -> bool {
        self.has(Feature::Acts) || self.weather != Weather::NONE
    }

    /// Whether clients leave nobody in peace at this time.
    pub(super) fn is_dense(&self, now: TimeMs) -> bool {
        let since_ms = now.since_ms(TimeMs(EPOCH_MS));
        self.has(Feature::Dense)
            && (self.busy_ms / 4..self.busy_ms / 4 + DENSE_MS).contains(&since_ms)
    }

    /// When the bad weather ends.
    pub(super) fn calm_at(&self) -> TimeMs {
        TimeMs(EPOCH_MS + self.busy_ms)
    }
}

/// A set of topics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Weather(u8);

impl Weather {
    /// The names of the topics, in the order of [`super::deeds`].
    pub(super) const TOPICS: [&'static str; 5] =
        ["cluster", "events", "inbound", "outbound", "snapshots"];
    /// The log is bad on every topic.
    pub const ALL: Self = Self(0b11111);
    /// Only what partitions hear.
    pub const INBOUND: Self = Self(0b0100);
    /// What partitions hear and what they say.
    pub const EDGES: Self = Self(0b1100);
    /// The log is good on every topic.
    pub const NONE: Self = Self(0);

    pub(super) fn has(self, topic: usize) -> bool {
        self.0 & (1 << topic) != 0
    }

    /// All but one.
    pub(super) fn but(self, topic: usize) -> Self {
        Self(self.0 & !(1 << topic))
    }
}

/// Some of the first 128 of something.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spared(u128);

impl Spared {
    pub(super) const MAX: usize = 128;

    pub(super) fn has(self, index: usize) -> bool {
        index < Self::MAX && self.0 & (1 << index) != 0
    }

    pub(super) fn with(self, index: usize) -> Self {
        match index < Self::MAX {
            true => Self(self.0 | (1 << index)),
            false => self,
        }
    }

    fn iter(self) -> impl Iterator<Item = usize> {
        (0..Self::MAX).filter(move |index| self.has(*index))
    }
}
