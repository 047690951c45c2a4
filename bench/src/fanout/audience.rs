//! The audience of one entity: one socket that says updates at fixed moments, and many that must get each of them once
//! and in order.

use std::time::{Duration, Instant};

use anyhow::Result;

use crate::client::{Client, head};
use crate::figures::{Spread, now};
use crate::frames::{append, number};
use crate::machine::Busy;
use crate::node::Door;
use crate::pace::Pace;
use crate::sockets::{Heard, Sockets};
use crate::verdict::Seen;
use crate::wire;

/// Bytes of a text, which ends with the update's number.
const BYTES: usize = 64;
/// Bytes behind the text in an event: `"}}]`.
const BEHIND: usize = 4;
/// How far the writer runs ahead of its answers.
pub(super) const WINDOW: u64 = 512;
/// How long nothing may come before the rest is lost.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long to look when nothing is due.
const A_WHILE: Duration = Duration::from_millis(100);

/// To whom updates are said.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Server {
    Platform,
    /// It passes on what it gets and answers nothing.
    Bare,
}

pub(super) struct Audience {
    server: Server,
    /// Subscribers, and the writer as the last of them.
    sockets: Sockets,
    /// The update that each subscriber should get next.
    next: Vec<u64>,
    /// Updates said so far.
    said: u64,
    answered: u64,
}

/// What came of one round.
pub(super) struct Round {
    /// From the moment at which an update was due to its arrival at each subscriber.
    pub(super) latencies: Spread,
    pub(super) seen: Seen,
    pub(super) frames_per_write: f64,
    pub(super) deliveries: u64,
}

impl Server {
    /// An update in the bytes that this server wants.
    pub(super) fn frame(self, update: u64) -> Vec<u8> {
        let put = format!(r#"{{"type":"Put","data":{{"text":"{update:0>BYTES$}"}}}}"#);
        match self {
            Self::Platform => wire::text(format!("send {} {put}", update + 1).as_bytes()).to_vec(),
            Self::Bare => {
                let mut out = Vec::new();
                append(&mut out, format!("event 100000 [{put}]").as_bytes());
                out
            }
        }
    }
}

impl Audience {
    pub(super) async fn join(door: &Door, subscribers: u32, server: Server) -> Result<Self> {
        let mut wires = Vec::new();
        for session in 0..=subscribers {
            let client = Client::join(door, "cell/hot", session).await?;
            wires.push(client.into_wire());
        }
        // A bare server takes the first that comes for the writer.
        wires.rotate_left(1);
        Ok(Self {
            server,
            sockets: Sockets::of(wires)?,
            next: vec![0; subscribers as usize],
            said: 0,
            answered: 0,
        })
    }

    pub(super) fn round(&mut self, rate: u32, lasting: Duration) -> Result<Round> {
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
            let (next, answered) = (&mut self.next, &mut self.answered);
            self.sockets
                .listen(due, |heard| match next.get_mut(heard.socket) {
                    Some(next) => coming.update(next, &heard),
                    None => {
                        *answered += u64::from(matches!(head(heard.payload)?, (b"reply", _)));
                        Ok(())
                    }
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
            deliveries,
        })
    }

    fn say(&mut self) -> Result<()> {
        let writer = self.next.len();
        self.sockets.send(writer, &self.server.frame(self.said))?;
        self.said += 1;
        if self.server == Server::Bare {
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
    fn update(&mut self, next: &mut u64, heard: &Heard<'_>) -> Result<()> {
        let Some(update) = number(heard.payload, BEHIND) else {
            anyhow::bail!("no update: {}", String::from_utf8_lossy(heard.payload));
        };
        self.out_of_order += u64::from(update != *next);
        *next = update + 1;
        self.missing = self.missing.saturating_sub(1);
        let due = self.pace.moment(update.saturating_sub(self.first));
        self.latencies
            .record(heard.at.saturating_duration_since(due));
        self.last = heard.at;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frames::scan;

    fn payload(server: Server, update: u64) -> Vec<u8> {
        let (frame, mut payload) = (server.frame(update), Vec::new());
        assert_eq!(scan(&frame, |_, all| payload = all.to_vec()), frame.len());
        payload
    }

    #[test]
    fn an_update_has_its_number_at_the_same_place_for_either_server() {
        let (ours, bare) = (payload(Server::Platform, 420), payload(Server::Bare, 420));
        assert!(ours.starts_with(b"send 421 "), "{ours:?}");
        assert_eq!(number(&ours, BEHIND - 1), Some(420));
        assert_eq!(number(&bare, BEHIND), Some(420));
        assert_eq!(
            payload(Server::Bare, 0).len(),
            payload(Server::Bare, 1 << 33).len()
        );
    }

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
            let heard = Heard {
                socket: 0,
                payload: &payload(Server::Bare, update),
                at: pace.began() + Duration::from_millis(10),
            };
            coming.update(&mut next, &heard).unwrap();
        }
        assert_eq!((coming.out_of_order, coming.missing), (2, 1));
        assert!((coming.latencies.ms(1.0) - 10.0).abs() < 0.1);
    }
}
