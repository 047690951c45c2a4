//! The loop that brings one partition's queue into the log, and what it does when the log is away.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until};
use tracing::{error, info, warn};
use xp_protocol::{Offset, TimeMs};
use xp_transport::{AppendError, Log};

use super::{Entry, Partition};
use crate::passage::{Passage, Patience, StallEvent};

type Answers = Vec<Result<Offset, AppendError>>;

/// One partition's way into the log.
pub(crate) struct Appender<C> {
    partition: Arc<Partition>,
    log: Arc<dyn Log>,
    /// Closes every socket of the partition, for this reason, and marks them as lost.
    close_sockets: C,
    passage: Passage<Entry>,
    /// Times are counted from here.
    began: Instant,
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
            close_sockets,
            passage: Passage::new(patience),
            began: Instant::now(),
        }
    }

    fn now(&self) -> TimeMs {
        let ms = self.began.elapsed().as_millis();
        TimeMs(u64::try_from(ms).unwrap_or(u64::MAX))
    }

    /// Appends until the end of the edge.
    pub(crate) async fn run(mut self) {
        loop {
            let now = self.now();
            let group = self.passage.next(now, || self.partition.group());
            if group.is_empty() {
                self.partition.filled.notified().await;
                continue;
            }
            let answers = self.append(&group).await;
            self.take(group, answers);
            if let Some(retry_ms) = self.passage.retries_in_ms() {
                sleep(Duration::from_millis(retry_ms)).await;
                self.on_time();
            }
        }
    }

    /// Waits for the answers, however long they take: what is in flight may land at any time.
    async fn append(&mut self, group: &[Entry]) -> Answers {
        let records = group.iter().map(|entry| entry.record.clone()).collect();
        let mut answers = self.log.append(&self.partition.at, records);
        loop {
            let due_at = self.began + Duration::from_millis(self.passage.due_at().0);
            tokio::select! {
                biased;
                answers = &mut answers => return answers,
                () = sleep_until(due_at) => self.on_time(),
            }
        }
    }

    fn on_time(&mut self) {
        let news = self.passage.on_time(self.now());
        self.tell(news);
    }

    fn take(&mut self, group: Vec<Entry>, answers: Answers) {
        let text = |error: AppendError| error.to_string();
        let answers = answers.into_iter().map(|answer| answer.map_err(text));
        let taken = self.passage.take(self.now(), group, answers.collect());
        let landed = taken.landed.into_iter();
        let settled = landed.map(|(offset, entry)| (offset, self.partition.settle(entry)));
        self.partition.landed(settled.collect());
        self.tell(taken.news);
    }

    fn tell(&mut self, news: Option<StallEvent>) {
        let at = &self.partition.at;
        let stalled = &self.partition.stalled;
        match news {
            None => {}
            Some(StallEvent::Stalled(reason)) => {
                stalled.store(true, Ordering::Relaxed);
                warn!(target: "xp_edge::lane", %at, reason, "the log does not take appends; commands are answered busy");
            }
            Some(StallEvent::Over(lasted_ms)) => {
                stalled.store(false, Ordering::Relaxed);
                info!(target: "xp_edge::lane", %at, lasted_ms, "the log takes appends again");
            }
            Some(StallEvent::CloseSockets) => {
                let reason = "the log has not taken an append for too long";
                error!(target: "xp_edge::lane", %at, reason, "closing the partition's sockets: see that the brokers answer and have room, or the disk of the embedded log");
                (self.close_sockets)(&self.partition, reason);
                self.passage.drop_lost();
            }
        }
    }
}
