//! The acknowledgements of one append, gathered from librdkafka's delivery reports.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::oneshot;
use xp_protocol::Offset;

use crate::log::{Acknowledged, AppendError, TopicPartition};

type Answer = Result<Offset, AppendError>;

/// One append on its way.
pub(super) struct Pending {
    at: TopicPartition,
    state: Mutex<State>,
}

struct State {
    answers: Vec<Option<Answer>>,
    left: usize,
    done: Option<oneshot::Sender<Vec<Answer>>>,
}

/// One record of it; librdkafka carries this along and hands it back.
pub(super) struct Ticket {
    append: Arc<Pending>,
    index: usize,
}

impl Pending {
    /// An append of `count` records, and what its caller waits for.
    pub(super) fn of(at: &TopicPartition, count: usize) -> (Arc<Self>, Acknowledged) {
        let (sender, receiver) = oneshot::channel();
        let state = State {
            answers: (0..count).map(|_| None).collect(),
            left: count,
            done: Some(sender),
        };
        let pending = Arc::new(Self {
            at: at.clone(),
            state: Mutex::new(state),
        });
        if count == 0 {
            return (pending, Box::pin(std::future::ready(Vec::new())));
        }
        let lost = pending.unacknowledged("the client was closed");
        let acknowledged = async move {
            let answers = receiver.await;
            answers.unwrap_or_else(|_| (0..count).map(|_| Err(lost.clone())).collect())
        };
        (pending, Box::pin(acknowledged))
    }

    pub(super) fn ticket(self: &Arc<Self>, index: usize) -> Box<Ticket> {
        Box::new(Ticket {
            append: Arc::clone(self),
            index,
        })
    }

    fn unacknowledged(&self, reason: &str) -> AppendError {
        AppendError::Unacknowledged {
            at: self.at.clone(),
            reason: reason.to_owned(),
        }
    }

    fn settle(&self, index: usize, answer: Answer) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.answers[index].replace(answer).is_none() {
            state.left -= 1;
        }
        if state.left == 0
            && let Some(done) = state.done.take()
        {
            let answers = state.answers.drain(..).flatten().collect();
            // Whoever no longer waits does not want to know.
            let _ = done.send(answers);
        }
    }
}

impl Ticket {
    pub(super) fn acknowledged(self, offset: i64) {
        // A broker that has seen a repeated batch before says so without saying where it is. R10: an
        // acknowledgement without an offset proves nothing.
        let answer = u64::try_from(offset).map(Offset).map_err(|_| {
            self.append
                .unacknowledged("the broker acknowledged it without an offset")
        });
        self.append.settle(self.index, answer);
    }

    pub(super) fn failed(self, reason: &str) {
        self.append
            .settle(self.index, Err(self.append.unacknowledged(reason)));
    }
}

#[cfg(test)]
mod tests {
    use xp_protocol::PartitionId;

    use super::*;

    fn at() -> TopicPartition {
        TopicPartition {
            topic: "main.events".into(),
            partition: PartitionId(3),
        }
    }

    #[tokio::test]
    async fn the_answers_come_in_the_order_of_the_records_and_all_at_once() {
        let (pending, acknowledged) = Pending::of(&at(), 3);
        let waiting = tokio::spawn(acknowledged);
        pending.ticket(2).acknowledged(9);
        pending.ticket(0).acknowledged(7);
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        pending.ticket(1).failed("no broker");
        let answers = waiting.await.unwrap();
        assert_eq!(answers[0].as_ref().unwrap(), &Offset(7));
        let said = answers[1].as_ref().unwrap_err().to_string();
        assert_eq!(said, "no acknowledgement from main.events/3: no broker");
        assert_eq!(answers[2].as_ref().unwrap(), &Offset(9));
    }

    #[tokio::test]
    async fn an_acknowledgement_without_an_offset_is_none() {
        let (pending, acknowledged) = Pending::of(&at(), 1);
        pending.ticket(0).acknowledged(-1001);
        assert!(acknowledged.await[0].is_err());
    }

    #[tokio::test]
    async fn a_client_that_goes_away_fails_what_was_on_its_way() {
        let (pending, acknowledged) = Pending::of(&at(), 2);
        drop(pending);
        let answers = acknowledged.await;
        assert!(answers.len() == 2 && answers.iter().all(Result::is_err));
    }
}
