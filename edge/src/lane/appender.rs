//! The loop that brings one partition's queue into the log, and what it does when the log is away.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::time::{Instant, sleep, sleep_until};
use tracing::{error, info, warn};
use xp_protocol::Offset;
use xp_transport::{AppendError, Log};

use super::stall::{Due, Patience, Stall};
use super::{Entry, Fate, Partition};

type Answers = Vec<Result<Offset, AppendError>>;

/// One partition's way into the log.
///
/// What fails is appended again, identical and in order, and nothing later passes before it. A failed append may
/// be in the log all the same, so the owner may read something twice: a number that it has taken gets its stored
/// answer again (R30), a connect or disconnect of an attempt that is attached is ignored (R27) and one of an attempt that is
/// gone draws its goodbye once more (R28), a query is answered twice and the client knows its tag no longer (R32). What
/// must not happen is that `n + 1` arrives before `n`.
pub(crate) struct Appender<C> {
    partition: Arc<Partition>,
    log: Arc<dyn Log>,
    patience: Patience,
    /// Closes every socket of the partition, for this reason, and marks them as lost.
    close_sockets: C,
    /// What failed, in order. It goes before all that queued meanwhile.
    failed: Vec<Entry>,
    stall: Stall,
}

impl<C: Fn(&Partition, &str)> Appender<C> {
    pub(crate) fn new(
        partition: Arc<Partition>,
        log: Arc<dyn Log>,
        patience: Patience,
        close_sockets: C,
    ) -> Self {
        Self {
            partition,
            log,
            patience,
            close_sockets,
            failed: Vec::new(),
            stall: Stall::default(),
        }
    }

    /// Appends until the end of the edge.
    pub(crate) async fn run(mut self) {
        loop {
            let group = self.next_group();
            if group.is_empty() {
                self.partition.filled.notified().await;
                continue;
            }
            let asked = Instant::now();
            let answers = self.append(&group, asked).await;
            self.take(group, answers);
            if !self.failed.is_empty() {
                sleep(self.patience.retry).await;
                self.on_time(asked);
            }
        }
    }

    fn next_group(&mut self) -> Vec<Entry> {
        if self.failed.is_empty() {
            self.partition.group()
        } else {
            std::mem::take(&mut self.failed)
        }
    }

    /// Waits for the answers, however long they take: what is in flight may land at any time.
    async fn append(&mut self, group: &[Entry], asked: Instant) -> Answers {
        let records = group.iter().map(|entry| entry.record.clone()).collect();
        let mut answers = self.log.append(&self.partition.at, records);
        loop {
            let due_at = self.stall.due_at(asked, &self.patience);
            tokio::select! {
                biased;
                answers = &mut answers => return answers,
                () = sleep_until(due_at) => self.on_time(asked),
            }
        }
    }

    fn on_time(&mut self, asked: Instant) {
        match self.stall.due(Instant::now(), asked, &self.patience) {
            Some(Due::Stall) => self.begin("no acknowledgement"),
            Some(Due::CloseSockets) => self.give_up(),
            None => {}
        }
    }

    fn take(&mut self, group: Vec<Entry>, mut answers: Answers) {
        answers.reverse();
        let (mut reason, mut loose) = (None, None);
        let mut landed = Vec::with_capacity(group.len());
        for entry in group {
            match (answers.pop(), &entry.fate) {
                (Some(Ok(offset)), _) => landed.push((offset, self.partition.settle(entry))),
                (answer, fate) => {
                    reason = Some(why(answer));
                    match fate {
                        Fate::Loose => loose = Some(entry),
                        Fate::With(_) | Fate::Owed => self.failed.push(entry),
                    }
                }
            }
        }
        self.partition.landed(landed);
        self.failed.retain(|entry| !entry.is_lost());
        let Some(reason) = reason else {
            return self.end();
        };
        // Something must be appended again, or nobody would learn that the log is back.
        if self.failed.is_empty() {
            self.failed.extend(loose);
        }
        self.begin(&reason);
    }

    fn begin(&mut self, reason: &str) {
        if self.stall.begin(Instant::now(), self.patience.sockets) {
            self.partition.stalled.store(true, Ordering::Relaxed);
            let at = &self.partition.at;
            warn!(target: "xp_edge::lane", %at, reason, "the log does not take appends; commands are answered busy");
        }
    }

    fn end(&mut self) {
        if let Some(lasted) = self.stall.end(Instant::now()) {
            self.partition.stalled.store(false, Ordering::Relaxed);
            let (at, lasted_ms) = (&self.partition.at, lasted.as_millis());
            info!(target: "xp_edge::lane", %at, lasted_ms, "the log takes appends again");
        }
    }

    fn give_up(&mut self) {
        let reason = "the log has not taken an append for too long";
        let at = &self.partition.at;
        error!(target: "xp_edge::lane", %at, reason, "closing the partition's sockets: see that the brokers answer and have room, or the disk of the embedded log");
        (self.close_sockets)(&self.partition, reason);
        self.failed.retain(|entry| !entry.is_lost());
    }
}

fn why(answer: Option<Result<Offset, AppendError>>) -> String {
    match answer {
        Some(Err(error)) => error.to_string(),
        _ => "the log gave no answer".to_owned(),
    }
}
