//! A share of all addresses, by their checksums: so that what does not fit into memory is known without being
//! remembered.

use xp_protocol::Address;

const ALL: u64 = 1 << 32;

/// Those whose checksum lies in a range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Share {
    from: u64,
    upto: u64,
}

impl Share {
    pub(super) fn all() -> Self {
        Self { from: 0, upto: ALL }
    }

    pub(super) fn has(&self, address: &Address) -> bool {
        let sum = u64::from(crc32c::crc32c(address.as_str().as_bytes()));
        (self.from..self.upto).contains(&sum)
    }

    /// Gives up the upper half; `false` when there is nothing to divide.
    pub(super) fn halve(&mut self) -> bool {
        let width = self.upto - self.from;
        self.upto -= width / 2;
        width > 1
    }

    /// What lies behind it.
    pub(super) fn rest(self) -> Self {
        Self {
            from: self.upto,
            upto: ALL,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.from == self.upto
    }
}
