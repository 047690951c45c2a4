//! An edge's standing in the cluster: since when it is a member, whether it leaves, and whether it was evicted.

use xp_cluster::log as record;
use xp_cluster::members::Members;
use xp_protocol::{Incarnation, Offset};

use crate::process::enter;
use crate::stage::{Stage, cluster};

#[derive(Default)]
pub(super) struct Standing {
    joined: Option<Offset>,
    members: Option<Members>,
    evicted: bool,
    /// It sends its clients elsewhere and then leaves.
    draining: bool,
}

impl Standing {
    /// Where its Join lies, once it has joined.
    pub(super) fn joined(&self) -> Option<Offset> {
        self.joined
    }

    /// The same while it takes clients.
    pub(super) fn accepts(&self) -> Option<Offset> {
        self.joined.filter(|_| !self.evicted && !self.draining)
    }

    pub(super) fn is_evicted(&self) -> bool {
        self.evicted
    }

    pub(super) fn is_draining(&self) -> bool {
        self.draining
    }

    pub(super) fn drain(&mut self) {
        self.draining = true;
    }

    /// Its Join was acknowledged. Says whether that is news.
    pub(super) fn join(&mut self, offset: Offset, stage: &Stage) -> bool {
        let is_new = self.joined.is_none();
        if is_new {
            self.joined = Some(offset);
            self.members = enter(stage);
        }
        is_new
    }

    /// Folds what others have said. Says whether that is its eviction.
    pub(super) fn fold(&mut self, me: Incarnation, stage: &Stage) -> bool {
        let Some(members) = &mut self.members else {
            return false;
        };
        for stored in stage.read(&cluster(), members.next(), usize::MAX) {
            if let Some(member) = record::member(&stored) {
                members.apply(stored.offset, stored.time, &member);
            }
        }
        let is_news = !self.evicted && members.is_former(me);
        self.evicted |= is_news;
        is_news
    }
}
