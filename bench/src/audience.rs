//! The audience of one entity: one socket that says updates at fixed moments, and many that must get each of them once
//! and in order.

use std::time::{Duration, Instant};

use anyhow::Result;

use crate::client::Client;
use crate::dialect::{Dialect, Role};
use crate::figures::{Spread, now};
use crate::machine::Busy;
use crate::node::Door;
use crate::pace::Pace;
use crate::sockets::Sockets;
use crate::verdict::Seen;
use crate::wire::Wire;

/// How far the publisher runs ahead of its answers.
pub(crate) const WINDOW: u64 = 512;
/// How long nothing may come before the rest is lost.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long to look when nothing is due.
const A_WHILE: Duration = Duration::from_millis(100);

pub(crate) struct Audience {
    dialect: Box<dyn Dialect>,
    /// Subscribers, and the publisher as the last of them.
    sockets: Sockets,
    /// The update that each subscriber should get next.
    next: Vec<u64>,
    /// Updates said so far.
    said: u64,
    answered: u64,
}

/// What came of one round.
pub(crate) struct Round {
    /// From the moment at which an update was due to its arrival at each subscriber.
    pub(crate) latencies: Spread,
    pub(crate) seen: Seen,
    pub(crate) frames_per_write: f64,
    /// That came.
    pub(crate) deliveries: u64,
}

impl Audience {
    /// Of the platform or a bare server.
    pub(crate) async fn join(
        door: &Door,
        subscribers: u32,
        dialect: impl Dialect + 'static,
    ) -> Result<Self> {
        let mut wires = Vec::new();
        for session in 0..=subscribers {
            let client = Client::join(door, "cell/hot", session).await?;
            wires.push(client.into_wire());
        }
        // A bare server takes the first that comes for the publisher.
        wires.rotate_left(1);
        Self::of(wires, Box::new(dialect))
    }

    /// The last of the sockets publishes, all others have subscribed.
    pub(crate) fn of(wires: Vec<Wire>, dialect: Box<dyn Dialect>) -> Result<Self> {
        Ok(Self {
            next: vec![0; wires.len() - 1],
            sockets: Sockets::of(wires, dialect.framing())?,
            dialect,
            said: 0,
            answered: 0,
        })
    }

    pub(crate) fn round(&mut self, rate: u32, lasting: Duration) -> Result<Round> {
        let (pace, busy) = (Pace::soon(rate, lasting), Busy::from_now()?);
        let (first, upto) = (self.said, self.said + pace.count());
        let deliveries = pace.count() * self.next.len() as u64;
        let mut coming = Coming {
            pace,
            first,
            missing: deliveries,
            latencies: Spread::new(),
            out_of_order: 0,
            last: pace.began(),
        };
        let mut last_sent = pace.began();
        self.sockets.frames_per_read();
        while (coming.missing > 0 || self.answered < upto) && self.sockets.open() > 0 {
            let mut due = now() + A_WHILE;
            while self.said < upto && self.said < self.answered + WINDOW {
                due = pace.moment(self.said - first);
                if due > now() {
                    break;
                }
                self.say()?;
                last_sent = now();
            }
            let Self {
                dialect,
                sockets,
                next,
                answered,
                ..
            } = self;
            sockets.listen(due, |heard| match next.get_mut(heard.socket) {
                Some(next) => dialect.hear(Role::Subscriber, heard.payload, &mut |update| {
                    coming.update(next, update, heard.at);
                }),
                None => dialect.hear(Role::Publisher, heard.payload, &mut |_| *answered += 1),
            })?;
            if now().saturating_duration_since(coming.last.max(last_sent)) > PATIENCE {
                break;
            }
        }
        let seen = Seen {
            busy: busy.share()?,
            achieved: pace.achieved(last_sent),
            lost: coming.missing,
            out_of_order: coming.out_of_order,
            failed: upto - self.answered + self.sockets.closed(),
        };
        Ok(Round {
            latencies: coming.latencies,
            seen,
            frames_per_write: self.sockets.frames_per_read(),
            deliveries: deliveries - coming.missing,
        })
    }

    fn say(&mut self) -> Result<()> {
        let publisher = self.next.len();
        let frame = self.dialect.say(Role::Publisher, self.said);
        self.sockets.send(publisher, &frame)?;
        self.said += 1;
        if !self.dialect.answers_publishers() {
            self.answered = self.said;
        }
        Ok(())
    }
}

/// A round's updates as they come.
struct Coming {
    pace: Pace,
    /// The round's first update.
    first: u64,
    missing: u64,
    latencies: Spread,
    out_of_order: u64,
    last: Instant,
}

impl Coming {
    /// `next` is what this subscriber should get.
    fn update(&mut self, next: &mut u64, update: u64, at: Instant) {
        self.out_of_order += u64::from(update != *next);
        *next = update + 1;
        self.missing = self.missing.saturating_sub(1);
        let due = self.pace.moment(update.saturating_sub(self.first));
        self.latencies.record(at.saturating_duration_since(due));
        self.last = at;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_and_a_repetition_are_out_of_order_once_each() {
        let pace = Pace::soon(1_000, Duration::from_secs(1));
        let mut coming = Coming {
            pace,
            first: 0,
            missing: 6,
            latencies: Spread::new(),
            out_of_order: 0,
            last: pace.began(),
        };
        let mut next = 0;
        for update in [0, 1, 3, 4, 4] {
            coming.update(&mut next, update, pace.began() + Duration::from_millis(10));
        }
        assert_eq!((coming.out_of_order, coming.missing), (2, 1));
        assert!((coming.latencies.ms(1.0) - 10.0).abs() < 0.1);
    }
}
