//! One client for each entity, which counts: a command is due every few milliseconds, whatever became of those before.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, watch};
use xp_client::{Answer, Client, Handle, Item, Items, Options, Payload, Pending};
use xp_protocol::Address;

use super::cluster::PARTITIONS;
use super::owners::pause;
use crate::figures::now;
use crate::node::Door;

/// How long the last answers of a trial are waited for.
const PATIENCE: Duration = Duration::from_secs(60);
/// Commands whose answers are awaited, far more than a client may have on the way.
const PENDING_MAX: usize = 100_000;

#[derive(Serialize)]
#[serde(tag = "type", content = "data")]
enum Count {
    Count { number: u64 },
    Ring { number: u64, after_ms: u64 },
}

/// What an entity shows.
#[derive(Deserialize)]
#[serde(tag = "type", content = "data")]
enum Shown {
    Count {},
    Rang { number: u64 },
}

/// A timer that every entity is told to set.
#[derive(Clone, Copy, Debug)]
struct Ring {
    number: u64,
    after: Duration,
    due: Instant,
}

#[derive(Serialize)]
#[serde(tag = "type")]
enum Ask {
    Tally,
}

/// What an entity has counted.
#[derive(Clone, Copy, Debug, Deserialize)]
struct Tally {
    counted: u64,
    out_of_order: u64,
}

/// How long a command waited for its answer.
#[derive(Clone, Copy)]
pub(super) struct Wait {
    pub(super) entity: u32,
    pub(super) due: Instant,
    pub(super) lasted: Duration,
}

/// What must not happen, counted.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Damage {
    pub(super) lost: u64,
    pub(super) doubled: u64,
    pub(super) out_of_order: u64,
    pub(super) failed: u64,
    pub(super) closed_sockets: u64,
}

#[derive(Default)]
struct Shared {
    waits: Vec<Wait>,
    /// Until when each entity's commands are answered.
    answered: Vec<Option<Instant>>,
    failed: u64,
    closed_sockets: u64,
    /// The timer that was set last, and how late each entity's was heard.
    ring: Option<Ring>,
    late: Vec<Option<Duration>>,
}

type Book = Arc<Mutex<Shared>>;

fn open(book: &Book) -> MutexGuard<'_, Shared> {
    book.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(super) struct Load {
    book: Book,
    /// From entity to partition.
    pub(super) partitions: Vec<u32>,
    ends: watch::Sender<bool>,
    rings: watch::Sender<Option<Ring>>,
    counting: Option<std::thread::JoinHandle<Result<Damage>>>,
}

fn address(name: &str, entity: u32) -> Result<Address> {
    Ok(format!("tally/{name}-{entity}").parse()?)
}

impl Load {
    /// Clients on all doors in turn; they count from now on, on a thread of their own. Entities are called so, and
    /// must be new.
    pub(super) fn start(
        doors: &[Door],
        name: &str,
        entities: u32,
        every: Duration,
    ) -> Result<Self> {
        let book: Book = Arc::default();
        open(&book).answered = vec![None; entities as usize];
        let all = (0..entities).map(|entity| address(name, entity));
        let all: Vec<Address> = all.collect::<Result<_>>()?;
        let partition = |address: &Address| address.partition(PARTITIONS).0;
        let partitions = all.iter().map(partition).collect();
        let (ends, ended) = watch::channel(false);
        let (rings, told) = watch::channel(None);
        let (doors, kept) = (doors.to_vec(), Arc::clone(&book));
        let counting = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?;
            runtime.block_on(count_all(doors, all, (every, ended, told), kept))
        });
        Ok(Self {
            book,
            partitions,
            ends,
            rings,
            counting: Some(counting),
        })
    }

    /// Waits until everything that was due by then is answered, and gives all waits since the last call.
    pub(super) fn waits(&self, due_until: Instant) -> Result<Vec<Wait>> {
        let began = now();
        while began.elapsed() < PATIENCE {
            let mut book = open(&self.book);
            let is_answered = |upto: &Option<Instant>| upto.is_some_and(|upto| upto >= due_until);
            if book.answered.iter().all(is_answered) {
                return Ok(std::mem::take(&mut book.waits));
            }
            drop(book);
            pause(Duration::from_millis(5));
        }
        bail!("commands are not answered within {PATIENCE:?}")
    }

    /// Every entity is told to set a timer that falls due so long after now.
    pub(super) fn set_timers(&self, after: Duration) {
        let mut book = open(&self.book);
        let ring = Ring {
            number: book.ring.map_or(1, |last| last.number + 1),
            after,
            due: now() + after,
        };
        book.ring = Some(ring);
        book.late = vec![None; self.partitions.len()];
        drop(book);
        self.rings.send_replace(Some(ring));
    }

    /// Waits until the timers of all entities were heard, and says how late each was: from when it was due until a client
    /// heard of it.
    pub(super) fn late(&self) -> Result<Vec<Duration>> {
        let began = now();
        while began.elapsed() < PATIENCE {
            let late: Option<Vec<_>> = open(&self.book).late.iter().copied().collect();
            match late {
                Some(late) => return Ok(late),
                None => pause(Duration::from_millis(5)),
            }
        }
        bail!("timers are not heard of within {PATIENCE:?}")
    }

    /// Ends counting, and compares what was acknowledged with what the entities have counted.
    pub(super) fn end(mut self) -> Result<Damage> {
        self.ends.send_replace(true);
        let counting = self.counting.take().context("it counts")?;
        counting.join().expect("the generator does not panic")
    }
}

async fn count_all(
    doors: Vec<Door>,
    entities: Vec<Address>,
    (every, ended, told): (
        Duration,
        watch::Receiver<bool>,
        watch::Receiver<Option<Ring>>,
    ),
    book: Book,
) -> Result<Damage> {
    let mut counting = Vec::new();
    for (entity, address) in (0..).zip(entities) {
        let door = &doors[entity as usize % doors.len()];
        let url = format!("ws://{}", door.addr);
        let options = Options::new(url, address, door.token.clone());
        let (handle, items) = Client::connect(options)?.split();
        tokio::spawn(look(entity, items, Arc::clone(&book)));
        tokio::spawn(set_timers(handle.clone(), told.clone()));
        let one = One {
            entity,
            handle,
            book: Arc::clone(&book),
        };
        counting.push(tokio::spawn(one.count(every, ended.clone())));
    }
    let mut damage = Damage::default();
    for one in counting {
        let (acknowledged, tally) = one.await??;
        damage.lost += acknowledged.saturating_sub(tally.counted);
        damage.doubled += tally.counted.saturating_sub(acknowledged);
        damage.out_of_order += tally.out_of_order;
    }
    let book = open(&book);
    (damage.failed, damage.closed_sockets) = (book.failed, book.closed_sockets);
    Ok(damage)
}

async fn look(entity: u32, mut items: Items, book: Book) {
    while let Some(item) = items.next().await {
        match item {
            Item::Lost { .. } => open(&book).closed_sockets += 1,
            Item::Event { payload, .. } => open(&book).hear(entity, &payload),
            _ => {}
        }
    }
}

/// Tells the entity of each timer as soon as it is wanted.
async fn set_timers(handle: Handle, mut told: watch::Receiver<Option<Ring>>) -> Result<()> {
    while told.changed().await.is_ok() {
        let wanted = *told.borrow_and_update();
        if let Some(Ring { number, after, .. }) = wanted {
            let after_ms = u64::try_from(after.as_millis())?;
            let payload = Payload::json(&Count::Ring { number, after_ms })?;
            handle.submit(payload).await?.await?;
        }
    }
    Ok(())
}

impl Shared {
    /// An entity shows something: that a timer fell due, perhaps.
    fn hear(&mut self, entity: u32, payload: &Payload) {
        let Ok(shown) = payload.read::<Vec<Shown>>() else {
            return;
        };
        let rings = shown.into_iter().filter_map(|shown| match shown {
            Shown::Rang { number } => Some(number),
            Shown::Count {} => None,
        });
        for number in rings {
            let ring = self.ring.filter(|ring| ring.number == number);
            if let (Some(ring), Some(late)) = (ring, self.late.get_mut(entity as usize)) {
                late.get_or_insert(now().saturating_duration_since(ring.due));
            }
        }
    }
}

struct One {
    entity: u32,
    handle: Handle,
    book: Book,
}

impl One {
    /// Counts until the end, and then asks the entity how far it has come. Gives what was acknowledged, and that.
    async fn count(self, every: Duration, ended: watch::Receiver<bool>) -> Result<(u64, Tally)> {
        let (sent, coming) = mpsc::channel(PENDING_MAX);
        let answers = self.collect(coming);
        let (sending, acknowledged) = tokio::join!(self.send(sent, every, ended), answers);
        sending?;
        let tally = self.handle.query(&Ask::Tally).await?.reply()?;
        self.handle.close().await;
        Ok((acknowledged, tally))
    }

    async fn send(
        &self,
        sent: mpsc::Sender<(Instant, Pending)>,
        every: Duration,
        ended: watch::Receiver<bool>,
    ) -> Result<()> {
        // Spread over the interval, or all entities would be due at once.
        let mut due = now() + every.mul_f64(f64::from(self.entity % 16) / 16.0);
        for number in 1.. {
            tokio::time::sleep_until(due.into()).await;
            if *ended.borrow() {
                return Ok(());
            }
            let payload = Payload::json(&Count::Count { number })?;
            sent.send((due, self.handle.submit(payload).await?)).await?;
            due += every;
        }
        Ok(())
    }

    async fn collect(&self, mut coming: mpsc::Receiver<(Instant, Pending)>) -> u64 {
        let mut acknowledged = 0;
        while let Some((due, pending)) = coming.recv().await {
            let answer = pending.await;
            let lasted = now().saturating_duration_since(due);
            let mut book = open(&self.book);
            match answer {
                Ok(Answer::Reply { .. }) => acknowledged += 1,
                _ => book.failed += 1,
            }
            let entity = self.entity;
            book.answered[entity as usize] = Some(due);
            book.waits.push(Wait {
                entity,
                due,
                lasted,
            });
        }
        acknowledged
    }
}
