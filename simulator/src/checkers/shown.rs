//! A checker of what clients were shown: it is what the log says, nothing missing, nothing twice, whatever the number
//! of sockets, or an explicit fresh start.

use std::collections::BTreeMap;

use xp_client::{Answer, Item, Payload};
use xp_protocol::events::Change;
use xp_protocol::frame::RequestId;
use xp_protocol::{ConnectionId, Revision};

use super::book::{Page, Sum};
use super::lives::{Biography, Sight};
use super::{Case, Findings};
use crate::history::Life;
use crate::ledger::{Event, Output};
use crate::plan::EPOCH_MS;

/// What was committed so shortly before the end need not have been shown, in milliseconds.
const UNDER_WAY_MS: u64 = 3_000;

pub(super) fn check(case: &Case<'_>) -> Findings {
    let mut found = Findings::new();
    for biography in case.lives.all.values() {
        for frame in &biography.unexpected {
            let what = format!("a frame that no exact platform sends: {frame}");
            found.push((biography.location(), what));
        }
        let mut view = View::new(case, biography);
        for seen in &biography.seen {
            let judged = match &seen.what {
                Sight::Item(item) => view.item(item),
                Sight::Answer(_, answered) => match answered.id {
                    RequestId::Number(_) => view.answer(&answered.answer),
                    RequestId::Tag(_) => Ok(()),
                },
            };
            if let Err(what) = judged {
                found.push((biography.location(), what));
            }
        }
        if !biography.over
            && let Err(what) = view.end()
        {
            found.push((biography.location(), what));
        }
    }
    found
}

/// What one process must have seen so far.
struct View<'a> {
    case: &'a Case<'a>,
    life: &'a Life,
    /// The revision up to which it has seen all, once it was welcomed.
    have: Option<Revision>,
    /// When its session was live: after which revision it began, and with which it ended.
    spans: Vec<(Revision, Option<Revision>)>,
}

impl<'a> View<'a> {
    fn new(case: &'a Case<'a>, biography: &'a Biography) -> Self {
        let life = &biography.life;
        let spans = spans(case.book.of(&life.address), life.connection);
        Self {
            case,
            life,
            have: None,
            spans,
        }
    }

    fn item(&mut self, item: &Item) -> Result<(), String> {
        match item {
            Item::Welcome { revision, shown } | Item::StartedOver { revision, shown } => {
                self.have = Some(*revision);
                self.welcomed(*revision, shown)
            }
            Item::Resumed { since } => (self.have == Some(*since))
                .then_some(())
                .ok_or_else(|| format!("resumed from {since}, and it has {:?}", self.have)),
            Item::Event { revision, payload } => self.event(*revision, payload),
            Item::Ephemeral { payload } => self.waved(payload),
            Item::Lost { .. } | Item::Closed(_) => Ok(()),
        }
    }

    fn welcomed(&self, revision: Revision, shown: &Payload) -> Result<(), String> {
        let shown: Vec<Output> = shown.read().map_err(|error| error.to_string())?;
        let sum = self.case.book.sum(&self.life.address, revision);
        let Some(Sum { entries, digest }) = sum else {
            return Err(format!(
                "welcomed at revision {revision}, which the log lacks"
            ));
        };
        if shown != [Output::State { entries, digest }] {
            return Err(format!(
                "welcomed at {revision} with another state: {shown:?}"
            ));
        }
        Ok(())
    }

    fn event(&mut self, revision: Revision, payload: &Payload) -> Result<(), String> {
        let missed = self.missed(revision);
        self.have = Some(revision);
        if let Some(page) = missed {
            return Err(format!("it was not shown {}", page.location()));
        }
        let shown: Vec<Output> = payload.read().map_err(|error| error.to_string())?;
        let Some(page) = self.case.book.page(&self.life.address, revision) else {
            return Err(format!(
                "it was shown {shown:?} at {revision}, which the log lacks"
            ));
        };
        let wanted = self.wanted(page);
        if shown != wanted {
            let location = page.location();
            return Err(format!(
                "it was shown {shown:?} of {location}, not {wanted:?}"
            ));
        }
        Ok(())
    }

    /// The first page between what it has and `next` that it should have been shown.
    fn missed(&self, next: Revision) -> Option<&'a Page> {
        let have = self.have?;
        let pages = self.case.book.of(&self.life.address);
        let from = pages.partition_point(|page| page.commit.revision <= have);
        let between = pages[from..]
            .iter()
            .take_while(|page| page.commit.revision < next);
        between
            .into_iter()
            .find(|page| !self.wanted(page).is_empty())
    }

    /// What this client is to see of a commit.
    fn wanted(&self, page: &Page) -> Vec<Output> {
        let revision = page.commit.revision;
        let live = self
            .spans
            .iter()
            .any(|(begun, ended)| *begun < revision && ended.is_none_or(|ended| revision <= ended));
        let own = |id: &u64| {
            let said = self.case.lives.said.get(id);
            said.is_some_and(|life| life.connection == self.life.connection)
        };
        let sees = |event: &&Event| match event {
            Event::Whispered { id } => own(id),
            Event::Boasted { id } => !own(id),
            _ => true,
        };
        let seen = page.events.iter().filter(|event| live && sees(event));
        seen.cloned().map(Output::Happened).collect()
    }

    /// An answer comes after everything up to its commit was shown.
    fn answer(&mut self, answer: &Answer) -> Result<(), String> {
        let revision = answer.revision();
        match self.missed(revision.next()) {
            Some(page) => {
                let location = page.location();
                Err(format!(
                    "it was answered at {revision} before it was shown {location}"
                ))
            }
            None => Ok(()),
        }
    }

    fn waved(&self, payload: &Payload) -> Result<(), String> {
        let Output::Waved { id } = payload.read().map_err(|error| error.to_string())? else {
            return Err("a volatile output that nobody made".to_owned());
        };
        let (life, waved) = (self.life, &self.case.lives.waved);
        let ok = waved
            .get(&id)
            .is_some_and(|by| by.address == life.address && by.connection != life.connection);
        ok.then_some(())
            .ok_or_else(|| format!("wave {id} was not for it"))
    }

    /// At the end everything has been shown that did not happen just now.
    fn end(&self) -> Result<(), String> {
        let plan = self.case.outcome.plan;
        let until = EPOCH_MS + plan.busy_ms + plan.calm_ms - UNDER_WAY_MS;
        match self.missed(Revision(u64::MAX)) {
            Some(page) if page.time.0 < until => {
                Err(format!("it was never shown {}", page.location()))
            }
            _ => Ok(()),
        }
    }
}

/// When a session was live, by the revisions of its entity.
fn spans(pages: &[Page], of: ConnectionId) -> Vec<(Revision, Option<Revision>)> {
    let mut spans: BTreeMap<Revision, Option<Revision>> = BTreeMap::new();
    let mut begun = None;
    for page in pages {
        let revision = page.commit.revision;
        for change in &page.commit.changes {
            match change {
                Change::SessionBegun(socket) if socket.connection == of => {
                    begun = Some(revision);
                    spans.insert(revision, None);
                }
                Change::SessionEnded { connection, .. } if *connection == of => {
                    if let Some(begun) = begun.take() {
                        spans.insert(begun, Some(revision));
                    }
                }
                Change::EntityEnded { .. } => {
                    if let Some(begun) = begun.take() {
                        spans.insert(begun, Some(revision));
                    }
                }
                _ => {}
            }
        }
    }
    spans.into_iter().collect()
}
