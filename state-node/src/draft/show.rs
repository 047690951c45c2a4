//! The outputs in a draft: what a commit shows, and to whom.

use std::collections::BTreeSet;

use xp_domain_sdk::host::{Audience, Host, Show};
use xp_protocol::ConnectionId;
use xp_protocol::outbound::{Item, Recipients};

use super::Draft;
use super::deliveries::socket;
use crate::entity::{Entity, Runtime, Session};

impl Draft {
    /// Shows outputs: one `event` frame per session at the most, encoded once for all who see the same.
    pub fn show(&mut self, host: &dyn Host, entity: &Entity, shows: &[Show]) {
        let runtime = &entity.runtime;
        for show in shows.iter().filter(|show| show.volatile) {
            self.show_volatile(host, runtime, show);
        }
        let shows: Vec<_> = shows.iter().filter(|show| !show.volatile).collect();
        // Without a session that is not over; those that are may be thousands.
        if shows.is_empty() || entity.watched.is_none() {
            return;
        }
        let apart = apart(runtime, &shows);
        let item = Item::Event {
            revision: self.revision,
            text: host.is_text(),
        };
        let common: Vec<&[u8]> = shows
            .iter()
            .filter(|show| !matches!(show.to, Audience::Only(_)))
            .map(|show| &show.output[..])
            .collect();
        if !common.is_empty() {
            let sockets: Vec<_> = apart.iter().map(|session| socket(session)).collect();
            let to = if sockets.is_empty() {
                Recipients::Everybody
            } else {
                Recipients::Except(sockets)
            };
            self.shown
                .push(None, to, item.clone(), &host.sequence(&common));
        }
        for session in apart {
            let own: Vec<&[u8]> = shows
                .iter()
                .filter(|show| sees(&show.to, session.socket.connection))
                .map(|show| &show.output[..])
                .collect();
            if !own.is_empty() {
                self.shown
                    .to_session(session, item.clone(), &host.sequence(&own));
            }
        }
    }

    fn show_volatile(&mut self, host: &dyn Host, runtime: &Runtime, show: &Show) {
        let item = Item::Ephemeral {
            text: host.is_text(),
        };
        let find =
            |connection: &ConnectionId| runtime.session(*connection).filter(|s| s.is_attached());
        match &show.to {
            Audience::Everybody => {
                self.volatile
                    .push(None, Recipients::Everybody, item, &show.output)
            }
            Audience::Except(connection) => {
                let to = find(connection).map_or(Recipients::Everybody, |session| {
                    Recipients::Except(vec![socket(session)])
                });
                self.volatile.push(None, to, item, &show.output);
            }
            Audience::Only(connections) => {
                for session in connections.iter().filter_map(find) {
                    self.volatile
                        .to_session(session, item.clone(), &show.output);
                }
            }
        }
    }
}

/// Live sessions that see something else than everybody.
fn apart<'a>(runtime: &'a Runtime, shows: &[&Show]) -> Vec<&'a Session> {
    let mut connections = BTreeSet::new();
    for show in shows {
        match &show.to {
            Audience::Everybody => {}
            Audience::Only(only) => connections.extend(only),
            Audience::Except(connection) => {
                connections.insert(*connection);
            }
        }
    }
    let sessions = connections
        .iter()
        .filter_map(|connection| runtime.session(*connection));
    sessions.filter(|session| session.is_live()).collect()
}

fn sees(audience: &Audience, connection: ConnectionId) -> bool {
    match audience {
        Audience::Everybody => true,
        Audience::Only(only) => only.contains(&connection),
        Audience::Except(except) => *except != connection,
    }
}
