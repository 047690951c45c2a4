//! The fan-out benchmark, W3: one entity that many watch, beside bare write(2) of preframed frames to as many sockets.

use std::time::Duration;

use anyhow::Result;

use crate::audience::{Audience, Round, WINDOW};
use crate::dialect::{Dialect, Preframed, Role, Updates};
use crate::figures::median;
use crate::floor::Bare;
use crate::node::{Home, Node};
use crate::report::{Goal, Row, Series};
use crate::rounds::Rounds;
use crate::scale::Scale;
use crate::verdict::Seen;

/// Bytes of the text in an update, which ends with its number.
const BYTES: usize = 64;
/// More than this many deliveries a second cost a bare server that writes each by itself a whole core.
const UNBATCHED_MOST: u32 = 100_000;

/// So many subscribers and updates a second, and what a delivery and its delay may come to.
struct Case {
    subscribers: u32,
    rate: u32,
    cpu_us: f64,
    p99_ms: Option<f64>,
}

const CASES: [Case; 3] = [
    Case {
        subscribers: 1_000,
        rate: 1_000,
        cpu_us: 0.55,
        p99_ms: Some(25.0),
    },
    Case {
        subscribers: 1_000,
        rate: 200,
        cpu_us: 1.2,
        p99_ms: None,
    },
    Case {
        subscribers: 100,
        rate: 10_000,
        cpu_us: 0.55,
        p99_ms: Some(25.0),
    },
];
const SMOKE: [Case; 1] = [Case {
    subscribers: 20,
    rate: 100,
    cpu_us: 1.2,
    p99_ms: Some(25.0),
}];

pub(crate) async fn measure(scale: Scale) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for case in scale.pick(&CASES[..], &SMOKE) {
        rows.extend(case.measure(scale).await?);
    }
    Ok(rows)
}

/// The rounds of ours or of a floor.
#[derive(Default)]
pub(crate) struct Deliveries {
    cpu_us: Vec<f64>,
    frames_per_write: Vec<f64>,
    pub(crate) latencies: Rounds,
}

impl Deliveries {
    pub(crate) fn take(
        &mut self,
        cpu: impl Fn() -> Result<f64>,
        round: impl FnOnce() -> Result<Round>,
    ) -> Result<Seen> {
        let before = cpu()?;
        let round = round()?;
        let cost = (cpu()? - before) / round.deliveries.max(1) as f64;
        self.cpu_us.push(cost * 1e6);
        self.frames_per_write.push(round.frames_per_write);
        self.latencies.add(&round.latencies);
        Ok(round.seen)
    }

    pub(crate) fn cost(&self, name: &str) -> Series {
        Series {
            frames_per_write: Some(median(self.frames_per_write.clone())),
            ..Series::of(name, self.cpu_us.clone())
        }
    }
}

impl Case {
    async fn measure(&self, scale: Scale) -> Result<Vec<Row>> {
        let Self {
            subscribers, rate, ..
        } = *self;
        let lasting = scale.pick(Duration::from_secs(3), Duration::from_millis(500));
        let home = Home::new("")?;
        let node = start(&home)?;
        let mut ours = Audience::join(&node.door, subscribers, Updates(BYTES)).await?;
        // What it writes at once is what the floor may write at once.
        let warm_up = ours.round(rate, lasting)?;
        let batched = relay(&home, warm_up.frames_per_write, BYTES)?;
        let mut to_batched = Audience::join(&batched.door, subscribers, Preframed(BYTES)).await?;
        let single = relay(&home, 1.0, BYTES)?;
        let mut to_single = Audience::join(&single.door, subscribers, Preframed(BYTES)).await?;
        let single_rate = rate.min(UNBATCHED_MOST / subscribers);

        let (mut of_batched, mut of_ours, mut of_single) =
            <(Deliveries, Deliveries, Deliveries)>::default();
        let mut seen = Seen::NOTHING;
        for _ in 0..scale.rounds() {
            let floor = of_batched.take(|| batched.cpu(), || to_batched.round(rate, lasting))?;
            let platform = of_ours.take(|| node.cpu(), || ours.round(rate, lasting))?;
            let unbatched =
                of_single.take(|| single.cpu(), || to_single.round(single_rate, lasting))?;
            seen = seen.and(floor).and(platform).and(unbatched);
        }
        Ok(self.rows(&of_batched, &of_ours, &of_single, seen))
    }

    fn rows(
        &self,
        batched: &Deliveries,
        ours: &Deliveries,
        single: &Deliveries,
        seen: Seen,
    ) -> Vec<Row> {
        let Self {
            subscribers, rate, ..
        } = self;
        let case = format!("{subscribers} subscribers × {rate}/s");
        let row = |what, unit, ours| Row::of("W3", &case, what, unit, ours);
        let cost = || row("server CPU per delivery", "µs", ours.cost("platform"));
        let delay = row(
            "p99 publish to receive",
            "ms",
            ours.latencies.at(0.99, "platform"),
        );
        let bare = "write(2) at the same frames per write";
        let delay = delay.beside(batched.latencies.at(0.99, bare));
        let delay = match self.p99_ms {
            Some(most) => delay.wanted(Goal::AtMost(most)),
            None => delay,
        };
        let cost_of = cost().beside(batched.cost(bare));
        let rows = [
            cost_of.wanted(Goal::AtMost(self.cpu_us)),
            cost().beside(single.cost("write(2) of each frame")),
            delay,
        ];
        rows.map(|row| row.seen(seen)).to_vec()
    }
}

/// A bare server that passes updates on.
pub(crate) fn relay(home: &Home, frames_per_write: f64, bytes: usize) -> Result<Bare> {
    let per_write = frames_per_write.round().max(1.0).to_string();
    let frame_bytes = Preframed(bytes).say(Role::Publisher, 0).len().to_string();
    Bare::start(
        home,
        &[
            "relay",
            "--per-write",
            &per_write,
            "--frame-bytes",
            &frame_bytes,
        ],
    )
}

/// A platform whose publisher may run further ahead than usual, or it would wait for answers instead of keeping its rate.
pub(crate) fn start(home: &Home) -> Result<Node> {
    let window = WINDOW.to_string();
    Node::start_with(
        home,
        &[
            ("XP__EDGE__LIMITS__WINDOW", window.clone()),
            ("XP__STATE_NODE__LIMITS__SESSIONS__ANSWERS", window),
        ],
    )
}
