//! The fields of log lines, without anything that a terminal would act on, and each value for itself: whoever logs, and
//! whoever said what is logged.

use std::error::Error;
use std::fmt::{self, Debug, Write as _};

use tracing::field::{Field, Visit};
use tracing_subscriber::field::RecordFields;
use tracing_subscriber::fmt::FormatFields;
use tracing_subscriber::fmt::format::Writer;
use xp_protocol::plain::{plain, quoted, word};

/// What stands before them.
const MESSAGE: &str = "message";

/// As fields are written without it, on one line; a value of several words is in quotes, so that nobody who chooses a
/// value writes a field.
pub(super) struct Plain;

impl<'writer> FormatFields<'writer> for Plain {
    fn format_fields<R: RecordFields>(
        &self,
        mut writer: Writer<'writer>,
        fields: R,
    ) -> fmt::Result {
        let mut line = Line::default();
        fields.record(&mut line);
        writer.write_str(&line.0)
    }
}

#[derive(Default)]
struct Line(String);

impl Line {
    fn add(&mut self, name: &str, value: &str) {
        if !self.0.is_empty() {
            self.0.push(' ');
        }
        // A keyword as a name is written with its mark.
        let name = name.strip_prefix("r#").unwrap_or(name);
        write!(self.0, "{name}={value}").expect("a String takes all text");
    }

    fn say(&mut self, message: &str) {
        if !self.0.is_empty() {
            self.0.push(' ');
        }
        self.0.push_str(&plain(message));
    }
}

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let text = format!("{value:?}");
        match field.name() {
            MESSAGE => self.say(&text),
            name => self.add(name, &word(&text)),
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            MESSAGE => self.say(value),
            name => self.add(name, &quoted(value)),
        }
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        let mut text = value.to_string();
        let mut source = value.source();
        while let Some(error) = source {
            write!(text, ": {error}").expect("a String takes all text");
            source = error.source();
        }
        self.add(field.name(), &word(&text));
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

    /// The keys of a line's fields, as a program that knows quotes reads them.
    fn keys(line: &str) -> Vec<String> {
        let mut words = vec![String::new()];
        let (mut is_quoted, mut is_escaped) = (false, false);
        for c in line.trim_end_matches('\n').chars() {
            let last = words.last_mut().expect("there is always one");
            match c {
                _ if is_escaped => is_escaped = false,
                '\\' if is_quoted => is_escaped = true,
                '"' => is_quoted = !is_quoted,
                ' ' if !is_quoted => words.push(String::new()),
                c if !is_quoted => last.push(c),
                _ => {}
            }
        }
        assert!(!is_quoted, "{line}");
        let key = |word: &String| Some(word.split_once('=')?.0.to_owned());
        words.iter().filter_map(key).collect()
    }

    #[test]
    fn a_line_says_what_it_said_before() {
        let error = std::io::Error::other("no disk");
        let error: &(dyn Error + 'static) = &error;
        let line =
            logged(|| tracing::info!(subject = %"ana", n = 3, quoted = "b", error, "came in"));
        assert!(
            line.ends_with("came in subject=ana n=3 quoted=\"b\" error=\"no disk\"\n"),
            "{line}"
        );
    }

    #[test]
    fn who_chooses_a_value_writes_no_field() {
        let subject = "ana code=\"bad-token\" peer=10.0.0.1:7";
        let line = logged(|| tracing::info!(%subject, code = "slow", "closed a connection"));
        assert_eq!(keys(&line), ["subject", "code"], "{line}");
    }

    proptest! {
        #[test]
        fn nothing_that_a_client_says_moves_a_log(said in any::<String>()) {
            let forged = format!("{said}\n\u{1b}[31m\u{9b}\u{202e} a=b{said}");
            let span = || tracing::info_span!("span", said = %forged);
            let line = logged(|| span().in_scope(|| {
                tracing::info!(subject = %forged, quoted = forged, debug = ?forged, "{forged}");
            }));
            let line = line.strip_suffix('\n').expect("it is a line");
            prop_assert!(!line.contains(acts), "{line:?}");
            let line = logged(|| {
                tracing::info!(subject = %forged, quoted = forged, debug = ?forged, "came in");
            });
            prop_assert_eq!(keys(&line), ["subject", "quoted", "debug"], "{}", line);
        }
    }
}
