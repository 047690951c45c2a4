use std::sync::mpsc;

use super::*;

/// A test that has not seen its end by then has failed.
const PATIENCE: Duration = Duration::from_secs(30);

/// Takes a line whenever it is told whether that goes well.
struct Reader {
    told: mpsc::Receiver<io::Result<()>>,
    seen: mpsc::Sender<String>,
}

impl Write for Reader {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        match self.told.recv() {
            Ok(told) => told?,
            Err(_) => std::thread::park(),
        }
        drop(self.seen.send(String::from_utf8_lossy(line).into_owned()));
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Keeps what is written.
#[derive(Clone, Default)]
pub(in crate::process) struct Kept(Arc<Mutex<Vec<u8>>>);

impl Kept {
    pub(in crate::process) fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl Write for Kept {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Kept {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

struct Log {
    lines: Lines,
    tell: mpsc::Sender<io::Result<()>>,
    seen: mpsc::Receiver<String>,
}

fn log() -> Log {
    let (tell, told) = mpsc::channel();
    let (send, seen) = mpsc::channel();
    let lines = Lines::to(Reader { told, seen: send }).unwrap();
    Log { lines, tell, seen }
}

impl Log {
    fn takes(&self) -> String {
        self.tell.send(Ok(())).unwrap();
        self.seen.recv_timeout(PATIENCE).unwrap()
    }
}

#[test]
fn who_logs_does_not_wait_for_a_reader_that_stands_still() {
    let log = log();
    for _ in 0..10 * QUEUED_LINES_MAX {
        log.lines.push(b"what happened\n");
    }
    let lost = log.lines.lost();
    assert!(lost >= 9 * QUEUED_LINES_MAX as u64 - 1, "{lost}");
    // Nor does who ends.
    log.lines.flush(Duration::ZERO);
}

#[test]
fn a_line_larger_than_all_the_room_is_lost_and_the_next_one_is_not() {
    let log = log();
    log.lines.push(&vec![b'x'; QUEUED_BYTES_MAX + 1]);
    log.lines.push(b"small\n");
    assert_eq!(log.takes(), "small\n");
    assert!(log.takes().starts_with("log lines lost: 1,"));
}

#[test]
fn what_was_lost_is_said_once_as_soon_as_lines_go_through_again() {
    let log = log();
    let full = || Err(io::ErrorKind::StorageFull.into());
    for line in ["one\n", "two\n", "three\n"] {
        log.lines.push(line.as_bytes());
    }
    log.tell.send(full()).unwrap();
    log.tell.send(full()).unwrap();
    assert_eq!(log.takes(), "three\n");
    let said = log.takes();
    assert!(said.starts_with("log lines lost: 2,"), "{said}");
    log.lines.push(b"four\n");
    assert_eq!(log.takes(), "four\n");
    log.lines.push(b"five\n");
    assert_eq!(log.takes(), "five\n", "it is not said again");
    assert_eq!(log.lines.lost(), 2);
}
