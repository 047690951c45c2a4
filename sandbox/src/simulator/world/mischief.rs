//! What goes wrong, done.

use super::{EDGES, World};
use crate::simulator::agenda::{Act, Due};
use crate::simulator::chaos::{self, Mischief};
use crate::simulator::disk::{Disk, Left};
use crate::simulator::edge::Edge;
use crate::simulator::history::What;
use crate::simulator::names::EdgeId;

impl World {
    pub(super) fn cause(&mut self, mischief: Mischief) {
        match mischief {
            Mischief::CrashNode(left) => self.crash_node(left),
            Mischief::ReplaceLivingNode => self.replace_living_node(),
            Mischief::ReleaseNode => {
                if let Some(node) = self.nodes.iter_mut().rfind(|node| node.alive) {
                    node.release(&mut self.stage);
                }
            }
            Mischief::FreezeNode => {
                let until = self.stage.now.plus_ms(50).plus_ms(self.stage.up_to(1_200));
                if let Some(node) = self.nodes.iter_mut().rfind(|node| node.alive) {
                    node.frozen_until = node.frozen_until.max(until);
                }
            }
            Mischief::CrashEdge => self.crash_edge(),
            Mischief::ReplaceLivingEdge => {
                let slot = self.stage.up_to(EDGES as u64 - 1) as usize;
                if !self.stage.is_open(slot) {
                    return;
                }
                let until = self.stage.now.plus_ms(100).plus_ms(self.stage.up_to(2_000));
                let EdgeId(id) = self.stage.edges[slot];
                self.edges[id].frozen_until = until;
                self.start_edge(slot);
            }
            Mischief::FreezeEdge => {
                let slot = self.stage.up_to(EDGES as u64 - 1) as usize;
                let until = self.stage.now.plus_ms(50).plus_ms(self.stage.up_to(1_500));
                let EdgeId(id) = self.stage.edges[slot];
                self.edges[id].frozen_until = until;
            }
            Mischief::Cut => {
                let count = 1 + self.stage.up_to(2);
                for _ in 0..count {
                    self.cut_one();
                }
            }
            Mischief::SlowTopic => {
                chaos::slow(&mut self.stage);
                let lasts = 300 + self.stage.up_to(900);
                self.stage.after(lasts, Due::Chaos(Act::Weather));
            }
        }
    }

    pub(super) fn cut_one(&mut self) {
        let sockets: Vec<_> = self.edges.iter().flat_map(Edge::sockets).collect();
        if sockets.is_empty() {
            return;
        }
        let at = self.stage.up_to(sockets.len() as u64 - 1) as usize;
        self.stage.cut(sockets[at]);
    }

    pub(super) fn crash_node(&mut self, left: Left) {
        let Some(node) = self.nodes.iter_mut().rfind(|node| node.alive) else {
            return;
        };
        node.alive = false;
        self.stage.log.abandon(node.producer);
        let disk = node.disk().after_crash(left);
        let pause = self.stage.up_to(400);
        self.stage.after(pause, Due::Chaos(Act::StartNode(disk)));
    }

    /// Whoever reads its eviction ends. When that was the work of a late Join of a process long gone, nobody
    /// took its place, and it rejoins as a new incarnation.
    pub(super) fn supervise_node(&mut self, id: usize) {
        let newest = id + 1 == self.nodes.len();
        let node = &mut self.nodes[id];
        if !node.is_evicted() {
            return;
        }
        node.alive = false;
        self.stage.log.abandon(node.producer);
        if newest {
            let disk = node.disk().after_crash(Left::All);
            self.stage.note(What::Fault("a node rejoins".to_owned()));
            self.stage.after(1, Due::Chaos(Act::StartNode(disk)));
        }
    }

    /// The same for an edge, whose process goes on until it has said goodbye for all its sockets (R28).
    pub(super) fn supervise_edge(&mut self, id: usize) {
        let slot = self.stage.edges.iter().position(|at| *at == EdgeId(id));
        if let Some(slot) = slot.filter(|_| self.edges[id].is_evicted()) {
            self.stage.note(What::Fault("an edge rejoins".to_owned()));
            self.start_edge(slot);
        }
    }

    /// The old process freezes, wakes up later, and does not know that it has been replaced.
    pub(super) fn replace_living_node(&mut self) {
        let Some(node) = self.nodes.iter_mut().rfind(|node| node.alive) else {
            return;
        };
        let until = self.stage.now.plus_ms(self.stage.up_to(2_500));
        node.frozen_until = node.frozen_until.max(until);
        let pause = self.stage.up_to(300);
        self.stage
            .after(pause, Due::Chaos(Act::StartNode(Disk::fresh())));
    }

    pub(super) fn crash_edge(&mut self) {
        let slot = self.stage.up_to(EDGES as u64 - 1) as usize;
        if !self.stage.is_open(slot) {
            return;
        }
        let EdgeId(id) = self.stage.edges[slot];
        self.edges[id].alive = false;
        self.stage.open[slot] = false;
        self.stage.log.abandon(self.edges[id].producer);
        let sockets: Vec<_> = self.edges[id].sockets().collect();
        for socket in sockets {
            self.stage.cut(socket);
        }
        let pause = self.stage.up_to(600);
        self.stage.after(pause, Due::Chaos(Act::StartEdge(slot)));
    }
}
