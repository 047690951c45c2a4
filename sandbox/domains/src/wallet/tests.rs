use serde_json::json;
use xp_domain_sdk::testkit::{Scenario, User as Person, user};

use super::*;
use crate::auction::Auction;

fn cashier() -> Person {
    user("carl").claims(json!({ "roles": ["cashier", "gardener"] }))
}

fn hold() -> String {
    "bid-1".into()
}

fn deposited(amount: u64) -> Event {
    Event::Deposited { amount }
}

fn reserve(amount: u64) -> Signal {
    Signal::Reserve {
        hold: hold(),
        amount,
    }
}

#[test]
fn a_wallet_opens_for_its_owner_and_for_cashiers_only() {
    Scenario::<Wallet>::given([deposited(50)])
        .called("ana")
        .connects("ana")
        .then_welcome([Output::Balance {
            available: 50,
            held: 0,
        }])
        .connects(cashier())
        .then_welcome([Output::Balance {
            available: 50,
            held: 0,
        }])
        .connects("ben")
        .then_rejected(Rejection::NotYours);
}

#[test]
fn only_a_cashier_puts_money_in_and_never_too_much() {
    Scenario::<Wallet>::new()
        .called("ana")
        .when(Command::Deposit { amount: 9 })
        .from("ana")
        .then_rejected(Rejection::CashiersOnly)
        .when(Command::Deposit { amount: 9 })
        .from(cashier())
        .then_events([deposited(9)])
        .then_broadcast(Output::Balance {
            available: 9,
            held: 0,
        })
        .when(Command::Deposit { amount: u64::MAX })
        .from(cashier())
        .then_rejected(Rejection::TooMuch {
            balance_max: BALANCE_MAX,
        });
}

#[test]
fn money_is_put_aside_only_if_it_is_there() {
    Scenario::<Wallet>::given([deposited(100)])
        .when_asked_by(Auction::at("1"), reserve(70))
        .then_events([Event::Reserved {
            hold: hold(),
            amount: 70,
        }])
        .then_reply(())
        .when_asked_by(
            Auction::at("2"),
            Signal::Reserve {
                hold: "bid-2".into(),
                amount: 31,
            },
        )
        .then_rejected(Rejection::InsufficientFunds { available: 30 })
        .then_nothing();
}

#[test]
fn what_was_put_aside_comes_back_or_is_spent_once() {
    let held =
        || Scenario::<Wallet>::given([deposited(100)]).when_asked_by(Auction::at("1"), reserve(70));
    held()
        .when_told_by(Auction::at("1"), Signal::Release { hold: hold() })
        .then_broadcast(Output::Balance {
            available: 100,
            held: 0,
        })
        .when_told_by(Auction::at("1"), Signal::Charge { hold: hold() })
        .then_nothing();
    held()
        .when_told_by(Auction::at("1"), Signal::Charge { hold: hold() })
        .then_broadcast(Output::Balance {
            available: 30,
            held: 0,
        })
        .when_told_by(Auction::at("1"), Signal::Release { hold: hold() })
        .then_nothing();
}
