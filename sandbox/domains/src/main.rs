//! The example domains as a running platform: `cargo run --release`.

use std::process::ExitCode;

use xp_domains::auction::Auction;
use xp_domains::board::Board;
use xp_domains::device::Device;
use xp_domains::wallet::Wallet;
use xplatform::Domain;

fn main() -> ExitCode {
    Domain::new()
        .host::<Board>()
        .host::<Auction>()
        .host::<Wallet>()
        .host::<Device>()
        .run()
}
