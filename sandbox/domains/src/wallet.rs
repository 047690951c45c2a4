//! A person's money. Its id is the person's token subject.
//!
//! Other entities ask it to put money aside, and tell it later to give it back or to pay.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use xp_domain_sdk::prelude::*;

/// The most that a wallet holds: what every JSON reader takes for a whole number.
pub const BALANCE_MAX: u64 = 1 << 53;

#[derive(Default, Serialize, Deserialize)]
pub struct Wallet {
    balance: u64,
    /// What is put aside, by the id that the asking entity gave it. Never more than the balance.
    held: BTreeMap<String, u64>,
}

/// Who asks. Anybody without roles is a customer.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct User {
    pub roles: Vec<Role>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// May open auctions.
    Auctioneer,
    /// May put money into wallets.
    Cashier,
    /// Whatever other parts of the house know.
    #[serde(other)]
    Other,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "type", content = "data")]
pub enum Command {
    Deposit { amount: u64 },
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "type", content = "data")]
pub enum Signal {
    /// Asked: put this much aside, or say no.
    Reserve { hold: String, amount: u64 },
    /// Told: it is not needed after all.
    Release { hold: String },
    /// Told: what was put aside is spent.
    Charge { hold: String },
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "type", content = "data")]
pub enum Event {
    Deposited { amount: u64 },
    Reserved { hold: String, amount: u64 },
    Released { hold: String },
    Charged { hold: String },
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "type", content = "data")]
pub enum Output {
    Balance { available: u64, held: u64 },
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", content = "data")]
pub enum Rejection {
    NotYours,
    CashiersOnly,
    TooMuch { balance_max: u64 },
    InsufficientFunds { available: u64 },
}

impl Entity for Wallet {
    const CATEGORY: Category = Category::new("wallet");
    type Claims = User;
    type Command = Command;
    type Query = Never;
    type Signal = Signal;
    type Event = Event;
    type Output = Output;
    type Reply = ();
    type Rejection = Rejection;

    fn connected(&self, cx: &Cx<Self>) -> Outcome<Self> {
        if cx.subject() == cx.id() || cx.claims().roles.contains(&Role::Cashier) {
            return Ok(cx.decision());
        }
        Err(Rejection::NotYours)
    }

    fn welcome(&self, _: &Cx<Self>) -> Shown<Self> {
        vec![balance(self.balance, self.held())]
    }

    fn decide(&self, Command::Deposit { amount }: Command, cx: &Cx<Self>) -> Outcome<Self> {
        if !cx.claims().roles.contains(&Role::Cashier) {
            return Err(Rejection::CashiersOnly);
        }
        let after = self
            .balance
            .checked_add(amount)
            .filter(|after| *after <= BALANCE_MAX);
        let after = after.ok_or(Rejection::TooMuch {
            balance_max: BALANCE_MAX,
        })?;
        Ok(cx
            .decision()
            .record(Event::Deposited { amount })
            .broadcast(balance(after, self.held())))
    }

    fn signal(&self, signal: Signal, cx: &SignalCx<Self>) -> Outcome<Self> {
        match signal {
            Signal::Reserve { hold, amount } => self.reserve(hold, amount, cx),
            Signal::Release { hold } => Ok(self.release(hold, cx)),
            Signal::Charge { hold } => Ok(self.charge(hold, cx)),
        }
    }

    fn apply(&mut self, event: Event) {
        match event {
            Event::Deposited { amount } => self.balance += amount,
            Event::Reserved { hold, amount } => {
                self.held.insert(hold, amount);
            }
            Event::Released { hold } => {
                self.held.remove(&hold);
            }
            Event::Charged { hold } => self.balance -= self.held.remove(&hold).unwrap_or(0),
        }
    }
}

impl Wallet {
    fn held(&self) -> u64 {
        self.held.values().sum()
    }

    fn reserve(&self, hold: String, amount: u64, cx: &SignalCx<Self>) -> Outcome<Self> {
        let available = self.balance - self.held();
        if self.held.contains_key(&hold) || amount > available {
            return Err(Rejection::InsufficientFunds { available });
        }
        let shown = balance(self.balance, self.held() + amount);
        Ok(cx
            .decision()
            .record(Event::Reserved { hold, amount })
            .broadcast(shown))
    }

    fn release(&self, hold: String, cx: &SignalCx<Self>) -> Decision<Self> {
        let Some(amount) = self.held.get(&hold) else {
            return cx.decision();
        };
        let shown = balance(self.balance, self.held() - amount);
        cx.decision()
            .record(Event::Released { hold })
            .broadcast(shown)
    }

    fn charge(&self, hold: String, cx: &SignalCx<Self>) -> Decision<Self> {
        let Some(amount) = self.held.get(&hold) else {
            return cx.decision();
        };
        let shown = balance(self.balance - amount, self.held() - amount);
        cx.decision()
            .record(Event::Charged { hold })
            .broadcast(shown)
    }
}

fn balance(balance: u64, held: u64) -> Output {
    Output::Balance {
        available: balance - held,
        held,
    }
}

#[cfg(test)]
mod tests;
