use std::sync::Arc;

use xp_protocol::TimeMs;
use xp_protocol::cluster::{Member, Who};
use xp_protocol::{PartitionId, plain};
use xp_settings::Span;
use xp_transport::simulated::Simulated;

use super::*;

const A: &str = "https://a.example";
const B: &str = "https://b.example";
const WAIT: Duration = Duration::from_secs(20);

fn tokens(issuers: &[&str]) -> Tokens {
    Tokens {
        keys: Vec::new(),
        issuers: issuers.iter().map(|issuer| (*issuer).to_owned()).collect(),
        audiences: Vec::new(),
        required: Vec::new(),
        leeway: Span::from_secs(5),
    }
}

#[test]
fn a_subject_is_called_as_the_edges_call_it() {
    for (issuers, subject, issuer, name) in [
        (vec![], "ana", None, "ana"),
        (vec![A], "ana", Some(A), "ana"),
        (vec![A], "a#b", None, "a#b"),
        (vec![A, B], "ana", Some(B), "https://b.example#ana"),
        (
            vec![A, B],
            "https://a.example#ana",
            None,
            "https://a.example#ana",
        ),
        (vec![], "\u{1b}[2J\n", None, "\u{1b}[2J\n"),
    ] {
        assert_eq!(named(&tokens(&issuers), subject, issuer).unwrap(), name);
    }
}

#[test]
fn a_subject_that_nobody_can_have_is_refused_and_moves_no_terminal() {
    let long = "x".repeat(SUBJECT_BYTES_MAX);
    for (issuers, subject, issuer, reason) in [
        (vec![], "", None, "1 to 255 bytes"),
        (vec![A, B], "", Some(A), "1 to 255 bytes"),
        (vec![A, B], &*long, Some(A), "has 273"),
        (
            vec![A, B],
            "ana",
            None,
            "with --issuer and one of https://a.example, https://b.example",
        ),
        (vec![A, B], "https://c.example#ana", None, "with --issuer"),
        (vec![A, B], "https://a.example#", None, "with --issuer"),
        (
            vec![A],
            "ana",
            Some("\u{1b}[2J\n"),
            "\\u001b[2J\\n is not in edge.tokens.issuers",
        ),
        (vec![], "ana", Some(A), "which has none"),
    ] {
        let refused = named(&tokens(&issuers), subject, issuer)
            .unwrap_err()
            .to_string();
        assert!(refused.contains(reason), "{refused}");
        assert!(!refused.contains(plain::acts), "{refused:?}");
    }
}

fn incarnation(number: u128) -> Incarnation {
    Incarnation(Uuid::from_u128(number))
}

fn joins(number: u128, name: &str, kind: Kind) -> Member {
    Member::Join {
        incarnation: incarnation(number),
        who: Who::new(name, kind),
    }
}

const EDGE: Kind = Kind::Edge {
    outbound: PartitionId(0),
};

fn answer(request: &DisconnectRequest, edge: u128, sockets: u32) -> Notice {
    Notice::Disconnected {
        id: request.id,
        edge: incarnation(edge),
        sockets,
    }
}

#[test]
fn the_edges_that_were_there_and_are_still_have_to_answer() {
    let mut members = Members::new(1);
    for (offset, word) in (0..).zip([
        joins(1, "state-1", Kind::StateNode),
        joins(2, "edge-1", EDGE),
        joins(3, "edge-2", EDGE),
        joins(4, "edge-3", EDGE),
        joins(5, "late", EDGE),
    ]) {
        members.apply(Offset(offset), TimeMs(1_000), &word);
    }
    let at = Offset(3);
    let request = DisconnectRequest::new(Uuid::from_u128(7), "ana\u{1b}\n");
    let other = DisconnectRequest::new(Uuid::from_u128(8), "ben");
    let notices = [answer(&request, 2, 2), answer(&other, 3, 5)];
    assert_eq!(
        request.missing(&members, at, &notices),
        ["edge-2", "edge-3"]
    );
    let left = Member::Leave {
        incarnation: incarnation(3),
    };
    members.apply(Offset(5), TimeMs(1_000), &left);
    assert_eq!(request.missing(&members, at, &notices), ["edge-3"]);
    let notices = [
        answer(&request, 2, 2),
        answer(&request, 4, 1),
        answer(&request, 3, 0),
    ];
    assert!(request.missing(&members, at, &notices).is_empty());
    assert_eq!(
        request.done(&members, &notices),
        "ana\\u001b\\n: 3 sockets ended at 3 edges (an edge that has left 0, edge-1 2, edge-3 1)\n"
    );
    let said = silent(&["edge-2", "edge-3"], Duration::from_secs(10));
    assert!(
        said.starts_with("edge-2, edge-3 have not answered within 10s"),
        "{said}"
    );
}

/// A cluster log with one edge that answers or does not, and what is said to a wish.
async fn asked(answers: bool, wait: Duration) -> Answer {
    let log = Simulated::new(&[("cluster", 1)], TimeMs(0));
    let join = joins(2, "edge-1", EDGE);
    xp_cluster::log::append(&log, &join).await.unwrap();
    let mut following = Following::enter(&log, 1, WAIT).await.unwrap();
    let request = Arc::new(DisconnectRequest::new(Uuid::from_u128(7), "ana"));
    let (edge, its) = (log.another_producer(), Arc::clone(&request));
    let mut reader = log.read(&xp_cluster::log::topic(), Offset(1));
    let heeding = tokio::spawn(async move {
        let asked = reader.next().await.unwrap();
        let notice = xp_cluster::log::notice(&asked[0]).unwrap();
        assert!(matches!(notice, Notice::Disconnect { subject, .. } if *subject == *"ana"));
        if answers {
            let notice = answer(&its, 2, 3);
            xp_cluster::log::tell(&edge, &notice).await.unwrap();
        }
        // Somebody lives, by which the log goes on.
        let joins = joins(3, "state-1", Kind::StateNode);
        xp_cluster::log::append(&edge, &joins).await.unwrap();
    });
    let answer = request.fulfil(&log, &mut following, wait).await.unwrap();
    heeding.await.unwrap();
    answer
}

#[tokio::test]
async fn who_asks_hears_how_many_sockets_were_ended_and_which_edge_says_nothing() {
    let heard = asked(true, WAIT).await;
    assert_eq!(heard.text, "ana: 3 sockets ended at 1 edge (edge-1 3)\n");
    assert_eq!(heard.failure, None);
    let silent = asked(false, Duration::from_millis(200)).await;
    assert_eq!(silent.text, "ana: 0 sockets ended at 0 edges\n");
    let failure = silent.failure.unwrap();
    assert!(
        failure.starts_with("edge-1 has not answered within 200ms"),
        "{failure}"
    );
}
