//! The cluster's members, from the log, and on with what comes.

use std::time::Duration;

use anyhow::{Context, Result};
use tokio::time::{Instant, timeout, timeout_at};
use xp_cluster::Members;
use xp_protocol::notice::Notice;
use xp_transport::{Log, Reader};

/// The fold of the log so far.
pub(super) struct Following {
    pub(super) members: Members,
    reader: Box<dyn Reader>,
    /// The notices since then.
    notices: Vec<Notice>,
}

impl Following {
    /// Folds what the log holds now.
    pub(super) async fn enter(log: &dyn Log, generation: u64, patience: Duration) -> Result<Self> {
        let entered = timeout(patience, xp_cluster::log::enter(log, generation)).await;
        let entered = entered.with_context(|| {
            format!("the cluster log gave no answer for {patience:?}; are all of its brokers up?")
        })?;
        let (members, reader) = entered.context("`xp topics check` says what is wrong")?;
        Ok(Self {
            members,
            reader,
            notices: Vec::new(),
        })
    }

    /// Folds on until the members are as wanted; false when that takes longer than `wait`.
    pub(super) async fn until(
        &mut self,
        wait: Duration,
        wanted: impl Fn(&Members) -> bool,
    ) -> Result<bool> {
        self.heard(wait, |members, _| wanted(members)).await
    }

    /// The same where it depends also on notices.
    pub(super) async fn heard(
        &mut self,
        wait: Duration,
        wanted: impl Fn(&Members, &[Notice]) -> bool,
    ) -> Result<bool> {
        let deadline = Instant::now() + wait;
        while !wanted(&self.members, &self.notices) {
            let Ok(batch) = timeout_at(deadline, self.reader.next()).await else {
                return Ok(false);
            };
            for stored in batch? {
                if let Some(member) = xp_cluster::log::member(&stored) {
                    self.members.apply(stored.offset, stored.time, &member);
                }
                self.notices.extend(xp_cluster::log::notice(&stored));
            }
        }
        Ok(true)
    }

    /// The notices so far.
    pub(super) fn notices(&self) -> &[Notice] {
        &self.notices
    }

    /// Whether anybody says anything within this time.
    pub(super) async fn hear(&mut self, within: Duration) -> Result<bool> {
        let next = self.members.next();
        self.until(within, |members| members.next() > next).await
    }
}
