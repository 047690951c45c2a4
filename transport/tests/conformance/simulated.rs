//! The simulated log: without faults, and with delays, which take nothing from the contract.

use std::sync::Arc;

use xp_protocol::{Offset, TimeMs};
use xp_transport::Log;
use xp_transport::simulated::{Faults, Simulated};

use crate::suite::{Backend, DURABLE, Optional, PARTITIONS, SHORT, VOLATILE, at};

const TOPICS: [(&str, u32); 3] = [(DURABLE, PARTITIONS), (VOLATILE, PARTITIONS), (SHORT, 1)];
const EPOCH: TimeMs = TimeMs(1_700_000_000_000);

impl Backend for Simulated {
    const LACKS: &'static [Optional] = &[Optional::ReadsAhead];

    fn log(&self) -> Arc<dyn Log> {
        Arc::new(self.clone())
    }

    fn rival(&self) -> Arc<dyn Log> {
        Arc::new(self.another_producer())
    }

    fn restart(&mut self) {
        self.with_model(|model| model.create(VOLATILE, PARTITIONS));
        *self = self.another_producer();
    }

    fn retain(&self) {
        self.with_model(|model| {
            let next = model.bounds(&at(SHORT, 0)).unwrap().next;
            model.retain_from(&at(SHORT, 0), Offset(next.0.saturating_sub(20)));
        });
    }
}

fn slow() -> Simulated {
    let faults = Faults {
        delay_ms: 0..=3,
        acknowledgement_ms: 0..=3,
        ..Faults::none()
    };
    Simulated::with_faults(&TOPICS, EPOCH, 1, faults)
}

mod without_faults {
    crate::suite::conformance!(super::Simulated::new(&super::TOPICS, super::EPOCH));
}

mod with_delays {
    crate::suite::conformance!(super::slow());
}
