//! Faults of a running installation, to see what its users see of it: one process dies, stands still, goes on; or all
//! are replaced, one after the other.

use super::options::Base;
use super::settings::{ROLES, Role};
use super::{ENDED_WITHIN, Installation, READY_WITHIN, Started, ready, said};
use anyhow::{Context, Result, bail};
use std::path::Path;
use std::time::Duration;

/// `kill -9`: it can do nothing about it.
pub(super) fn kill(root: &Path, base: Base, name: &str) -> Result<()> {
    let (installation, role) = open(root, base, name)?;
    installation.process(role).kill()?;
    println!("{name} is dead; `{}` brings it back", base.task("up"));
    Ok(())
}

/// SIGSTOP: it stands still and does not know it. With `seconds` it goes on by itself.
#[expect(
    clippy::disallowed_methods,
    reason = "the time of a pause is what was asked for"
)]
pub(super) fn pause(root: &Path, base: Base, name: &str, seconds: Option<&str>) -> Result<()> {
    let seconds = seconds.map(whole_seconds).transpose()?;
    let (installation, role) = open(root, base, name)?;
    let process = installation.process(role);
    process.pause()?;
    let Some(seconds) = seconds else {
        let resume = base.task(&format!("resume {name}"));
        println!("{name} stands still; `{resume}` lets it go on");
        return Ok(());
    };
    println!("{name} stands still for {} s …", seconds.as_secs());
    std::thread::sleep(seconds);
    go_on(&installation, role)
}

/// Lets a process that stands still go on, with SIGCONT.
pub(super) fn resume(root: &Path, base: Base, name: &str) -> Result<()> {
    let (installation, role) = open(root, base, name)?;
    go_on(&installation, role)
}

fn go_on(installation: &Installation, role: Role) -> Result<()> {
    installation.process(role).resume()?;
    println!("{} goes on", role.name());
    Ok(())
}

/// Replaces every process by a new one, as for an upgrade: each leaves in order, and the next one's turn comes when the
/// new one is ready. State nodes first: an edge that is replaced closes its sockets, and they find everything in place.
pub(super) fn roll(root: &Path, base: Base) -> Result<()> {
    let installation = Installation::open(root, base)?;
    if !installation.runs()? {
        bail!(
            "not everything runs: `{}` starts what is missing",
            base.task("up")
        );
    }
    ROLES
        .iter()
        .try_for_each(|role| installation.replace(*role))
}

impl Installation {
    fn replace(&self, role: Role) -> Result<()> {
        let process = self.process(role);
        let stopped = process.stop(ENDED_WITHIN)?;
        println!("{}: {}", process.name(), said(stopped));
        self.start_role(role, &mut Started::default())?;
        self.wait_ready(role)
    }

    /// What a load balancer would wait for.
    pub(super) fn wait_ready(&self, role: Role) -> Result<()> {
        let at = self.http(role)?;
        ready::wait(&at, READY_WITHIN).with_context(|| {
            let log = self.process(role).log();
            format!("{}; its log is {}", role.name(), log.display())
        })?;
        println!("{} is ready", role.name());
        Ok(())
    }
}

fn open(root: &Path, base: Base, name: &str) -> Result<(Installation, Role)> {
    let role = ROLES.into_iter().find(|role| role.name() == name);
    let Some(role) = role else {
        let names = ROLES.map(Role::name).join(", ");
        bail!("there is no process {name:?}; there are {names}");
    };
    Ok((Installation::open(root, base)?, role))
}

fn whole_seconds(text: &str) -> Result<Duration> {
    let seconds = text.parse().ok().filter(|seconds| *seconds > 0);
    let seconds = seconds.with_context(|| {
        format!("{text:?} is no number of seconds: write 1 or more, or leave it out")
    })?;
    Ok(Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_nobody_has_is_answered_with_those_there_are() {
        let nowhere = Path::new("/nowhere");
        let said = kill(nowhere, Base::default(), "state-9")
            .unwrap_err()
            .to_string();
        assert!(
            said.contains("state-1, state-2, state-3, edge-1, edge-2"),
            "{said}"
        );
    }

    #[test]
    fn a_pause_takes_whole_seconds() {
        assert_eq!(whole_seconds("5").unwrap(), Duration::from_secs(5));
        for word in ["0", "-1", "1.5", "soon"] {
            assert!(whole_seconds(word).is_err(), "{word}");
        }
    }
}
