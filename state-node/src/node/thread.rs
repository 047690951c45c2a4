//! A thread for each partition: domain code that does not return stops its own partition and nobody else (R47). What the
//! shell awaits is the runtime's, as everywhere; only its turns are taken here.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{oneshot, watch};
use xp_protocol::LanePartition;

use super::Shared;
use super::shell::{self, Ended};

/// A partition's thread. Dropped, it ends the partition where it waits; one that does not return is left behind.
pub(super) struct Thread {
    ended: oneshot::Receiver<Result<Ended, String>>,
    _stop: oneshot::Sender<()>,
}

/// The partitions of a node whose threads have not ended.
#[derive(Debug, Default)]
pub(crate) struct Threads {
    running: watch::Sender<BTreeSet<LanePartition>>,
}

impl Threads {
    /// Waits until all have ended but those that `spared` says, for so long at the most.
    pub(crate) async fn ended(&self, longest: Duration, spared: impl Fn(&LanePartition) -> bool) {
        let mut running = self.running.subscribe();
        let ended = running.wait_for(|running| running.iter().all(&spared));
        drop(tokio::time::timeout(longest, ended).await);
    }
}

impl Thread {
    /// Begins a partition's life.
    pub(super) fn start(shared: &Arc<Shared>, partition: &LanePartition) -> std::io::Result<Self> {
        let (told, ended) = oneshot::channel();
        let (stop, stopped) = oneshot::channel::<()>();
        let runtime = tokio::runtime::Handle::current();
        let (shared, partition) = (Arc::clone(shared), partition.clone());
        let thread = std::thread::Builder::new().name(partition.to_string());
        shared.threads.running.send_modify(|running| {
            running.insert(partition.clone());
        });
        thread.spawn(move || {
            let life = async {
                tokio::select! {
                    biased;
                    _ = stopped => None,
                    ended = shell::run(&shared, &partition) => Some(ended),
                }
            };
            let life = catch_unwind(AssertUnwindSafe(|| runtime.block_on(life)));
            shared.threads.running.send_modify(|running| {
                running.remove(&partition);
            });
            // The node may look for nobody who holds what it shares.
            drop(shared);
            let ended = match life {
                Ok(Some(ended)) => Ok(ended),
                Ok(None) => return,
                Err(panic) => Err(text(panic.as_ref())),
            };
            // Nobody waits any more for who was stuck.
            drop(told.send(ended));
        })?;
        Ok(Self { ended, _stop: stop })
    }

    /// How the partition's life ended, or what it panicked with.
    pub(super) async fn ended(self) -> Result<Ended, String> {
        let ended = self.ended.await;
        ended.unwrap_or_else(|_| Err("its thread has ended".to_owned()))
    }
}

fn text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
    format!("panicked: {}", text.unwrap_or("with no message"))
}
