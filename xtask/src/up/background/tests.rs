use super::*;

const SOON: Duration = Duration::from_secs(20);

struct Shell {
    dir: tempfile::TempDir,
}

impl Shell {
    fn new() -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
        }
    }

    fn background(&self) -> Background {
        Background::named("shell", self.dir.path())
    }

    fn start(&self, script: &str) -> Background {
        let background = self.background();
        background
            .start(Command::new("sh").args(["-c", script]))
            .unwrap();
        background
    }
}

#[test]
fn a_process_is_found_again_and_stopped_in_order() {
    let shell = Shell::new();
    shell.start("trap 'echo draining; exit 0' TERM; echo ready at 7; while :; do sleep 0.05; done");
    let found = shell.background();
    assert_eq!(found.wait_for_line("ready", SOON).unwrap(), "ready at 7");
    assert!(found.running().is_some());
    assert_eq!(found.stop(SOON).unwrap(), Stopped::InOrder);
    assert!(found.running().is_none());
    assert!(found.line_with("draining").is_some());
    assert_eq!(found.stop(SOON).unwrap(), Stopped::DidNotRun);
}

#[test]
fn a_process_that_does_not_listen_is_killed() {
    let shell = Shell::new();
    let deaf = shell.start("trap '' TERM; echo ready; while :; do sleep 0.05; done");
    deaf.wait_for_line("ready", SOON).unwrap();
    assert_eq!(
        deaf.stop(Duration::from_millis(200)).unwrap(),
        Stopped::Killed
    );
    assert!(deaf.running().is_none());
}

#[test]
fn a_process_that_ends_before_it_is_ready_shows_its_last_words() {
    let shell = Shell::new();
    let failing = shell.start("echo 'error: no broker' >&2; exit 1");
    let error = failing
        .wait_for_line("ready", SOON)
        .unwrap_err()
        .to_string();
    assert!(error.contains("shell ended while it started"), "{error}");
    assert!(error.ends_with("error: no broker"), "{error}");
}

#[test]
fn a_process_stands_still_goes_on_and_dies_as_it_is_told() {
    let shell = Shell::new();
    let process = shell.start("echo ready; while :; do sleep 0.02; done");
    process.wait_for_line("ready", SOON).unwrap();
    process.pause().unwrap();
    let there = process
        .running()
        .expect("a process that stands still is there");
    let stat = format!("/proc/{}/stat", there.pid());
    let stands = || fs::read_to_string(&stat).unwrap().contains(") T ");
    assert!(wait_for(SOON, || stands().then_some(())).is_some());
    process.resume().unwrap();
    assert!(wait_for(SOON, || (!stands()).then_some(())).is_some());
    process.kill().unwrap();
    let said = process.pause().unwrap_err().to_string();
    assert!(said.contains("`cargo xtask up` starts it"), "{said}");
}
