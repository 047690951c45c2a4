//! The features of a run: what it has, or not.

/// Something that a run has or has not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Feature {
    /// Clients ask more than they command.
    Asking,
    /// Clients do nothing but let their entities tell and ask others, much and all the time.
    Telling,
    /// Clients give nobody a moment's peace for some time in the middle.
    Dense,
    /// Processes run builds of the domain that cannot read everything, until the weather is good.
    Builds,
    /// There are entities without events, which people visit and which are forgotten soon.
    Rooms,
    /// Books are ended now and then, and begun again.
    Ends,
    /// Entities have states at times that cannot be encoded.
    Spoils,
    /// The log takes small records only, so that most of what edges hear comes in pieces.
    Pieces,
    /// Something is done to the processes.
    Acts,
    /// Nothing else is done than to move partitions away from owners that hear of it late.
    Moves,
    /// Nothing else is done than what makes a partition go to another node: nodes stand still for about as long as they
    /// may again and again, crash, or stop a partition, while the `cluster` log takes every record late. Then commands
    /// must be answered within a bound.
    Takeovers,
    /// Snapshots are published, and the oldest `events` deleted that they cover.
    Published,
    /// Tokens end soon. Some clients bring fresh ones in time, the others lose their sockets.
    Tokens,
    /// One client hardly listens until the weather is good, and nothing else is wrong. Then it is closed, and the others
    /// do not notice.
    Slow,
    /// Nothing else goes wrong than that `inbound` takes nothing for a while, again and again. Then edges keep their
    /// sockets.
    Outages,
    /// One client waves without end at partitions that are slow.
    Flood,
}

/// A set of features.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Features(u32);

impl Features {
    pub(super) fn has(self, feature: Feature) -> bool {
        self.0 & bit(feature) != 0
    }

    /// The same, with a feature or without it.
    pub(super) fn having(self, feature: Feature, has: bool) -> Self {
        match has {
            true => Self(self.0 | bit(feature)),
            false => Self(self.0 & !bit(feature)),
        }
    }
}

fn bit(feature: Feature) -> u32 {
    1 << feature as u32
}
