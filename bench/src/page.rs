//! The page of a report: a table of all figures in Markdown, and plots beside it.

mod plot;

use std::fmt::Write;
use std::fs;
use std::path::Path;

use anyhow::Result;

use crate::report::{Absent, Report, Row, Series, digits};
use plot::{Axis, Line, Plot};

/// Writes `README.md` and its plots into a folder.
pub(crate) fn write(report: &Report, folder: &Path) -> Result<()> {
    fs::create_dir_all(folder)?;
    let plots = plots(report);
    fs::write(folder.join("README.md"), page(report, &plots)?)?;
    for (name, plot) in plots {
        fs::write(folder.join(format!("{name}.svg")), plot.svg())?;
    }
    Ok(())
}

fn page(report: &Report, plots: &[(String, Plot)]) -> Result<String> {
    let mut page = String::from("# Performance, beside floors in the same run\n\n");
    if report.smoke || report.profile != "dist" {
        page += "**These figures mean nothing**: it was only tried that everything works, or not the build `dist`.\n\n";
    }
    let Report {
        commit, profile, ..
    } = report;
    let (machine, date) = (report.machine.words(), date(report.seconds_since_1970));
    writeln!(
        page,
        "Measured on {date} at {commit} (profile `{profile}`) on {machine}, with\n\n```\n\
         cargo xtask bench --json FILE\ncargo run -p xp-bench -- page FILE\n```\n\n\
         Floor and platform take turns, each in a process of its own; a figure is the median of the rounds, with the least \
         and the most behind it. The generator sends at moments fixed in advance, and latency counts from them. A figure is \
         *void* when the generator's core was busy for more than 85 %, less than 99 % of the rate was reached, or a \
         round's floor was more than 15 % off their median.\n"
    )?;
    page += "| | case | figure | durability | floor | measured | ratio | goal | counts |\n";
    page += "| --- | --- | --- | --- | --- | --- | --- | --- | --- |\n";
    for row in &report.rows {
        writeln!(page, "{}", line(row))?;
    }
    if !report.absent.is_empty() {
        page += "\nNot measured, and why:\n\n";
    }
    for Absent { name, reason } in &report.absent {
        writeln!(page, "- {name}: {reason}")?;
    }
    for (name, plot) in plots {
        write!(page, "\n![{}]({name}.svg)\n", plot.title)?;
    }
    Ok(page)
}

fn line(row: &Row) -> String {
    let Row {
        workload,
        case,
        what,
        unit,
        durability,
        ..
    } = row;
    let dash = || "–".to_owned();
    let floor = row.floor.as_ref().map_or_else(dash, |floor| {
        format!("{} ({})", series(floor, unit), floor.name)
    });
    let mut ours = series(&row.ours, unit);
    // What is not the platform as a whole is named.
    if row.ours.name != "platform" {
        ours = format!("{ours} ({})", row.ours.name);
    }
    let ratio = row.ratio().map_or_else(dash, |ratio| format!("{ratio:.2}"));
    let met = row
        .is_met()
        .map_or("", |met| [": missed", ": met"][usize::from(met)]);
    let goal = row.goal.map_or_else(dash, |goal| format!("{goal}{met}"));
    let mut against = row.void.clone();
    for (count, what) in [
        (row.seen.lost, "lost"),
        (row.seen.out_of_order, "out of order"),
        (row.seen.failed, "failed"),
    ] {
        against.extend((count > 0).then(|| format!("{count} {what}")));
    }
    let counts = match against.is_empty() {
        true => "yes".to_owned(),
        false => format!("void: {}", against.join("; ")),
    };
    format!(
        "| {workload} | {case} | {what} | {durability} | {floor} | {ours} | {ratio} | {goal} | {counts} |"
    )
}

fn series(series: &Series, unit: &str) -> String {
    let (least, most) = series.span();
    let [middle, least, most] = [series.median(), least, most].map(digits);
    format!("**{middle}** {unit}, {least}–{most}")
}

/// Each plot and the name of its file.
fn plots(report: &Report) -> Vec<(String, Plot)> {
    let mut plots: Vec<(String, Plot)> = Vec::new();
    for row in report.rows.iter().filter(|row| !row.ours.curve.is_empty()) {
        let name = slug(&format!("latency {} {}", row.workload, row.case));
        match plots.iter_mut().find(|(other, _)| *other == name) {
            Some((_, plot)) => add_lines(plot, row),
            None => plots.push((name, latency(row))),
        }
    }
    let costs = costs(report);
    plots.extend(costs.map(|plot| ("cpu-per-delivery".to_owned(), plot)));
    plots
}

fn latency(row: &Row) -> Plot {
    let shares = row.ours.curve.iter().map(|(share, _)| match share {
        1.0 => "max".to_owned(),
        share => format!("p{}", (share * 1e4).round() / 1e2),
    });
    let line = |series: &Series| {
        let points = series.curve.iter().enumerate();
        Line {
            name: series.name.clone(),
            points: points.map(|(at, (_, ms))| (at as f64, *ms)).collect(),
        }
    };
    Plot {
        title: format!("{} {}: latency", row.workload, row.case),
        x: Axis::of_words("percentile", shares.collect()),
        y: Axis::Logarithmic("ms"),
        lines: row.floor.iter().chain([&row.ours]).map(line).collect(),
    }
}

/// Other servers and floors of the same case.
fn add_lines(plot: &mut Plot, row: &Row) {
    for line in latency(row).lines {
        let is_new = plot.lines.iter().all(|other| other.name != line.name);
        plot.lines.extend(is_new.then_some(line));
    }
}

/// What a delivery costs, against how many frames leave with one write: a line for each server, and one for the floors.
fn costs(report: &Report) -> Option<Plot> {
    let mut lines: Vec<Line> = Vec::new();
    for series in report
        .rows
        .iter()
        .flat_map(|row| row.floor.iter().chain([&row.ours]))
    {
        let Some(frames) = series.frames_per_write else {
            continue;
        };
        // The floors are points of one line.
        let name = match series.name.as_str() {
            floor if floor.starts_with("write(2)") => "write(2)",
            server => server,
        };
        let point = (frames, series.median());
        match lines.iter_mut().find(|line| line.name == name) {
            Some(line) if line.points.contains(&point) => {}
            Some(line) => line.points.push(point),
            None => lines.push(Line {
                name: name.to_owned(),
                points: vec![point],
            }),
        }
    }
    for line in &mut lines {
        line.points.sort_by(|one, other| one.0.total_cmp(&other.0));
    }
    (!lines.is_empty()).then(|| Plot {
        title: "W3: server CPU per delivery".to_owned(),
        x: Axis::Logarithmic("frames per write"),
        y: Axis::Logarithmic("µs"),
        lines,
    })
}

fn slug(words: &str) -> String {
    let letters = words.to_lowercase();
    let words = letters.split(|letter: char| !letter.is_ascii_alphanumeric());
    let words: Vec<_> = words.filter(|word| !word.is_empty()).collect();
    words.join("-")
}

/// The day, in the calendar that everybody uses: Howard Hinnant's `civil_from_days`.
fn date(seconds_since_1970: u64) -> String {
    let days = seconds_since_1970 / 86_400 + 719_468;
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    let month = (from_march + 2) % 12 + 1;
    let year = year + era * 400 + u64::from(month <= 2);
    format!("{year}-{month:02}-{day:02}")
}

#[cfg(test)]
mod tests;
