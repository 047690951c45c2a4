//! Somebody who draws without pause and writes down what was answered and what was shown.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::json;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use xp_client::{Answer, Client, Handle, Items, Options, Payload, Pending, Tokens};

use crate::checker::{History, View};
use crate::process::PATIENCE;

/// Commands that wait for their answers; the client has a bound of its own.
const PENDING_MAX: usize = 256;

/// What the drawers of a test may do, and how much of it was answered.
#[derive(Clone)]
pub(crate) struct Load {
    /// One each, so that the first to come back does not do it all.
    budgets: Vec<Arc<Semaphore>>,
    granted: Arc<AtomicU64>,
    answered: watch::Sender<u64>,
}

impl Load {
    pub(crate) fn of(drawers: usize) -> Self {
        let budgets = (0..drawers).map(|_| Arc::new(Semaphore::new(0)));
        Self {
            budgets: budgets.collect(),
            granted: Arc::default(),
            answered: watch::channel(0).0,
        }
    }

    /// Allows everybody so many more commands, and says how many those are together.
    pub(crate) fn grant(&self, commands: u64) -> u64 {
        for budget in &self.budgets {
            budget.add_permits(usize::try_from(commands).unwrap());
        }
        let granted = commands * self.budgets.len() as u64;
        self.granted.fetch_add(granted, Ordering::Relaxed);
        granted
    }

    pub(crate) fn granted_so_far(&self) -> u64 {
        self.granted.load(Ordering::Relaxed)
    }

    /// Waits until so many commands were answered since the beginning; false when that takes too long.
    pub(crate) async fn reaches(&self, commands: u64) -> bool {
        let mut answered = self.answered.subscribe();
        let reached = timeout(PATIENCE, answered.wait_for(|count| *count >= commands)).await;
        reached.is_ok()
    }

    pub(crate) fn answered_so_far(&self) -> u64 {
        *self.answered.borrow()
    }

    /// Nobody sends any more.
    pub(crate) fn end(&self) {
        for budget in &self.budgets {
            budget.close();
        }
    }
}

pub(crate) struct Drawer {
    name: String,
    board: String,
    handle: Handle,
    sending: JoinHandle<()>,
    answering: JoinHandle<Vec<u64>>,
    view: watch::Receiver<View>,
}

impl Drawer {
    pub(crate) fn start(
        name: &str,
        board: &str,
        url: &str,
        tokens: Tokens,
        load: &Load,
        nth: usize,
    ) -> Self {
        let address = format!("board/{board}").parse().unwrap();
        let mut options = Options::new(url, address, tokens);
        options.settings.backoff_min_ms = 5;
        options.settings.backoff_max_ms = 100;
        let (handle, items) = Client::connect(options).unwrap().split();
        let (pending, coming) = mpsc::channel(PENDING_MAX);
        let (shown, view) = watch::channel(View::default());
        tokio::spawn(look(items, shown));
        Self {
            name: name.to_owned(),
            board: board.to_owned(),
            handle: handle.clone(),
            sending: tokio::spawn(draw(
                name.to_owned(),
                handle,
                Arc::clone(&load.budgets[nth]),
                pending,
            )),
            answering: tokio::spawn(collect(coming, load.answered.clone())),
            view,
        }
    }

    /// Waits until all is answered and shown, and leaves. `strokes` is how many the board must have then.
    pub(crate) async fn finish(mut self, strokes: usize) -> History {
        let shown = timeout(
            PATIENCE,
            self.view.wait_for(|view| view.strokes.len() >= strokes),
        )
        .await;
        assert!(
            shown.is_ok(),
            "{} was never shown all of {strokes} strokes",
            self.name
        );
        drop(shown);
        self.handle.close().await;
        let view = self.view.borrow().clone();
        let numbers = self.answering.await.unwrap();
        History {
            name: self.name,
            board: self.board,
            numbers,
            view,
        }
    }

    /// Waits until the session is open again, as far as the client knows.
    pub(crate) async fn back(&mut self) {
        let back = timeout(PATIENCE, self.view.wait_for(|view| view.is_live)).await;
        assert!(back.is_ok(), "{} did not come back", self.name);
    }

    /// Where it stands, for whoever wonders why nothing goes on.
    pub(crate) fn report(&self) -> String {
        let view = self.view.borrow();
        let (name, revision, is_live) = (&self.name, view.revision, view.is_live);
        let losses: Vec<_> = view.losses.iter().rev().take(5).collect();
        format!("{name} at revision {revision}, live: {is_live}, last losses: {losses:?}")
    }

    pub(crate) fn board(&self) -> &str {
        &self.board
    }

    /// Waits until all that was sent is answered, and says how much that was.
    pub(crate) async fn answered(&mut self) -> usize {
        timeout(PATIENCE, &mut self.sending)
            .await
            .expect("sending ends")
            .unwrap();
        let numbers = timeout(PATIENCE, &mut self.answering).await;
        let numbers = numbers
            .unwrap_or_else(|_| panic!("{} waits for an answer", self.name))
            .unwrap();
        let count = numbers.len();
        self.answering = tokio::spawn(async { numbers });
        count
    }
}

async fn draw(
    name: String,
    handle: Handle,
    budget: Arc<Semaphore>,
    pending: mpsc::Sender<Pending>,
) {
    for i in 1_u64.. {
        let Ok(permit) = budget.acquire().await else {
            return;
        };
        permit.forget();
        let stroke =
            json!({"type": "Draw", "data": {"colour": format!("{name}-{i}"), "points": [[0, 0]]}});
        let answer = handle
            .submit(Payload::json(&stroke).unwrap())
            .await
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        if pending.send(answer).await.is_err() {
            return;
        }
    }
}

/// The numbers under which the strokes were drawn, in the order they were sent.
async fn collect(mut coming: mpsc::Receiver<Pending>, answered: watch::Sender<u64>) -> Vec<u64> {
    let mut numbers = Vec::new();
    while let Some(pending) = coming.recv().await {
        let answer: Answer = pending
            .await
            .unwrap_or_else(|error| panic!("a command was not answered: {error}"));
        let reply: serde_json::Value = answer
            .reply()
            .unwrap_or_else(|error| panic!("a stroke was not drawn: {error}"));
        numbers.push(
            reply["data"]["number"]
                .as_u64()
                .expect("a Drawn reply has a number"),
        );
        answered.send_modify(|count| *count += 1);
    }
    numbers
}

async fn look(mut items: Items, shown: watch::Sender<View>) {
    while let Some(item) = items.next().await {
        shown.send_modify(|view| view.see(&item));
    }
}
