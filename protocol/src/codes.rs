//! Every number and word by which a client is told no. Ranges carry meaning; each has a page in `docs/codes/`.

use serde::{Deserialize, Serialize};

macro_rules! close_codes {
    ($($(#[$doc:meta])* $variant:ident = $number:literal, $name:literal;)*) => {
        /// Why the server closes a socket. 4000–4399: go away and do not return as you are.
        /// 4400–4799: come back with the same connection id.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
        pub enum CloseCode { $($(#[$doc])* $variant,)* }

        impl CloseCode {
            /// All of them. Records hold their place in this order, so that a new one comes last.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The websocket close code.
            #[must_use]
            pub const fn number(self) -> u16 {
                match self { $(Self::$variant => $number,)* }
            }

            /// The name, as in the close frame's reason and in `docs/codes/`.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }
        }
    };
}

close_codes! {
    /// The frame is not of `xp.v1`: unknown verb, missing argument, a number out of turn.
    ProtocolError = 4000, "protocol-error";
    /// The token is missing, malformed, wrongly signed, of a refused algorithm, or lacks a required claim.
    BadToken = 4001, "bad-token";
    /// The connection id belongs to another subject.
    ForeignConnection = 4002, "foreign-connection";
    /// A newer socket of the same connection took over.
    Replaced = 4003, "replaced";
    /// The entity refused the connection; a `reject 0` frame says why.
    Refused = 4004, "refused";
    /// The session that was to be resumed is forgotten.
    SessionExpired = 4005, "session-expired";
    /// No entity of this category is hosted, or the path is no address.
    UnknownAddress = 4006, "unknown-address";
    /// A frame is larger than the limit.
    FrameTooLarge = 4007, "frame-too-large";
    /// A text frame is not UTF-8.
    BrokenUtf8 = 4008, "broken-utf8";
    /// The page's origin is not allowed.
    ForeignOrigin = 4009, "foreign-origin";
    /// The entity ended the session.
    Terminated = 4010, "terminated";
    /// Something was lost on the way, or took too long: connect again and send again.
    ComeBack = 4400, "come-back";
    /// The node is leaving; another one takes over.
    Draining = 4401, "draining";
    /// The client reads too slowly; its queue is full.
    Slow = 4402, "slow";
    /// The edge cannot reach its lane.
    LaneLost = 4403, "lane-lost";
    /// The token expired; come back with a fresh one.
    TokenExpired = 4404, "token-expired";
    /// More frames than the limit allows.
    TooFast = 4405, "too-fast";
    /// More connections of one subject or address than the limit allows.
    TooManyConnections = 4406, "too-many-connections";
    /// Nothing was heard of the client for too long.
    Silent = 4407, "silent";
    /// This build cannot read the entity: it is set aside, and nothing is taken for it until one can.
    Quarantined = 4408, "quarantined";
    /// The token holds only from a little later on.
    TokenEarly = 4409, "token-early";
    /// The edge cannot get the key set that may hold this token's key.
    NoKeys = 4410, "no-keys";
    /// A person who runs the platform ended the subject's sockets: come back with a fresh token.
    Disconnected = 4411, "disconnected";
}

impl CloseCode {
    /// Whether the client should connect again with the same connection id.
    #[must_use]
    pub const fn comes_back(self) -> bool {
        self.number() >= 4400
    }

    /// The code behind a close frame's number.
    #[must_use]
    pub fn from_number(number: u16) -> Option<Self> {
        Self::ALL
            .iter()
            .copied()
            .find(|code| code.number() == number)
    }
}

macro_rules! fault_codes {
    ($($(#[$doc:meta])* $variant:ident = $name:literal;)*) => {
        /// Why a message was taken without effect: a bug in domain code, or bytes it cannot read.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
        pub enum FaultCode { $($(#[$doc])* $variant,)* }

        impl FaultCode {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The word in a `fault` frame and in `docs/codes/`.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// The code behind a word.
            #[must_use]
            pub fn from_name(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|code| code.name() == name)
            }
        }
    };
}

fault_codes! {
    /// Domain code panicked.
    Panicked = "panicked";
    /// The domain's codec cannot read the payload.
    Unreadable = "unreadable";
    /// A deferred answer never came.
    Unanswered = "unanswered";
    /// What the message would have recorded is larger than a record may be.
    TooLarge = "too-large";
    /// Domain code asked for what the platform cannot do.
    Misuse = "misuse";
    /// The entity was set aside. Earlier builds answered so; now its sockets are closed `quarantined` and nothing is taken.
    Quarantined = "quarantined";
    /// The message was tried before and took its node down.
    Poisonous = "poisonous";
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn close_codes_are_found_by_their_number() {
        for code in CloseCode::ALL {
            assert_eq!(CloseCode::from_number(code.number()), Some(*code));
        }
        for number in [0, 1000, 1006, 3999, 4399, 4799, u16::MAX] {
            assert_eq!(CloseCode::from_number(number), None, "{number}");
        }
    }

    #[test]
    fn close_codes_below_4400_go_away_and_those_above_come_back() {
        for code in CloseCode::ALL {
            let range = if code.comes_back() {
                4400..4800
            } else {
                4000..4400
            };
            assert!(range.contains(&code.number()), "{code:?}");
        }
        assert!(!CloseCode::Terminated.comes_back());
        assert!(CloseCode::ComeBack.comes_back());
    }

    #[test]
    fn fault_codes_are_found_by_their_name() {
        for code in FaultCode::ALL {
            assert_eq!(FaultCode::from_name(code.name()), Some(*code));
        }
        assert_eq!(FaultCode::from_name("Panicked"), None);
    }

    /// Names become pages in `docs/codes/` (a fault's is `fault-…`), words of a frame, and the reason of a close frame.
    #[test]
    fn names_are_unique_and_one_word() {
        let closes: Vec<_> = CloseCode::ALL.iter().map(|code| code.name()).collect();
        let faults: Vec<_> = FaultCode::ALL.iter().map(|code| code.name()).collect();
        for names in [&closes, &faults] {
            let unique: BTreeSet<_> = names.iter().collect();
            assert_eq!(unique.len(), names.len());
        }
        for name in closes.into_iter().chain(faults) {
            let plain = name
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
            assert!(plain && (1..=40).contains(&name.len()), "{name:?}");
        }
    }
}
