//! Lives through many seeds of the simulator and makes what fails smaller: `cargo xtask nightly`.
#![expect(clippy::print_stdout, reason = "a command line tool speaks on stdout")]

use std::collections::BTreeMap;
use std::ops::Range;
use std::process::ExitCode;

use xp_protocol::events::Event;
use xp_protocol::inbound::Inbound;
use xp_protocol::outbound::Outbound;
use xp_protocol::{Incarnation, codec};
use xp_simulator::partition_name::PartitionName;
use xp_simulator::{Failure, Plan, Switch, check, notice, run, shrink, sweep};
use xp_transport::Stored;

const USAGE: &str = "usage: xp-simulate [--seeds FROM..TO] [--threads N] [--like 'CHANGES']
           lives through the seeds (0..10000), each by its own plan with these changes, and makes the first
           that fail smaller
       xp-simulate --plan 'PLAN'
           lives through one plan and prints its story
       xp-simulate --switches [--seeds FROM..TO] [--threads N]
           switches each rule off and names the first seed that notices
       xp-simulate --shrink 'PLAN'
           makes one failing plan smaller";

/// How many of the failing seeds are made smaller; the others are only named.
const SHRUNK_MAX: usize = 5;
/// How many runs the search for a smaller plan may take.
const SHRINK_RUNS_MAX: usize = 400;
/// How many seeds are lived through between two lines of progress.
const PROGRESS: u64 = 500;

struct Order {
    seeds: Range<u64>,
    threads: usize,
    /// What is different from each seed's own plan, as a plan's text.
    like: String,
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let obeyed = match words[..] {
        ["--switches", ref words @ ..] => order(words).map(switches),
        ["--plan", text] => text.parse().map(story).map_err(|error| format!("{error}")),
        ["--shrink", text] => text
            .parse()
            .map(smaller)
            .map_err(|error| format!("{error}")),
        _ => order(&words).map(nightly),
    };
    obeyed.unwrap_or_else(|error| {
        eprintln!("error: {error}\n{USAGE}");
        ExitCode::FAILURE
    })
}

fn order(words: &[&str]) -> Result<Order, String> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let mut order = Order {
        seeds: 0..10_000,
        threads: cores,
        like: String::new(),
    };
    for pair in words.chunks(2) {
        let no = || format!("`{}` cannot be read", pair.join(" "));
        match *pair {
            ["--seeds", text] => {
                let (from, to) = text.split_once("..").ok_or_else(no)?;
                let number = |text: &str| text.parse::<u64>().map_err(|_| no());
                order.seeds = number(from)?..number(to)?;
            }
            ["--threads", text] => order.threads = text.parse().map_err(|_| no())?,
            ["--like", text] => {
                Plan::like(0, text).map_err(|error| error.to_string())?;
                order.like = text.to_owned();
            }
            _ => return Err(no()),
        }
    }
    Ok(order)
}

fn nightly(order: Order) -> ExitCode {
    let Order {
        seeds,
        threads,
        like,
    } = order;
    let wanted = seeds.end.saturating_sub(seeds.start);
    println!("{wanted} seeds from {} on {threads} threads", seeds.start);
    let plan = |seed| Plan::like(seed, &like).expect("the order was read with it");
    let failures = sweep(seeds, threads, plan, |done| {
        if done % PROGRESS == 0 {
            println!("{done} of {wanted}");
        }
    });
    for (index, failure) in failures.iter().enumerate() {
        report(failure, index < SHRUNK_MAX);
    }
    println!("{} of {wanted} seeds failed", failures.len());
    match failures.is_empty() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}

fn switches(order: Order) -> ExitCode {
    let noticed = notice(Switch::ALL, &order.seeds, order.threads);
    for (switch, failure) in &noticed {
        match failure {
            Some(failure) => println!("without {switch:?}: {}", failure.first),
            None => println!("without {switch:?}: nobody notices"),
        }
    }
    match noticed.iter().all(|(_, failure)| failure.is_some()) {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}

fn report(failure: &Failure, shrinks: bool) {
    println!("{} (and {} more)", failure.first, failure.more);
    println!("  cargo xtask nightly --plan '{}'", failure.plan);
    let shrunk = shrinks.then(|| shrink(failure.plan, failure.first.checker, SHRINK_RUNS_MAX));
    if let Some(shrunk) = shrunk.flatten() {
        println!(
            "  smaller, after {} runs: {}",
            shrunk.runs, shrunk.violation
        );
        println!("  cargo xtask nightly --plan '{}'", shrunk.plan);
    }
}

fn story(plan: Plan) -> ExitCode {
    let outcome = run(plan);
    println!("{}", outcome.history.tail(usize::MAX));
    for (partition, records) in &outcome.events {
        for stored in records {
            let by = outcome.writers.get(&(*partition, stored.offset));
            println!("events-{partition} {}", told(stored, by));
        }
    }
    words("inbound", &outcome.inbound, inbound_word);
    words("outbound", &outcome.outbound, outbound_word);
    let violations = check(&outcome);
    violations.iter().for_each(|found| println!("{found}"));
    match violations.is_empty() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}

/// A record of `events` in one line: where, whose, when, and what.
fn told(stored: &Stored, by: Option<&Incarnation>) -> String {
    let what = match codec::decode::<Event>(&stored.record.header) {
        Ok(Event::Commit(commit)) => format!(
            "commit {}.{} sent {} of {:?}: {} revision {} by {:?}",
            commit.epoch,
            commit.seq,
            commit.sent,
            commit.cause,
            String::from_utf8_lossy(&stored.record.key),
            commit.revision,
            commit.changes
        ),
        Ok(other) => format!("{other:?}"),
        Err(error) => error.to_string(),
    };
    let by = by.map(ToString::to_string).unwrap_or_default();
    format!("@ {} at {} from {by}: {what}", stored.offset, stored.time)
}

/// The records of a topic that no process owns, each in one line.
fn words(topic: &str, all: &BTreeMap<PartitionName, Vec<Stored>>, word: fn(&Stored) -> String) {
    for (partition, records) in all {
        for stored in records {
            let key = String::from_utf8_lossy(&stored.record.key);
            let (offset, time) = (stored.offset, stored.time);
            println!(
                "{topic}-{partition} @ {offset} at {time}: {key} {}",
                word(stored)
            );
        }
    }
}

fn inbound_word(stored: &Stored) -> String {
    match codec::decode::<Inbound>(&stored.record.header) {
        Ok(inbound) => format!("{:?}", inbound.message),
        Err(error) => error.to_string(),
    }
}

fn outbound_word(stored: &Stored) -> String {
    match codec::decode::<Outbound>(&stored.record.header) {
        Ok(outbound) => format!("{:?} {:?}", outbound.link, outbound.deliveries),
        Err(error) => error.to_string(),
    }
}

fn smaller(plan: Plan) -> ExitCode {
    let failure = xp_simulator::judge(plan);
    let Some(failure) = failure else {
        println!("nothing is wrong with {plan}");
        return ExitCode::SUCCESS;
    };
    report(&failure, true);
    ExitCode::FAILURE
}
