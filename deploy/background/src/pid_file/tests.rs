use super::*;
use crate::process::spawn;
use std::fs;
use std::process::Command;
use std::sync::Barrier;

const SOON: Duration = Duration::from_secs(20);

const SHORT: Duration = Duration::from_millis(200);

struct Place {
    dir: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
        }
    }

    fn file(&self, name: &str) -> PidFile {
        PidFile::at(self.dir.path().join(name))
    }

    /// A shell that says `ready` when it listens to signals, and goes on until it is ended.
    fn start(&self, name: &str, trap: &str) -> (PidFile, Process) {
        let log = self.dir.path().join(format!("{name}.log"));
        let file = self.file(name);
        let script = format!("{trap} echo ready; while :; do sleep 0.02; done");
        let started = file.start(|| shell(&script, &log)).unwrap();
        let ready = || fs::read_to_string(&log).unwrap().contains("ready");
        wait_for(SOON, || ready().then_some(())).expect("the shell gets ready");
        (file, started)
    }
}

fn shell(script: &str, log: &Path) -> Result<u32> {
    spawn(Command::new("sh").args(["-c", script]), File::create(log)?)
}

#[test]
fn a_process_is_found_again_and_stopped_in_order() {
    let place = Place::new();
    let (file, started) = place.start("one", "trap 'exit 0' TERM;");
    let found = place.file("one").running();
    assert_eq!(found, Some(started));
    let text = fs::read_to_string(file.path()).unwrap();
    assert_eq!(
        text.lines().next(),
        Some(found.unwrap().pid().to_string().as_str())
    );
    assert_eq!(stop(&[&file], SOON).unwrap(), [Stopped::InOrder]);
    assert_eq!(file.running(), None);
    assert_eq!(stop(&[&file], SOON).unwrap(), [Stopped::DidNotRun]);
}

#[test]
fn several_are_asked_at_once_and_only_the_deaf_one_is_killed() {
    let place = Place::new();
    let (deaf, _) = place.start("deaf", "trap '' TERM;");
    let (hears, _) = place.start("hears", "");
    let absent = place.file("absent");
    assert_eq!(
        stop(&[&deaf, &absent, &hears], SHORT).unwrap(),
        [Stopped::Killed, Stopped::DidNotRun, Stopped::InOrder]
    );
    assert!(deaf.running().is_none() && hears.running().is_none());
    assert!(!absent.path().exists());
}

#[test]
fn one_that_stands_still_is_stopped_all_the_same() {
    let place = Place::new();
    let (file, process) = place.start("one", "");
    process.pause().unwrap();
    assert_eq!(stop(&[&file], SOON).unwrap(), [Stopped::InOrder]);
    let said = process.resume().unwrap_err().to_string();
    assert!(said.ends_with("does not run"), "{said}");
}

#[test]
fn a_file_whose_process_is_gone_bars_no_start() {
    let place = Place::new();
    let (file, first) = place.start("one", "");
    first.kill().unwrap();
    assert!(have_ended_within(SOON, std::slice::from_ref(&first)));
    // Nobody emptied it.
    assert!(Process::recorded(&fs::read_to_string(file.path()).unwrap()).is_some());
    assert_eq!(file.running(), None);
    let (_, second) = place.start("one", "");
    assert_ne!(first, second);
    assert!(file.kill().unwrap() && !file.kill().unwrap());
}

#[test]
fn a_process_that_got_the_number_of_another_is_neither_found_nor_ended() {
    let place = Place::new();
    let file = place.file("one");
    // This test has the number, and started at another time.
    let record = format!("{}\n7 ticks after boot of yesterday\n", std::process::id());
    fs::write(file.path(), record).unwrap();
    assert_eq!(file.running(), None);
    assert_eq!(stop(&[&file], SOON).unwrap(), [Stopped::DidNotRun]);
    assert!(!file.kill().unwrap());
    let (_, own) = place.start("one", "");
    assert!(own.runs() && file.kill().unwrap());
}

#[test]
fn what_is_no_pid_file_names_no_process() {
    let place = Place::new();
    let file = place.file("one");
    for text in ["", "7", "seven\nx\n", "0\nx\n", "-1\nx\n"] {
        fs::write(file.path(), text).unwrap();
        assert_eq!(file.running(), None, "{text:?}");
    }
}

#[test]
fn of_many_starters_at_once_one_starts() {
    const STARTERS: usize = 8;
    let place = Place::new();
    let log = place.dir.path().join("log");
    let begin = Barrier::new(STARTERS);
    let start = || {
        begin.wait();
        let file = place.file("one");
        file.start(|| shell("while :; do sleep 0.02; done", &log))
    };
    let results: Vec<Result<Process>> = std::thread::scope(|scope| {
        let starters: Vec<_> = (0..STARTERS).map(|_| scope.spawn(start)).collect();
        let ended = starters.into_iter().map(|one| one.join().unwrap());
        ended.collect()
    });
    let (started, refused): (Vec<_>, Vec<_>) = results.into_iter().partition(Result::is_ok);
    let started: Vec<Process> = started.into_iter().map(Result::unwrap).collect();
    let found = place.file("one").running();
    for each in &started {
        each.kill().unwrap();
    }
    assert_eq!(started.len(), 1);
    assert_eq!(found.as_ref(), started.first());
    for refusal in refused {
        let said = refusal.unwrap_err().to_string();
        assert!(said.contains("runs already"), "{said}");
    }
}

#[test]
fn a_process_that_ends_at_once_was_started_and_does_not_run() {
    let place = Place::new();
    let file = place.file("one");
    let log = place.dir.path().join("log");
    let started = file.start(|| shell("echo no; exit 1", &log)).unwrap();
    assert!(have_ended_within(SOON, std::slice::from_ref(&started)));
    assert_eq!(file.running(), None);
}

#[test]
fn a_start_that_fails_leaves_nothing_that_runs() {
    let place = Place::new();
    let file = place.file("one");
    let none = file.start(|| {
        spawn(
            &mut Command::new("no-such-program"),
            File::create(place.dir.path().join("log"))?,
        )
    });
    assert!(none.is_err());
    assert_eq!(file.running(), None);
}
