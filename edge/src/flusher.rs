//! The flusher: writes news to many sockets, so that no connection wakes up for it.
//!
//! A connection that has nothing to write leaves its sending half with its send queue. News for it is written from here:
//! at once where nothing was written within the present period, else at the end of it, all that came meanwhile in one
//! write. What a socket does not take is left to its connection, which waits for that socket alone.

use std::sync::Arc;

use tokio::time::{Duration, Instant};

use crate::send_queue::{ReadyList, SendQueue};

/// After so many writes other tasks of the thread have their turn.
const WRITES_PER_TURN: usize = 64;

/// Periods of one length, counted from a beginning.
#[derive(Clone, Copy)]
struct Periods {
    began: Instant,
    length: Duration,
}

impl Periods {
    fn at(self, now: Instant) -> u64 {
        let since = now.saturating_duration_since(self.began).as_micros();
        u64::try_from(since / self.length.as_micros()).unwrap_or(u64::MAX)
    }

    fn begin(self, period: u64) -> Instant {
        let length = u64::try_from(self.length.as_micros()).unwrap_or(u64::MAX);
        self.began + Duration::from_micros(period.saturating_mul(length))
    }
}

/// Flushes what is listed, to the end of the edge. `period` is the longest time for which news is collected.
pub(crate) async fn run(list: Arc<ReadyList>, period: Duration) {
    let periods = Periods {
        began: Instant::now(),
        length: period.max(Duration::from_millis(1)),
    };
    // Tokio tells a task that has done much I/O that its sockets are full, so that others have their turn. Here each such
    // answer would wake a connection; the flusher yields by itself instead.
    tokio::task::unconstrained(flush(&list, periods)).await;
}

async fn flush(list: &ReadyList, periods: Periods) {
    let mut listed = Vec::new();
    // Those that were written to in this period already.
    let mut later = Vec::new();
    let mut current = 0;
    loop {
        let period = periods.at(Instant::now());
        if period > current {
            current = period;
            write_all(&mut later, current).await;
        }
        list.take(&mut listed);
        let must_wait = |send_queue: &mut Arc<SendQueue>| send_queue.was_flushed_in(current);
        later.extend(listed.extract_if(.., must_wait));
        write_all(&mut listed, current).await;
        tokio::select! {
            () = list.called() => {}
            () = tokio::time::sleep_until(periods.begin(current + 1)), if !later.is_empty() => {}
        }
    }
}

async fn write_all(send_queues: &mut Vec<Arc<SendQueue>>, period: u64) {
    for (count, send_queue) in send_queues.drain(..).enumerate() {
        if count % WRITES_PER_TURN == WRITES_PER_TURN - 1 {
            tokio::task::yield_now().await;
        }
        send_queue.flush(period);
    }
}

#[cfg(test)]
mod tests;
