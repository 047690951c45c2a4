//! An auction. A bid counts once the bidder's [wallet] has put the money aside, and the bidder hears
//! only then.
//!
//! While the wallet is asked, others bid and the auction may close: so a bid is judged twice, when it is offered and
//! when the wallet has answered.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use xp_domain_sdk::Address;
use xp_domain_sdk::prelude::*;

use crate::wallet::{self, Role, User, Wallet};

/// Nobody wins by being the last to click: after each bid there is at least so much time for another.
pub const SOFT_CLOSE: Duration = Duration::from_secs(30);
/// A wallet that takes longer to answer has lost the bidder the bid.
pub const OFFER_LASTS: Duration = Duration::from_secs(10);
/// The longest auction; an `Open` for longer is refused.
pub const SECONDS_MAX: u64 = 30 * 24 * 60 * 60;

#[derive(Default, Serialize, Deserialize)]
pub struct Auction {
    phase: Phase,
    lot: String,
    price_min: u64,
    high: Option<Bid>,
    /// Bids whose money is being put aside, by their number.
    offers: BTreeMap<u64, Bid>,
    /// Bids ever offered: the number of the last one.
    offered: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", content = "data")]
pub enum Phase {
    #[default]
    Planned,
    Open {
        closes_at: TimeMs,
    },
    Closed,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Bid {
    pub number: u64,
    pub bidder: String,
    pub amount: u64,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "type", content = "data")]
pub enum Command {
    Open {
        lot: String,
        price_min: u64,
        seconds: u64,
    },
    PlaceBid {
        amount: u64,
    },
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "type", content = "data")]
pub enum Signal {
    Close,
    Reserved {
        bid: u64,
        ticket: Ticket,
        answer: Answer<Wallet>,
    },
    OfferExpired {
        bid: u64,
        ticket: Ticket,
    },
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "type", content = "data")]
pub enum Event {
    Opened {
        lot: String,
        price_min: u64,
        closes_at: TimeMs,
    },
    BidOffered {
        bid: Bid,
    },
    BidPlaced {
        bid: u64,
        closes_at: TimeMs,
    },
    BidDropped {
        bid: u64,
    },
    Closed,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "type", content = "data")]
pub enum Output {
    /// All there is to see, for whoever comes in.
    Auction {
        lot: String,
        phase: Phase,
        price_min: u64,
        high: Option<HighBid>,
    },
    Opened {
        lot: String,
        price_min: u64,
        closes_at: TimeMs,
    },
    HighBid {
        high: HighBid,
        closes_at: TimeMs,
    },
    /// For the one who led until now.
    Outbid {
        amount: u64,
    },
    Closed {
        sold: Option<HighBid>,
    },
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HighBid {
    pub bidder: String,
    pub amount: u64,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "type", content = "data")]
pub enum Rejection {
    AuctioneersOnly,
    OpenedBefore,
    TooLong { seconds_max: u64 },
    NotOpen,
    TooLow { at_least: u64 },
    YouLead,
    OneBidAtATime,
    NoWallet,
    InsufficientFunds { available: u64 },
    WalletUnavailable,
}

impl Entity for Auction {
    const CATEGORY: Category = Category::new("auction");
    type Claims = User;
    type Command = Command;
    type Query = Never;
    type Signal = Signal;
    type Event = Event;
    type Output = Output;
    type Reply = ();
    type Rejection = Rejection;

    fn decide(&self, command: Command, cx: &Cx<Self>) -> Outcome<Self> {
        match command {
            Command::Open {
                lot,
                price_min,
                seconds,
            } => self.open(lot, price_min, seconds, cx),
            Command::PlaceBid { amount } => self.offer(amount, cx),
        }
    }

    fn signal(&self, signal: Signal, cx: &SignalCx<Self>) -> Outcome<Self> {
        Ok(match signal {
            Signal::Close => self.close(cx),
            Signal::Reserved {
                bid,
                ticket,
                answer,
            } => match self.offers.get(&bid) {
                Some(bid) => self.reserved(bid, ticket, &answer, cx),
                None => self.too_late(bid, &answer, cx),
            },
            Signal::OfferExpired { bid, ticket } => cx
                .decision()
                .record(Event::BidDropped { bid })
                .answer(ticket, Err(Rejection::WalletUnavailable)),
        })
    }

    fn apply(&mut self, event: Event) {
        match event {
            Event::Opened {
                lot,
                price_min,
                closes_at,
            } => {
                self.phase = Phase::Open { closes_at };
                self.lot = lot;
                self.price_min = price_min;
            }
            Event::BidOffered { bid } => {
                self.offered = bid.number;
                self.offers.insert(bid.number, bid);
            }
            Event::BidPlaced { bid, closes_at } => {
                self.high = self.offers.remove(&bid);
                self.phase = Phase::Open { closes_at };
            }
            Event::BidDropped { bid } => {
                self.offers.remove(&bid);
            }
            Event::Closed => self.phase = Phase::Closed,
        }
    }

    fn welcome(&self, _: &Cx<Self>) -> Shown<Self> {
        let high = self.high.as_ref().map(HighBid::of);
        vec![Output::Auction {
            lot: self.lot.clone(),
            phase: self.phase,
            price_min: self.price_min,
            high,
        }]
    }
}

impl Auction {
    fn open(&self, lot: String, price_min: u64, seconds: u64, cx: &Cx<Self>) -> Outcome<Self> {
        if !cx.claims().roles.contains(&Role::Auctioneer) {
            return Err(Rejection::AuctioneersOnly);
        }
        if self.phase != Phase::Planned {
            return Err(Rejection::OpenedBefore);
        }
        if seconds > SECONDS_MAX {
            return Err(Rejection::TooLong {
                seconds_max: SECONDS_MAX,
            });
        }
        let closes_at = cx.now().plus_ms(seconds * 1_000);
        Ok(cx
            .decision()
            .record(Event::Opened {
                lot: lot.clone(),
                price_min,
                closes_at,
            })
            .broadcast(Output::Opened {
                lot,
                price_min,
                closes_at,
            })
            .schedule("close", closes_at, Signal::Close))
    }

    /// First judgement; then the wallet is asked.
    fn offer(&self, amount: u64, cx: &Cx<Self>) -> Outcome<Self> {
        let bid = Bid {
            number: self.offered + 1,
            bidder: cx.subject().into(),
            amount,
        };
        self.may_lead(&bid)?;
        if self.offers.values().any(|offer| offer.bidder == bid.bidder) {
            return Err(Rejection::OneBidAtATime);
        }
        let wallet = At::new(cx.subject()).map_err(|_| Rejection::NoWallet)?;
        let (number, ticket) = (bid.number, cx.ticket());
        let reserve = wallet::Signal::Reserve {
            hold: hold(cx.address(), number),
            amount,
        };
        Ok(cx
            .decision()
            .record(Event::BidOffered { bid })
            .schedule(
                timer_of(number),
                OFFER_LASTS,
                Signal::OfferExpired {
                    bid: number,
                    ticket,
                },
            )
            .ask(wallet, reserve, |answer| Signal::Reserved {
                bid: number,
                ticket,
                answer,
            })
            .later())
    }

    /// Second judgement: the wallet has answered, and much may have happened since.
    fn reserved(
        &self,
        bid: &Bid,
        ticket: Ticket,
        answer: &Answer<Wallet>,
        cx: &SignalCx<Self>,
    ) -> Decision<Self> {
        let decision = cx.decision().cancel(timer_of(bid.number));
        let dropped = Event::BidDropped { bid: bid.number };
        match (answer.result(), self.may_lead(bid)) {
            (Err(refusal), _) => decision.record(dropped).answer(ticket, Err(refusal.into())),
            (Ok(()), Err(no)) => {
                give_back(decision.record(dropped).answer(ticket, Err(no)), bid, cx)
            }
            (Ok(()), Ok(closes_at)) => self
                .place(bid, closes_at, decision, cx)
                .answer(ticket, Ok(())),
        }
    }

    fn place(
        &self,
        bid: &Bid,
        closes_at: TimeMs,
        decision: Decision<Self>,
        cx: &SignalCx<Self>,
    ) -> Decision<Self> {
        let closes_at = closes_at.max(cx.now().plus_ms(SOFT_CLOSE.as_millis() as u64));
        let decision = decision
            .record(Event::BidPlaced {
                bid: bid.number,
                closes_at,
            })
            .broadcast(Output::HighBid {
                high: HighBid::of(bid),
                closes_at,
            })
            .schedule("close", closes_at, Signal::Close);
        match &self.high {
            None => decision,
            Some(former) => {
                let outbid = Output::Outbid { amount: bid.amount };
                give_back(decision.whisper(&former.bidder, outbid), former, cx)
            }
        }
    }

    /// The offer had expired: there is nothing left but the money to give back.
    fn too_late(&self, bid: u64, answer: &Answer<Wallet>, cx: &SignalCx<Self>) -> Decision<Self> {
        match (answer.result(), cx.sender()) {
            (Ok(()), Some(wallet)) => {
                let release = wallet::Signal::Release {
                    hold: hold(cx.address(), bid),
                };
                cx.decision().tell(Wallet::at(wallet.id()), release)
            }
            _ => cx.decision(),
        }
    }

    fn close(&self, cx: &SignalCx<Self>) -> Decision<Self> {
        let sold = self.high.as_ref().map(HighBid::of);
        let decision = cx
            .decision()
            .record(Event::Closed)
            .broadcast(Output::Closed { sold });
        match &self.high {
            None => decision,
            Some(bid) => {
                let charge = wallet::Signal::Charge {
                    hold: hold(cx.address(), bid.number),
                };
                decision.tell(Wallet::at(&bid.bidder), charge)
            }
        }
    }

    /// Whether this bid could lead now, and when the auction closes then at the earliest.
    fn may_lead(&self, bid: &Bid) -> Result<TimeMs, Rejection> {
        let Phase::Open { closes_at } = self.phase else {
            return Err(Rejection::NotOpen);
        };
        if self
            .high
            .as_ref()
            .is_some_and(|high| high.bidder == bid.bidder)
        {
            return Err(Rejection::YouLead);
        }
        let at_least = self
            .high
            .as_ref()
            .map_or(self.price_min, |high| high.amount.saturating_add(1));
        if bid.amount < at_least {
            return Err(Rejection::TooLow { at_least });
        }
        Ok(closes_at)
    }
}

fn give_back(decision: Decision<Auction>, bid: &Bid, cx: &SignalCx<Auction>) -> Decision<Auction> {
    let release = wallet::Signal::Release {
        hold: hold(cx.address(), bid.number),
    };
    decision.tell(Wallet::at(&bid.bidder), release)
}

/// How the wallet calls the money put aside for a bid: unique among all auctions.
fn hold(auction: &Address, bid: u64) -> String {
    format!("{auction}#{bid}")
}

fn timer_of(bid: u64) -> String {
    format!("offer {bid}")
}

impl HighBid {
    fn of(bid: &Bid) -> Self {
        Self {
            bidder: bid.bidder.clone(),
            amount: bid.amount,
        }
    }
}

impl From<Refusal<wallet::Rejection>> for Rejection {
    fn from(refusal: Refusal<wallet::Rejection>) -> Self {
        match refusal {
            Refusal::Rejected(wallet::Rejection::InsufficientFunds { available }) => {
                Self::InsufficientFunds { available }
            }
            Refusal::Rejected(_) | Refusal::Faulted => Self::WalletUnavailable,
        }
    }
}

#[cfg(test)]
mod tests;
