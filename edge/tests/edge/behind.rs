//! An owner that is behind: what is held back, of whom, and until when (R42).

use xp_edge::flow::BUDGET_MIN;
use xp_edge::{Config, Readiness};
use xp_protocol::inbound::ClientAction;
use xp_protocol::outbound::{Item, Outbound, Recipients, Socket};
use xp_protocol::{Address, CloseCode, DialAttempt, Incarnation, Offset};
use xp_settings::Size;

use crate::world::client::Client;
use crate::world::owner::Heard;
use crate::world::{World, config, connection, id, token, until};

/// With the smallest bound there is; a subject alone may have half of it.
fn tight() -> Config {
    let mut config = config();
    config.limits.partition.behind_max = Size(usize::try_from(BUDGET_MIN).unwrap());
    config
}

fn large(word: &str) -> String {
    format!("{word} {}", "x".repeat(60_000))
}

fn ephemerals(world: &World) -> usize {
    let wanted =
        |heard: &Heard| matches!(heard.action, ClientAction::Ephemeral { .. }).then_some(());
    world.owner.heard(wanted).len()
}

/// Everything said so far has been read by the edge.
async fn said(client: &mut Client) {
    client.send("ping so-far").await;
    client.expect("pong").await;
}

/// Floods with ephemerals, then with commands, until these are held back. Returns how many commands passed.
async fn flood(world: &World, client: &mut Client) -> usize {
    for _ in 0..60 {
        client.send(&large("ephemeral")).await;
    }
    said(client).await;
    let mut n = 0;
    loop {
        n += 1;
        client.send(&large(&format!("send {n}"))).await;
        client.send("ping so-far").await;
        let answer = client.frame().await;
        if answer.starts_with("busy") {
            client.expect("pong").await;
            break;
        }
        assert!(answer.starts_with("pong"), "{answer}");
        assert!(n < 60, "nothing is held back");
    }
    until("the lane has what passed", || {
        world
            .owner
            .heard(|heard| matches!(heard.action, ClientAction::Send { .. }).then_some(()))
            .len()
            == n - 1
    })
    .await;
    n - 1
}

#[tokio::test]
async fn a_flood_is_held_back_ephemerals_first_and_nobody_else_is() {
    let world = World::with(tight()).await;
    let mut ana = world.join("ana", 1).await;
    let mut ben = world.join("ben", 2).await;
    world.owner.moods(|moods| moods.sleeps = true);
    let commands = flood(&world, &mut ana).await;
    assert!(
        ephemerals(&world) < 30 && commands > 2,
        "{commands} commands"
    );
    ana.send("ask ?q x").await;
    assert_eq!(ana.frame().await, "busy ?q 1000");
    // Ben says what he has to say, and it is answered as soon as the owner decides again.
    world.owner.moods(|moods| moods.sleeps = false);
    ben.send("send 1 x").await;
    ben.expect("event").await;
    ben.expect("reply").await;
    assert!(world.edge.is_ready());
    // The owner has taken all of it, and says so; what it says behind it is shown.
    let board = "board/1".parse::<Address>().unwrap();
    world.owner.has_taken(board.partition(2), Offset(10_000));
    world.owner.announce(&board, "y");
    assert_eq!(ana.frame().await, "event 1 x");
    assert_eq!(ana.frame().await, "event 2 y");
    ana.send(&format!("send {} z", commands + 1)).await;
    assert_eq!(ana.frame().await, "event 3 z");
}

#[tokio::test]
async fn an_edge_whose_partition_takes_less_than_it_is_told_is_not_ready_until_it_has() {
    let world = World::with(tight()).await;
    let mut clients = Vec::new();
    for number in 1..=4 {
        clients.push(world.join(&format!("person-{number}"), number).await);
    }
    world.owner.moods(|moods| moods.sleeps = true);
    for client in &mut clients {
        let mut n = 1;
        while world.edge.is_ready() {
            client.send(&large(&format!("send {n}"))).await;
            client.send("ping so-far").await;
            if client.frame().await.starts_with("busy") {
                break;
            }
            n += 1;
        }
    }
    assert_eq!(world.edge.readiness(), Readiness::Behind);
    let partition = "board/1".parse::<Address>().unwrap().partition(2);
    world.owner.has_taken(partition, Offset(10_000));
    until("all is taken", || world.edge.is_ready()).await;
}

/// A hole in `inbound` may have swallowed a goodbye, or what a client said of itself since it came.
#[tokio::test]
async fn an_edge_that_is_asked_for_its_sockets_says_goodbye_for_those_that_are_gone() {
    let world = World::new().await;
    let mut ana = world.join("ana", 1).await;
    let mut ben = world.join("ben", 2).await;
    ben.send(&format!("token {}", other_claims("ben"))).await;
    world
        .owner
        .hears("ben's new claims", |heard| {
            (heard.action == ClientAction::Claims).then_some(())
        })
        .await;
    let address: Address = "board/1".parse().unwrap();
    let socket = |number, attempt| Socket {
        connection: connection(number),
        attempt: DialAttempt(attempt),
    };
    let attempt = |number: u128| {
        let connects = world.owner.heard(|heard| {
            let connects = matches!(heard.action, ClientAction::Connect { .. });
            (connects && heard.socket.connection == connection(number))
                .then_some(heard.socket.attempt.0)
        });
        connects[0]
    };
    let asked = vec![socket(1, attempt(1)), socket(2, attempt(2)), socket(3, 1)];
    let (mut question, mut value) = (Outbound::default(), Default::default());
    let edge = Incarnation(id(1));
    let to = Recipients::Only(asked);
    question.deliver(&mut value, to, Item::StillThere { edge }, b"");
    world.owner.say(&address, &question, value);
    let gone = world
        .owner
        .hears("a goodbye", |heard| {
            matches!(heard.action, ClientAction::Disconnect { .. }).then_some(heard.socket)
        })
        .await;
    assert_eq!(gone, socket(3, 1));
    assert_eq!(ben.closed().await, CloseCode::ComeBack);
    ana.send("send 1 x").await;
    ana.expect("event").await;
}

fn other_claims(subject: &str) -> String {
    let mut claims = crate::world::claims(subject);
    claims["role"] = "owner".into();
    assert_ne!(crate::world::sign(&claims), token(subject));
    crate::world::sign(&claims)
}
