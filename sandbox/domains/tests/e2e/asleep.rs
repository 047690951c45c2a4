//! The clients' worst hours: a phone that sleeps for long, and a clock that is put right.

use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::timeout;
use xp_client::machine::Settings;
use xp_client::{Answer, Client, End, Error, Item, Options, Tokens};
use xp_domains::board::{self, Board, Command, Output};
use xp_protocol::{CloseCode, ConnectionId, DialAttempt, TimeMs};
use xplatform::sandbox::{Sandbox, User, Visitor};

use crate::process::PATIENCE;
use crate::radio::Radio;

const BOARD: &str = "board/1";
/// How long a session without a socket may come back, unless configured otherwise.
const GRACE: Duration = Duration::from_secs(30);
const HOUR_MS: u64 = 3_600_000;
const SESSION: &str = "00000000-0000-0000-0000-000000000007";

fn stroke(colour: &str) -> Command {
    Command::Draw {
        colour: colour.to_owned(),
        points: vec![(0, 0), (3, 4)],
    }
}

fn options(user: &User, url: String) -> Options {
    let user = user.clone();
    let tokens = Tokens::from_fn(move || std::future::ready(Ok(user.token())));
    Options {
        settings: Settings {
            backoff_max_ms: 100,
            ..Settings::default()
        },
        ..Options::new(url, BOARD.parse().unwrap(), tokens)
    }
}

fn is_drawn(answer: Answer) -> bool {
    matches!(answer.reply(), Ok(board::Reply::Drawn { .. }))
}

async fn next(client: &mut Client) -> Item {
    let item = timeout(PATIENCE, client.next()).await;
    item.expect("something happens").expect("it is not over")
}

async fn welcomed(options: Options) -> Client {
    let mut client = Client::connect(options).unwrap();
    loop {
        match next(&mut client).await {
            Item::Welcome { .. } => return client,
            Item::Lost { .. } => {}
            other => panic!("a welcome, not {other:?}"),
        }
    }
}

type Pending = JoinHandle<Result<Answer, Error>>;

fn draw(client: &Client, colour: &str) -> Pending {
    let handle = client.handle();
    let stroke = stroke(colour);
    tokio::spawn(async move { handle.command(&stroke).await })
}

async fn answered(pending: Pending) -> Result<Answer, Error> {
    timeout(PATIENCE, pending)
        .await
        .expect("an answer, or the end")
        .unwrap()
}

async fn strokes(bob: &Visitor) -> u64 {
    match bob.query(&board::Query::Count).await.reply() {
        Ok(board::Reply::Count { strokes }) => strokes as u64,
        _ => panic!("no count"),
    }
}

async fn sees_stroke(bob: &mut Visitor, colour: &str) {
    let is_it = |output: &Output| matches!(output, Output::StrokeDrawn { stroke, .. } if stroke.colour == colour);
    bob.sees(is_it).await;
}

/// A phone that has drawn a stroke, one whose answer was lost, and one while it was away already; and has slept.
struct Night {
    sandbox: Sandbox,
    /// Dropped, it cuts what passes through it.
    _radio: Radio,
    bob: Visitor,
    phone: Client,
    unheard: Pending,
    asleep: Pending,
}

async fn asleep_for(time: Duration) -> Night {
    let sandbox = Sandbox::builder().host::<Board>().start().await.unwrap();
    let radio = Radio::before(sandbox.addr()).await;
    let mut bob = sandbox.user("bob").connect(BOARD).await;
    let ana = sandbox.user("ana");
    let phone = welcomed(options(&ana, format!("ws://{}", radio.addr))).await;
    assert!(is_drawn(answered(draw(&phone, "before")).await.unwrap()));
    radio.lose_answers();
    let unheard = draw(&phone, "unheard");
    sees_stroke(&mut bob, "unheard").await;
    radio.off();
    let is_away = |output: &Output| matches!(output, Output::Away { user } if user == "ana");
    bob.sees(is_away).await;
    let asleep = draw(&phone, "asleep");
    assert!(is_drawn(bob.command(&stroke("meanwhile")).await));
    sandbox.advance(time.min(GRACE));
    if time > GRACE {
        let has_left = |output: &Output| matches!(output, Output::Left { user } if user == "ana");
        bob.sees(has_left).await;
        sandbox.advance(time - GRACE);
    }
    radio.on();
    Night {
        sandbox,
        _radio: radio,
        bob,
        phone,
        unheard,
        asleep,
    }
}

/// The colours that are shown from here on until `last`.
async fn shown_until(phone: &mut Client, last: &str) -> Vec<String> {
    let mut colours: Vec<String> = Vec::new();
    while colours.last().is_none_or(|colour| colour != last) {
        if let Item::Event { payload, .. } = next(phone).await {
            let outputs: Vec<Output> = payload.read().unwrap();
            colours.extend(outputs.into_iter().filter_map(|output| match output {
                Output::StrokeDrawn { stroke, .. } => Some(stroke.colour),
                _ => None,
            }));
        }
    }
    colours
}

/// Waits until the phone is back, and says how.
async fn back(phone: &mut Client) -> Item {
    loop {
        match next(phone).await {
            Item::Lost { .. } | Item::Event { .. } => {}
            item => return item,
        }
    }
}

/// R26: its session goes on as if nothing had been.
#[tokio::test]
async fn a_phone_asleep_within_the_grace_goes_on_where_it_was() {
    let mut night = asleep_for(Duration::from_secs(20)).await;
    let item = back(&mut night.phone).await;
    assert!(matches!(item, Item::Resumed { .. }), "{item:?}");
    let shown = shown_until(&mut night.phone, "asleep").await;
    assert_eq!(shown, ["unheard", "meanwhile", "asleep"]);
    assert!(is_drawn(answered(night.unheard).await.unwrap()));
    assert!(is_drawn(answered(night.asleep).await.unwrap()));
    assert_eq!(strokes(&night.bob).await, 4);
    night.sandbox.shutdown().await;
}

/// R26, R30: its session is over and remembered: it starts over, and nothing that it said is lost or done twice.
async fn starts_over_after(time: Duration) {
    let mut night = asleep_for(time).await;
    let item = back(&mut night.phone).await;
    assert!(matches!(item, Item::StartedOver { .. }), "{item:?}");
    assert!(is_drawn(answered(night.unheard).await.unwrap()));
    assert!(is_drawn(answered(night.asleep).await.unwrap()));
    assert_eq!(strokes(&night.bob).await, 4);
    night.sandbox.shutdown().await;
}

#[tokio::test]
async fn a_phone_asleep_beyond_the_grace_starts_over_and_loses_and_doubles_nothing() {
    starts_over_after(Duration::from_secs(100)).await;
}

#[tokio::test]
async fn a_phone_asleep_as_long_as_it_is_remembered_starts_over_and_loses_and_doubles_nothing() {
    starts_over_after(Duration::from_secs(600)).await;
}

/// R26: nobody can say any more which of its commands were taken, so it is told instead of guessing.
#[tokio::test]
async fn a_phone_asleep_until_it_is_forgotten_is_told_so_and_does_nothing_twice() {
    let mut night = asleep_for(Duration::from_secs(800)).await;
    let item = back(&mut night.phone).await;
    let expired = CloseCode::SessionExpired.number();
    assert!(
        matches!(item, Item::Closed(End::Code(code, _)) if code == expired),
        "{item:?}"
    );
    assert!(answered(night.unheard).await.is_err());
    assert!(answered(night.asleep).await.is_err());
    assert_eq!(
        strokes(&night.bob).await,
        3,
        "what it said asleep was not taken"
    );
    // Whoever uses it begins anew, and is let in.
    let ana = night.sandbox.user("ana").connect(BOARD).await;
    assert_eq!(strokes(&ana).await, 3);
    night.sandbox.shutdown().await;
}

/// A device that counts its attempts by its clock, as one does that cannot remember them.
fn by_the_clock(user: &User, url: String, clock_ms: u64) -> Options {
    Options {
        connection: Some(ConnectionId(SESSION.parse().unwrap())),
        attempt: Some(DialAttempt(clock_ms)),
        ..options(user, url)
    }
}

fn now() -> TimeMs {
    xp_transport::Clock::system().now()
}

/// R27: its attempts begin seven hours below the last one, and nobody has the session.
#[tokio::test]
async fn a_device_whose_clock_was_put_right_comes_back_at_once() {
    let sandbox = Sandbox::builder().host::<Board>().start().await.unwrap();
    let radio = Radio::before(sandbox.addr()).await;
    let mut bob = sandbox.user("bob").connect(BOARD).await;
    let ana = sandbox.user("ana");
    let ahead = by_the_clock(&ana, format!("ws://{}", radio.addr), now().0 + 7 * HOUR_MS);
    let before = welcomed(ahead).await;
    assert!(is_drawn(answered(draw(&before, "before")).await.unwrap()));
    radio.off();
    bob.sees(|output: &Output| matches!(output, Output::Away { user } if user == "ana"))
        .await;
    drop(before);
    let right = by_the_clock(&ana, format!("ws://{}", sandbox.addr()), now().0);
    let after = welcomed(right).await;
    assert!(is_drawn(answered(draw(&after, "after")).await.unwrap()));
    assert_eq!(strokes(&bob).await, 2);
    sandbox.shutdown().await;
}

/// R27: while the server still takes the old socket for alive, a lower attempt may be a late one, and waits.
#[tokio::test]
async fn a_device_whose_clock_was_put_right_waits_for_its_old_socket_and_no_longer() {
    let sandbox = Sandbox::builder()
        .host::<Board>()
        .configure(|config| {
            config.edge.timing.ping = "100ms".parse().unwrap();
            config.edge.timing.silent = "1s".parse().unwrap();
        })
        .start()
        .await
        .unwrap();
    let radio = Radio::before(sandbox.addr()).await;
    let bob = sandbox.user("bob").connect(BOARD).await;
    let ana = sandbox.user("ana");
    let ahead = by_the_clock(&ana, format!("ws://{}", radio.addr), now().0 + 7 * HOUR_MS);
    let before = welcomed(ahead).await;
    assert!(is_drawn(answered(draw(&before, "before")).await.unwrap()));
    radio.vanish();
    let right = by_the_clock(&ana, format!("ws://{}", sandbox.addr()), now().0);
    let after = welcomed(right).await;
    assert!(is_drawn(answered(draw(&after, "after")).await.unwrap()));
    assert_eq!(strokes(&bob).await, 2);
    drop(before);
    sandbox.shutdown().await;
}
