use std::fmt;
use std::marker::PhantomData;

use xp_protocol::{Address, AddressError};

use super::Entity;

/// The address of an `E`: what [`Decision::tell`](super::Decision::tell) and [`ask`](super::Decision::ask) take, so
/// that a wallet is told only what wallets understand. Written `Wallet::at("ana")`.
pub struct At<E> {
    address: Address,
    kind: PhantomData<fn() -> E>,
}

impl<E: Entity> At<E> {
    /// The address of the `E` with this id; for ids that a client may have made up.
    ///
    /// # Errors
    /// When the id is empty, longer than 255 bytes, or has a slash or a control character.
    pub fn new(id: &str) -> Result<Self, AddressError> {
        let address = Address::new(E::CATEGORY.as_str(), id)?;
        Ok(Self {
            address,
            kind: PhantomData,
        })
    }

    /// The address without the type.
    #[must_use]
    pub fn address(&self) -> &Address {
        &self.address
    }
}

impl<E> Clone for At<E> {
    fn clone(&self) -> Self {
        Self {
            address: self.address.clone(),
            kind: PhantomData,
        }
    }
}

impl<E> PartialEq for At<E> {
    fn eq(&self, other: &Self) -> bool {
        self.address == other.address
    }
}

impl<E> fmt::Debug for At<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.address.fmt(f)
    }
}
