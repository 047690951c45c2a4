//! One `outbound` record: for every session of its entity on this edge, whether it may have it, and what each delivery in
//! it leads to.
//!
//! First the record's link moves each session along the chain (R19, R20). Then its deliveries are taken in order. At the
//! end the sessions whose resume was answered in it have what it repeated.

use bytes::Bytes;
use xp_protocol::frame::RequestId;
use xp_protocol::outbound::{Delivery, Item, Link, Outbound, Recipients, Socket, Transfer};
use xp_protocol::rules::{Rule, Rules};
use xp_protocol::{CloseCode, Incarnation, MessageNumber, Revision, TimeMs};

use super::delivery;
use super::pieces::Piece;
use super::{Effect, EncodedFrame, FrameKind, Member, Phase, Watch};

/// An answer to a resume that is being delivered: the deliveries behind it in the record are what it repeats.
struct Resuming {
    socket: Socket,
    /// What the session had before, and is not shown again; `None` when the answer is not for it.
    floor: Option<Revision>,
    /// The last revision that this record repeats.
    upto: Revision,
    /// Where the last portion of the answer ends.
    until: Revision,
    /// The highest revision that the session was not shown while it waited.
    dropped: Revision,
}

/// A record under way.
struct Pass<'w, H> {
    watch: &'w mut Watch<H>,
    now: TimeMs,
    effects: Vec<Effect<H>>,
    resuming: Vec<Resuming>,
}

impl<H: Clone> Watch<H> {
    /// What one outbound record of this entity leads to, in order. `parts` is the record as
    /// `Outbound::split` takes it apart.
    pub fn on_record(
        &mut self,
        now: TimeMs,
        link: Option<Link>,
        parts: &[(&Delivery, Bytes)],
    ) -> Vec<Effect<H>> {
        let mut pass = Pass {
            watch: self,
            now,
            effects: Vec::new(),
            resuming: Vec::new(),
        };
        pass.open(link);
        for (delivery, payload) in parts {
            pass.deliver(delivery, payload, link.is_some());
        }
        pass.finish()
    }
}

impl<H: Clone> Pass<'_, H> {
    /// Decides for every session whether this record is for it, before any of it is delivered: what is shown to one must
    /// not depend on the order of deliveries.
    fn open(&mut self, link: Option<Link>) {
        let (rules, now) = (self.watch.rules, self.now);
        for member in self.watch.members.values_mut() {
            let effect = match link {
                Some(link) => member.advance(link, rules, now),
                // Outside the chain nothing moves; who waits for what it missed must not hear of later things first.
                None => {
                    member.takes = member.hears_the_rest(rules);
                    None
                }
            };
            self.effects.extend(effect);
        }
    }

    fn deliver(&mut self, delivery: &Delivery, payload: &Bytes, chained: bool) {
        match (&delivery.item, &delivery.to) {
            (
                Item::Welcome {
                    edge,
                    revision,
                    n,
                    text,
                },
                Recipients::Only(to),
            ) => {
                let shown = || delivery::welcome(*revision, *n, Some((*text, payload)));
                self.welcome(to, *edge, *revision, *n, shown);
            }
            (
                Item::Resumed {
                    edge,
                    since,
                    upto,
                    n,
                    announce,
                },
                Recipients::Only(to),
            ) => {
                for socket in to {
                    self.resumed(*socket, *edge, (*since, *upto, *upto), *n, *announce);
                }
            }
            (
                Item::Resuming {
                    edge,
                    since,
                    upto,
                    until,
                    n,
                    announce,
                },
                Recipients::Only(to),
            ) => {
                for socket in to {
                    self.resumed(*socket, *edge, (*since, *upto, *until), *n, *announce);
                }
            }
            (Item::Piece { transfer, index }, Recipients::Only(to)) => {
                self.piece(*transfer, *index, to, payload);
            }
            (
                Item::LastPiece {
                    transfer,
                    index,
                    deliveries,
                },
                Recipients::Only(to),
            ) => {
                if self.piece(*transfer, *index, to, payload) {
                    self.whole(*transfer, deliveries);
                } else {
                    self.left(deliveries);
                }
            }
            // Before `show`: a close is no frame of the entity, and is not left out with one.
            (Item::Close { code }, to) => self.close(to, *code, chained),
            (Item::StillThere { edge }, Recipients::Only(to)) => {
                for socket in to {
                    // Only who is gone is answered for.
                    let _known = self.named(*socket, *edge);
                }
            }
            (item, to) => self.show(item, to, payload, chained),
        }
    }

    /// R41: whether it is the next piece of what one of these sockets waits for.
    fn piece(&mut self, transfer: Transfer, index: u32, to: &[Socket], payload: &[u8]) -> bool {
        let here = |socket: &&Socket| self.watch.find(**socket).is_some();
        let to: Vec<_> = to.iter().filter(here).copied().collect();
        let piece = Piece {
            transfer,
            index,
            payload,
        };
        let bytes_max = self.watch.whole_bytes_max;
        let taken = match self.watch.rules.holds(Rule::Pieces) {
            true => self.watch.pieces.add(piece, &to, bytes_max),
            false => self.watch.pieces.add_blindly(piece, &to),
        };
        // A piece that was not the next one is no sign that the rest will come.
        for socket in to.iter().filter(|_| taken) {
            self.coming(*socket);
        }
        taken
    }

    /// More is on its way, so nobody need ask again or give up yet.
    fn coming(&mut self, socket: Socket) {
        let now = self.now;
        let Some(member) = self.watch.find(socket) else {
            return;
        };
        if let Phase::Repairing { asked, .. } = &mut member.phase {
            *asked = now;
        }
        if !matches!(member.phase, Phase::Live { .. }) {
            let to = member.handle.clone();
            self.effects.push(Effect::Coming { to });
        }
    }

    /// The record is whole: it is taken as if it had come as one.
    fn whole(&mut self, transfer: Transfer, deliveries: &[Delivery]) {
        let Some(value) = self.watch.pieces.take(transfer) else {
            return;
        };
        let record = Outbound {
            link: None,
            deliveries: deliveries.to_vec(),
        };
        for (delivery, payload) in record.split(&value).unwrap_or_default() {
            self.deliver(delivery, &payload, false);
        }
    }

    /// Nobody here waits for this record: a socket that it welcomes, and that is gone, gets its disconnect (R28).
    fn left(&mut self, deliveries: &[Delivery]) {
        for delivery in deliveries {
            let (Item::Welcome { edge, .. } | Item::Resumed { edge, .. }, Recipients::Only(to)) =
                (&delivery.item, &delivery.to)
            else {
                continue;
            };
            for socket in to {
                let _known = self.named(*socket, *edge);
            }
        }
    }

    /// R31: what the welcome shows is what the sessions have from now on. It is encoded once for all of them.
    fn welcome(
        &mut self,
        sockets: &[Socket],
        edge: Incarnation,
        revision: Revision,
        n: MessageNumber,
        shown: impl FnOnce() -> EncodedFrame,
    ) {
        let mut welcomed = Vec::new();
        let mut to = Vec::new();
        for socket in sockets {
            let Some(member) = self.named(*socket, edge) else {
                continue;
            };
            let denied = match member.phase {
                Phase::Pending { dropped } => dropped,
                // It asked for commits that are gone, so it starts over.
                Phase::Repairing { have, dropped, .. } if revision > have => dropped,
                // A welcome that a successor sent again, to who has had one: it may show an older state.
                Phase::Live { .. } | Phase::Repairing { .. } => continue,
            };
            to.push(member.handle.clone());
            welcomed.push((*socket, denied));
        }
        // Nothing is encoded for nobody: the sockets may be of another edge that reads this partition.
        if to.is_empty() {
            return;
        }
        let (shown, kind) = (shown(), FrameKind::Accepted(n));
        // The welcome is shown before the session moves, because moving may already ask for what is missing behind it.
        self.effects.push(Effect::Show { to, shown, kind });
        for (socket, denied) in welcomed {
            // The welcome may be of a state before the records that this socket was not shown: those are asked for.
            self.settle(socket, revision, denied);
            if let Some(member) = self.watch.find(socket) {
                member.takes = matches!(member.phase, Phase::Live { .. });
            }
        }
    }

    /// R20, R21: the answer to a resume begins.
    fn resumed(
        &mut self,
        socket: Socket,
        edge: Incarnation,
        (since, upto, until): (Revision, Revision, Revision),
        n: MessageNumber,
        announce: bool,
    ) {
        let Some(member) = self.named(socket, edge) else {
            return;
        };
        let (floor, dropped) = match member.phase {
            // It came back with `since`, which is what its client has seen.
            Phase::Pending { dropped } if announce => (Some(since), dropped),
            // Asked for more than once: what it has had meanwhile is not shown again.
            Phase::Live { have } if !announce && since <= have => (Some(have), have),
            Phase::Repairing { have, dropped, .. } if !announce && since <= have => {
                (Some(have), dropped)
            }
            // An answer that begins after what the session has would leave a hole, and one to a dial is for a dial only.
            Phase::Pending { .. } | Phase::Live { .. } | Phase::Repairing { .. } => {
                (None, Revision(0))
            }
        };
        // Only a client that has dialled waits for a `welcome`; one whose gap is repaired knows nothing of it.
        if announce && floor.is_some() {
            let to = vec![member.handle.clone()];
            let shown = delivery::welcome(since, n, None);
            let kind = FrameKind::Accepted(n);
            self.effects.push(Effect::Show { to, shown, kind });
        }
        // Also where it is not for the session: the deliveries behind it are then left out for this socket.
        self.resuming.push(Resuming {
            socket,
            floor,
            upto,
            until,
            dropped,
        });
    }

    /// The member that a welcome, a resume or a question names. One that is gone gets its disconnect (R28, R42).
    fn named(&mut self, socket: Socket, edge: Incarnation) -> Option<&mut Member<H>> {
        if edge != self.watch.edge {
            return None;
        }
        if self.watch.find(socket).is_none() {
            self.effects.push(Effect::Gone(socket));
        }
        self.watch.find(socket)
    }

    /// R23: after all before it. In the chain a close is for who may have the record: it must not overtake what a session
    /// missed. What stands outside the chain closes a pending socket as well, and one that is being repaired.
    fn close(&mut self, to: &Recipients, code: CloseCode, chained: bool) {
        let sockets = match to {
            Recipients::Only(sockets) => sockets.clone(),
            Recipients::Everybody | Recipients::Except(_) => self.all_but(to),
        };
        for socket in sockets {
            let member = self.watch.find(socket);
            let Some(member) = member.filter(|member| member.takes || !chained) else {
                continue;
            };
            let to = member.handle.clone();
            self.effects.push(Effect::Close { to, code });
            self.watch.members.remove(&socket.connection);
            self.watch.pieces.forget(socket);
        }
    }

    fn all_but(&self, to: &Recipients) -> Vec<Socket> {
        let members = self.watch.members.iter();
        let sockets = members.map(|(connection, member)| Socket {
            connection: *connection,
            attempt: member.attempt,
        });
        let left_out =
            |socket: &Socket| matches!(to, Recipients::Except(out) if leaves_out(out, *socket));
        let mut sockets: Vec<_> = sockets.filter(|socket| !left_out(socket)).collect();
        // In an order that a seed of the simulator finds again.
        sockets.sort_unstable_by_key(|socket| socket.connection);
        sockets
    }

    fn show(&mut self, item: &Item, to: &Recipients, payload: &Bytes, chained: bool) {
        let Some(shown) = delivery::shown(item, payload) else {
            return;
        };
        let handles = match to {
            Recipients::Everybody => self.takers(|_| true),
            Recipients::Except(out) => self.takers(|socket| !leaves_out(out, socket)),
            Recipients::Only(sockets) => {
                let mut handles = Vec::with_capacity(sockets.len());
                for socket in sockets {
                    handles.extend(self.only(*socket, item, chained));
                }
                handles
            }
        };
        if handles.is_empty() {
            return;
        }
        let kind = match delivery::answers(item) {
            Some(id) => FrameKind::Answer(id.clone()),
            // A record with an answer to a resume holds nothing else.
            None if self.resuming.is_empty() => FrameKind::News,
            None => FrameKind::Repeated,
        };
        self.effects.push(Effect::Show {
            to: handles,
            shown,
            kind,
        });
    }

    fn takers(&self, wanted: impl Fn(Socket) -> bool) -> Vec<H> {
        let members = self.watch.members.iter().filter(|(_, member)| member.takes);
        let attempt = |member: &Member<H>| member.attempt;
        members
            .filter(|(connection, member)| {
                wanted(Socket {
                    connection: **connection,
                    attempt: attempt(member),
                })
            })
            .map(|(_, member)| member.handle.clone())
            .collect()
    }

    /// The one socket a delivery names, if it may have it.
    fn only(&mut self, socket: Socket, item: &Item, chained: bool) -> Option<H> {
        // Behind an answer to its resume a delivery is part of that; the last one counts.
        let resuming = self.resuming.iter().rfind(|r| r.socket == socket);
        let floor = resuming.map(|r| r.floor);
        let (now, gaps) = (self.now, self.watch.rules.holds(Rule::Gaps));
        let member = self.watch.find(socket)?;
        // A stored answer that comes outside of the chain may be ahead of the chain; then the chain is repaired first.
        if floor.is_none()
            && !chained
            && gaps
            && let Some(effect) = member.overtaken(item, now)
        {
            self.effects.push(effect);
            return None;
        }
        let takes = match floor {
            // What the session has had by now is among what is repeated, and is not shown again.
            Some(floor) => floor.is_some_and(|floor| delivery::revision(item) > Some(floor)),
            None if chained => member.takes,
            // Outside the chain a pending socket hears why it is refused.
            None => member.takes || refuses(item, member.phase),
        };
        takes.then(|| member.handle.clone())
    }

    /// What was repeated, the sessions now have.
    fn finish(mut self) -> Vec<Effect<H>> {
        for resuming in std::mem::take(&mut self.resuming) {
            // The answer was not for this session, so it has nothing more than before.
            let Some(floor) = resuming.floor else {
                continue;
            };
            // It may have had more already, when it asked more than once.
            let have = floor.max(resuming.upto);
            // A portion of a long answer ends before the answer does.
            if have < resuming.until {
                self.awaits(&resuming, have);
            } else {
                self.settle(resuming.socket, have, resuming.dropped);
            }
        }
        self.effects
    }

    /// R41: further portions follow. Should they not come, they are asked for like any other resume.
    fn awaits(&mut self, resuming: &Resuming, have: Revision) {
        let now = self.now;
        if let Some(member) = self.watch.find(resuming.socket) {
            member.phase = Phase::Repairing {
                have,
                dropped: resuming.dropped.max(resuming.until),
                asked: now,
            };
        }
        self.coming(resuming.socket);
    }

    /// The session has everything up to `have` now; where it was denied later revisions it asks for those (R20).
    fn settle(&mut self, socket: Socket, have: Revision, denied: Revision) {
        let (now, rules) = (self.now, self.watch.rules);
        let denied = if rules.holds(Rule::Repair) {
            denied
        } else {
            Revision(0)
        };
        let member = self.watch.find(socket);
        let effect = member.and_then(|member| member.settle(now, have, denied));
        self.effects.extend(effect);
    }
}

/// Whoever is left out is so with every socket: what it waved on the last one is not for its next one either.
fn leaves_out(out: &[Socket], socket: Socket) -> bool {
    out.iter().any(|out| out.connection == socket.connection)
}

/// Whether it says why a socket is not let in: the rejection of number 0, which no command has.
fn refuses(item: &Item, phase: Phase) -> bool {
    let refusal = matches!(
        item,
        Item::Reject {
            id: RequestId::Number(MessageNumber(0)),
            ..
        }
    );
    refusal && matches!(phase, Phase::Pending { .. })
}

impl<H: Clone> Member<H> {
    /// R20: moves along the chain, and says whether the record is for this session.
    fn advance(&mut self, link: Link, rules: &'static dyn Rules, now: TimeMs) -> Option<Effect<H>> {
        let revision = link.revision;
        self.takes = false;
        match &mut self.phase {
            Phase::Pending { .. } if !rules.holds(Rule::Pending) => self.takes = true,
            // Its welcome decides from where on it hears; if that is older than this record, this one is asked for.
            Phase::Pending { dropped } => *dropped = revision.max(*dropped),
            // A successor repeats what may not have gone out, and the log may double a record.
            Phase::Live { have } if rules.holds(Rule::Once) && revision <= *have => {}
            // The record before this one is missing: nothing is shown until what lies between has been repeated.
            Phase::Live { have } if rules.holds(Rule::Gaps) && link.prev > *have => {
                let since = *have;
                return self.settle(now, since, revision);
            }
            Phase::Live { have } => {
                *have = revision.max(*have);
                self.takes = true;
            }
            // The answer to its resume may end before this record: then it asks again.
            Phase::Repairing { dropped, .. } => {
                *dropped = revision.max(*dropped);
                self.takes = !rules.holds(Rule::Repair);
            }
        }
        None
    }

    /// A stored answer that is here before its commit is a gap as well: an `event` comes before the `reply`
    /// of its commit, and the resume brings both (R21).
    fn overtaken(&mut self, item: &Item, now: TimeMs) -> Option<Effect<H>> {
        let Phase::Live { have } = self.phase else {
            return None;
        };
        let Some(RequestId::Number(MessageNumber(1..))) = delivery::answers(item) else {
            return None;
        };
        let revision = delivery::revision(item).filter(|revision| *revision > have)?;
        self.settle(now, have, revision)
    }

    /// Whether it hears what stands outside the chain.
    fn hears_the_rest(&self, rules: &'static dyn Rules) -> bool {
        match self.phase {
            Phase::Live { .. } => true,
            Phase::Repairing { .. } => !rules.holds(Rule::Repair),
            Phase::Pending { .. } => !rules.holds(Rule::Pending),
        }
    }
}
