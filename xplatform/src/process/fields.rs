//! The fields of log lines, without anything that a terminal would act on: whoever logs, and whoever said what is logged.

use std::fmt;

use tracing_subscriber::field::RecordFields;
use tracing_subscriber::fmt::FormatFields;
use tracing_subscriber::fmt::format::{DefaultFields, Writer};
use xp_protocol::plain::plain;

/// As fields are written without it, on one line and [`plain`].
pub(super) struct Plain;

impl<'writer> FormatFields<'writer> for Plain {
    fn format_fields<R: RecordFields>(
        &self,
        mut writer: Writer<'writer>,
        fields: R,
    ) -> fmt::Result {
        let mut text = String::new();
        DefaultFields::new().format_fields(Writer::new(&mut text), fields)?;
        writer.write_str(&plain(&text))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tracing_subscriber::fmt::MakeWriter;
    use xp_protocol::plain::acts;

    use super::*;
    use crate::process::stderr::tests::Kept;

    fn logged(what: impl FnOnce()) -> String {
        let kept = Kept::default();
        let subscriber = tracing_subscriber::fmt()
            .fmt_fields(Plain)
            .with_writer(kept.clone())
            .with_ansi(false)
            .finish();
        tracing::subscriber::with_default(subscriber, what);
        drop(kept.make_writer());
        kept.text()
    }

    #[test]
    fn a_line_says_what_it_said_before() {
        let line = logged(|| tracing::info!(subject = %"ana", n = 3, quoted = "b", "came in"));
        assert!(
            line.ends_with("came in subject=ana n=3 quoted=\"b\"\n"),
            "{line}"
        );
    }

    proptest! {
        #[test]
        fn nothing_that_a_client_says_moves_a_log(said in any::<String>()) {
            let forged = format!("{said}\n\u{1b}[31m\u{9b}\u{202e}{said}");
            let span = || tracing::info_span!("span", said = %forged);
            let line = logged(|| span().in_scope(|| {
                tracing::info!(subject = %forged, quoted = forged, debug = ?forged, "{forged}");
            }));
            let line = line.strip_suffix('\n').expect("it is a line");
            prop_assert!(!line.contains(acts), "{line:?}");
        }
    }
}
