//! The pushes, the flusher and the connection in any order: what was pushed arrives once and in order, and nobody waits
//! for a call that does not come.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::*;

const SEEDS: u64 = 500;
const STEPS: usize = 200;

/// A send queue, its connection without I/O, and the socket behind it.
struct Stage {
    send_queue: Arc<SendQueue>,
    peer: Peer,
    /// The sending half, while the connection has it.
    writer: Option<Box<Writer>>,
    pushed: String,
}

impl Stage {
    fn new() -> Self {
        let peer = Peer::default();
        Self {
            // Half of it is reached now and then; all of it would make the client slow.
            send_queue: within(Bounds {
                bytes_max: 1_000_000,
                frames_max: STEPS,
            }),
            writer: Some(Box::new(Writer::new(peer.clone()))),
            peer,
            pushed: String::new(),
        }
    }

    fn push(&mut self, number: usize, is_answer: bool) {
        let text = format!("{number} ");
        self.pushed.push_str(&text);
        let frame = Bytes::from(text);
        match is_answer {
            true => {
                let kind = FrameKind::Accepted(MessageNumber(0));
                self.send_queue.push_now(Item::Telling(frame, kind));
            }
            false => self.send_queue.push(frame),
        }
    }

    /// The flusher comes, whether it was called or not.
    fn flush(&self, period: u64) {
        let mut listed = Vec::new();
        self.send_queue.ready.take(&mut listed);
        listed
            .iter()
            .for_each(|send_queue| send_queue.flush(period));
    }

    /// The connection, if anything woke it or its socket may take more.
    fn connection(&mut self) {
        if is_woken(&self.send_queue)
            && let Some((taken, parked)) = self.send_queue.take()
        {
            self.writer = self.writer.take().or(parked);
            let writer = self.writer.as_mut().unwrap();
            for item in taken.items {
                match item {
                    Item::Frame(frame) => writer.push_counted(frame),
                    Item::Telling(frame, _) => writer.push(frame),
                    Item::Coming => {}
                }
            }
        }
        if let Some(writer) = &mut self.writer {
            self.send_queue.written(writer.write_now().unwrap());
        }
        if let Some(idle) = self.writer.take_if(|writer| !writer.has_more()) {
            self.send_queue.park(idle);
        }
    }

    fn arrived(&self) -> String {
        self.peer.writes().concat()
    }
}

fn run(seed: u64) {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut stage = Stage::new();
    for step in 0..STEPS {
        match random.random_range(0..10) {
            0..4 => stage.push(step, false),
            4 => stage.push(step, true),
            5..7 => stage.flush(step as u64),
            7..9 => stage.connection(),
            _ => stage.peer.0.lock().unwrap().room += random.random_range(0..12),
        }
        let arrived = stage.arrived();
        assert!(stage.pushed.starts_with(&arrived), "seed {seed}: {arrived}");
    }
    stage.peer.0.lock().unwrap().room = usize::MAX;
    // Each does what it is called for, and no more.
    for period in 0..3 {
        stage.connection();
        stage.flush(STEPS as u64 + period);
    }
    assert_eq!(stage.arrived(), stage.pushed, "seed {seed}");
    assert_eq!(stage.send_queue.lock().backlog.frames(), 0, "seed {seed}");
}

#[test]
fn whoever_writes_all_arrives_in_order() {
    (0..SEEDS).for_each(run);
}
