//! A row of the report: one figure of one workload, round by round, beside its floor and its goal.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::figures::median;
use crate::verdict::{Seen, void};

/// One figure of one workload, beside its floor.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Row {
    /// W1 to W7.
    pub(crate) workload: String,
    pub(crate) case: String,
    pub(crate) what: String,
    pub(crate) unit: String,
    pub(crate) durability: String,
    pub(crate) floor: Option<Series>,
    pub(crate) ours: Series,
    pub(crate) goal: Option<Goal>,
    /// Why it does not count.
    pub(crate) void: Vec<String>,
    /// The worst of all rounds, of floor and platform.
    pub(crate) seen: Seen,
}

/// A figure of each round.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Series {
    pub(crate) name: String,
    pub(crate) rounds: Vec<f64>,
    /// Shares and milliseconds, all rounds together; where the figure is a latency.
    pub(crate) curve: Vec<(f64, f64)>,
    /// Where frames are written to many sockets.
    pub(crate) frames_per_write: Option<f64>,
}

/// What a figure must reach; `ratio` and `above` are against the floor.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Goal {
    AtMost(f64),
    AtLeast(f64),
    RatioAtMost(f64),
    RatioAtLeast(f64),
    AboveFloorAtMost(f64),
}

impl Series {
    pub(crate) fn of(name: &str, rounds: Vec<f64>) -> Self {
        Self {
            name: name.to_owned(),
            rounds,
            ..Self::default()
        }
    }

    pub(crate) fn median(&self) -> f64 {
        median(self.rounds.clone())
    }

    /// The least and the most.
    pub(crate) fn span(&self) -> (f64, f64) {
        let least = self.rounds.iter().copied().fold(f64::INFINITY, f64::min);
        let most = self.rounds.iter().copied().fold(0.0, f64::max);
        (least, most)
    }
}

impl Row {
    /// Not void yet, and without a floor and a goal.
    pub(crate) fn of(workload: &str, case: &str, what: &str, unit: &str, ours: Series) -> Self {
        Self {
            workload: workload.to_owned(),
            case: case.to_owned(),
            what: what.to_owned(),
            unit: unit.to_owned(),
            durability: "fsync group".to_owned(),
            floor: None,
            ours,
            goal: None,
            void: Vec::new(),
            seen: Seen::NOTHING,
        }
    }

    pub(crate) fn beside(mut self, floor: Series) -> Self {
        self.floor = Some(floor);
        self
    }

    pub(crate) fn wanted(mut self, goal: Goal) -> Self {
        self.goal = Some(goal);
        self
    }

    pub(crate) fn durable(mut self, durability: &str) -> Self {
        durability.clone_into(&mut self.durability);
        self
    }

    /// What was seen beside the figures, and what of it makes them void.
    pub(crate) fn seen(mut self, seen: Seen) -> Self {
        let floor = self.floor.as_ref().map_or(&[][..], |floor| &floor.rounds);
        self.void = void(seen, floor);
        self.seen = seen;
        self
    }

    pub(crate) fn ratio(&self) -> Option<f64> {
        let floor = self.floor.as_ref()?.median();
        Some(self.ours.median() / floor)
    }

    /// Whether the goal is reached, if there is one.
    pub(crate) fn is_met(&self) -> Option<bool> {
        let ours = self.ours.median();
        Some(match self.goal? {
            Goal::AtMost(most) => ours <= most,
            Goal::AtLeast(least) => ours >= least,
            Goal::RatioAtMost(most) => self.ratio()? <= most,
            Goal::RatioAtLeast(least) => self.ratio()? >= least,
            Goal::AboveFloorAtMost(most) => ours - self.floor.as_ref()?.median() <= most,
        })
    }

    pub(crate) fn is_whole(&self) -> bool {
        self.seen.is_whole()
    }
}

impl fmt::Display for Goal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtMost(most) => write!(f, "≤ {most}"),
            Self::AtLeast(least) => write!(f, "≥ {least}"),
            Self::RatioAtMost(most) => write!(f, "≤ {most} × floor"),
            Self::RatioAtLeast(least) => write!(f, "≥ {least} × floor"),
            Self::AboveFloorAtMost(most) => write!(f, "≤ floor + {most}"),
        }
    }
}

/// A number of about three digits.
pub(crate) fn digits(figure: f64) -> String {
    match figure.abs() {
        large if large >= 100.0 => format!("{figure:.0}"),
        middle if middle >= 10.0 => format!("{figure:.1}"),
        _ => format!("{figure:.2}"),
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            workload,
            case,
            what,
            unit,
            ..
        } = self;
        let (ours, (least, most)) = (digits(self.ours.median()), self.ours.span());
        let (least, most) = (digits(least), digits(most));
        write!(
            f,
            "{workload} {case}: {what} {ours} {unit} ({least} to {most})"
        )?;
        if let (Some(floor), Some(ratio)) = (&self.floor, self.ratio()) {
            let (name, middle) = (&floor.name, digits(floor.median()));
            write!(f, ", floor {middle} ({name}), ratio {ratio:.2}")?;
        }
        if let (Some(goal), Some(is_met)) = (self.goal, self.is_met()) {
            write!(
                f,
                ", goal {goal}: {}",
                if is_met { "met" } else { "missed" }
            )?;
        }
        if !self.is_whole() {
            let Seen {
                lost,
                out_of_order,
                failed,
                ..
            } = self.seen;
            write!(
                f,
                ", LOST {lost}, OUT OF ORDER {out_of_order}, FAILED {failed}"
            )?;
        }
        if !self.void.is_empty() {
            write!(f, ", VOID: {}", self.void.join("; "))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(floor: &[f64], ours: &[f64], goal: Goal) -> Row {
        Row::of(
            "W0",
            "a case",
            "p50",
            "µs",
            Series::of("ours", ours.to_vec()),
        )
        .beside(Series::of("floor", floor.to_vec()))
        .wanted(goal)
        .seen(Seen::NOTHING)
    }

    #[test]
    fn a_goal_is_met_up_to_its_bound() {
        let is_met = |ours, goal| row(&[100.0], &[ours], goal).is_met().unwrap();
        assert!(is_met(130.0, Goal::RatioAtMost(1.3)) && !is_met(131.0, Goal::RatioAtMost(1.3)));
        assert!(is_met(70.0, Goal::RatioAtLeast(0.7)) && !is_met(69.0, Goal::RatioAtLeast(0.7)));
        let above = Goal::AboveFloorAtMost(150.0);
        assert!(is_met(250.0, above) && !is_met(251.0, above));
        assert!(is_met(25.0, Goal::AtMost(25.0)) && !is_met(26.0, Goal::AtMost(25.0)));
        assert!(is_met(25.0, Goal::AtLeast(25.0)) && !is_met(24.0, Goal::AtLeast(25.0)));
    }

    #[test]
    fn a_line_says_what_is_void_and_what_is_lost() {
        let seen = Seen {
            lost: 3,
            ..Seen::NOTHING
        };
        let line = row(&[1.0, 2.0, 9.0], &[3.0], Goal::AtMost(2.0))
            .seen(seen)
            .to_string();
        assert!(
            line.contains("ratio 1.50") && line.contains("missed"),
            "{line}"
        );
        assert!(
            line.contains("LOST 3") && line.contains("VOID: the floor moved"),
            "{line}"
        );
    }
}
