//! The files that an edge reads for its doors, certificate and keys of tokens, are read again: every now and then, and
//! when a person asks for it.

use std::sync::Arc;
use std::time::Duration;

use tracing::info;

use super::tls::Certificate;
use crate::config::Key;
use crate::kept;
use crate::node::Node;

/// They are left alone for so long at least, whatever is configured.
const PAUSE_MIN: Duration = Duration::from_millis(20);

/// Goes on for as long as the edge runs.
pub(super) async fn run(node: Arc<Node>, certificate: Option<Arc<Certificate>>) {
    let pause = node.config.timing.keys.reread.0.max(PAUSE_MIN);
    loop {
        let asked = tokio::select! {
            () = tokio::time::sleep(pause) => false,
            () = node.reread.notified() => true,
        };
        let (of_node, of_certificate) = (Arc::clone(&node), certificate.clone());
        let read = tokio::task::spawn_blocking(move || {
            let keys = of_node.config.tokens.keys.iter().filter_map(Key::file);
            let keys: Vec<_> = keys.map(kept::read).collect();
            (of_certificate.map(|certificate| certificate.held()), keys)
        });
        let (held, keys) = read.await.expect("reading files does not panic");
        let pair = certificate.as_ref().zip(held);
        let is_new = pair.is_some_and(|(certificate, held)| certificate.look(&held, asked));
        let keys = node.verifier.look(keys, asked);
        if asked {
            info!(target: "xp_edge::files", certificate = is_new, keys, "certificate and keys were read again, as asked: whether there is a new certificate, and how many files of keys have changed");
            node.verifier.refresh(node.clock.now()).await;
        }
    }
}
