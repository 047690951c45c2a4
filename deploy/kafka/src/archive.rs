//! A broker's classes as Java wants them in memory. Loading them from jars is more than half of the work of a start,
//! and tests start many; Java 17 makes such an archive when a process that asked for it ends.

use crate::broker::{Broker, Mode};
use crate::home::Home;
use crate::jars::Jars;
use crate::options::Options;
use crate::properties::Ports;
use anyhow::{Context, Result};
use std::fs::{self, File};
use std::time::Duration;

/// Writing the archive takes a few seconds where nobody else works.
const MADE_WITHIN: Duration = Duration::from_secs(120);

/// Makes the archive once, by running a broker for a moment. Without one everything works, only slower: why it could
/// not be made is written beside it, and not tried again.
pub(crate) fn ensure(jars: &Jars) -> Result<()> {
    let archive = jars.archive();
    let failure = archive.with_extension("failed");
    let lock = File::create(archive.with_extension("lock"))?;
    lock.lock().context("cannot lock the archive of classes")?;
    if archive.exists() || failure.exists() {
        return Ok(());
    }
    if let Err(error) = make(jars) {
        fs::write(&failure, format!("{error:#}\n"))?;
    }
    Ok(())
}

fn make(jars: &Jars) -> Result<()> {
    let options = Options::one();
    let home = Home::make(&options)?;
    let ports = Ports::choose(1, &options.listeners)?;
    home.write_properties(&ports, &options.lines(None))?;
    home.format(jars, 1, &[])?;
    // Java writes where it is told, and is believed when it is done.
    let unfinished = home.path().join("classes.jsa");
    let mut broker = Broker::start(&home.broker(0), jars, &Mode::Archiving(unfinished.clone()))?;
    broker.wait_ready(options.ready_within)?;
    broker.stop_within(MADE_WITHIN)?;
    fs::rename(&unfinished, jars.archive()).context("Java made no archive")
}
