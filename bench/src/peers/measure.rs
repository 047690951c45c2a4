//! The measurements of one subject: fan-out, and calls one after the other, at a rate, and many at once; each round beside
//! one of a floor, and all of them within a bounded time.

use std::time::{Duration, Instant};

use anyhow::Result;

use super::subject::{Subject, TEXT_BYTES};
use crate::audience::Audience;
use crate::client::put;
use crate::dialect::Preframed;
use crate::fanout::{Deliveries, relay};
use crate::figures::now;
use crate::floor::Bare;
use crate::load::{Load, Run};
use crate::node::Home;
use crate::report::{Row, Series};
use crate::rounds::Rounds;
use crate::scale::Scale;
use crate::verdict::Seen;

/// As long as one subject may be measured.
const TIME: Duration = Duration::from_secs(50);
/// A floor that writes each frame by itself would need a whole core for more.
const FLOOR_DELIVERIES: u32 = 100_000;
/// Who is later than this on average does not keep up, and is not asked for more.
const BEHIND_MS: f64 = 250.0;
/// Connections of an open loop, and messages on the way where they are stored.
const CALLERS: u32 = 50;
const AT_ONCE: usize = 64;
/// Updates a second.
const RATES: [u32; 2] = [200, 1_000];
const UNBATCHED: &str = "write(2) of each frame";

/// What came of it.
#[derive(Default)]
pub(super) struct Measured {
    pub(super) rows: Vec<Row>,
    /// What was left out, and why.
    pub(super) left_out: Vec<String>,
}

pub(super) struct Measurement<'a> {
    pub(super) subject: &'a Subject<'a>,
    pub(super) name: &'a str,
    pub(super) scale: Scale,
    pub(super) until: Instant,
}

/// How calls are made.
#[derive(Clone, Copy)]
enum Calls {
    OneAfterTheOther(u64),
    AtRate(u32, Duration),
    AtOnce(usize, u64),
}

impl<'a> Measurement<'a> {
    pub(super) fn of(subject: &'a Subject<'a>, name: &'a str, scale: Scale) -> Self {
        Self {
            subject,
            name,
            scale,
            until: now() + TIME,
        }
    }

    /// What fails takes what was measured before not away.
    pub(super) async fn run(&self) -> Measured {
        let mut measured = Measured::default();
        let all = self.all(&mut measured).await;
        measured
            .left_out
            .extend(all.err().map(|error| format!("{error:#}")));
        measured
    }

    async fn all(&self, measured: &mut Measured) -> Result<()> {
        self.calls(measured).await?;
        match self.subject.fans_out() {
            true => self.fan_out(measured).await,
            false => Ok(()),
        }
    }

    /// Rounds until there are enough of them or the time is over, but one at least.
    fn rounds(&self, mut round: impl FnMut() -> Result<Seen>) -> Result<(Seen, Vec<String>)> {
        let (mut seen, mut done) = (Seen::NOTHING, 0);
        while done < self.scale.rounds() && (done == 0 || now() < self.until) {
            seen = seen.and(round()?);
            done += 1;
            if !seen.is_whole() {
                // What is still on its way would be taken for the next round's.
                break;
            }
        }
        let wanted = self.scale.rounds();
        let few = (done < wanted).then(|| format!("only {done} of {wanted} rounds"));
        Ok((seen, few.into_iter().collect()))
    }

    /// The audience stays for all rates: who comes again would be taken for the one who was there.
    async fn fan_out(&self, measured: &mut Measured) -> Result<()> {
        let (subscribers, rates) = self.scale.pick((1_000, &RATES[..]), (20, &[100]));
        let home = Home::new("")?;
        let bare = relay(&home, 1.0, TEXT_BYTES)?;
        let mut to_bare = Audience::join(&bare.door, subscribers, Preframed(TEXT_BYTES)).await?;
        let mut audience = self.subject.audience(subscribers).await?;
        for (index, rate) in rates.iter().enumerate() {
            let mut sides = <(Deliveries, Deliveries)>::default();
            let bare_rate = (*rate).min(FLOOR_DELIVERIES / subscribers);
            let lasting = self.lasting();
            let (seen, few) = self.rounds(|| {
                let (floor, theirs) = &mut sides;
                let bare = floor.take(|| bare.cpu(), || to_bare.round(bare_rate, lasting))?;
                let own = theirs.take(|| self.subject.cpu(), || audience.round(*rate, lasting))?;
                Ok(bare.and(own))
            })?;
            let case = format!("{subscribers} subscribers × {rate}/s, 128 bytes");
            let rows = self.deliveries(&case, &sides);
            let durability = self.subject.stores_updates();
            let rows = rows.map(|row| finish(row, durability, seen, &few));
            measured.rows.extend(rows);
            let delay_ms = sides.1.latencies.at(0.5, self.name).median();
            let is_behind = !seen.is_whole() || delay_ms > BEHIND_MS;
            if is_behind && index + 1 < rates.len() {
                let reason = format!("more than {rate} updates a second: it was behind already");
                measured.left_out.push(reason);
                break;
            }
        }
        Ok(())
    }

    fn lasting(&self) -> Duration {
        let (long, short) = (Duration::from_secs(1), Duration::from_millis(500));
        self.scale.pick(long, short)
    }

    fn deliveries(&self, case: &str, (floor, theirs): &(Deliveries, Deliveries)) -> [Row; 2] {
        let row = |what, unit, series| Row::of("W3", case, what, unit, series);
        let p99 = theirs.latencies.at(0.99, self.name);
        [
            row("server CPU per delivery", "µs", theirs.cost(self.name))
                .beside(floor.cost(UNBATCHED)),
            row("p99 publish to receive", "ms", p99).beside(floor.latencies.at(0.99, UNBATCHED)),
        ]
    }

    async fn calls(&self, measured: &mut Measured) -> Result<()> {
        let rows = &mut measured.rows;
        let calls = Calls::OneAfterTheOther(self.scale.pick(1_000, 50));
        rows.extend(
            self.roundtrips("one after the other, 128 bytes", 1, calls)
                .await?,
        );
        let rate = self.scale.pick(1_000, 100);
        let case = format!("{rate}/s over {CALLERS} connections, 128 bytes");
        let calls = Calls::AtRate(rate, self.lasting());
        rows.extend(self.roundtrips(&case, CALLERS, calls).await?);
        if self.subject.stores().is_some() {
            rows.extend(self.throughput(self.scale.pick(4_000, 200)).await?);
        }
        Ok(())
    }

    async fn roundtrips(&self, case: &str, callers: u32, calls: Calls) -> Result<Vec<Row>> {
        let (mut floor, mut theirs) = <(Rounds, Rounds)>::default();
        let take = |rounds: &mut Rounds, run: &Run| {
            rounds.add(&run.latencies);
        };
        let (seen, few, floor_name) = self
            .take_turns(callers, calls, |bare, own| {
                take(&mut floor, bare);
                take(&mut theirs, own);
            })
            .await?;
        let row = |what, share| {
            let row = Row::of("W1", case, what, "ms", theirs.at(share, self.name));
            let row = row.beside(floor.at(share, floor_name));
            finish(row, self.subject.stores(), seen, &few)
        };
        Ok(vec![row("p50", 0.5), row("p99", 0.99)])
    }

    async fn throughput(&self, count: u64) -> Result<Vec<Row>> {
        let (mut floor, mut theirs) = <(Vec<f64>, Vec<f64>)>::default();
        let rate = |run: &Run| run.latencies.len() as f64 / run.took.as_secs_f64();
        let calls = Calls::AtOnce(AT_ONCE, count);
        let (seen, few, floor_name) = self
            .take_turns(AT_ONCE as u32, calls, |bare, own| {
                floor.push(rate(bare));
                theirs.push(rate(own));
            })
            .await?;
        let case = format!("{AT_ONCE} connections, as many messages on the way");
        let theirs = Series::of(self.name, theirs);
        let row = Row::of("W2", &case, "messages stored", "per second", theirs);
        let row = row.beside(Series::of(floor_name, floor));
        Ok(vec![finish(row, self.subject.stores(), seen, &few)])
    }

    /// Floor and subject, round by round. The floor stores if the subject waits for its disk.
    async fn take_turns(
        &self,
        callers: u32,
        calls: Calls,
        mut each: impl FnMut(&Run, &Run),
    ) -> Result<(Seen, Vec<String>, &'static str)> {
        let home = Home::new("")?;
        let file = home.path().join("floor");
        let syncs = self
            .subject
            .stores()
            .is_some_and(|stores| stores.starts_with("fsync"));
        let (name, words) = match syncs {
            true => (
                "append + fdatasync + websocket echo",
                vec!["echo", "--sync", file.to_str().unwrap_or("floor")],
            ),
            false => ("websocket echo", vec!["echo"]),
        };
        let bare = Bare::start(&home, &words)?;
        let cells = (0..callers).map(|cell| format!("cell/{cell}"));
        let mut to_bare = Load::join(&bare.door, cells, 0, put(TEXT_BYTES)).await?;
        let mut load = self.subject.callers(callers).await?;
        let (seen, few) = self.rounds(|| {
            let (floor, own) = (calls.run(&mut to_bare)?, calls.run(&mut load)?);
            each(&floor, &own);
            Ok(floor.seen.and(own.seen))
        })?;
        Ok((seen, few, name))
    }
}

impl Calls {
    fn run(self, load: &mut Load) -> Result<Run> {
        match self {
            Self::OneAfterTheOther(count) => load.ahead(1, count),
            Self::AtRate(rate, lasting) => load.at(rate, lasting),
            Self::AtOnce(at_once, count) => load.ahead(at_once, count),
        }
    }
}

fn finish(row: Row, durability: Option<&str>, seen: Seen, few: &[String]) -> Row {
    let mut row = row.durable(durability.unwrap_or("none")).seen(seen);
    row.void.extend(few.iter().cloned());
    row
}
