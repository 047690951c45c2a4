//! Readiness of many sockets for one thread that must also be awake at exact moments.

use std::num::NonZeroU64;
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use anyhow::Result;
use rustix::buffer::spare_capacity;
use rustix::event::{PollFd, PollFlags, Timespec, epoll, poll};
use rustix::io::Errno;

use crate::figures::now;

/// How many sockets one look may find ready.
const READY_MAX: usize = 1_024;

pub(crate) struct Poller {
    epoll: OwnedFd,
    ready: Vec<epoll::Event>,
}

impl Poller {
    pub(crate) fn new() -> Result<Self> {
        // The kernel otherwise lets a thread sleep for 50 µs more than it asked for.
        let _ = rustix::thread::set_current_timer_slack(NonZeroU64::new(1));
        Ok(Self {
            epoll: epoll::create(epoll::CreateFlags::CLOEXEC)?,
            ready: Vec::with_capacity(READY_MAX),
        })
    }

    /// Watches for something to read.
    pub(crate) fn add(&self, source: impl AsFd, key: usize) -> Result<()> {
        let key = epoll::EventData::new_u64(key as u64);
        Ok(epoll::add(&self.epoll, source, key, epoll::EventFlags::IN)?)
    }

    pub(crate) fn remove(&self, source: impl AsFd) -> Result<()> {
        Ok(epoll::delete(&self.epoll, source)?)
    }

    /// Waits until something can be read or the time is over, and gives the keys of what is ready.
    pub(crate) fn wait(&mut self, until: Instant) -> Result<impl Iterator<Item = usize>> {
        let left = until.saturating_duration_since(now());
        if !left.is_zero() {
            // epoll_wait(2) counts in milliseconds, ppoll(2) does not.
            let mut this = [PollFd::new(&self.epoll, PollFlags::IN)];
            unless_interrupted(poll(&mut this, Some(&timespec(left)))).map(drop)?;
        }
        self.ready.clear();
        let at_once = Some(&timespec(Duration::ZERO));
        let ready = epoll::wait(&self.epoll, spare_capacity(&mut self.ready), at_once);
        unless_interrupted(ready)?;
        Ok(self.ready.drain(..).map(|event| event.data.u64() as usize))
    }
}

fn timespec(left: Duration) -> Timespec {
    Timespec {
        tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: left.subsec_nanos().into(),
    }
}

fn unless_interrupted(result: Result<usize, Errno>) -> Result<usize> {
    match result {
        Err(Errno::INTR) => Ok(0),
        other => Ok(other?),
    }
}
