//! `cargo xtask kafka`: a local Kafka that stays until it is stopped.
#![expect(clippy::print_stdout, reason = "a command line tool speaks on stdout")]

use anyhow::{Context, Result, bail};
use std::fs::{self, File};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;
use xp_local_kafka::{Detached, DetachedBroker, LocalKafka, Options, target_dir};

const USAGE: &str =
    "usage: cargo xtask kafka start [--brokers 1|3]   until `stop`, with storage under target/kafka
       cargo xtask kafka stop
       cargo xtask kafka status                    who runs, where, and whether it answers; the code is 3 when nothing runs
       cargo xtask kafka jars                      only fetches what the tests need";

/// Each size has its own storage.
const SIZES: [usize; 2] = [1, 3];

/// What `status` returns when nothing runs, as `systemctl status` does.
const NOTHING_RUNS: u8 = 3;

/// How long brokers may take until they answer, when an earlier `start` was interrupted.
const ANSWERING_WITHIN: Duration = Duration::from_secs(60);

fn main() -> ExitCode {
    match run() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<ExitCode> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["start"] => start(1),
        ["start", "--brokers", brokers] => start(size(brokers)?),
        ["run"] => run_leashed(1),
        ["run", "--brokers", brokers] => run_leashed(size(brokers)?),
        ["stop"] => stop(),
        ["status"] => return status(),
        ["jars"] => jars(),
        [] => bail!("start, run, stop, status or jars?\n{USAGE}"),
        _ => bail!("there is no `kafka {}`\n{USAGE}", words.join(" ")),
    }
    .map(|()| ExitCode::SUCCESS)
}

fn size(brokers: &str) -> Result<usize> {
    let size = brokers.parse().ok().filter(|size| SIZES.contains(size));
    size.with_context(|| format!("one broker or three, not `{brokers}`\n{USAGE}"))
}

fn start(brokers: usize) -> Result<()> {
    let _lock = lock()?;
    if let Some((size, running)) = running() {
        if size == brokers && running.running() == size {
            println!("Kafka runs already.");
            if !running.answers_within(ANSWERING_WITHIN) {
                bail!("it does not answer; `cargo xtask kafka status` tells more");
            }
            say_where(&running);
            return Ok(());
        }
        bail!(
            "{} of {size} broker(s) run already; `cargo xtask kafka stop` first",
            running.running()
        );
    }
    println!("starting {brokers} broker(s) …");
    LocalKafka::start(options(brokers).in_dir(home(brokers)).detached())?;
    say_where(&Detached::find(&home(brokers)));
    Ok(())
}

/// The brokers end with this process, however it ends.
fn run_leashed(brokers: usize) -> Result<()> {
    println!("starting {brokers} broker(s) …");
    let kafka = LocalKafka::start(options(brokers))?;
    for (index, broker) in Detached::find(kafka.dir()).brokers().iter().enumerate() {
        say_broker(index, broker);
    }
    say_where(&Detached::find(kafka.dir()));
    std::io::copy(&mut std::io::stdin(), &mut std::io::sink())?;
    Ok(())
}

fn options(brokers: usize) -> Options {
    if brokers == 1 {
        Options::one()
    } else {
        Options::three()
    }
}

fn stop() -> Result<()> {
    let _lock = lock()?;
    let Some((_, running)) = running() else {
        println!("Kafka does not run.");
        return Ok(());
    };
    let stopped = running.stop()?;
    println!("stopped {stopped} broker(s); their storage stays, `start` takes it up again");
    Ok(())
}

fn status() -> Result<ExitCode> {
    let Some((_, running)) = running() else {
        println!("Kafka does not run.");
        return Ok(ExitCode::from(NOTHING_RUNS));
    };
    for (index, broker) in running.brokers().iter().enumerate() {
        say_broker(index, broker);
    }
    say_where(&running);
    Ok(ExitCode::SUCCESS)
}

fn jars() -> Result<()> {
    let jars = LocalKafka::prepare()?;
    let how = if jars.fetched() {
        "fetched into"
    } else {
        "are there, in"
    };
    println!("the jars of Kafka {how} {}", jars.dir().display());
    Ok(())
}

fn running() -> Option<(usize, Detached)> {
    let found = SIZES.map(|size| (size, Detached::find(&home(size))));
    found.into_iter().find(|(_, found)| found.running() > 0)
}

fn say_broker(index: usize, broker: &DetachedBroker) {
    let state = match broker.pid() {
        Some(pid) if broker.answers() => format!("pid {pid}, answers"),
        Some(pid) => format!("pid {pid}, DOES NOT ANSWER"),
        None => "DOES NOT RUN".to_owned(),
    };
    let address = broker.address().unwrap_or_default();
    println!(
        "broker {}: {address}, {state}, log {}",
        index + 1,
        broker.log().display()
    );
}

fn say_where(kafka: &Detached) {
    println!("bootstrap: {}", kafka.bootstrap());
    println!("storage: {}", kafka.dir().display());
    println!("\nthe platform on it (`xp` is target/release/xp, or your own binary):\n");
    print!("{}", kafka.instructions());
}

fn home(brokers: usize) -> PathBuf {
    target_dir().join("kafka").join(format!("local-{brokers}"))
}

/// Two who start at once would both find that nothing runs.
fn lock() -> Result<File> {
    let dir = target_dir().join("kafka");
    fs::create_dir_all(&dir).with_context(|| format!("cannot make {}", dir.display()))?;
    let lock = File::create(dir.join("local.lock")).context("cannot make a lock file")?;
    lock.lock().context("cannot lock the local Kafka")?;
    Ok(lock)
}
