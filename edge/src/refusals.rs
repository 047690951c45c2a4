//! Clients that are turned away, as the log tells of them: some of each second, for anybody may dial as often as it likes.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tracing::{info, warn};
use xp_protocol::plain::brief;
use xp_protocol::sample::Sample;
use xp_protocol::{CloseCode, Incarnation, TimeMs};

use crate::backlog::Closing;

/// How often it is said how many were not told of.
pub(crate) const REST_TOLD_EVERY: Duration = Duration::from_secs(10);

/// What was told, by code: a flood of one kind hides no other.
pub(crate) struct Refusals {
    samples: HashMap<CloseCode, Sample>,
    proxies: Sample,
    edge: u16,
    count: AtomicU64,
}

/// One client that was turned away.
pub(crate) struct Refused<'a> {
    pub(crate) closing: &'a Closing,
    pub(crate) peer: SocketAddr,
    pub(crate) path: &'a str,
}

impl Refusals {
    pub(crate) fn of(edge: Incarnation) -> Self {
        let codes = CloseCode::ALL.iter();
        let [first, second, ..] = *edge.0.as_bytes();
        Self {
            samples: codes.map(|code| (*code, Sample::new())).collect(),
            proxies: Sample::new(),
            edge: u16::from_be_bytes([first, second]),
            count: AtomicU64::new(0),
        }
    }

    /// Tells of it, or counts it, and gives the reference by which client and log name it.
    pub(crate) fn tell(&self, refused: &Refused<'_>, now: TimeMs) -> String {
        let Closing { code, detail } = refused.closing;
        let count = self.count.fetch_add(1, Ordering::Relaxed);
        let reference = format!("#{:04x}-{count}", self.edge);
        let told = self.samples.get(code).and_then(|told| told.take(now.0));
        if let Some(untold) = told {
            info!(
                target: "xp_edge::handshake",
                code = code.name(),
                peer = %refused.peer,
                path = %brief(refused.path),
                detail = %brief(detail),
                reference,
                untold,
                "turned a client away",
            );
        }
        reference
    }

    /// Tells of a trusted proxy that does not say for whom it speaks, so that none of its clients comes in. One that says
    /// nothing at all asks whether somebody listens.
    pub(crate) fn tell_of_proxy(&self, peer: SocketAddr, error: &io::Error, now: TimeMs) {
        if error.kind() != io::ErrorKind::InvalidData {
            return;
        }
        if let Some(untold) = self.proxies.take(now.0) {
            warn!(
                target: "xp_edge::proxy",
                %peer,
                %error,
                untold,
                "a trusted proxy does not speak as edge.proxies.told-by says: none of its clients can come in",
            );
        }
    }

    /// Says how many were not told of, where nobody was turned away since who could have brought it.
    pub(crate) fn tell_rest(&self) {
        for (code, sample) in &self.samples {
            let untold = sample.untold();
            if untold > 0 {
                let code = code.name();
                info!(target: "xp_edge::handshake", code, untold, "turned more clients away than are told of");
            }
        }
    }
}
