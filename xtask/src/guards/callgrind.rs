//! One guard under valgrind's callgrind, and the instructions that its own code took.

use super::list::Guard;
use anyhow::{Context, Result, bail};
use std::path::Path;
use std::process::Command;

/// What is called inside of `xp_guards::counted` counts, whatever the rest of its symbol is.
const COUNTED: &str = "--toggle-collect=*xp_guards*counted*";

/// Runs one guard alone. What callgrind wrote stays in `folder`.
pub(crate) fn count(valgrind: &Path, folder: &Path, guard: &Guard) -> Result<u64> {
    let profile = folder.join(guard.profile());
    // As the profile names it.
    let program = std::fs::canonicalize(&guard.program).context("its program is lost")?;
    let mut command = Command::new(valgrind);
    command
        .args(["--tool=callgrind", COUNTED, "--compress-strings=no"])
        .arg(format!("--callgrind-out-file={}", profile.display()))
        .arg(&program)
        .args([&guard.test, "--exact", "--test-threads=1"])
        // The size of the environment moves the stack.
        .env_clear();
    let ran = command.output().context("valgrind cannot be started")?;
    if !ran.status.success() {
        bail!(
            "fails under valgrind:\n{}{}",
            String::from_utf8_lossy(&ran.stdout),
            String::from_utf8_lossy(&ran.stderr)
        );
    }
    let written = std::fs::read(&profile);
    let written = written.with_context(|| format!("cannot read {}", profile.display()))?;
    match own(&String::from_utf8_lossy(&written), &program) {
        0 => bail!("counts nothing: it has to call `xp_guards::counted`"),
        counted => Ok(counted),
    }
}

/// The instructions of functions in `program` itself, without those in shared libraries that they call.
fn own(profile: &str, program: &Path) -> u64 {
    let program = program.to_string_lossy();
    let (mut is_own, mut is_call, mut sum) = (false, false, 0);
    for line in profile.lines() {
        if let Some(object) = line.strip_prefix("ob=") {
            is_own = object == program;
        } else if line.starts_with("calls=") {
            // The line behind it is what the callee took, which stands there too.
            is_call = true;
        } else if line.starts_with(|letter: char| letter.is_ascii_digit() || "+-*".contains(letter))
        {
            let cost = line.split_whitespace().nth(1);
            let cost: u64 = cost.and_then(|cost| cost.parse().ok()).unwrap_or(0);
            sum += if is_own && !is_call { cost } else { 0 };
            is_call = false;
        }
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_program_itself_does_is_summed_without_calls_and_libraries() {
        let profile = "version: 1
positions: line
events: Ir
summary: 9999

ob=/r/target/edge
fl=edge/src/fanout.rs
fn=xp_guards::counted
31 10
+3 4
cob=/lib/libc.so.6
cfi=malloc.c
cfn=malloc
calls=2 0
* 700

ob=/lib/libc.so.6
fl=malloc.c
fn=malloc
0 700

ob=/r/target/edge
fl=edge/src/send_queue.rs
fn=push
-5 6

totals: 720
";
        assert_eq!(own(profile, Path::new("/r/target/edge")), 20);
        assert_eq!(own(profile, Path::new("/lib/libc.so.6")), 700);
        assert_eq!(own(profile, Path::new("/r/other")), 0);
    }
}
