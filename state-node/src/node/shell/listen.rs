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

/// The next thing that a shell takes.
pub(super) enum Input {
    Answer(Done),
    Events(Result<Vec<Stored>, ReadError>),
    Members,
    Stop(bool),
    Inbound(Result<Vec<Stored>, ReadError>),
}

impl Input {
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

/// What changes for all partitions of the node: who is a member, and that it stops.
pub(super) struct NodeChanges {
    view: watch::Receiver<View>,
    stop: watch::Receiver<bool>,
}

impl NodeChanges {
    pub(super) fn of(shared: &Shared) -> Self {
        let (view, mut stop) = (shared.membership.changes(), shared.stop.clone());
        // A stop that came before this loop is seen as a change too.
        stop.mark_changed();
        Self { view, stop }
    }

    async fn members(view: &mut watch::Receiver<View>) -> Input {
        match view.changed().await {
            Ok(()) => view.mark_unchanged(),
            Err(_) => std::future::pending().await,
        }
        Input::Members
    }

    async fn stop(stop: &mut watch::Receiver<bool>) -> Input {
        match stop.changed().await {
            Ok(()) => Input::Stop(*stop.borrow_and_update()),
            Err(_) => std::future::pending().await,
        }
    }
}

impl Shell<'_> {
    /// The first thing that any source has; none within the time. What is not taken is not lost.
    pub(super) async fn listen(
        &mut self,
        wait_ms: u64,
        changes: &mut NodeChanges,
    ) -> Option<Input> {
        let (order, reads) = (self.schedule.order(), self.reads_inbound());
        let (in_flight, NodeChanges { view, stop }) = (&mut self.in_flight, changes);
        let mut events = pin!(self.readers.events.next().map(Input::Events));
        let mut inbound = pin!(self.readers.inbound.next().map(Input::Inbound));
        let mut members = pin!(NodeChanges::members(view));
        let mut stop = pin!(NodeChanges::stop(stop));
        let input = poll_fn(|cx| {
            for source in order {
                let input = match source {
                    Source::Answers => in_flight
                        .poll_answer(cx)
                        .map(|done| done.map(Input::Answer)),
                    Source::Events => events.as_mut().poll(cx).map(Some),
                    Source::Members => members.as_mut().poll(cx).map(Some),
                    Source::Stop => stop.as_mut().poll(cx).map(Some),
                    Source::Inbound if reads => inbound.as_mut().poll(cx).map(Some),
                    Source::Inbound => Poll::Pending,
                };
                if let Poll::Ready(Some(input)) = input {
                    return Poll::Ready(input);
                }
            }
            Poll::Pending
        });
        let wait = Duration::from_millis(wait_ms);
        tokio::time::timeout(wait, input).await.ok()
    }
}
