//! Lives through many seeds of the simulator and makes what fails smaller: `cargo xtask nightly`.
#![expect(clippy::print_stdout, reason = "a command line tool speaks on stdout")]

use std::ops::Range;
use std::process::ExitCode;

use xp_sandbox::simulator::{Failure, Plan, check, run, shrink, sweep};

const USAGE: &str = "usage: xp-simulate [--seeds FROM..TO] [--threads N] [--like 'PLAN']
           lives through the seeds (0..10000) and makes the first that fail smaller
       xp-simulate --plan 'PLAN'
           lives through one plan and prints its story
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
    like: Plan,
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let obeyed = match words[..] {
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
        like: Plan::rough(0),
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
            ["--like", text] => order.like = text.parse().map_err(|error| format!("{error}"))?,
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
    let plan = |seed| Plan { seed, ..like };
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
    let violations = check(&outcome);
    violations.iter().for_each(|found| println!("{found}"));
    match violations.is_empty() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}

fn smaller(plan: Plan) -> ExitCode {
    let failure = xp_sandbox::simulator::judge(plan);
    let Some(failure) = failure else {
        println!("nothing is wrong with {plan}");
        return ExitCode::SUCCESS;
    };
    report(&failure, true);
    ExitCode::FAILURE
}
