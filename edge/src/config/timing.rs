//! Times of an edge: how long things may take, and what happens then.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use xp_settings::{Span, settings};

settings! {
    /// How long things may take, and what happens then.
    pub struct Timing {
        /// From accepting a socket to the end of its handshake: TLS, the request and the token together. Then it is
        /// closed.
        handshake: Span = Span::from_secs(5),
        /// From the handshake to the entity's welcome. Then the socket is closed `come-back` (R28).
        pending: Span = Span::from_secs(2),
        /// A client not heard of for so long gets a websocket ping.
        ping: Span = Span::from_secs(20),
        /// A client not heard of for so long is closed `silent`.
        silent: Span = Span::from_secs(45),
        /// How long news for a socket that was just written to is collected, at the most; then it leaves in one write.
        /// What comes after a pause leaves at once, and answers never wait. At least 1 ms.
        flush: Span = Span::from_millis(20),
        /// How long a closing socket may take to read what was sent to it. Then it is dropped.
        close: Span = Span::from_secs(2),
        /// How often an unanswered resume is asked for again (R20).
        resume: Span = Span::from_millis(500),
        /// How long to wait before an append or a read that failed is tried again.
        retry: Span = Span::from_millis(200),
        /// How long the log may take to answer when the edge starts. Then it does not start.
        start: Span = Span::from_secs(30),
        /// A lane that takes no records.
        lane: LaneTiming = LaneTiming::default(),
        /// The end of the edge.
        drain: DrainTiming = DrainTiming::default(),
        /// Keys and certificates that are looked at again.
        keys: KeyTiming = KeyTiming::default(),
    }
}

settings! {
    /// A lane that takes no records.
    pub struct LaneTiming {
        /// An append without an acknowledgement for so long stalls its lane partition, as one that failed does, until
        /// the log takes one again: commands and queries are answered `busy`, ephemeral commands are dropped, and
        /// `/ready` is 503.
        stall: Span = Span::from_secs(1),
        /// For how long a stalled partition keeps its sockets. Then they are closed `lane-lost`, and what was not
        /// appended for them is dropped; the clients come back, perhaps elsewhere.
        patience: Span = Span::from_secs(30),
    }
}

settings! {
    /// The end of the edge.
    pub struct DrainTiming {
        /// Over how long a drain spreads the closing of its sockets, so that clients do not return all at once. Fewer than
        /// 100 sockets a second are not spread further.
        spread: Span = Span::from_secs(5),
        /// How long a drain waits for sockets to close and for their disconnects to be acknowledged. Then the
        /// edge leaves all the same, and the state nodes detach what is left.
        wait: Span = Span::from_secs(10),
    }
}

settings! {
    /// Keys and certificates that are looked at again.
    pub struct KeyTiming {
        /// How old a JSON Web Key Set fetched by URL may get: for so long, and as long as it takes to fetch, a key that
        /// was withdrawn still counts. Then the sockets that came in with it are closed `token-expired`.
        refresh: Span = Span::from_secs(30),
        /// The shortest time between two fetches of a JSON Web Key Set, however many unknown keys are named; one that
        /// cannot be had is asked for so often.
        retry: Span = Span::from_secs(5),
        /// How often the files of certificate and keys (`edge.tls`, `edge.tokens.keys`) are looked at. What has changed is in
        /// use from then on; what cannot be used changes nothing, and is said. SIGHUP looks at once.
        reread: Span = Span::from_secs(5),
    }
}
