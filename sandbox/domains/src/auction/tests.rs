use serde_json::json;
use xp_domain_sdk::testkit::{START, Scenario, User as Person, user};

use super::*;

/// The auction of these stories closes a minute after their beginning, unless somebody bids.
const MINUTE: Duration = Duration::from_secs(60);
const SECOND: Duration = Duration::from_secs(1);

fn auctioneer() -> Person {
    user("olga").claims(json!({ "roles": ["auctioneer"] }))
}

fn open(seconds: u64) -> Command {
    Command::Open {
        lot: "a lamp".into(),
        price_min: 100,
        seconds,
    }
}

fn bid(amount: u64) -> Command {
    Command::PlaceBid { amount }
}

fn at(after: Duration) -> TimeMs {
    START.plus_ms(after.as_millis() as u64)
}

fn high(bidder: &str, amount: u64, closes_at: TimeMs) -> Output {
    Output::HighBid {
        high: HighBid {
            bidder: bidder.into(),
            amount,
        },
        closes_at,
    }
}

fn sold(bidder: &str, amount: u64) -> Output {
    Output::Closed {
        sold: Some(HighBid {
            bidder: bidder.into(),
            amount,
        }),
    }
}

fn deposited(amount: u64) -> [wallet::Event; 1] {
    [wallet::Event::Deposited { amount }]
}

fn hold(bid: u64) -> String {
    format!("auction/1#{bid}")
}

fn release(bid: u64) -> wallet::Signal {
    wallet::Signal::Release { hold: hold(bid) }
}

/// Open for a minute; Ana has 500, Ben has 500, Cleo has nothing.
fn opened() -> Scenario<Auction> {
    Scenario::<Auction>::new()
        .with::<Wallet>("ana", deposited(500))
        .with::<Wallet>("ben", deposited(500))
        .connects("ana")
        .connects("ben")
        .connects("cleo")
        .when(open(60))
        .from(auctioneer())
}

#[test]
fn only_an_auctioneer_opens_an_auction_and_only_once() {
    let opens = Output::Opened {
        lot: "a lamp".into(),
        price_min: 100,
        closes_at: at(MINUTE),
    };
    Scenario::<Auction>::new()
        .when(open(60))
        .from(user("ana"))
        .then_rejected(Rejection::AuctioneersOnly)
        .when(open(SECONDS_MAX + 1))
        .from(auctioneer())
        .then_rejected(Rejection::TooLong {
            seconds_max: SECONDS_MAX,
        })
        .when(open(60))
        .from(auctioneer())
        .then_broadcast(opens)
        .when(open(60))
        .from(auctioneer())
        .then_rejected(Rejection::OpenedBefore);
}

#[test]
fn a_bid_before_the_opening_is_refused() {
    Scenario::<Auction>::new()
        .when(bid(120))
        .from("ana")
        .then_rejected(Rejection::NotOpen)
        .then_nothing();
}

#[test]
fn a_bid_leads_once_the_wallet_has_put_the_money_aside() {
    opened()
        .when(bid(120))
        .from("ana")
        .then_asked(
            Wallet::at("ana"),
            wallet::Signal::Reserve {
                hold: hold(1),
                amount: 120,
            },
        )
        .then_broadcast(high("ana", 120, at(MINUTE)))
        .then_reply(())
        .when(bid(120))
        .from("ben")
        .then_rejected(Rejection::TooLow { at_least: 121 })
        .when(bid(130))
        .from("ana")
        .then_rejected(Rejection::YouLead);
}

#[test]
fn a_bidder_without_money_is_told_so_and_may_bid_less() {
    opened()
        .when(bid(100))
        .from("cleo")
        .then_rejected(Rejection::InsufficientFunds { available: 0 })
        .when(bid(501))
        .from("ana")
        .then_rejected(Rejection::InsufficientFunds { available: 500 })
        .when(bid(500))
        .from("ana")
        .then_reply(());
}

#[test]
fn whoever_is_outbid_hears_it_and_has_the_money_back() {
    opened()
        .when(bid(400))
        .from("ana")
        .when(bid(450))
        .from("ben")
        .then_whispered("ana", Output::Outbid { amount: 450 })
        .then_events_of(
            Wallet::at("ana"),
            [wallet::Event::Released { hold: hold(1) }],
        )
        .when(bid(500))
        .from("ana")
        .then_reply(());
}

#[test]
fn an_idle_auction_closes_and_charges_the_winner() {
    opened()
        .when(bid(120))
        .from("ana")
        .after(MINUTE - SECOND)
        .then_nothing()
        .after(SECOND)
        .then_events([Event::Closed])
        .then_broadcast(sold("ana", 120))
        .then_told(Wallet::at("ana"), wallet::Signal::Charge { hold: hold(1) })
        .then_events_of(
            Wallet::at("ana"),
            [wallet::Event::Charged { hold: hold(1) }],
        );
}

#[test]
fn an_auction_without_bids_closes_unsold() {
    opened()
        .after(MINUTE)
        .then_broadcast(Output::Closed { sold: None })
        .when(bid(120))
        .from("ana")
        .then_rejected(Rejection::NotOpen);
}

#[test]
fn a_late_bid_leaves_time_for_another() {
    let late = MINUTE - SECOND;
    opened()
        .after(late)
        .when(bid(120))
        .from("ana")
        .then_broadcast(high("ana", 120, at(late + SOFT_CLOSE)))
        .after(SOFT_CLOSE - SECOND)
        .then_nothing()
        .takeover()
        .after(SECOND)
        .then_broadcast(sold("ana", 120));
}

#[test]
fn of_two_bids_in_flight_the_first_to_be_covered_leads_and_the_other_is_judged_again() {
    opened()
        .hold_words()
        .when(bid(150))
        .from("ana")
        .then_waiting()
        .when(bid(140))
        .from("ben")
        .then_waiting()
        .takeover()
        .deliver()
        .then_late_reply("ana", ())
        .then_late_rejection("ben", Rejection::TooLow { at_least: 151 });
}

#[test]
fn a_bid_in_flight_when_the_auction_closes_is_refused_and_gives_the_money_back() {
    opened()
        .after(MINUTE - SECOND)
        .hold_words()
        .when(bid(150))
        .from("ana")
        .then_waiting()
        .after(SECOND)
        .then_broadcast(Output::Closed { sold: None })
        .deliver()
        .then_late_rejection("ana", Rejection::NotOpen)
        .then_told(Wallet::at("ana"), release(1));
}

#[test]
fn a_wallet_that_is_silent_costs_the_bid_and_money_put_aside_too_late_comes_back() {
    opened()
        .hold_words()
        .when(bid(150))
        .from("ana")
        .when(bid(160))
        .from("ana")
        .then_rejected(Rejection::OneBidAtATime)
        .after(OFFER_LASTS)
        .then_late_rejection("ana", Rejection::WalletUnavailable)
        .deliver()
        .then_told(Wallet::at("ana"), release(1));
}

#[test]
fn a_wallet_that_fails_is_no_reason_to_lead() {
    Scenario::<Auction>::new()
        .when(open(60))
        .from(auctioneer())
        .when(bid(120))
        .from("ana")
        .then_waiting()
        .when_answered_by(Wallet::at("ana"), Err(Refusal::Faulted))
        .then_late_rejection("ana", Rejection::WalletUnavailable);
}

#[test]
fn a_subject_that_can_have_no_wallet_cannot_bid() {
    opened()
        .when(bid(120))
        .from("a/b")
        .then_rejected(Rejection::NoWallet);
}

#[test]
fn a_newcomer_sees_the_lot_and_who_leads() {
    let shown = Output::Auction {
        lot: "a lamp".into(),
        phase: Phase::Open {
            closes_at: at(MINUTE),
        },
        price_min: 100,
        high: Some(HighBid {
            bidder: "ana".into(),
            amount: 120,
        }),
    };
    opened()
        .when(bid(120))
        .from("ana")
        .connects("dora")
        .then_welcome([shown]);
}
