//! Folding some entities anew from the beginning of their partition's log: those whose stored state has another version
//! than this build's. One reading serves all that wait.

use std::collections::BTreeMap;
use std::sync::Arc;

use xp_domain_sdk::host::{Host, Instance, Registry};
use xp_protocol::codec;
use xp_protocol::events::{Commit, Event};
use xp_protocol::{Address, Offset, Revision};
use xp_transport::Stored;

use crate::fold::{Fold, Verdict};
use crate::partition::{FoldedAnew, key};

/// Entities that are being folded anew. It judges every record (R3) and applies those of its entities.
pub struct FoldingAnew {
    fold: Fold,
    entities: BTreeMap<Address, Anew>,
    next: Offset,
    upto: Offset,
}

struct Anew {
    host: Arc<dyn Host>,
    upto: Revision,
    seen: Revision,
    instance: Result<Box<dyn Instance>, String>,
}

impl FoldingAnew {
    /// Begins at offset 0 and wants everything before `upto`.
    #[must_use]
    pub fn new(domain: &Arc<Registry>, entities: Vec<(Address, Revision)>, upto: Offset) -> Self {
        let begun = entities.into_iter().filter_map(|(address, upto)| {
            let host = Arc::clone(domain.get(address.category())?);
            let instance = Ok(host.fresh());
            let seen = Revision(0);
            Some((
                address,
                Anew {
                    host,
                    upto,
                    seen,
                    instance,
                },
            ))
        });
        Self {
            fold: Fold::default(),
            entities: begun.collect(),
            next: Offset(0),
            upto,
        }
    }

    /// Whether everything was read.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.next >= self.upto
    }

    /// The next records of the log.
    pub fn read(&mut self, batch: &[Stored]) {
        let upto = self.upto;
        for stored in batch.iter().filter(|stored| stored.offset < upto) {
            self.next = stored.offset.next();
            let Ok(event) = codec::decode::<Event>(&stored.record.header) else {
                continue;
            };
            if self.fold.step(stored.offset, &event) == Verdict::Valid
                && let Event::Commit(commit) = &event
            {
                self.commit(commit, stored);
            }
        }
        if let Some(last) = batch.last() {
            self.next = self.next.max(last.offset.next());
        }
    }

    fn commit(&mut self, commit: &Commit, stored: &Stored) {
        let Some(address) = key(stored) else { return };
        let Some(anew) = self.entities.get_mut(&address) else {
            return;
        };
        if commit.revision > anew.upto {
            return;
        }
        anew.seen = commit.revision;
        if let (true, Ok(instance)) = (commit.event_count > 0, &mut anew.instance)
            && let Err(fault) = instance.apply(&stored.record.value)
        {
            let (revision, offset) = (commit.revision, stored.offset);
            anew.instance = Err(format!(
                "its events of revision {revision}, at offset {offset}: {fault}"
            ));
        }
        // R49: what came before is none of its life now.
        if commit.ends() {
            anew.instance = Ok(anew.host.fresh());
        }
    }

    /// The log could not be read to the end.
    #[must_use]
    pub fn fail(self, reason: &str) -> Vec<FoldedAnew> {
        let all = self.entities.into_keys();
        all.map(|address| (address, Err(reason.to_owned())))
            .collect()
    }

    /// What came of each.
    #[must_use]
    pub fn finish(self) -> Vec<FoldedAnew> {
        let ended = self.entities.into_iter().map(|(address, anew)| {
            let (seen, upto) = (anew.seen, anew.upto);
            let short = format!("the log has it up to revision {seen}, and it stands at {upto}");
            let whole = if seen == upto {
                anew.instance
            } else {
                Err(short)
            };
            (address, whole)
        });
        ended.collect()
    }
}
