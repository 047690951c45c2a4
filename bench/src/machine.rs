//! Facts of the machine, and how busy its cores are.

use std::fs;
use std::time::Instant;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::figures::{cores, now, own_cpu, pinned_to};

/// What the figures were measured on.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Machine {
    cpu: String,
    cores: usize,
    memory_gib: u64,
    kernel: String,
}

impl Machine {
    pub(crate) fn here() -> Self {
        let read = |path| fs::read_to_string(path).unwrap_or_default();
        Self {
            cpu: value(&read("/proc/cpuinfo"), "model name").unwrap_or_default(),
            cores: cores(),
            memory_gib: value(&read("/proc/meminfo"), "MemTotal")
                .and_then(|total| total.trim_end_matches(" kB").parse::<u64>().ok())
                .map_or(0, |kib| kib.div_ceil(1 << 20)),
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
        }
    }

    pub(crate) fn words(&self) -> String {
        let Self {
            cpu,
            cores,
            memory_gib,
            kernel,
        } = self;
        format!("{cores} cores of {cpu}, {memory_gib} GiB, Linux {kernel}")
    }
}

/// The value of the first line `name : value`.
fn value(text: &str, name: &str) -> Option<String> {
    let mut pairs = text.lines().filter_map(|line| line.split_once(':'));
    let (_, value) = pairs.find(|(key, _)| key.trim() == name)?;
    Some(value.trim().to_owned())
}

/// How busy the generator is from now on.
pub(crate) struct Busy {
    began: Instant,
    /// Its core and that one's time; nothing where it has none of its own.
    core: Option<(usize, CoreTime)>,
    cpu: f64,
}

impl Busy {
    pub(crate) fn from_now() -> Result<Self> {
        let core = pinned_to();
        let time = core.map(|core| Ok::<_, anyhow::Error>((core, CoreTime::of(core)?)));
        Ok(Self {
            began: now(),
            core: time.transpose()?,
            cpu: own_cpu()?,
        })
    }

    /// The share of its core's time in which that did something; without one, of its own time.
    pub(crate) fn share(&self) -> Result<f64> {
        match self.core {
            Some((core, before)) => Ok(CoreTime::of(core)?.share_since(before)),
            None => Ok((own_cpu()? - self.cpu) / self.began.elapsed().as_secs_f64()),
        }
    }
}

/// A core's time so far, in ticks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct CoreTime {
    busy: u64,
    all: u64,
}

impl CoreTime {
    fn of(core: usize) -> Result<Self> {
        Self::parse(&fs::read_to_string("/proc/stat")?, core)
    }

    /// proc_stat(5): user nice system idle iowait irq softirq steal; what follows is counted in user and nice already.
    fn parse(stat: &str, core: usize) -> Result<Self> {
        let name = format!("cpu{core}");
        let mut lines = stat.lines().map(str::split_whitespace);
        let line = lines.find_map(|mut words| (words.next() == Some(&name)).then_some(words));
        let ticks = line.context("every core has a line")?.take(8);
        let ticks: Vec<u64> = ticks.map(str::parse).collect::<Result<_, _>>()?;
        anyhow::ensure!(ticks.len() >= 5, "the line of {name} is short");
        let all = ticks.iter().sum();
        Ok(Self {
            busy: all - ticks[3] - ticks[4],
            all,
        })
    }

    /// The share of the time since then in which it was busy.
    fn share_since(self, before: Self) -> f64 {
        (self.busy - before.busy) as f64 / (self.all - before.all).max(1) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_core_is_busy_when_it_neither_idles_nor_waits_for_a_disk() {
        let stat = |ticks: &str| {
            format!("cpu  9 9 9 9 9 9 9 9 9 9\ncpu0 1 1 1 1 1 1 1 1 0 0\ncpu1 {ticks}\n")
        };
        let before = CoreTime::parse(&stat("100 0 50 200 10 0 0 0 7 0"), 1).unwrap();
        let after = CoreTime::parse(&stat("160 0 60 220 20 0 0 0 9 0"), 1).unwrap();
        assert_eq!(after.share_since(before), 0.7);
        assert_eq!(after.share_since(after), 0.0);
        assert!(CoreTime::parse(&stat("1 1 1 1 1"), 2).is_err());
    }

    #[test]
    fn a_fact_is_what_stands_behind_its_name() {
        let text = "processor\t: 0\nmodel name\t: A fast one @ 3 GHz\nmodel name\t: another\n";
        assert_eq!(value(text, "model name").unwrap(), "A fast one @ 3 GHz");
        assert_eq!(value(text, "MemTotal"), None);
    }
}
