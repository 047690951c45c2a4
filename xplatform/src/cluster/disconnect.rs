//! `xp disconnect`: every edge ends the sockets of one subject, and says how many there were.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use uuid::Uuid;
use xp_cluster::Members;
use xp_edge::config::Tokens;
use xp_edge::jwt::{SUBJECT_BYTES_MAX, qualified};
use xp_protocol::cluster::Kind;
use xp_protocol::notice::Notice;
use xp_protocol::plain::plain;
use xp_protocol::{Incarnation, Offset};
use xp_transport::Log;

use super::following::Following;
use super::picture::{counted, listed};
use super::{Answer, close, connect};
use crate::command_line::Disconnect;
use crate::configuration::{self, Overrides};
use crate::process::print;

/// Asks the edges, waits for them, and prints what they answered.
pub(crate) async fn run(asked: Disconnect) -> Result<()> {
    let overrides = Overrides::default();
    let loaded = configuration::load(&asked.sources, &overrides, configuration::environment())?;
    let config = loaded.config;
    let subject = named(&config.edge.tokens, &asked.subject, asked.issuer.as_deref())?;
    if config.kafka.is_none() {
        bail!(
            "the configuration has no section [kafka], so the log is the embedded one, which only its own process can write: nothing was ended. Withdraw the key of their tokens (edge.tokens.keys, then SIGHUP), or restart the process, which everybody comes back to"
        );
    }
    let (log, generation, patience) = connect(&config).await?;
    let done = async {
        let mut following = Following::enter(&log, generation, patience).await?;
        let request = DisconnectRequest::new(fresh(), &subject);
        request.fulfil(&log, &mut following, asked.wait).await
    };
    let done = done.await;
    close(log).await?;
    let answer = done?;
    print(&answer.text)?;
    match answer.failure {
        Some(failure) => bail!(failure),
        None => Ok(()),
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "each request names itself, so that answers to others are told apart"
)]
fn fresh() -> Uuid {
    Uuid::new_v4()
}

/// What edges call the subject.
fn named(tokens: &Tokens, subject: &str, issuer: Option<&str>) -> Result<String> {
    let issuers: Vec<_> = tokens.issuers.iter().map(String::as_str).collect();
    if let Some(issuer) = issuer
        && !issuers.contains(&issuer)
    {
        bail!(
            "the issuer {} is not in edge.tokens.issuers, which has {}",
            plain(issuer),
            listed(&issuers)
        );
    }
    let name = match (issuer, subject.split_once('#')) {
        _ if subject.is_empty() => String::new(),
        _ if issuers.len() < 2 => subject.to_owned(),
        (Some(issuer), _) => qualified(issuer, subject),
        (None, Some((issuer, rest))) if issuers.contains(&issuer) && !rest.is_empty() => {
            subject.to_owned()
        }
        (None, _) => bail!(
            "there are several issuers, and each has subjects of its own: say whose it is, with --issuer and one of {}",
            listed(&issuers)
        ),
    };
    if name.is_empty() || name.len() > SUBJECT_BYTES_MAX {
        bail!(
            "a subject has 1 to {SUBJECT_BYTES_MAX} bytes, and {:?} has {}; nothing was ended",
            plain(&name),
            name.len()
        );
    }
    Ok(name)
}

/// A request to close a subject's sockets, under way.
#[derive(Debug)]
struct DisconnectRequest {
    id: Uuid,
    subject: Box<str>,
}

impl DisconnectRequest {
    fn new(id: Uuid, subject: &str) -> Self {
        let subject = subject.into();
        Self { id, subject }
    }

    async fn fulfil(
        &self,
        log: &dyn Log,
        following: &mut Following,
        wait: Duration,
    ) -> Result<Answer> {
        let notice = Notice::Disconnect {
            id: self.id,
            subject: self.subject.clone(),
        };
        let at = xp_cluster::log::tell(log, &notice).await.context(
            "the cluster log did not take it: nothing was ended, or it will be later; ask again",
        )?;
        let heard = following.heard(wait, |members, notices| {
            members.next() > at && self.missing(members, at, notices).is_empty()
        });
        heard.await?;
        let (members, notices) = (&following.members, following.notices());
        if members.next() <= at {
            bail!(
                "the cluster log took it, and nobody has said anything in it for {wait:?}: no edge seems to run"
            );
        }
        let missing = self.missing(members, at, notices);
        let failure = (!missing.is_empty()).then(|| silent(&missing, wait));
        let text = self.done(members, notices);
        Ok(Answer { text, failure })
    }

    /// How many sockets each edge has ended so far.
    fn answers(&self, notices: &[Notice]) -> BTreeMap<Incarnation, u32> {
        let answer = |notice: &Notice| match *notice {
            Notice::Disconnected { id, edge, sockets } if id == self.id => Some((edge, sockets)),
            _ => None,
        };
        notices.iter().filter_map(answer).collect()
    }

    /// The edges that were there when it was asked, are there still, and have not answered. One that came later has no
    /// socket of before, and one that is gone has none at all.
    fn missing<'a>(&self, members: &'a Members, at: Offset, notices: &[Notice]) -> Vec<&'a str> {
        let answers = self.answers(notices);
        let asked = members.iter().filter(|(incarnation, who, joined)| {
            let is_edge = matches!(who.kind, Kind::Edge { .. });
            is_edge && *joined <= at && !answers.contains_key(incarnation)
        });
        let mut missing: Vec<_> = asked.map(|(_, who, _)| &*who.name).collect();
        missing.sort_unstable();
        missing
    }

    fn done(&self, members: &Members, notices: &[Notice]) -> String {
        let answers = self.answers(notices);
        let name = |edge| {
            let member = members.get(edge);
            member.map_or("an edge that has left", |(who, _)| &*who.name)
        };
        let each = answers
            .iter()
            .map(|(edge, sockets)| format!("{} {sockets}", name(*edge)));
        let mut each: Vec<_> = each.collect();
        each.sort_unstable();
        let sockets = answers.values().map(|sockets| *sockets as usize).sum();
        let each = match each.as_slice() {
            [] => String::new(),
            each => format!(" ({})", each.join(", ")),
        };
        format!(
            "{}: {} ended at {}{each}\n",
            plain(&self.subject),
            counted(sockets, "socket"),
            counted(answers.len(), "edge"),
        )
    }
}

fn silent(missing: &[&str], wait: Duration) -> String {
    let (names, have) = (
        listed(missing),
        if missing.len() == 1 { "has" } else { "have" },
    );
    format!(
        "{names} {have} not answered within {wait:?}: whoever is connected there may be so still. Ask again when `xp cluster members` shows that {names} {have} been heard; a build that does not know the request has to be upgraded, or restarted"
    )
}

#[cfg(test)]
mod tests;
