use super::*;
use crate::report::Goal;
use crate::verdict::Seen;

fn cost(name: &str, frames: f64, us: f64) -> Series {
    Series {
        frames_per_write: Some(frames),
        ..Series::of(name, vec![us])
    }
}

fn report() -> Report {
    let mut report = Report::new("abc".to_owned(), 1_795_000_000, false);
    let curve = |worst| vec![(0.5, 0.3), (0.999, 2.0), (1.0, worst)];
    let ours = Series {
        curve: curve(9.0),
        ..Series::of("platform", vec![0.4, 0.5, 0.3])
    };
    let floor = Series {
        curve: curve(4.0),
        ..Series::of("echo", vec![0.2])
    };
    let p50 = Row::of("W1", "1000/s", "p50", "ms", ours)
        .beside(floor)
        .wanted(Goal::RatioAtMost(1.3));
    let seen = Seen {
        achieved: 0.5,
        ..Seen::NOTHING
    };
    let per_delivery = |floor| {
        Row::of("W3", "many", "CPU", "µs", cost("platform", 10.0, 0.6))
            .beside(floor)
            .seen(seen)
    };
    report.rows = vec![
        p50.seen(Seen::NOTHING),
        per_delivery(cost("write(2) together", 10.0, 0.4)),
        per_delivery(cost("write(2) of each", 1.0, 4.0)),
    ];
    report
}

#[test]
fn the_table_says_for_each_figure_whether_its_goal_is_met_and_whether_it_counts() {
    let report = report();
    let page = page(&report, &plots(&report)).unwrap();
    let mut rows = page.lines().filter(|line| line.starts_with("| W"));
    assert_eq!(
        rows.next().unwrap(),
        "| W1 | 1000/s | p50 | fsync group | **0.20** ms, 0.20–0.20 (echo) | **0.40** ms, 0.30–0.50 | 2.00 | ≤ 1.3 × floor: missed | yes |"
    );
    let second = rows.next().unwrap();
    assert!(
        second.ends_with("| void: only 50.0 % of the rate was reached |"),
        "{second}"
    );
    assert!(
        page.contains("2026-11-18") && page.contains("These figures mean nothing"),
        "{page}"
    );
}

#[test]
fn servers_of_others_are_named_in_the_table_and_stand_in_the_same_plot() {
    let mut report = report();
    let mut row = report.rows[0].clone();
    row.ours.name = "ws 8".to_owned();
    row.durability = "none".to_owned();
    report.rows.insert(1, row);
    let (name, reason) = ("Restate 1".to_owned(), "no Node".to_owned());
    report.absent.push(Absent { name, reason });
    let plots = plots(&report);
    let page = page(&report, &plots).unwrap();
    let theirs = "| none | **0.20** ms, 0.20–0.20 (echo) | **0.40** ms, 0.30–0.50 (ws 8) |";
    assert!(page.contains(theirs), "{page}");
    assert!(page.contains("\n- Restate 1: no Node\n"), "{page}");
    let lines: Vec<_> = plots[0].1.lines.iter().map(|line| &line.name).collect();
    assert_eq!(lines, ["echo", "platform", "ws 8"]);
}

#[test]
fn a_plot_of_each_latency_and_one_of_what_a_delivery_costs() {
    let plots = plots(&report());
    let names: Vec<_> = plots.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["latency-w1-1000-s", "cpu-per-delivery"]);
    let costs = &plots[1].1;
    let points = |at: usize| costs.lines[at].points.clone();
    assert_eq!(costs.lines[0].name, "write(2)");
    assert_eq!(points(0), [(1.0, 4.0), (10.0, 0.4)]);
    assert_eq!(points(1), [(10.0, 0.6)]);
}

#[test]
fn days_are_those_of_the_calendar() {
    for (days, name) in [
        (0, "1970-01-01"),
        (59, "1970-03-01"),
        (11_016, "2000-02-29"),
        (20_453, "2025-12-31"),
    ] {
        assert_eq!(date(days * 86_400 + 86_399), name);
    }
}

#[test]
fn a_page_and_its_plots_are_files_in_one_folder() {
    let dir = tempfile::tempdir().unwrap();
    write(&report(), dir.path()).unwrap();
    let page = fs::read_to_string(dir.path().join("README.md")).unwrap();
    for (_, rest) in page
        .match_indices("](")
        .map(|(at, _)| page.split_at(at + 2))
    {
        let file = rest.split(')').next().unwrap();
        assert!(dir.path().join(file).is_file(), "{file}");
    }
}
