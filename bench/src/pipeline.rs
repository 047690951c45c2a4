//! The benchmark of durable commands, W2: more and more on the way at once, until their latency is no longer short; with
//! an entity for each client, and with one for all.

use anyhow::Result;

use crate::client::keep;
use crate::floor::Bare;
use crate::load::Load;
use crate::node::{Home, Node};
use crate::report::{Goal, Row, Series};
use crate::rounds::Rounds;
use crate::scale::Scale;
use crate::verdict::Seen;

/// Of the text in a command.
const BYTES: usize = 100;
/// What commands are on the way at once, until one is more than can be answered in time.
const AT_ONCE: [usize; 5] = [64, 256, 1_024, 4_096, 16_384];
const P99_MS_MOST: f64 = 20.0;
/// The floor's sockets; what it appends is the same from however many it comes.
const FLOOR_SOCKETS: u32 = 1_000;

/// Whose entities they are, and how many there are.
#[derive(Clone, Copy)]
struct Case {
    name: &'static str,
    sockets: u32,
    address: fn(u32) -> String,
    commands_least: f64,
}

/// With so many on the way.
struct Step {
    floor: Side,
    ours: Side,
    seen: Seen,
}

/// The rounds of ours or of the floor.
#[derive(Default)]
struct Side {
    rates: Vec<f64>,
    cpu_us: Vec<f64>,
    latencies: Rounds,
}

pub(crate) async fn measure(scale: Scale) -> Result<Vec<Row>> {
    let many = Case {
        name: "an entity for each",
        sockets: scale.pick(10_000, 50),
        address: |socket| format!("cell/{socket}"),
        commands_least: 25_000.0,
    };
    let hot = Case {
        name: "one entity for all",
        sockets: scale.pick(256, 8),
        address: |_| "cell/hot".to_owned(),
        commands_least: 60_000.0,
    };
    let mut rows = many.measure(scale).await?;
    rows.extend(hot.measure(scale).await?);
    Ok(rows)
}

impl Side {
    fn take(
        &mut self,
        load: &mut Load,
        (at_once, count): (usize, u64),
        cpu: impl Fn() -> Result<f64>,
    ) -> Result<Seen> {
        let before = cpu()?;
        let run = load.ahead(at_once, count)?;
        self.cpu_us.push((cpu()? - before) / count as f64 * 1e6);
        self.rates.push(count as f64 / run.took.as_secs_f64());
        self.latencies.add(&run.latencies);
        Ok(run.seen)
    }
}

impl Case {
    async fn measure(self, scale: Scale) -> Result<Vec<Row>> {
        let home = Home::new("")?;
        let node = Node::start(&home)?;
        let file = home.path().join("floor");
        let bare = Bare::start(&home, &["echo", "--sync", &file.to_string_lossy()])?;
        let cells = |count| (0..count).map(self.address);
        let mut ours = Load::join(&node.door, cells(self.sockets), 0, keep(BYTES)).await?;
        let few = self.sockets.min(FLOOR_SOCKETS);
        let mut floor = Load::join(&bare.door, cells(few), 0, keep(BYTES)).await?;
        let mut best = None;
        for at_once in scale.pick(&AT_ONCE[..], &AT_ONCE[..1]) {
            // About as long as a second or two, or as ten times what is on the way.
            let count = scale.pick((at_once * 50).clamp(20_000, 160_000), 320) as u64;
            let (mut of_floor, mut of_ours, mut seen) =
                (Side::default(), Side::default(), Seen::NOTHING);
            for _ in 0..scale.rounds() {
                let plan = (*at_once, count);
                seen = seen.and(of_floor.take(&mut floor, plan, || bare.cpu())?);
                seen = seen.and(of_ours.take(&mut ours, plan, || node.cpu())?);
            }
            let step = Step {
                floor: of_floor,
                ours: of_ours,
                seen,
            };
            let p99 = step.ours.latencies.at(0.99, "").median();
            let is_last = p99 > P99_MS_MOST;
            if best.is_none() || !is_last {
                best = Some((*at_once, step));
            }
            if is_last {
                break;
            }
        }
        Ok(best.map_or_else(Vec::new, |(at_once, step)| self.rows(at_once, &step)))
    }

    /// Of the most that were on the way at once and answered in time.
    fn rows(self, at_once: usize, step: &Step) -> Vec<Row> {
        let Step { floor, ours, seen } = step;
        let Self { name, sockets, .. } = self;
        let case = format!("{name}, {sockets} connections, {at_once} commands on the way");
        let bare = "append + fdatasync + websocket echo";
        let row = |what, unit, ours, floor| Row::of("W2", &case, what, unit, ours).beside(floor);
        let rates = |side: &Side, name| Series::of(name, side.rates.clone());
        let costs = |side: &Side, name| Series::of(name, side.cpu_us.clone());
        let p99 = |side: &Side, name| side.latencies.at(0.99, name);
        let commands = row(
            "commands",
            "per second",
            rates(ours, "platform"),
            rates(floor, bare),
        );
        let cost = row(
            "server CPU per command",
            "µs",
            costs(ours, "platform"),
            costs(floor, bare),
        );
        let p99 = row("p99", "ms", p99(ours, "platform"), p99(floor, bare));
        [
            commands.wanted(Goal::AtLeast(self.commands_least)),
            cost.wanted(Goal::AtMost(25.0)),
            p99.wanted(Goal::AtMost(P99_MS_MOST)),
        ]
        .map(|row| row.seen(*seen))
        .to_vec()
    }
}
