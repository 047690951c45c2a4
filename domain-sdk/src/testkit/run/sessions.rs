//! The steps of a run that are about a session of the main entity.

use xp_protocol::Address;

use super::super::broken::Broken;
use super::super::user::User;
use super::super::world::World;
use super::Run;
use crate::host::Termination;

impl Run {
    /// Whoever speaks is here, with the claims they have now.
    #[track_caller]
    pub(in crate::testkit) fn be_present(&mut self, user: &User) {
        let member = self.main().members.get(&user.connection());
        match member {
            None => self.connect_to_speak(user),
            Some(member) if !member.attached => self.checked(Err(Broken(format!(
                "{} has no socket just now; say `.reconnects(…)` first",
                user.subject
            )))),
            Some(member) if user.claims.is_some() && member.user.claims != user.claims => {
                self.refresh(user);
            }
            Some(_) => {}
        }
    }

    #[track_caller]
    fn connect_to_speak(&mut self, user: &User) {
        self.connect(user);
        if !self.main().members.contains_key(&user.connection()) {
            self.checked(Err(Broken(
                "the session was refused, so nothing can be said in it; test that with `.connects(…)`"
                    .to_owned(),
            )))
        }
    }

    #[track_caller]
    pub(in crate::testkit) fn connect(&mut self, user: &User) {
        self.step(format!("{} connects", user.subject), |world, main| {
            world.connect(main, user)
        });
    }

    #[track_caller]
    fn refresh(&mut self, user: &User) {
        let title = format!("{} has a fresh token", user.subject);
        self.step(title, |world, main| {
            let actor = world.actor(main).expect("the main entity is on stage");
            actor
                .attach(user)
                .map_err(|fault| Broken(fault.to_string()))
        });
    }

    #[track_caller]
    pub(in crate::testkit) fn disconnect(&mut self, user: &User) {
        let title = format!("{} loses the socket", user.subject);
        self.step(title, |world, main| {
            member(world, main, user)?;
            world.disconnect(main, user.connection())
        });
    }

    #[track_caller]
    pub(in crate::testkit) fn reconnect(&mut self, user: &User) {
        self.step(format!("{} comes back", user.subject), |world, main| {
            let user = member(world, main, user)?;
            world.reconnect(main, &user)
        });
    }

    #[track_caller]
    pub(in crate::testkit) fn leave(&mut self, user: &User) {
        self.step(format!("{} leaves", user.subject), |world, main| {
            member(world, main, user)?;
            world.terminate(main, user.connection(), Termination::Left)?;
            world.settle()
        });
    }

    #[track_caller]
    pub(in crate::testkit) fn start_over(&mut self, user: &User) {
        self.step(format!("{} starts over", user.subject), |world, main| {
            member(world, main, user)?;
            world.welcome(main, user.connection())
        });
    }
}

/// The session's user, with the claims they came with.
fn member(world: &World, main: &Address, user: &User) -> Result<User, Broken> {
    let member = world.known(main).members.get(&user.connection());
    let member = member.ok_or_else(|| Broken(format!("{} has no session here", user.subject)))?;
    Ok(if user.claims.is_some() {
        user.clone()
    } else {
        member.user.clone()
    })
}
