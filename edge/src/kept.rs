//! Files that are looked at again while the edge runs: whether what they hold now takes the place of what is in use.
//!
//! A look is handed what the files hold, so that the decision knows neither clocks nor disks.

use std::error::Error;
use std::fmt::Write as _;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Read};
use std::path::Path;

use tracing::{error, info};

/// The largest file that is read, in bytes.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// What a file holds, or why it cannot be read.
pub(crate) type Held = io::Result<Vec<u8>>;

/// Reads a file whole. A larger one than [`FILE_BYTES_MAX`] is an error, like one that is not there.
pub(crate) fn read(path: &Path) -> Held {
    let mut held = Vec::new();
    let file = std::fs::File::open(path)?;
    file.take(FILE_BYTES_MAX + 1).read_to_end(&mut held)?;
    if held.len() as u64 > FILE_BYTES_MAX {
        let reason = format!("it has more than {FILE_BYTES_MAX} bytes");
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, reason));
    }
    Ok(held)
}

/// By what one content of some files is told from another. What it was made of is a key, and is not kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Mark(u64);

impl Mark {
    fn of(files: &[Held]) -> Self {
        let mut hasher = DefaultHasher::new();
        for held in files {
            let held = held.as_ref();
            held.map_err(io::Error::kind).hash(&mut hasher);
        }
        Self(hasher.finish())
    }
}

/// What is known of files that count together, such as a certificate and its key.
#[derive(Debug)]
pub(crate) struct Kept {
    used: Mark,
    refused: Option<Refused>,
}

/// A content that cannot be used.
#[derive(Clone, Copy, Debug)]
struct Refused {
    mark: Mark,
    said: bool,
}

/// What a look leads to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Look<T> {
    /// All is as it was, or was said already.
    Nothing,
    /// This is in use from now on.
    Use(T),
    /// The files hold again what is in use.
    Restored,
    /// They cannot be used, for this reason, and what is in use stays.
    Refuse(String),
}

impl Kept {
    /// Of files whose content is in use.
    pub(crate) fn of(files: &[Held]) -> Self {
        Self {
            used: Mark::of(files),
            refused: None,
        }
    }

    /// Judges what the files hold now, which is `read` if it is new. What cannot be used is said once; and only at the
    /// second look, unless a person `asked` for this one, because whoever rolls two files writes one of them first.
    pub(crate) fn look<T, E: Error>(
        &mut self,
        files: &[Held],
        asked: bool,
        read: impl FnOnce(&[Held]) -> Result<T, E>,
    ) -> Look<T> {
        let mark = Mark::of(files);
        if mark == self.used {
            return match self.refused.take() {
                Some(refused) if refused.said => Look::Restored,
                _ => Look::Nothing,
            };
        }
        match read(files) {
            Ok(new) => {
                *self = Self {
                    used: mark,
                    refused: None,
                };
                Look::Use(new)
            }
            Err(error) => {
                let before = self.refused.filter(|refused| refused.mark == mark);
                let was_said = before.is_some_and(|refused| refused.said);
                let says = asked || (before.is_some() && !was_said);
                let said = was_said || says;
                self.refused = Some(Refused { mark, said });
                match says {
                    true => Look::Refuse(whole(&error)),
                    false => Look::Nothing,
                }
            }
        }
    }
}

impl<T> Look<T> {
    /// Tells people what became of `what`, and gives what is to be used from now on.
    pub(crate) fn told(self, what: &str) -> Option<T> {
        match self {
            Self::Use(new) => {
                info!(target: "xp_edge::files", what, "what was changed is in use from now on");
                return Some(new);
            }
            Self::Restored => {
                info!(target: "xp_edge::files", what, "the files hold again what is in use");
            }
            Self::Refuse(reason) => {
                error!(target: "xp_edge::files", what, reason, "what was changed cannot be used, and what was there before stays in use: mend the files, nothing needs to be restarted");
            }
            Self::Nothing => {}
        }
        None
    }
}

/// An error with all that is behind it.
fn whole(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        write!(text, ": {error}").expect("a String takes all text");
        source = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{0} is broken")]
    struct Broken(String);

    /// A file with this text; `None` when it is not there.
    fn holding(text: Option<&str>) -> [Held; 1] {
        let gone = || io::Error::from(io::ErrorKind::NotFound);
        [text.map(Vec::from).ok_or_else(gone)]
    }

    /// Whatever begins with "good" can be used.
    fn read(files: &[Held]) -> Result<String, Broken> {
        let text = match &files[0] {
            Ok(bytes) => String::from_utf8_lossy(bytes).into_owned(),
            Err(error) => error.kind().to_string(),
        };
        match text.starts_with("good") {
            true => Ok(text),
            false => Err(Broken(text)),
        }
    }

    struct Story(Kept);

    impl Story {
        fn of(text: &str) -> Self {
            Self(Kept::of(&holding(Some(text))))
        }

        fn finds(&mut self, text: &str) -> Look<String> {
            self.0.look(&holding(Some(text)), false, read)
        }

        fn is_asked(&mut self, text: &str) -> Look<String> {
            self.0.look(&holding(Some(text)), true, read)
        }
    }

    fn refuse(text: &str) -> Look<String> {
        Look::Refuse(format!("{text} is broken"))
    }

    #[test]
    fn what_is_new_and_good_is_used_once() {
        let mut story = Story::of("good 1");
        assert_eq!(story.finds("good 1"), Look::Nothing);
        assert_eq!(story.finds("good 2"), Look::Use("good 2".to_owned()));
        assert_eq!(story.finds("good 2"), Look::Nothing);
        assert_eq!(story.is_asked("good 2"), Look::Nothing);
        assert_eq!(story.finds("good 1"), Look::Use("good 1".to_owned()));
    }

    #[test]
    fn what_is_broken_is_said_once_and_so_is_its_end() {
        let mut story = Story::of("good");
        assert_eq!(story.finds("half"), Look::Nothing, "it may be half written");
        assert_eq!(story.finds("half"), refuse("half"));
        assert_eq!(story.finds("half"), Look::Nothing);
        assert_eq!(story.finds("worse"), Look::Nothing);
        assert_eq!(story.finds("worse"), refuse("worse"));
        assert_eq!(story.finds("good"), Look::Restored);
        assert_eq!(story.finds("good"), Look::Nothing);
    }

    #[test]
    fn what_was_half_written_for_a_moment_is_not_spoken_of() {
        let mut story = Story::of("good");
        assert_eq!(story.finds("half"), Look::Nothing);
        assert_eq!(story.finds("good"), Look::Nothing);
        assert_eq!(story.finds("half"), Look::Nothing);
        assert_eq!(story.finds("good 2"), Look::Use("good 2".to_owned()));
    }

    #[test]
    fn a_person_who_asks_is_told_at_once_and_each_time() {
        let mut story = Story::of("good");
        assert_eq!(story.is_asked("half"), refuse("half"));
        assert_eq!(story.finds("half"), Look::Nothing);
        assert_eq!(story.is_asked("half"), refuse("half"));
    }

    #[test]
    fn a_file_that_is_gone_is_a_broken_one() {
        let mut kept = Kept::of(&holding(Some("good")));
        let gone = holding(None);
        assert_eq!(kept.look(&gone, false, read), Look::Nothing);
        assert_eq!(kept.look(&gone, false, read), refuse("entity not found"));
        assert_eq!(
            kept.look(&holding(Some("good")), false, read),
            Look::Restored
        );
    }

    #[test]
    fn a_file_has_a_bound() {
        let file = tempfile::NamedTempFile::new().unwrap();
        file.as_file().set_len(FILE_BYTES_MAX).unwrap();
        assert_eq!(read_len(file.path()), Ok(FILE_BYTES_MAX));
        file.as_file().set_len(FILE_BYTES_MAX + 1).unwrap();
        assert_eq!(read_len(file.path()), Err(io::ErrorKind::FileTooLarge));
    }

    fn read_len(path: &Path) -> Result<u64, io::ErrorKind> {
        let held = super::read(path).map_err(|error| error.kind())?;
        Ok(held.len() as u64)
    }
}
