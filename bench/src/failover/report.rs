//! Markdown.

use std::fmt;
use std::time::Duration;

use super::Asked;
use super::fault::Fault;
use super::load::Damage;
use crate::figures::Spread;

/// Upper ends of the histogram's classes, in milliseconds; the last one has none.
const CLASSES_MS: [u64; 12] = [
    25, 50, 100, 200, 300, 500, 700, 1_000, 1_500, 2_000, 3_000, 5_000,
];
/// Characters of the longest bar.
const BAR: usize = 40;

/// What one fault came to.
pub(super) struct Outcome {
    fault: Fault,
    /// For each trial, the longest wait of each entity concerned.
    pub(super) pauses: Vec<Vec<Duration>>,
    /// For each trial, the longest wait of a bare client of Kafka; nothing where Kafka is not away.
    pub(super) bare: Vec<Duration>,
    /// For each trial, how long after the only broker answered again all nodes were ready; nothing where it never was away.
    pub(super) ready: Vec<Duration>,
    /// For each trial, how late each entity's timer was that fell due meanwhile.
    pub(super) late: Vec<Vec<Duration>>,
    pub(super) damage: Damage,
}

pub(super) struct Report {
    asked: Asked,
    outcomes: Vec<Outcome>,
}

fn ms(duration: Duration) -> String {
    format!("{:.0} ms", duration.as_secs_f64() * 1e3)
}

impl Outcome {
    pub(super) fn of(fault: Fault) -> Self {
        Self {
            fault,
            pauses: Vec::new(),
            bare: Vec::new(),
            ready: Vec::new(),
            late: Vec::new(),
            damage: Damage::default(),
        }
    }

    /// The last trial in a line.
    pub(super) fn last(&self) -> String {
        let last = self.pauses.last().filter(|pauses| !pauses.is_empty());
        last.map_or_else(
            || "nobody was concerned".to_owned(),
            |pauses| {
                let (entities, spread) = (pauses.len(), Spread::of(pauses.clone()));
                let (middle, worst) = (ms(spread.at(0.5)), ms(spread.at(1.0)));
                let bare = self
                    .bare
                    .last()
                    .map(|bare| format!(", a bare client {}", ms(*bare)));
                let bare = bare.unwrap_or_default();
                let ready = self.ready.last();
                let ready = ready.map(|ready| format!(", ready after {}", ms(*ready)));
                let late = self.late.last().and_then(|late| late.iter().max());
                let late = late.map(|late| format!(", timers up to {} late", ms(*late)));
                let (ready, late) = (ready.unwrap_or_default(), late.unwrap_or_default());
                format!("{entities} entities, median {middle}, worst {worst}{bare}{ready}{late}")
            },
        )
    }

    pub(super) fn all(&self) -> Vec<Duration> {
        self.pauses.iter().flatten().copied().collect()
    }

    /// The longest pause of any entity, trial by trial.
    pub(super) fn worst(&self) -> Vec<Duration> {
        let worst = self.pauses.iter().filter_map(|pauses| pauses.iter().max());
        worst.copied().collect()
    }

    fn row(&self) -> String {
        let (title, trials, all) = (self.fault.title(), self.pauses.len(), self.all());
        if all.is_empty() {
            return format!("| {title} | {trials} | 0 | – | – | – | – | – | – | – |");
        }
        let (entities, worst) = (all.len(), Spread::of(self.worst()));
        let all = Spread::of(all);
        format!(
            "| {title} | {trials} | {entities} | {} | {} | {} | {} | {} | {} | {} |",
            ms(all.at(0.5)),
            ms(all.at(0.99)),
            ms(all.at(1.0)),
            ms(worst.at(0.5)),
            cell(&self.bare),
            cell(&self.ready),
            cell(&self.late.concat()),
        )
    }

    fn damage_row(&self) -> String {
        let Damage {
            lost,
            doubled,
            out_of_order,
            failed,
            closed_sockets,
        } = self.damage;
        let title = self.fault.title();
        format!("| {title} | {lost} | {doubled} | {out_of_order} | {failed} | {closed_sockets} |")
    }
}

/// Median and worst.
fn cell(times: &[Duration]) -> String {
    if times.is_empty() {
        return "–".to_owned();
    }
    let times = Spread::of(times.to_vec());
    format!("{}, {}", ms(times.at(0.5)), ms(times.at(1.0)))
}

/// A class's name, and how many belong to it; empty classes at both ends are left out.
fn histogram(pauses: &[Duration]) -> Vec<(String, usize)> {
    let mut counts = vec![0; CLASSES_MS.len() + 1];
    for pause in pauses {
        let is_below = |end: &&u64| pause.as_millis() <= u128::from(**end);
        let class = CLASSES_MS.iter().take_while(|end| !is_below(end)).count();
        counts[class] += 1;
    }
    let first = counts.iter().position(|count| *count > 0).unwrap_or(0);
    let last = counts.iter().rposition(|count| *count > 0).unwrap_or(0);
    let named = counts.into_iter().enumerate().map(|(class, count)| {
        let name = match CLASSES_MS.get(class) {
            Some(end) => format!("≤ {end} ms"),
            None => format!("> {} ms", CLASSES_MS[class - 1]),
        };
        (name, count)
    });
    named.take(last + 1).skip(first).collect()
}

impl Report {
    pub(super) fn of(asked: &Asked) -> Self {
        Self {
            asked: asked.clone(),
            outcomes: Vec::new(),
        }
    }

    pub(super) fn add(&mut self, outcome: Outcome) {
        self.outcomes.push(outcome);
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Asked {
            entities, every_ms, ..
        } = self.asked;
        writeln!(
            f,
            "Three state nodes, two edges and Kafka on one machine; {entities} entities, and every {every_ms} ms a \
             command is due on each. A pause is the longest wait of any command of one entity in one trial, from the \
             moment it was due to its answer. Where the only broker is away, all nodes are ready so long after it answers \
             again, and a timer that fell due meanwhile is late until a client hears of it.\n"
        )?;
        writeln!(
            f,
            "| | trials | pauses | median | p99 | worst | median of each trial's worst | a bare client: median, worst | all ready: median, worst | timers late: median, worst |\n|---|---|---|---|---|---|---|---|---|---|"
        )?;
        for outcome in &self.outcomes {
            writeln!(f, "{}", outcome.row())?;
        }
        writeln!(
            f,
            "\n| | acknowledged and lost | doubled | out of order | failed | closed sockets |\n|---|---|---|---|---|---|"
        )?;
        for outcome in &self.outcomes {
            writeln!(f, "{}", outcome.damage_row())?;
        }
        for outcome in &self.outcomes {
            bars(f, outcome)?;
        }
        Ok(())
    }
}

fn bars(f: &mut fmt::Formatter<'_>, outcome: &Outcome) -> fmt::Result {
    writeln!(f, "\n**{}**\n\n```", outcome.fault.title())?;
    let classes = histogram(&outcome.all());
    let most = classes.iter().map(|(_, count)| *count).max();
    let most = most.unwrap_or(0).max(1);
    for (name, count) in classes {
        let bar = "█".repeat((count * BAR).div_ceil(most));
        writeln!(f, "{name:>10} {count:>5} {bar}")?;
    }
    writeln!(f, "```")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cells(outcome: &Outcome) -> Vec<String> {
        let row = outcome.row();
        let cells = row.trim_matches('|').split('|');
        cells.map(|cell| cell.trim().to_owned()).collect()
    }

    #[test]
    fn a_row_says_when_all_were_ready_and_how_late_timers_were() {
        let seconds = |all: &[u64]| all.iter().copied().map(Duration::from_secs).collect();
        let mut outcome = Outcome::of(Fault::BrokerRestarted);
        outcome.pauses = vec![seconds(&[11, 12]), seconds(&[13, 14])];
        outcome.ready = seconds(&[2, 2, 7]);
        outcome.late = vec![seconds(&[10, 11]), seconds(&[18])];
        let row = cells(&outcome);
        assert_eq!(row[7..], ["–", "2000 ms, 7000 ms", "11000 ms, 18000 ms"]);
        assert!(
            outcome
                .last()
                .contains("ready after 7000 ms, timers up to 18000 ms late")
        );
        let mut report = Report::of(&asked());
        report.add(outcome);
        let report = report.to_string();
        let mut table = report.lines().filter(|line| line.starts_with('|'));
        let columns = |line: Option<&str>| line.unwrap_or_default().matches('|').count();
        let first: Vec<_> = (0..3).map(|_| columns(table.next())).collect();
        assert_eq!(first, [11; 3], "{report}");
        assert_eq!(cells(&Outcome::of(Fault::Killed)).len(), row.len());
    }

    fn asked() -> Asked {
        use clap::Parser;
        Asked::parse_from(["failover"])
    }

    #[test]
    fn a_histogram_counts_everything_once_and_leaves_empty_ends_out() {
        let pauses = [30, 50, 51, 400, 9_000].map(Duration::from_millis);
        let counts: Vec<_> = histogram(&pauses);
        assert_eq!(counts.first(), Some(&("≤ 50 ms".to_owned(), 2)));
        assert_eq!(counts.last(), Some(&("> 5000 ms".to_owned(), 1)));
        assert_eq!(counts.iter().map(|(_, count)| count).sum::<usize>(), 5);
    }
}
