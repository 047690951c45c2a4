//! The thread that compacts a topic beside its journal, so that appends do not wait for it.

use std::sync::Arc;
use std::thread;

use super::super::compaction::{Ended, compact, is_due};
use super::Journal;

impl Journal {
    /// Begins a compaction when one is due and none is under way.
    pub(super) fn compact_if_due(&mut self) {
        let is_busy = |under_way: &thread::JoinHandle<()>| !under_way.is_finished();
        if self.compacting.as_ref().is_some_and(is_busy) || !is_due(&self.topic) {
            return;
        }
        let (topic, dir) = (Arc::clone(&self.topic), self.dir.clone());
        let begun = thread::Builder::new()
            .name("compaction".to_owned())
            .spawn(move || {
                let name = &topic.config.name;
                match compact(&topic, &dir) {
                    Ok(()) => tracing::debug!(topic = %name, "compacted"),
                    Err(Ended::Closed) => {}
                    Err(error) => {
                        tracing::error!(topic = %name, %error, "the topic is not compacted, and grows: mend what the error says; it is tried again by itself");
                    }
                }
            });
        match begun {
            Ok(compacting) => self.compacting = Some(compacting),
            Err(error) => {
                tracing::warn!(topic = %self.topic.config.name, %error, "cannot begin a compaction; it is tried again later");
            }
        }
    }

    /// Waits for the compaction that is under way. It ends soon, because the queue is closed.
    pub(super) fn finish_compaction(&mut self) {
        if let Some(compacting) = self.compacting.take()
            && compacting.join().is_err()
        {
            tracing::error!(topic = %self.topic.config.name, "a compaction panicked; nothing is lost. This is a bug: report it, with what is above");
        }
    }
}
