//! A thermostat and its twin: what people wish of it, and what it says of itself.
//!
//! The thing has little memory and a slow link, so its words are binary: a variant's number, then its fields, each as
//! short as it can be ([`Codec::Binary`]). The tests show the bytes.

use serde::{Deserialize, Serialize};
use xp_domain_sdk::prelude::*;

/// The coldest and the warmest wish that is passed on, in hundredths of a degree Celsius.
pub const TARGET_RANGE: std::ops::RangeInclusive<i16> = 500..=3_000;

#[derive(Default, Serialize, Deserialize)]
pub struct Device {
    wished: Settings,
    /// Rises with every wish; the thing says which one it has carried out.
    wish: u32,
    reported: Option<Report>,
    online: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// In hundredths of a degree Celsius, as all temperatures here.
    pub target: i16,
    pub mode: Mode,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Mode {
    #[default]
    Off,
    Heat,
    Cool,
}

/// What the thing says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// The last wish it has carried out.
    pub wish: u32,
    pub settings: Settings,
}

/// What a token says: `{"thing": true}` for the device itself.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Bearer {
    pub thing: bool,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Command {
    /// People want these settings.
    Wish(Settings),
    /// From the thing.
    Report(Report),
    /// From the thing, as `ephemeral`: the next one comes soon.
    Measured { temperature: i16 },
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Event {
    Wished(Settings),
    Reported(Report),
    CameOnline,
    WentOffline,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Output {
    Twin {
        wish: u32,
        wished: Settings,
        reported: Option<Report>,
        online: bool,
    },
    Wished {
        wish: u32,
        settings: Settings,
    },
    Reported(Report),
    Online(bool),
    Measured {
        temperature: i16,
    },
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Rejection {
    ForThingsOnly,
    ForPeopleOnly,
    OutOfRange { min: i16, max: i16 },
    NoSuchWish,
    ConnectedAlready,
}

impl Entity for Device {
    const CATEGORY: Category = Category::new("device");
    const CODEC: Codec = Codec::Binary;
    type Claims = Bearer;
    type Command = Command;
    type Query = Never;
    type Signal = Never;
    type Event = Event;
    type Output = Output;
    type Reply = ();
    type Rejection = Rejection;

    fn decide(&self, command: Command, cx: &Cx<Self>) -> Outcome<Self> {
        match (command, cx.claims().thing) {
            (Command::Wish(settings), false) => self.wish(settings, cx),
            (Command::Report(report), true) => self.report(report, cx),
            (Command::Measured { temperature }, true) => Ok(cx
                .decision()
                .glimpse_others(Output::Measured { temperature })),
            (Command::Wish(_), true) => Err(Rejection::ForPeopleOnly),
            (Command::Report(_) | Command::Measured { .. }, false) => Err(Rejection::ForThingsOnly),
        }
    }

    fn apply(&mut self, event: Event) {
        match event {
            Event::Wished(settings) => {
                self.wished = settings;
                self.wish = self.wish.wrapping_add(1);
            }
            Event::Reported(report) => self.reported = Some(report),
            Event::CameOnline => self.online = true,
            Event::WentOffline => self.online = false,
        }
    }

    fn connected(&self, cx: &Cx<Self>) -> Outcome<Self> {
        if !cx.claims().thing {
            return Ok(cx.decision());
        }
        let others = cx
            .sessions()
            .filter(|other| other.connection() != cx.connection());
        if others.into_iter().any(|other| other.claims().thing) {
            return Err(Rejection::ConnectedAlready);
        }
        Ok(self.online(true, cx))
    }

    fn disconnected(&self, cx: &Cx<Self>) -> Decision<Self> {
        self.online(false, cx)
    }

    fn reconnected(&self, cx: &Cx<Self>) -> Decision<Self> {
        self.online(true, cx)
    }

    fn terminated(&self, _: Termination, cx: &Cx<Self>) -> Decision<Self> {
        self.online(false, cx)
    }

    /// The thing finds here what was wished while it was away.
    fn welcome(&self, _: &Cx<Self>) -> Shown<Self> {
        let Self {
            wished,
            wish,
            reported,
            online,
        } = *self;
        vec![Output::Twin {
            wish,
            wished,
            reported,
            online,
        }]
    }
}

impl Device {
    fn wish(&self, settings: Settings, cx: &Cx<Self>) -> Outcome<Self> {
        if !TARGET_RANGE.contains(&settings.target) {
            return Err(Rejection::OutOfRange {
                min: *TARGET_RANGE.start(),
                max: *TARGET_RANGE.end(),
            });
        }
        let wish = self.wish.wrapping_add(1);
        Ok(cx
            .decision()
            .record(Event::Wished(settings))
            .broadcast(Output::Wished { wish, settings }))
    }

    fn report(&self, report: Report, cx: &Cx<Self>) -> Outcome<Self> {
        if report.wish > self.wish {
            return Err(Rejection::NoSuchWish);
        }
        Ok(cx
            .decision()
            .record(Event::Reported(report))
            .broadcast_others(Output::Reported(report)))
    }

    /// Records that the thing comes or goes; people may do as they please.
    fn online(&self, online: bool, cx: &Cx<Self>) -> Decision<Self> {
        if !cx.claims().thing || self.online == online {
            return cx.decision();
        }
        let event = if online {
            Event::CameOnline
        } else {
            Event::WentOffline
        };
        cx.decision()
            .record(event)
            .broadcast_others(Output::Online(online))
    }
}

#[cfg(test)]
mod tests;
