//! Many who draw on a few boards at once, and what became of it.

use std::collections::BTreeMap;
use std::path::Path;

use xp_client::Tokens;

use crate::checker::{History, Strokes, board, judge, logged};
use crate::drawer::{Drawer, Load};

pub(crate) struct Crowd<'a> {
    boards: &'a [&'a str],
    tokens: &'a dyn Fn(&str) -> Tokens,
    pub(crate) load: Load,
    drawers: Vec<Drawer>,
}

/// What everybody did and saw, and what the boards are after it. It is judged already.
pub(crate) struct Outcome {
    boards: BTreeMap<String, Strokes>,
    pub(crate) histories: Vec<History>,
}

impl<'a> Crowd<'a> {
    /// So many on each board; they draw nothing yet.
    pub(crate) fn start(
        boards: &'a [&'a str],
        each: usize,
        url: &str,
        tokens: &'a dyn Fn(&str) -> Tokens,
    ) -> Self {
        let load = Load::of(boards.len() * each);
        let names = boards
            .iter()
            .flat_map(|board| (0..each).map(move |i| (board, format!("{board}{i}"))));
        let drawers = names.enumerate();
        let drawers = drawers.map(|(nth, (board, name))| {
            Drawer::start(&name, board, url, tokens(&name), &load, nth)
        });
        let drawers = drawers.collect();
        Self {
            boards,
            tokens,
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

    /// Waits until everybody is there.
    pub(crate) async fn back(&mut self) {
        for drawer in &mut self.drawers {
            drawer.back().await;
        }
    }

    /// Nobody begins anything more; all wait for their answers and for what is shown, and are judged.
    pub(crate) async fn finish(mut self, url: &str) -> Outcome {
        self.load.end();
        for drawer in &mut self.drawers {
            drawer.answered().await;
        }
        let mut boards = BTreeMap::new();
        for name in self.boards {
            let shown = board(name, url, (self.tokens)("judge")).await;
            boards.insert((*name).to_owned(), shown);
        }
        let mut histories = Vec::new();
        for drawer in self.drawers {
            let strokes = boards[drawer.board()].len();
            histories.push(drawer.finish(strokes).await);
        }
        judge(&histories, &boards);
        Outcome { boards, histories }
    }
}

impl Outcome {
    /// Another program that reads the files says the same.
    pub(crate) async fn is_what_the_log_says(&self, data: &Path) {
        for (name, board) in &self.boards {
            let logged = logged(name, data).await;
            assert!(logged == *board, "board {name} is not what the log says");
        }
    }

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
