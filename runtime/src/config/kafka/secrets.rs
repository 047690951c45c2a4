//! Passwords: where they are found, and that nobody sees them.

use std::path::Path;

use xp_settings::Secret;
use xp_transport::private::without_line_end;

/// A key of the section that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{key} {what}")]
pub struct KafkaProblem {
    /// The key, as in `kafka.tls.ca`.
    pub key: String,
    /// What is wrong with it, and what to do.
    pub what: String,
}

impl KafkaProblem {
    pub(super) fn new(key: impl Into<String>, what: impl Into<String>) -> Self {
        let (key, what) = (key.into(), what.into());
        Self { key, what }
    }
}

/// The three places of a password, of which one may be used.
pub(super) struct Password<'a> {
    pub(super) key: &'static str,
    pub(super) text: Option<&'a Secret>,
    pub(super) variable: Option<&'a str>,
    pub(super) file: Option<&'a Path>,
}

impl Password<'_> {
    pub(super) fn find(
        &self,
        variable: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Option<Secret>, KafkaProblem> {
        let key = self.key;
        match (self.text, self.variable, self.file) {
            (None, None, None) => Ok(None),
            (Some(text), None, None) => Ok(Some(text.clone())),
            (None, Some(name), None) => match variable(name) {
                Some(text) => Ok(Some(text.into())),
                None => {
                    let what = format!("names {name}, which is not set: set it for this process");
                    Err(KafkaProblem::new(format!("{key}-env"), what))
                }
            },
            (None, None, Some(file)) => match std::fs::read_to_string(file) {
                Ok(text) => {
                    let secret = without_line_end(text.as_bytes());
                    let secret = String::from_utf8_lossy(secret).into_owned();
                    Ok(Some(secret.into()))
                }
                Err(error) => Err(unreadable(&format!("{key}-file"), file, &error)),
            },
            _ => {
                let what =
                    format!("is given more than once: keep one of {key}, {key}-env and {key}-file");
                Err(KafkaProblem::new(key, what))
            }
        }
    }
}

fn unreadable(key: &str, file: &Path, error: &std::io::Error) -> KafkaProblem {
    let what = format!("names {}, which cannot be read: {error}", file.display());
    KafkaProblem::new(key, what)
}

/// Certificates and keys are read by the client library, which does not say which file it missed.
pub(super) fn readable(key: &str, file: &Path) -> Result<(), KafkaProblem> {
    match std::fs::File::open(file) {
        Ok(_) => Ok(()),
        Err(error) => Err(unreadable(key, file, &error)),
    }
}
