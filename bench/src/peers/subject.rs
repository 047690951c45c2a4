//! The subjects of a run: the platform and its peers, each with the same sockets and the same questions.

use std::path::Path;

use anyhow::{Context, Result};

use super::list::Peer;
use super::speech::{Greeting, Speech};
use super::start::Running;
use crate::audience::Audience;
use crate::client::put;
use crate::dialect::{Role, Updates};
use crate::fanout;
use crate::load::Load;
use crate::node::{Home, Node};

/// Bytes of the text in a command, which itself has the 128 of a peer's message.
pub(super) const TEXT_BYTES: usize = 94;

pub(super) enum Subject<'a> {
    Platform {
        node: Node,
        _home: Home,
    },
    Peer {
        peer: &'a Peer,
        running: Running,
        _home: Home,
    },
}

impl<'a> Subject<'a> {
    pub(super) fn platform() -> Result<Self> {
        let home = Home::new("")?;
        let node = fanout::start(&home)?;
        Ok(Self::Platform { node, _home: home })
    }

    pub(super) async fn peer(peer: &'a Peer, installed: &Path) -> Result<Self> {
        let home = Home::new("")?;
        let plan = peer.plan(installed, home.path())?;
        let running = Running::start(plan, home.path()).await?;
        Ok(Self::Peer {
            peer,
            running,
            _home: home,
        })
    }

    pub(super) async fn audience(&self, subscribers: u32) -> Result<Audience> {
        let (peer, running) = match self {
            Self::Platform { node, .. } => {
                return Audience::join(&node.door, subscribers, Updates(TEXT_BYTES)).await;
            }
            Self::Peer { peer, running, .. } => (peer, running),
        };
        let speech = (peer.speech)();
        let mut wires = Vec::new();
        let subscriber = speech.greeting(Role::Subscriber);
        for number in 0..subscribers {
            let wire = running.dial(&subscriber).await;
            wires.push(wire.with_context(|| format!("subscriber {number}"))?);
        }
        wires.push(running.dial(&speech.greeting(Role::Publisher)).await?);
        Audience::of(wires, speech)
    }

    /// Each calls at an address of its own.
    pub(super) async fn callers(&self, callers: u32) -> Result<Load> {
        let (peer, running) = match self {
            Self::Platform { node, .. } => {
                let cells = (0..callers).map(|cell| format!("cell/{callers}-{cell}"));
                return Load::join(&node.door, cells, callers * 1_000, put(TEXT_BYTES)).await;
            }
            Self::Peer { peer, running, .. } => (peer, running),
        };
        let speech: Box<dyn Speech> = (peer.speech)();
        let greetings: Vec<Greeting> = (0..callers as usize)
            .map(|caller| speech.greeting(Role::Caller(caller)))
            .collect();
        let mut wires = Vec::new();
        for greeting in &greetings {
            wires.push(running.dial(greeting).await?);
        }
        Load::of(wires, speech)
    }

    pub(super) fn cpu(&self) -> Result<f64> {
        match self {
            Self::Platform { node, .. } => node.cpu(),
            Self::Peer { running, .. } => running.cpu(),
        }
    }

    pub(super) fn fans_out(&self) -> bool {
        match self {
            Self::Platform { .. } => true,
            Self::Peer { peer, .. } => peer.fans_out,
        }
    }

    /// What an answer promises of a message; nothing, where it may be lost.
    pub(super) fn stores(&self) -> Option<&'static str> {
        match self {
            Self::Platform { .. } => Some(FSYNC_GROUP),
            Self::Peer { peer, .. } => peer.stores,
        }
    }

    /// The same of an update that subscribers see.
    pub(super) fn stores_updates(&self) -> Option<&'static str> {
        match self {
            Self::Platform { .. } => Some(FSYNC_GROUP),
            Self::Peer { .. } => None,
        }
    }
}

const FSYNC_GROUP: &str = "fsync group";
