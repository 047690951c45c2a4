//! A partition's way into the log: what fails is appended again, identical and in order, and nothing later passes before
//! it; sockets wait for that with patience.
//!
//! No I/O and no clock; the simulator runs it as it is.

mod stall;

use xp_protocol::{Offset, TimeMs};

pub use stall::Patience;
use stall::{Due, Stall};

/// One append that waits for the log.
pub trait QueuedAppend {
    /// Whether it may be lost.
    fn is_loose(&self) -> bool;

    /// Whether an append of its socket was given up, so that nothing of it may reach the log any more (R30).
    fn is_lost(&self) -> bool;
}

/// One partition's way into the log. One group is under way at a time.
///
/// A failed append may be in the log all the same, so the owner may read something twice: a number that it has taken
/// gets its stored answer again (R30), a connect or disconnect of an attempt that is attached is ignored (R27) and one of
/// an attempt that is gone draws its goodbye once more (R28), a query is answered twice and the client knows its tag no
/// longer (R32). What must not happen is that `n + 1` arrives before `n`.
#[derive(Clone, Debug)]
pub struct Passage<A> {
    patience: Patience,
    /// What failed, in order. It goes before all that queued meanwhile.
    failed: Vec<A>,
    stall: Stall,
    /// When the last group was begun.
    asked: TimeMs,
}

/// What became of a group.
#[derive(Debug)]
pub struct Taken<A> {
    /// What the log has, and where.
    pub landed: Vec<(Offset, A)>,
    /// What has changed.
    pub news: Option<StallEvent>,
}

/// What there is to say about a partition's log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StallEvent {
    /// It does not take appends, for this reason: the partition sheds.
    Stalled(String),
    /// It takes appends again, after so many milliseconds.
    Over(u64),
    /// It has not for so long that the partition's sockets are closed; what is of them is lost.
    CloseSockets,
}

impl<A: QueuedAppend> Passage<A> {
    /// Nothing is under way.
    #[must_use]
    pub fn new(patience: Patience) -> Self {
        Self {
            patience,
            failed: Vec::new(),
            stall: Stall::default(),
            asked: TimeMs(0),
        }
    }

    /// The group that is appended at `now`: what failed, or else what is `fresh`.
    pub fn next(&mut self, now: TimeMs, fresh: impl FnOnce() -> Vec<A>) -> Vec<A> {
        self.asked = now;
        if self.failed.is_empty() {
            let mut fresh = fresh();
            fresh.retain(|append| !append.is_lost());
            return fresh;
        }
        std::mem::take(&mut self.failed)
    }

    /// A group's answers.
    pub fn take(
        &mut self,
        now: TimeMs,
        group: Vec<A>,
        answers: Vec<Result<Offset, String>>,
    ) -> Taken<A> {
        let (mut reason, mut loose) = (None, None);
        let mut landed = Vec::with_capacity(group.len());
        let mut answers = answers.into_iter();
        for append in group {
            match answers.next() {
                Some(Ok(offset)) => landed.push((offset, append)),
                answer => {
                    let why = answer.and_then(Result::err);
                    reason = Some(why.unwrap_or_else(|| "the log gave no answer".to_owned()));
                    match append.is_loose() {
                        true => loose = Some(append),
                        false => self.failed.push(append),
                    }
                }
            }
        }
        self.drop_lost();
        let news = match reason {
            None => self.stall.end(now).map(StallEvent::Over),
            Some(reason) => {
                // Something must be appended again, or nobody would learn that the log is back.
                if self.failed.is_empty() {
                    self.failed.extend(loose);
                }
                self.begin(now, reason)
            }
        };
        Taken { landed, news }
    }

    fn begin(&mut self, now: TimeMs, reason: String) -> Option<StallEvent> {
        let is_news = self.stall.begin(now, &self.patience);
        is_news.then_some(StallEvent::Stalled(reason))
    }

    /// When something is due, with a group under way or failed.
    #[must_use]
    pub fn due_at(&self) -> TimeMs {
        self.stall.due_at(self.asked, &self.patience)
    }

    /// What is due at `now`, with a group under way or failed. After [`StallEvent::CloseSockets`], and when what is lost was
    /// marked so: [`Passage::drop_lost`].
    pub fn on_time(&mut self, now: TimeMs) -> Option<StallEvent> {
        match self.stall.due(now, self.asked, &self.patience)? {
            Due::Stall => self.begin(now, "no acknowledgement".to_owned()),
            Due::CloseSockets => Some(StallEvent::CloseSockets),
        }
    }

    /// After how many milliseconds what failed is appended again, if anything failed.
    #[must_use]
    pub fn retries_in_ms(&self) -> Option<u64> {
        (!self.failed.is_empty()).then_some(self.patience.retry_ms)
    }

    /// What failed and waits.
    pub fn failed(&mut self) -> impl Iterator<Item = &mut A> {
        self.failed.iter_mut()
    }

    /// Forgets what failed and is lost.
    pub fn drop_lost(&mut self) {
        self.failed.retain(|append| !append.is_lost());
    }

    /// Whether the log does not answer right now.
    #[must_use]
    pub fn is_stalled(&self) -> bool {
        self.stall != Stall::None
    }
}

#[cfg(test)]
mod tests {
    use super::stall::tests::PATIENCE;
    use super::*;

    #[derive(Clone, Debug, PartialEq, Eq)]
    struct Numbered {
        n: u32,
        loose: bool,
        lost: bool,
    }

    impl QueuedAppend for Numbered {
        fn is_loose(&self) -> bool {
            self.loose
        }

        fn is_lost(&self) -> bool {
            self.lost
        }
    }

    fn appends(numbers: &[u32]) -> Vec<Numbered> {
        let numbered = |n: &u32| Numbered {
            n: *n,
            loose: *n >= 10,
            lost: false,
        };
        numbers.iter().map(numbered).collect()
    }

    fn passage() -> Passage<Numbered> {
        Passage::new(PATIENCE)
    }

    fn no() -> Result<Offset, String> {
        Err("no".to_owned())
    }

    #[test]
    fn what_failed_goes_before_what_came_meanwhile() {
        let mut passage = passage();
        let group = passage.next(TimeMs(0), || appends(&[1, 2, 3]));
        let taken = passage.take(TimeMs(5), group, vec![Ok(Offset(7)), no(), no()]);
        assert_eq!(taken.news, Some(StallEvent::Stalled("no".to_owned())));
        assert_eq!(taken.landed.len(), 1);
        assert_eq!(passage.retries_in_ms(), Some(10));
        let group = passage.next(TimeMs(15), || appends(&[4]));
        assert_eq!(group, appends(&[2, 3]));
        let taken = passage.take(TimeMs(20), group, vec![Ok(Offset(8)), Ok(Offset(9))]);
        assert_eq!(taken.news, Some(StallEvent::Over(15)));
        assert_eq!(passage.next(TimeMs(20), || appends(&[4])), appends(&[4]));
    }

    #[test]
    fn what_may_be_lost_is_made_again_only_to_learn_that_the_log_is_back() {
        let mut passage = passage();
        let group = passage.next(TimeMs(0), || appends(&[10, 1, 11]));
        passage.take(TimeMs(5), group, vec![no(), no(), no()]);
        let group = passage.next(TimeMs(15), Vec::new);
        assert_eq!(group, appends(&[1]));
        passage.take(TimeMs(20), group, vec![Ok(Offset(0))]);
        let group = passage.next(TimeMs(30), || appends(&[10, 11]));
        passage.take(TimeMs(35), group, vec![no(), no()]);
        assert_eq!(passage.next(TimeMs(45), Vec::new), appends(&[11]));
    }

    #[test]
    fn after_the_patience_what_is_of_sockets_is_lost_and_the_rest_is_not() {
        let mut passage = passage();
        let group = passage.next(TimeMs(0), || appends(&[1, 2]));
        assert_eq!(passage.due_at(), TimeMs(1_000));
        assert!(matches!(
            passage.on_time(TimeMs(1_000)),
            Some(StallEvent::Stalled(_))
        ));
        passage.take(TimeMs(2_000), group, vec![no(), no()]);
        assert_eq!(passage.on_time(TimeMs(30_999)), None);
        assert_eq!(
            passage.on_time(TimeMs(31_000)),
            Some(StallEvent::CloseSockets)
        );
        passage
            .failed()
            .for_each(|append| append.lost = append.n == 1);
        passage.drop_lost();
        assert_eq!(passage.next(TimeMs(31_010), Vec::new), appends(&[2]));
    }
}
