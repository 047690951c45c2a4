//! The lives of entities: behind which revision one begins that is remembered nowhere (R49).

use serde::{Deserialize, Serialize};
use xp_protocol::Revision;

/// Counted over all entities of a partition, so that none need be remembered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lives {
    commits: u64,
    ended_upto: Revision,
}

impl Lives {
    /// So many commits have counted, and no entity that has ended was above this revision.
    #[must_use]
    pub fn new(commits: u64, ended_upto: Revision) -> Self {
        Self {
            commits,
            ended_upto,
        }
    }

    /// Where some entity has ended, that is above all that any had: each commit raises one revision by one.
    pub(super) fn begin_behind(&self, revisions_rise: bool) -> Revision {
        match self.ended_upto {
            Revision(1..) if revisions_rise => self.ended_upto.max(Revision(self.commits)),
            _ => Revision(0),
        }
    }

    /// A commit has counted; with it an entity may end, at this revision.
    pub(super) fn commit(&mut self, revision: Revision, ends: bool) {
        self.commits += 1;
        if ends {
            self.ended_upto = self.ended_upto.max(revision);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_life_begins_above_all_that_ended() {
        let mut lives = Lives::default();
        lives.commit(Revision(1), false);
        assert_eq!(lives.begin_behind(true), Revision(0), "nobody has ended");
        lives.commit(Revision(2), true);
        lives.commit(Revision(1), false);
        assert_eq!(lives.begin_behind(true), Revision(3));
        let far = Lives::new(3, Revision(9));
        assert_eq!(far.begin_behind(true), Revision(9));
        assert_eq!(far.begin_behind(false), Revision(0));
    }
}
