//! The inputs of a shell: the next thing from any of its sources, in the order of its schedule.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::sync::watch;
use xp_transport::{ReadError, Stored};

use super::Shell;
use super::in_flight::Done;
use crate::node::Shared;
use crate::node::cluster::View;
use crate::schedule::Source;

/// Something that a shell heard.
pub(super) enum Heard {
    Answer(Done),
    Events(Result<Vec<Stored>, ReadError>),
    Members,
    Stop(bool),
    Inbound(Result<Vec<Stored>, ReadError>),
}

impl Heard {
    pub(super) fn source(&self) -> Source {
        match self {
            Self::Answer(_) => Source::Answers,
            Self::Events(_) => Source::Events,
            Self::Members => Source::Members,
            Self::Stop(_) => Source::Stop,
            Self::Inbound(_) => Source::Inbound,
        }
    }
}

/// What the node says to all its partitions.
pub(super) struct Signals {
    view: watch::Receiver<View>,
    stop: watch::Receiver<bool>,
}

impl Signals {
    pub(super) fn of(shared: &Shared) -> Self {
        let (view, mut stop) = (shared.membership.changes(), shared.stop.clone());
        // A stop that came before this loop is seen as a change too.
        stop.mark_changed();
        Self { view, stop }
    }

    async fn members(view: &mut watch::Receiver<View>) -> Heard {
        match view.changed().await {
            Ok(()) => view.mark_unchanged(),
            Err(_) => std::future::pending().await,
        }
        Heard::Members
    }

    async fn stop(stop: &mut watch::Receiver<bool>) -> Heard {
        match stop.changed().await {
            Ok(()) => Heard::Stop(*stop.borrow_and_update()),
            Err(_) => std::future::pending().await,
        }
    }
}

impl Shell<'_> {
    /// The first thing that any source has; none within the time. What is not heard is not lost.
    pub(super) async fn listen(&mut self, wait_ms: u64, signals: &mut Signals) -> Option<Heard> {
        let (order, reads) = (self.schedule.order(), self.reads_inbound());
        let (in_flight, Signals { view, stop }) = (&mut self.in_flight, signals);
        let mut events = pin!(self.readers.events.next().map(Heard::Events));
        let mut inbound = pin!(self.readers.inbound.next().map(Heard::Inbound));
        let mut members = pin!(Signals::members(view));
        let mut stop = pin!(Signals::stop(stop));
        let heard = poll_fn(|cx| {
            for source in order {
                let heard = match source {
                    Source::Answers => in_flight
                        .poll_answer(cx)
                        .map(|done| done.map(Heard::Answer)),
                    Source::Events => events.as_mut().poll(cx).map(Some),
                    Source::Members => members.as_mut().poll(cx).map(Some),
                    Source::Stop => stop.as_mut().poll(cx).map(Some),
                    Source::Inbound if reads => inbound.as_mut().poll(cx).map(Some),
                    Source::Inbound => Poll::Pending,
                };
                if let Poll::Ready(Some(heard)) = heard {
                    return Poll::Ready(heard);
                }
            }
            Poll::Pending
        });
        let wait = Duration::from_millis(wait_ms);
        tokio::time::timeout(wait, heard).await.ok()
    }
}
