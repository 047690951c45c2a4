//! The flags of `up` and its companions: which installation is meant, and what it runs.

use anyhow::{Context, Result, bail};
use std::path::PathBuf;

/// Behind it are the ports of an installation, and it tells one from another: several may stand side by side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Base(u16);

/// What was typed behind the task.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Options {
    pub(super) base: Base,
    /// Runs in place of the example domains.
    pub(super) binary: Option<PathBuf>,
}

/// The first installation's, whose topics have no prefix.
const USUAL: u16 = 7400;
/// Below it ports are the system's own.
const LEAST: u16 = 1024;
/// How many ports behind the base may be an installation's.
pub(super) const PORTS: u16 = 20;

impl Base {
    fn parse(text: &str) -> Result<Self> {
        let most = u16::MAX - PORTS;
        let base = text.parse().ok();
        let base = base.filter(|base| (LEAST..=most).contains(base));
        let base = base.with_context(|| {
            format!("--port-base {text:?}: write a number from {LEAST} to {most}, such as 7500")
        })?;
        Ok(Self(base))
    }

    /// One of its ports.
    pub(super) fn port(self, behind: u16) -> u16 {
        self.0 + behind
    }

    /// The next one whose ports are others.
    pub(super) fn next(self) -> Self {
        let above = self.0.checked_add(100);
        Self(
            above
                .filter(|base| *base <= u16::MAX - PORTS)
                .unwrap_or(USUAL),
        )
    }

    fn is_usual(self) -> bool {
        self.0 == USUAL
    }

    /// The name of its directory, and of what else there is once for each installation.
    pub(super) fn name(self) -> String {
        match self.is_usual() {
            true => "up".to_owned(),
            false => format!("up-{}", self.0),
        }
    }

    /// The one whose directory is called so.
    pub(super) fn named(name: &str) -> Option<Self> {
        match name.strip_prefix("up-") {
            Some(base) => Self::parse(base).ok(),
            None => (name == "up").then_some(Self::default()),
        }
    }

    /// All use one Kafka.
    pub(super) fn topic_prefix(self) -> String {
        match self.is_usual() {
            true => String::new(),
            false => format!("{}.", self.name()),
        }
    }

    /// A task of this installation, to be typed.
    pub(super) fn task(self, words: &str) -> String {
        match self.is_usual() {
            true => format!("cargo xtask {words}"),
            false => format!("cargo xtask {words} --port-base {}", self.0),
        }
    }
}

impl Default for Base {
    fn default() -> Self {
        Self(USUAL)
    }
}

impl Options {
    /// The flags among these words, and the words without them.
    pub(super) fn among<'a>(words: &[&'a str]) -> Result<(Self, Vec<&'a str>)> {
        let mut options = Self {
            base: Base::default(),
            binary: None,
        };
        let (mut words, mut others) = (words.iter(), Vec::new());
        while let Some(word) = words.next() {
            let mut value = |what: &str| {
                let value = words.next().copied();
                value.with_context(|| format!("{word} needs {what} behind it"))
            };
            match *word {
                "--port-base" => options.base = Base::parse(value("a number")?)?,
                "--binary" => options.binary = Some(value("the path of a binary")?.into()),
                flag if flag.starts_with('-') => {
                    bail!("there is no {flag}; there are --port-base N and --binary PATH")
                }
                other => others.push(other),
            }
        }
        Ok((options, others))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn base(text: &str) -> Base {
        Base::parse(text).unwrap()
    }

    #[test]
    fn flags_may_stand_anywhere_and_say_what_they_need() {
        let (options, words) = Options::among(&["kill", "--port-base", "7500", "edge-1"]).unwrap();
        assert_eq!(
            (options.base, words),
            (base("7500"), vec!["kill", "edge-1"])
        );
        let (options, _) = Options::among(&["up", "--binary", "../mine"]).unwrap();
        assert_eq!(options.binary, Some("../mine".into()));
        assert_eq!(options.base, Base::default());
        for (words, said) in [
            (&["up", "--port-base"][..], "needs a number"),
            (&["up", "--binary"], "needs the path"),
            (&["up", "--port"], "there is no --port;"),
            (&["up", "--port-base", "80"], "from 1024 to"),
            (&["up", "--port-base", "65530"], "from 1024 to"),
            (&["up", "--port-base", "x"], "from 1024 to"),
        ] {
            let told = Options::among(words).unwrap_err().to_string();
            assert!(told.contains(said), "{words:?}: {told}");
        }
    }

    #[test]
    fn the_usual_installation_is_called_as_ever_and_others_by_their_ports() {
        let (usual, other) = (Base::default(), base("7500"));
        assert_eq!(base("7400"), usual);
        assert_eq!(
            (usual.name(), usual.topic_prefix()),
            ("up".to_owned(), String::new())
        );
        assert_eq!(usual.task("down"), "cargo xtask down");
        assert_eq!(
            (other.name(), other.topic_prefix()),
            ("up-7500".to_owned(), "up-7500.".to_owned())
        );
        assert_eq!(other.task("down"), "cargo xtask down --port-base 7500");
        for each in [usual, other] {
            assert_eq!(Base::named(&each.name()), Some(each));
        }
        for name in ["up-", "up-7", "upper", "debug"] {
            assert_eq!(Base::named(name), None, "{name}");
        }
    }

    #[test]
    fn the_way_out_has_other_ports() {
        assert_eq!(Base::default().next(), base("7500"));
        assert_eq!(base("65500").next(), Base::default());
    }
}
