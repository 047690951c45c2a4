use std::cell::{Cell, RefCell};
use std::ops::Deref;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use uuid::Uuid;
use xp_protocol::{Address, ConnectionId, Revision, TimeMs};

use super::{Decision, Entity, Roster, Session, Ticket};
use crate::host::{Origin, SceneData};

/// What surrounds a decision: where, when and who else is here. [`Cx`] and [`SignalCx`] show it.
///
/// ```
/// # use serde::{Deserialize, Serialize};
/// # use xp_domain_sdk::prelude::*;
/// # use xp_domain_sdk::testkit::Scenario;
/// # #[derive(Default, Serialize, Deserialize)]
/// # struct Table { thrown: Vec<u64> }
/// # impl Entity for Table {
/// #     const CATEGORY: Category = Category::new("table");
/// #     type Claims = (); type Command = (); type Query = u64; type Signal = Never;
/// #     type Event = u64; type Output = u64; type Reply = bool; type Rejection = String;
/// // A die is thrown once all of three players are here. What fell stands in the event: `apply` never draws.
/// fn decide(&self, _throw: (), cx: &Cx<Self>) -> Outcome<Self> {
///     if cx.sessions().filter(|player| player.is_attached()).count() < 3 {
///         return Err(format!("{} is impatient", cx.subject()));
///     }
///     Ok(cx.decision().publish(1 + cx.random_below(6)))
/// }
/// #     fn answer(&self, max: u64, _: &Cx<Self>) -> Result<bool, String> {
/// #         Ok(self.thrown.iter().all(|eyes| (1..=max).contains(eyes)))
/// #     }
/// #     fn apply(&mut self, eyes: u64) { self.thrown.push(eyes); }
/// # }
/// Scenario::<Table>::new()
///     .connects("ana").connects("ben")
///     .when(()).from("ben").then_rejected("ben is impatient".into())
///     .when(()).from("cleo").when_asked(6).from("ana").then_reply(true);
/// ```
pub struct Scene<'a, E: Entity> {
    data: &'a SceneData<'a>,
    roster: &'a Roster<E::Claims>,
    random: RefCell<Option<ChaCha8Rng>>,
}

impl<'a, E: Entity> Scene<'a, E> {
    pub(crate) fn new(data: &'a SceneData<'a>, roster: &'a Roster<E::Claims>) -> Self {
        Self {
            data,
            roster,
            random: RefCell::new(None),
        }
    }

    /// This entity's address.
    #[must_use]
    pub fn address(&self) -> &'a Address {
        self.data.address
    }

    /// This entity's id within its category.
    #[must_use]
    pub fn id(&self) -> &'a str {
        self.data.address.id()
    }

    /// How many commits this entity has seen.
    #[must_use]
    pub fn revision(&self) -> Revision {
        self.data.revision
    }

    /// The message's time; it never runs backwards within an entity. For a timer, never before it was due.
    #[must_use]
    pub fn now(&self) -> TimeMs {
        self.data.now
    }

    /// This message's ticket, for [`Decision::later`].
    #[must_use]
    pub fn ticket(&self) -> Ticket {
        Ticket(self.data.ticket)
    }

    /// Everybody who is here, those within their grace too, ordered by connection.
    ///
    /// # Panics
    /// When a session is here whose claims, stored by an older build, cannot be read as `Claims`; in a handler that is a
    /// fault, which goes away with that session or with a build that can read them.
    pub fn sessions(&self) -> impl Iterator<Item = &'a Session<E::Claims>> {
        self.roster.sessions()
    }

    /// Whether a session of `subject` is here.
    #[must_use]
    pub fn is_here(&self, subject: &str) -> bool {
        self.roster.everybody().any(|(_, here)| here == subject)
    }

    /// A fresh id, another with every call.
    #[must_use]
    pub fn fresh_id(&self) -> Uuid {
        let mut bytes = [0; 16];
        self.with_random(|random| random.fill_bytes(&mut bytes));
        uuid::Builder::from_random_bytes(bytes).into_uuid()
    }

    /// A random number from 0 up to, not including, `bound`.
    ///
    /// # Panics
    /// When `bound` is 0.
    #[must_use]
    pub fn random_below(&self, bound: u64) -> u64 {
        assert!(bound > 0, "there is no number below 0 to draw");
        // Numbers from the incomplete last stretch of the range are drawn again, so that all are equally likely.
        let fair_max = u64::MAX - u64::MAX % bound;
        self.with_random(|random| {
            loop {
                let drawn = random.next_u64();
                if drawn < fair_max {
                    return drawn % bound;
                }
            }
        })
    }

    /// Puts `items` in a random order.
    pub fn shuffle<T>(&self, items: &mut [T]) {
        for i in (1..items.len()).rev() {
            let j = self.random_below(i as u64 + 1);
            items.swap(i, usize::try_from(j).expect("an index of this very slice"));
        }
    }

    fn with_random<R>(&self, draw: impl FnOnce(&mut ChaCha8Rng) -> R) -> R {
        let mut random = self.random.borrow_mut();
        draw(random.get_or_insert_with(|| ChaCha8Rng::seed_from_u64(self.data.seed)))
    }
}

/// What surrounds a client's word: the [`Scene`], and who sent it.
pub struct Cx<'a, E: Entity> {
    scene: Scene<'a, E>,
    session: &'a Session<E::Claims>,
    /// Whether anything was asked about the session.
    personal: Cell<bool>,
}

impl<'a, E: Entity> Cx<'a, E> {
    pub(crate) fn new(scene: Scene<'a, E>, session: &'a Session<E::Claims>) -> Self {
        Self {
            scene,
            session,
            personal: Cell::new(false),
        }
    }

    /// Whether the domain has asked anything about the session. Otherwise it would say the same to every other one.
    pub(crate) fn is_personal(&self) -> bool {
        self.personal.get()
    }

    fn whose(&self) -> &'a Session<E::Claims> {
        self.personal.set(true);
        self.session
    }

    /// An empty decision, to be filled.
    pub fn decision(&self) -> Decision<E> {
        Decision::new(self.now(), self.data.seed, Some(self.whose().connection))
    }

    /// The session this is about.
    #[must_use]
    pub fn session(&self) -> &'a Session<E::Claims> {
        self.whose()
    }

    /// Its connection id.
    #[must_use]
    pub fn connection(&self) -> ConnectionId {
        self.whose().connection
    }

    /// Who it is: the token's subject, verified by the edge.
    #[must_use]
    pub fn subject(&self) -> &'a str {
        self.whose().subject()
    }

    /// What else the token says.
    #[must_use]
    pub fn claims(&self) -> &'a E::Claims {
        self.whose().claims()
    }

    /// Whether no session but this one is of the same subject: it came first, or goes last.
    #[must_use]
    pub fn is_only_session_of_subject(&self) -> bool {
        let subjects = self.scene.roster.everybody().map(|(_, subject)| subject);
        subjects.filter(|other| *other == self.subject()).count() == 1
    }
}

impl<'a, E: Entity> Deref for Cx<'a, E> {
    type Target = Scene<'a, E>;

    fn deref(&self) -> &Self::Target {
        &self.scene
    }
}

/// What surrounds a signal: the [`Scene`], and where it came from.
pub struct SignalCx<'a, E: Entity> {
    scene: Scene<'a, E>,
    origin: Origin<'a>,
}

impl<'a, E: Entity> SignalCx<'a, E> {
    pub(crate) fn new(scene: Scene<'a, E>, origin: Origin<'a>) -> Self {
        Self { scene, origin }
    }

    /// An empty decision, to be filled.
    pub fn decision(&self) -> Decision<E> {
        Decision::new(self.now(), self.data.seed, None)
    }

    /// The timer or the entity that it came from.
    #[must_use]
    pub fn origin(&self) -> Origin<'a> {
        self.origin
    }

    /// The entity that spoke, unless it was a timer.
    #[must_use]
    pub fn sender(&self) -> Option<&'a Address> {
        match self.origin {
            Origin::Timer(_) => None,
            Origin::Entity { from, .. } => Some(from),
        }
    }
}

impl<'a, E: Entity> Deref for SignalCx<'a, E> {
    type Target = Scene<'a, E>;

    fn deref(&self) -> &Self::Target {
        &self.scene
    }
}
