//! What goes wrong, done.

use std::ops::RangeInclusive;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::{EDGES, World};
use crate::simulator::agenda::{Act, Due};
use crate::simulator::chaos;
use crate::simulator::deeds::{Deed, Mischief};
use crate::simulator::disk::{Disk, Left};
use crate::simulator::edge::Edge;
use crate::simulator::history::What;
use crate::simulator::names::EdgeId;

impl World {
    pub(super) fn cause(&mut self, deed: Deed) {
        let mut dice = ChaCha8Rng::seed_from_u64(deed.dice);
        let now = self.stage.now;
        let mut within = |ms: RangeInclusive<u64>| now.plus_ms(dice.random_range(ms));
        match deed.mischief {
            Mischief::CrashNode(left) => self.crash_node(left, &mut dice),
            Mischief::ReplaceLivingNode => self.replace_living_node(&mut dice),
            Mischief::ReleaseNode => {
                if let Some(node) = self.nodes.iter_mut().rfind(|node| node.alive) {
                    node.release(&mut self.stage);
                }
            }
            Mischief::FreezeNode => {
                let until = within(50..=1_250);
                if let Some(node) = self.nodes.iter_mut().rfind(|node| node.alive) {
                    node.frozen_until = node.frozen_until.max(until);
                }
            }
            Mischief::CutOffNode => {
                let until = within(50..=2_500);
                if let Some(node) = self.nodes.iter().rfind(|node| node.alive) {
                    self.stage.cut_off(node.producer, until);
                }
            }
            Mischief::CrashEdge => self.crash_edge(&mut dice),
            Mischief::ReplaceLivingEdge => {
                let until = within(100..=2_100);
                let slot = dice.random_range(0..EDGES);
                if !self.stage.is_open(slot) {
                    return;
                }
                let EdgeId(id) = self.stage.edges[slot];
                self.edges[id].frozen_until = until;
                self.start_edge(slot);
            }
            Mischief::FreezeEdge => {
                let until = within(50..=1_550);
                let EdgeId(id) = self.stage.edges[dice.random_range(0..EDGES)];
                self.edges[id].frozen_until = until;
            }
            Mischief::CutOffEdge => {
                let until = within(50..=2_500);
                let EdgeId(id) = self.stage.edges[dice.random_range(0..EDGES)];
                self.stage.cut_off(self.edges[id].producer, until);
            }
            Mischief::Cut => {
                for _ in 0..dice.random_range(1..=3) {
                    self.cut_one(&mut dice);
                }
            }
            Mischief::SlowTopic => {
                chaos::slow(&mut self.stage, &mut dice);
                let lasts = dice.random_range(300..=1_200);
                self.stage.after(lasts, Due::Chaos(Act::Weather));
            }
            Mischief::ChangeLeader => chaos::change_leader(&mut self.stage, &mut dice),
        }
    }

    fn cut_one(&mut self, dice: &mut ChaCha8Rng) {
        let sockets: Vec<_> = self.edges.iter().flat_map(Edge::sockets).collect();
        if sockets.is_empty() {
            return;
        }
        self.stage.cut(sockets[dice.random_range(0..sockets.len())]);
    }

    fn crash_node(&mut self, left: Left, dice: &mut ChaCha8Rng) {
        let Some(node) = self.nodes.iter_mut().rfind(|node| node.alive) else {
            return;
        };
        node.alive = false;
        self.stage.log.abandon(node.producer);
        let disk = node.disk().after_crash(left);
        let pause = dice.random_range(0..=400);
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
    fn replace_living_node(&mut self, dice: &mut ChaCha8Rng) {
        let Some(node) = self.nodes.iter_mut().rfind(|node| node.alive) else {
            return;
        };
        let until = self.stage.now.plus_ms(dice.random_range(0..=2_500));
        node.frozen_until = node.frozen_until.max(until);
        let pause = dice.random_range(0..=300);
        self.stage
            .after(pause, Due::Chaos(Act::StartNode(Disk::fresh())));
    }

    fn crash_edge(&mut self, dice: &mut ChaCha8Rng) {
        let slot = dice.random_range(0..EDGES);
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
        let pause = dice.random_range(0..=600);
        self.stage.after(pause, Due::Chaos(Act::StartEdge(slot)));
    }
}
