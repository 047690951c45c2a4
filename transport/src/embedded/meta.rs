//! The file `meta` of a durable topic, made once: its identity for ever and its partition count.
//!
//! ```text
//! xp-log 1
//! identity 6a6b0c2e-0f5d-4c0e-8f64-8d8c3f1f0a11
//! partitions 64
//! crc32c 1f2e3d4c
//! ```

use std::fs;
use std::io;
use std::path::Path;

use xp_protocol::LogIdentity;

use super::error::OpenError;
use super::files;
use super::machine::Machine;

const VERSION: u8 = 1;
/// The file's name in the topic's directory.
pub(super) const NAME: &str = "meta";

/// What a durable topic is for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Meta {
    pub(super) identity: LogIdentity,
    pub(super) partitions: u32,
}

impl Meta {
    pub(super) fn encode(self) -> String {
        let checked = format!(
            "xp-log {VERSION}\nidentity {}\npartitions {}\n",
            self.identity, self.partitions
        );
        format!(
            "{checked}crc32c {:08x}\n",
            crc32c::crc32c(checked.as_bytes())
        )
    }

    fn decode(text: &str) -> Option<Self> {
        let mut values = text.lines().zip(["xp-log", "identity", "partitions"]);
        let mut value = || {
            let (line, name) = values.next()?;
            line.strip_prefix(name)?.strip_prefix(' ')
        };
        value()?;
        let meta = Self {
            identity: LogIdentity(value()?.parse().ok()?),
            partitions: value()?.parse().ok()?,
        };
        (meta.encode() == text).then_some(meta)
    }

    /// Reads a topic's meta file; `None` when there is none.
    pub(super) fn read(dir: &Path) -> Result<Option<Self>, OpenError> {
        let path = dir.join(NAME);
        let bytes = match fs::read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            read => read.map_err(OpenError::io("read", &path))?,
        };
        let text = String::from_utf8_lossy(&bytes);
        check_version(&text, &path)?;
        Self::decode(&text)
            .map(Some)
            .ok_or_else(|| OpenError::damaged(&path, 0, "it is not what was written"))
    }

    /// Keeps it for ever.
    pub(super) fn write(self, machine: &dyn Machine, dir: &Path) -> Result<(), OpenError> {
        let path = dir.join(NAME);
        files::put(machine, &path, self.encode().as_bytes())
            .map(drop)
            .map_err(OpenError::io("write", &path))
    }
}

fn check_version(text: &str, path: &Path) -> Result<(), OpenError> {
    let first = text.lines().next().unwrap_or_default();
    match first.strip_prefix("xp-log ") {
        Some(found) if found != VERSION.to_string() => Err(OpenError::Version {
            file: path.to_owned(),
            found: found.to_owned(),
            known: VERSION,
        }),
        _ => Ok(()),
    }
}
