//! One broker for all tests of this binary; each uses topics of its own.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use xp_local_kafka::{Listener, LocalKafka, Options};

/// A user without rights but those that a test gives.
pub(crate) const ANA: &str = "ana";
/// Another user without rights but those that a test gives.
pub(crate) const BO: &str = "bo";
/// A third one.
pub(crate) const EDGE: &str = "edge-1";
/// The password of all of them.
pub(crate) const PASSWORD: &str = "opensesame-7";

/// The broker, started by whoever asks first. It ends with this process.
pub(crate) fn kafka() -> &'static LocalKafka {
    static KAFKA: OnceLock<LocalKafka> = OnceLock::new();
    KAFKA.get_or_init(|| {
        let all = Listener::ALL.into_iter();
        let options = all.fold(Options::one().in_dir(storage()), Options::listening);
        let options = [ANA, BO, EDGE]
            .iter()
            .fold(options, |options, user| options.user(user, PASSWORD));
        LocalKafka::start(options.acl()).unwrap()
    })
}

/// A directory of this process. Nobody is left to remove it in the end, so each run removes those of runs that ended.
fn storage() -> PathBuf {
    let all = Path::new(env!("CARGO_TARGET_TMPDIR"));
    for entry in std::fs::read_dir(all).unwrap().flatten() {
        let name = entry.file_name().into_string().unwrap_or_default();
        let is_over = |pid: &str| !Path::new("/proc").join(pid).exists();
        if name.strip_prefix("brokers-").is_some_and(is_over) {
            // Another run may be faster.
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
    all.join(format!("brokers-{}", std::process::id()))
}
