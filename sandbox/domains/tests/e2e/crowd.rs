//! A crowd that draws on a few boards at once, and the state that comes of it.

use std::collections::BTreeMap;

use rand::Rng;
use rand_chacha::ChaCha8Rng;

use crate::checker::{History, Strokes, board, judge, logged};
use crate::drawer::{Drawer, Load};
use crate::installation::Installation;

pub(crate) struct Crowd<'a> {
    boards: &'a [&'a str],
    pub(crate) load: Load,
    drawers: Vec<Drawer>,
}

/// What everybody did and saw, and what the boards are after it. It is judged already.
pub(crate) struct Outcome {
    boards: BTreeMap<String, Strokes>,
    pub(crate) histories: Vec<History>,
}

impl<'a> Crowd<'a> {
    /// So many on each board, in turn at each of the installation's edges; they draw nothing yet.
    pub(crate) fn start(boards: &'a [&'a str], each: usize, at: &impl Installation) -> Self {
        Self::through(&at.urls(), boards, each, at)
    }

    /// The same through other doors.
    pub(crate) fn through(
        urls: &[String],
        boards: &'a [&'a str],
        each: usize,
        at: &impl Installation,
    ) -> Self {
        let (load, signer) = (Load::of(boards.len() * each), at.signer());
        let names = boards
            .iter()
            .flat_map(|board| (0..each).map(move |i| (board, i, format!("{board}{i}"))));
        let drawers = names.enumerate().map(|(nth, (board, i, name))| {
            let url = &urls[i % urls.len()];
            Drawer::start(&name, board, url, signer.tokens(&name), &load, nth)
        });
        let drawers = drawers.collect();
        Self {
            boards,
            load,
            drawers,
        }
    }

    /// Waits until so many commands were answered since the beginning.
    pub(crate) async fn answered(&self, commands: u64) {
        if !self.load.reaches(commands).await {
            let reports: Vec<_> = self.drawers.iter().map(Drawer::report).collect();
            let answered = self.load.answered_so_far();
            panic!("only {answered} of {commands} commands were answered: {reports:#?}");
        }
    }

    /// Grants so many commands to each, and returns at some moment between the first and the last answer; now and
    /// then at once, while clients may still be coming back.
    pub(crate) async fn within_a_round(&self, rng: &mut ChaCha8Rng, commands: u64) {
        // Counted before: what is granted may be answered at once.
        let answered = self.load.answered_so_far();
        let granted = self.load.grant(commands);
        let at_once = rng.random_ratio(1, 8);
        let further = if at_once {
            0
        } else {
            rng.random_range(1..granted)
        };
        self.answered(answered + further).await;
    }

    /// Waits until everybody is there.
    pub(crate) async fn back(&mut self) {
        for drawer in &mut self.drawers {
            drawer.back().await;
        }
    }

    /// Nobody begins anything more; all wait for their answers and for what is shown, and are judged. Then the
    /// installation ends, and its log must say the same.
    pub(crate) async fn finish(mut self, at: &mut impl Installation) -> Outcome {
        self.load.end();
        for drawer in &mut self.drawers {
            drawer.answered().await;
        }
        let boards = boards(self.boards, at).await;
        let mut histories = Vec::new();
        for drawer in self.drawers {
            let strokes = boards[drawer.board()].len();
            histories.push(drawer.finish(strokes).await);
        }
        judge(&histories, &boards);
        at.end().await;
        is_what_the_log_says(&boards, at).await;
        Outcome { boards, histories }
    }
}

/// What the boards are, which must be the same at every edge.
async fn boards(names: &[&str], at: &impl Installation) -> BTreeMap<String, Strokes> {
    let (urls, judge) = (at.urls(), at.signer().tokens("judge"));
    let mut boards = BTreeMap::new();
    for name in names {
        let shown = board(name, &urls[0], judge.clone()).await;
        for url in &urls[1..] {
            let other = board(name, url, judge.clone()).await;
            assert!(other == shown, "edges show board {name} differently");
        }
        boards.insert((*name).to_owned(), shown);
    }
    boards
}

/// Another program that reads the log says the same.
async fn is_what_the_log_says(boards: &BTreeMap<String, Strokes>, at: &impl Installation) {
    for (name, board) in boards {
        let logged = logged(name, at).await;
        assert!(logged == *board, "board {name} is not what the log says");
    }
}

impl Outcome {
    pub(crate) fn resumed(&self) -> usize {
        let resumed = self.histories.iter().map(|history| history.view.resumed);
        resumed.sum()
    }

    pub(crate) fn summary(&self) -> String {
        let strokes: usize = self.boards.values().map(BTreeMap::len).sum();
        let over = self
            .histories
            .iter()
            .map(|history| history.view.started_over);
        format!(
            "{strokes} commands, {} times resumed, {} times started over",
            self.resumed(),
            over.sum::<usize>()
        )
    }
}
