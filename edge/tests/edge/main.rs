//! An edge on a real socket, against an owner made for the test.
#![allow(unreachable_pub, reason = "modules of one test program")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod codes;
mod door;
mod disconnected;
mod drain;
mod entrance;
mod limits;
mod behind;
mod live;
mod outage;
mod recovery;
mod rotation;
mod spread;
mod tls;
mod world;
