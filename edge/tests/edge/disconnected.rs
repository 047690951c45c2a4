//! A person ends the sockets of a subject.

use uuid::Uuid;
use xp_cluster::log::{notice, tell, topic};
use xp_protocol::notice::Notice;
use xp_protocol::{CloseCode, Incarnation, Offset};
use xp_transport::Log;

use crate::world::{World, id};

/// What the edge answers.
async fn answer(world: &World, from: Offset) -> (Uuid, Incarnation, u32) {
    let mut reader = world.log.read(&topic(), from);
    loop {
        for stored in reader.next().await.unwrap() {
            if let Some(Notice::Disconnected { id, edge, sockets }) = notice(&stored) {
                return (id, edge, sockets);
            }
        }
    }
}

#[tokio::test]
async fn a_person_ends_all_sockets_of_a_subject_which_may_come_back_and_nobody_elses() {
    let world = World::new().await;
    let strange = "ana\n\u{1b}[2J";
    let mut ana = world.join(strange, 1).await;
    let mut anas_phone = world.join(strange, 2).await;
    let mut ben = world.join("ana", 3).await;
    let asked = Notice::Disconnect {
        id: id(7),
        subject: strange.into(),
    };
    let at = tell(&world.log, &asked).await.unwrap();
    for socket in [&mut ana, &mut anas_phone] {
        assert_eq!(socket.closed().await, CloseCode::Disconnected);
    }
    assert_eq!(answer(&world, at).await, (id(7), Incarnation(id(1)), 2));
    ben.send("ping here").await;
    ben.expect("pong").await;
    let line = ["ended, as a person asked", "subject=ana\\n\\u001b[2J"];
    assert!(world.logs.have(&line), "{:#?}", world.logs.lines());
    world.join(strange, 1).await;
}
