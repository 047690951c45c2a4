//! One session of `xp connect`: lines go out in order, whatever happens is printed as it happens.

use std::pin::Pin;
use std::time::Duration;

use anyhow::{Result, bail};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};
use xp_client::{Answer, Client, End, Error, Handle, Item, Items, Lost, Payload};

use super::advice;
use super::input::Input;
use super::line::{HELP, Line};
use super::print::Printer;
use crate::process::stderr;

/// Requests on their way to the client's task, which itself holds at most its window.
const REQUESTS_MAX: usize = 16;

type Answering = Pin<Box<dyn Future<Output = Answered> + Send>>;

/// An answer, what it answers, and how long that took.
struct Answered {
    id: String,
    result: std::result::Result<Answer, Error>,
    took: Duration,
}

/// A line that wants an answer.
struct Request {
    id: String,
    payload: Payload,
    is_query: bool,
}

pub(super) struct Session {
    handle: Handle,
    items: Items,
    input: Input,
    printer: Printer,
    sent: Sent,
    is_welcome: bool,
    /// Why the last socket was lost, for whoever gives up.
    lost: Option<Lost>,
    is_input_over: bool,
    slips: usize,
}

/// How many commands and queries were typed; the commands count like the session's numbers.
#[derive(Default)]
struct Sent {
    commands: u64,
    queries: u64,
}

impl Session {
    pub(super) fn new(client: Client, input: Input, printer: Printer) -> Self {
        let (handle, items) = client.split();
        Self {
            handle,
            items,
            input,
            printer,
            sent: Sent::default(),
            is_welcome: false,
            lost: None,
            is_input_over: false,
            slips: 0,
        }
    }

    /// Until everything typed is answered, or the server says that it is over.
    pub(super) async fn run(mut self, patience: Option<Duration>) -> Result<()> {
        let (requests, submitted) = submitter(self.handle.clone());
        let mut requests = Some(requests);
        let mut submitted = Some(submitted);
        let mut answers: FuturesUnordered<Answering> = FuturesUnordered::new();
        let deadline = sleep(patience.unwrap_or_default());
        tokio::pin!(deadline);
        loop {
            if self.is_input_over {
                requests = None;
            }
            if self.is_welcome && submitted.is_none() && answers.is_empty() {
                return self.leave().await;
            }
            // What happened comes before the answer to it, so items are looked at first.
            tokio::select! {
                biased;
                item = self.items.next() => {
                    if matches!(item, Some(Item::Closed(_))) {
                        drop(requests.take());
                        self.show_last(submitted.take(), &mut answers).await?;
                    }
                    self.on_item(item)?;
                }
                Some(answered) = answers.next() => self.on_answer(answered)?,
                coming = next(&mut submitted) => match coming {
                    Some(answering) => answers.push(answering),
                    None => submitted = None,
                },
                line = self.input.lines.recv(), if !self.is_input_over && is_open(requests.as_ref()) => {
                    if let Some(request) = self.on_line(line) {
                        let requests = requests.as_ref().expect("open until the input is over");
                        // There is room: `is_open` said so, and nobody else sends.
                        let _ = requests.try_send(request);
                    }
                }
                () = &mut deadline, if patience.is_some() && !self.is_welcome => {
                    bail!(advice::given_up(self.lost.as_ref()));
                }
            }
        }
    }

    /// The session is over: what was answered before is shown; nothing else will be.
    async fn show_last(
        &self,
        submitted: Option<mpsc::Receiver<Answering>>,
        answers: &mut FuturesUnordered<Answering>,
    ) -> Result<()> {
        if let Some(mut submitted) = submitted {
            while let Some(answering) = submitted.recv().await {
                answers.push(answering);
            }
        }
        while let Some(answered) = answers.next().await {
            if answered.result.is_ok() {
                self.on_answer(answered)?;
            }
        }
        Ok(())
    }

    fn on_item(&mut self, item: Option<Item>) -> Result<()> {
        let Some(item) = item else {
            bail!("the connection is over")
        };
        let line = self.printer.item(&item);
        match item {
            Item::Closed(end) => bail!(advice::over(&end)),
            Item::Lost { why, .. } => {
                self.lost = Some(why);
                self.remark(line);
            }
            Item::Welcome { .. } | Item::Resumed { .. } | Item::StartedOver { .. } => {
                self.is_welcome = true;
                self.input.print(line);
            }
            Item::Event { .. } | Item::Ephemeral { .. } => self.input.print(line),
        }
        Ok(())
    }

    fn on_answer(&self, answered: Answered) -> Result<()> {
        match answered.result {
            Ok(answer) => {
                self.input
                    .print(self.printer.answer(&answered.id, &answer, answered.took))
            }
            // The item that follows says why in its own words.
            Err(Error::Ended(End::Left)) => {}
            Err(error) => bail!("{} was not answered: {error}", answered.id),
        }
        Ok(())
    }

    fn on_line(&mut self, line: Option<String>) -> Option<Request> {
        let Some(line) = line else {
            self.is_input_over = true;
            return None;
        };
        match Line::parse(&line) {
            Ok(Line::Empty) => {}
            Ok(Line::Help) => self.input.print(HELP.to_owned()),
            Ok(Line::Quit) => self.is_input_over = true,
            Ok(Line::Command(payload)) => return Some(self.sent.command(payload)),
            Ok(Line::Query(payload)) => return Some(self.sent.query(payload)),
            // Dropped when nobody is there: that is its nature.
            Ok(Line::Ephemeral(payload)) => drop(self.handle.ephemeral_payload(payload)),
            Err(error) => {
                self.slips += 1;
                self.remark(error.to_string());
            }
        }
        None
    }

    /// What the entity did not say goes beside it, where a pipe's reader does not trip over it.
    fn remark(&self, line: String) {
        if self.printer.latency {
            self.input.print(line);
        } else {
            stderr::say(&line);
        }
    }

    /// Says goodbye, and shows what still comes.
    async fn leave(mut self) -> Result<()> {
        self.handle.close().await;
        while let Some(item) = self.items.next().await {
            if !matches!(item, Item::Closed(_)) {
                self.on_item(Some(item))?;
            }
        }
        if self.slips > 0 && !self.printer.latency {
            bail!(
                "{} of the lines could not be sent; what is above says why",
                self.slips
            );
        }
        Ok(())
    }
}

impl Sent {
    fn command(&mut self, payload: Payload) -> Request {
        self.commands += 1;
        Request {
            id: self.commands.to_string(),
            payload,
            is_query: false,
        }
    }

    fn query(&mut self, payload: Payload) -> Request {
        self.queries += 1;
        Request {
            id: format!("?{}", self.queries),
            payload,
            is_query: true,
        }
    }
}

fn is_open(requests: Option<&mpsc::Sender<Request>>) -> bool {
    requests.is_some_and(|requests| requests.capacity() > 0)
}

async fn next(submitted: &mut Option<mpsc::Receiver<Answering>>) -> Option<Answering> {
    match submitted {
        Some(receiver) => receiver.recv().await,
        None => std::future::pending().await,
    }
}

/// Submitting waits while the window is full, and the window empties only while items are read: so a task of its own.
fn submitter(handle: Handle) -> (mpsc::Sender<Request>, mpsc::Receiver<Answering>) {
    let (requests, mut coming) = mpsc::channel::<Request>(REQUESTS_MAX);
    let (out, submitted) = mpsc::channel(REQUESTS_MAX);
    tokio::spawn(async move {
        while let Some(request) = coming.recv().await {
            if out.send(submit(&handle, request).await).await.is_err() {
                return;
            }
        }
    });
    (requests, submitted)
}

async fn submit(handle: &Handle, request: Request) -> Answering {
    let Request {
        id,
        payload,
        is_query,
    } = request;
    let began = Instant::now();
    if is_query {
        let handle = handle.clone();
        return Box::pin(async move {
            let result = handle.query_payload(payload).await;
            Answered {
                id,
                result,
                took: began.elapsed(),
            }
        });
    }
    let pending = handle.submit(payload).await;
    Box::pin(async move {
        let result = match pending {
            Ok(pending) => pending.await,
            Err(error) => Err(error),
        };
        Answered {
            id,
            result,
            took: began.elapsed(),
        }
    })
}
