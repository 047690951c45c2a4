use serde::Serialize;
use serde_json::{Map, Value};
use xp_protocol::ConnectionId;

/// Somebody with a token and a connection.
#[derive(Clone, Debug)]
pub struct User {
    pub(super) subject: String,
    pub(super) claims: Option<Map<String, Value>>,
    device: String,
}

/// The person with this token subject, on one device, without further claims.
///
/// The same name is the same session throughout a scenario; whoever speaks without being connected is connected first.
#[must_use]
pub fn user(subject: &str) -> User {
    User {
        subject: subject.to_owned(),
        claims: None,
        device: String::new(),
    }
}

impl User {
    /// With these claims in the token; from here on in the scenario.
    ///
    /// # Panics
    /// When they are no JSON object.
    #[must_use]
    pub fn claims(mut self, claims: impl Serialize) -> Self {
        match serde_json::to_value(claims) {
            Ok(Value::Object(claims)) => self.claims = Some(claims),
            other => panic!("claims are a JSON object, and {other:?} is none"),
        }
        self
    }

    /// The same person on another device: a session of its own.
    #[must_use]
    pub fn on(mut self, device: &str) -> Self {
        device.clone_into(&mut self.device);
        self
    }

    /// The connection id of this session; the same in every run.
    #[must_use]
    pub fn connection(&self) -> ConnectionId {
        let name = [self.subject.as_bytes(), b"\0", self.device.as_bytes()].concat();
        let fnv = name.iter().fold(
            0x6c62_272e_07bb_0142_62b8_2175_6295_c58d_u128,
            |hash, byte| (hash ^ u128::from(*byte)).wrapping_mul(0x0100_0000_0000_0000_0000_013b),
        );
        ConnectionId(uuid::Builder::from_random_bytes(fnv.to_be_bytes()).into_uuid())
    }

    pub(super) fn token(&self) -> Vec<u8> {
        let mut claims = self.claims.clone().unwrap_or_default();
        claims.insert("sub".to_owned(), Value::String(self.subject.clone()));
        Value::Object(claims).to_string().into_bytes()
    }
}

impl From<&str> for User {
    fn from(subject: &str) -> Self {
        user(subject)
    }
}
