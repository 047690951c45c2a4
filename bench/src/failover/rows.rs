//! Figures of two faults: W5, an owner that is killed, and W6, a rolling restart beside a time in which nothing happens.

use anyhow::Result;

use super::Asked;
use super::cluster::{Brokers, Cluster};
use super::fault::Fault;
use super::load::Damage;
use super::report::Outcome;
use super::stage::Stage;
use crate::figures::{GENERATOR_CORE, Spread, ms, pin_to, unpin};
use crate::report::{Goal, Row, Series};
use crate::scale::Scale;
use crate::verdict::Seen;

const DURABILITY: &str = "acknowledged by one broker, page cache";
const LONGEST: &str = "longest wait, trial by trial";
const CELLS: u32 = 100_000;

/// W5 on Kafka: how long an entity waits for its next owner.
pub(crate) fn takeover(scale: Scale) -> Result<Vec<Row>> {
    let cells = scale.pick(CELLS, 200);
    let [ours] = outcomes([(Fault::Killed, scale.pick(20, 1))], cells, scale)?;
    let ours = ours?;
    let case = format!("takeover, {cells} entities of 200 B and one of 4 MiB");
    let p99 = row(
        "W5",
        &case,
        "p99 wait of all entities",
        &ours,
        &[p99(&ours)],
    );
    let worst = row("W5", &case, LONGEST, &ours, &worst(&ours));
    Ok(vec![p99.wanted(Goal::AtMost(700.0)), worst])
}

/// W6: how long an entity waits when state nodes are restarted one after the other.
pub(crate) fn rolling(scale: Scale) -> Result<Vec<Row>> {
    let faults = [
        (Fault::Nothing, scale.pick(5, 1)),
        (Fault::Rolling, scale.pick(20, 1)),
    ];
    let [idle, ours] = outcomes(faults, 0, scale)?;
    let (idle, ours) = (idle?, ours?);
    let case = "rolling restart of three state nodes";
    let mut row = row("W6", case, LONGEST, &ours, &worst(&ours)).wanted(Goal::AtMost(100.0));
    // No round of it makes the figure void: it says how long a wait is anyway, and not what the machine can do.
    row.floor = Some(Series {
        curve: Spread::of(idle.all()).curve(),
        ..Series::of("nothing happens", worst(&idle))
    });
    Ok(vec![row])
}

/// What comes of these faults, one after the other on one cluster, each so many times.
fn outcomes<const N: usize>(
    faults: [(Fault, u32); N],
    cells: u32,
    scale: Scale,
) -> Result<[Result<Outcome>; N]> {
    let asked = Asked {
        trials: 0,
        entities: scale.pick(24, 4),
        every_ms: scale.pick(25, 100),
        row_minutes: 12,
        only: Vec::new(),
        cells,
    };
    unpin();
    let mut stage = Stage::set(Cluster::start(Brokers::One)?, &asked)?;
    let outcomes = faults.map(|(fault, trials)| stage.trials(fault, trials));
    pin_to(GENERATOR_CORE);
    Ok(outcomes)
}

fn p99(outcome: &Outcome) -> f64 {
    Spread::of(outcome.all()).ms(0.99)
}

fn worst(outcome: &Outcome) -> Vec<f64> {
    outcome.worst().into_iter().map(ms).collect()
}

fn row(workload: &str, case: &str, what: &str, outcome: &Outcome, rounds: &[f64]) -> Row {
    let Damage {
        lost,
        doubled,
        out_of_order,
        failed,
        closed_sockets,
    } = outcome.damage;
    let seen = Seen {
        lost,
        out_of_order: out_of_order + doubled,
        failed: failed + closed_sockets,
        ..Seen::NOTHING
    };
    let ours = Series {
        curve: Spread::of(outcome.all()).curve(),
        ..Series::of("platform", rounds.to_vec())
    };
    Row::of(workload, case, what, "ms", ours)
        .durable(DURABILITY)
        .seen(seen)
}
