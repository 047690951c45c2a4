//! The records that are too large for the log, put together from their pieces (R41).

use bytes::{Bytes, BytesMut};
use xp_protocol::outbound::{Socket, Transfer};

/// Records under way, at most one for each socket: what an owner sends to a socket, it sends one after the other.
#[derive(Debug, Default)]
pub(super) struct Pieces {
    wholes: Vec<Whole>,
}

#[derive(Debug)]
struct Whole {
    transfer: Transfer,
    /// For whom it is and who is still here.
    to: Vec<Socket>,
    /// The next piece's place.
    next: u32,
    value: BytesMut,
}

/// One piece as it came.
#[derive(Clone, Copy)]
pub(super) struct Piece<'a> {
    pub(super) transfer: Transfer,
    pub(super) index: u32,
    pub(super) payload: &'a [u8],
}

impl Pieces {
    /// Takes a piece for those of `to` that are here, and says whether it is the next one. With a piece missing, in
    /// another order or beyond `bytes_max` the record is given up: what asked for it is asked again.
    pub(super) fn add(&mut self, piece: Piece<'_>, to: &[Socket], bytes_max: usize) -> bool {
        if piece.index == 0 {
            self.begin(piece.transfer, to);
        }
        let Some(at) = self.find(piece.transfer) else {
            return false;
        };
        let whole = &mut self.wholes[at];
        if piece.index < whole.next {
            // It came twice.
            return false;
        }
        if piece.index > whole.next || whole.value.len() + piece.payload.len() > bytes_max {
            self.wholes.swap_remove(at);
            return false;
        }
        whole.next += 1;
        whole.value.extend_from_slice(piece.payload);
        true
    }

    /// The whole, once its last piece was taken.
    pub(super) fn take(&mut self, transfer: Transfer) -> Option<Bytes> {
        let at = self.find(transfer)?;
        Some(self.wholes.swap_remove(at).value.freeze())
    }

    /// R41 switched off: whatever is for this socket is the next piece of what it gets.
    pub(super) fn add_blindly(&mut self, piece: Piece<'_>, to: &[Socket]) -> bool {
        let theirs = |whole: &Whole| whole.to.iter().any(|socket| to.contains(socket));
        let Some(whole) = self.wholes.iter_mut().find(|whole| theirs(whole)) else {
            self.begin(piece.transfer, to);
            return self.add(Piece { index: 0, ..piece }, to, usize::MAX);
        };
        whole.transfer = piece.transfer;
        whole.next += 1;
        whole.value.extend_from_slice(piece.payload);
        true
    }

    /// The socket is gone, or gets something else now.
    pub(super) fn forget(&mut self, socket: Socket) {
        self.wholes.retain_mut(|whole| {
            whole.to.retain(|to| *to != socket);
            !whole.to.is_empty()
        });
    }

    fn begin(&mut self, transfer: Transfer, to: &[Socket]) {
        if self.find(transfer).is_some() {
            return;
        }
        for socket in to {
            self.forget(*socket);
        }
        if !to.is_empty() {
            self.wholes.push(Whole {
                transfer,
                to: to.to_vec(),
                next: 0,
                value: BytesMut::new(),
            });
        }
    }

    fn find(&self, transfer: Transfer) -> Option<usize> {
        self.wholes
            .iter()
            .position(|whole| whole.transfer == transfer)
    }
}
