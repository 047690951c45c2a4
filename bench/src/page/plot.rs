//! Plots as SVG: a few lines of points over two axes.

use std::fmt::Write;

use crate::report::digits;

const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 360.0;
/// Around the axes: left, right, top, bottom.
const MARGINS: [f64; 4] = [64.0, 24.0, 64.0, 48.0];
/// Also told apart by who is colour-blind (Okabe and Ito).
const COLOURS: [&str; 8] = [
    "#999999", "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000",
];
/// Of the legend.
const LINE_HEIGHT: f64 = 16.0;
/// What a logarithmic axis names of each decade.
const STEPS: [f64; 3] = [1.0, 2.0, 5.0];

pub(super) struct Plot {
    pub(super) title: String,
    pub(super) x: Axis,
    pub(super) y: Axis,
    pub(super) lines: Vec<Line>,
}

pub(super) struct Line {
    pub(super) name: String,
    pub(super) points: Vec<(f64, f64)>,
}

pub(super) enum Axis {
    /// Its name; values are above 0.
    Logarithmic(&'static str),
    /// Its name, and a word for each of 0, 1, 2 …
    Words(&'static str, Vec<String>),
}

/// An axis with its ends: from a value to a share of the way.
struct Ruler<'a> {
    axis: &'a Axis,
    low: f64,
    high: f64,
}

impl Axis {
    pub(super) fn of_words(name: &'static str, words: Vec<String>) -> Self {
        Self::Words(name, words)
    }

    fn name(&self) -> &str {
        match self {
            Self::Logarithmic(name) | Self::Words(name, _) => name,
        }
    }

    /// Around all these values.
    fn ruler(&self, values: impl Iterator<Item = f64>) -> Ruler<'_> {
        let (low, high) = match self {
            Self::Logarithmic(_) => {
                let positive = values.filter(|value| *value > 0.0);
                let ends = (f64::INFINITY, 0.0_f64);
                let (low, high) =
                    positive.fold(ends, |(low, high), value| (low.min(value), high.max(value)));
                match low <= high {
                    true => (step_below(low), step_above(high)),
                    false => (1.0, 10.0),
                }
            }
            Self::Words(_, words) => (0.0, words.len().saturating_sub(1).max(1) as f64),
        };
        let axis = self;
        Ruler { axis, low, high }
    }
}

fn steps() -> impl Iterator<Item = f64> {
    let decades = -6..9;
    decades.flat_map(|decade| STEPS.map(|step| step * 10_f64.powi(decade)))
}

fn step_below(value: f64) -> f64 {
    let below = steps().take_while(|step| *step < value);
    below.last().unwrap_or(value)
}

fn step_above(value: f64) -> f64 {
    steps().find(|step| *step > value).unwrap_or(value)
}

impl Ruler<'_> {
    fn share(&self, value: f64) -> f64 {
        let Self { axis, low, high } = *self;
        match axis {
            Axis::Logarithmic(_) => (value.max(low) / low).ln() / (high / low).ln(),
            Axis::Words(..) => (value - low) / (high - low),
        }
    }

    fn ticks(&self) -> Vec<(f64, String)> {
        match self.axis {
            Axis::Logarithmic(_) => {
                let inside = steps().filter(|step| (self.low..=self.high).contains(step));
                inside.map(|step| (step, short(step))).collect()
            }
            Axis::Words(_, words) => (0..).map(f64::from).zip(words.iter().cloned()).collect(),
        }
    }
}

/// Without zeros behind the point.
fn short(step: f64) -> String {
    match step {
        whole if whole >= 1.0 => format!("{whole:.0}"),
        part => format!("{part:.6}").trim_end_matches('0').to_owned(),
    }
}

fn escaped(words: &str) -> String {
    words.replace('&', "&amp;").replace('<', "&lt;")
}

impl Plot {
    pub(super) fn svg(&self) -> String {
        let points = || self.lines.iter().flat_map(|line| &line.points);
        let x = self.x.ruler(points().map(|point| point.0));
        let y = self.y.ruler(points().map(|point| point.1));
        let [left, right, top, bottom] = MARGINS;
        let legend = self.legend();
        let top = top + legend.last().map_or(0.0, |(_, y)| *y);
        let (wide, high) = (WIDTH - left - right, HEIGHT - top - bottom);
        let across = |value| left + wide * x.share(value);
        let down = |value| top + high * (1.0 - y.share(value));
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" \
             font-size=\"12\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n"
        );
        text(&mut svg, (left, 20.0), "start", &self.title);
        for (value, word) in x.ticks() {
            let at = across(value);
            rule(&mut svg, (at, top), (at, top + high));
            text(&mut svg, (at, top + high + 18.0), "middle", &word);
        }
        for (value, word) in y.ticks() {
            let at = down(value);
            rule(&mut svg, (left, at), (left + wide, at));
            text(&mut svg, (left - 8.0, at + 4.0), "end", &word);
        }
        let below = (left + wide / 2.0, HEIGHT - 10.0);
        text(&mut svg, below, "middle", self.x.name());
        text(&mut svg, (left - 8.0, top - 10.0), "end", self.y.name());
        for (index, (line, (x, y))) in self.lines.iter().zip(legend).enumerate() {
            let colour = COLOURS[index % COLOURS.len()];
            let places: Vec<_> = line
                .points
                .iter()
                .map(|(x, y)| (across(*x), down(*y)))
                .collect();
            draw(&mut svg, &places, colour, index >= COLOURS.len());
            for ((x, y), (_, value)) in places.iter().zip(&line.points) {
                let value = digits(*value);
                let _ = writeln!(
                    svg,
                    "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\" fill=\"{colour}\"><title>{value}</title></circle>"
                );
            }
            let _ = writeln!(
                svg,
                "<rect x=\"{x:.0}\" y=\"{:.0}\" width=\"12\" height=\"12\" fill=\"{colour}\"/>",
                y + 30.0
            );
            text(&mut svg, (x + 18.0, y + 40.0), "start", &line.name);
        }
        svg + "</svg>\n"
    }

    /// Where the name of each line stands: side by side, and below where there is no room left.
    fn legend(&self) -> Vec<(f64, f64)> {
        let [left, right, ..] = MARGINS;
        let (mut x, mut y) = (left, 0.0);
        let place = |line: &Line| {
            let wide = 44.0 + 6.5 * line.name.chars().count() as f64;
            if x + wide > WIDTH - right && x > left {
                (x, y) = (left, y + LINE_HEIGHT);
            }
            x += wide;
            (x - wide, y)
        };
        self.lines.iter().map(place).collect()
    }
}

fn text(svg: &mut String, (x, y): (f64, f64), anchor: &str, words: &str) {
    let words = escaped(words);
    let _ = writeln!(
        svg,
        "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{words}</text>"
    );
}

fn rule(svg: &mut String, (x1, y1): (f64, f64), (x2, y2): (f64, f64)) {
    let _ = writeln!(
        svg,
        "<line x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\" stroke=\"#dddddd\"/>"
    );
}

fn draw(svg: &mut String, places: &[(f64, f64)], colour: &str, is_dashed: bool) {
    let places: Vec<_> = places
        .iter()
        .map(|(x, y)| format!("{x:.1},{y:.1}"))
        .collect();
    let places = places.join(" ");
    let dashes = match is_dashed {
        true => " stroke-dasharray=\"5 3\"",
        false => "",
    };
    let _ = writeln!(
        svg,
        "<polyline points=\"{places}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"{dashes}/>"
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(svg: &str) -> Vec<(f64, f64)> {
        let number = |line: &str, name: &str| {
            let value = line.split(&format!(" {name}=\"")).nth(1).unwrap();
            value.split('"').next().unwrap().parse::<f64>().unwrap()
        };
        let circles = svg.lines().filter(|line| line.starts_with("<circle"));
        circles
            .map(|line| (number(line, "cx"), number(line, "cy")))
            .collect()
    }

    fn plot(points: &[(f64, f64)]) -> Plot {
        Plot {
            title: "a < b".to_owned(),
            x: Axis::of_words("percentile", vec!["p50".to_owned(), "max".to_owned()]),
            y: Axis::Logarithmic("ms"),
            lines: vec![Line {
                name: "ours".to_owned(),
                points: points.to_vec(),
            }],
        }
    }

    #[test]
    fn equal_factors_are_equally_far_apart() {
        let svg = plot(&[(0.0, 0.3), (0.5, 3.0), (1.0, 30.0)]).svg();
        let places = places(&svg);
        let steps = (places[0].1 - places[1].1, places[1].1 - places[2].1);
        assert!(
            (steps.0 - steps.1).abs() < 0.2 && steps.0 > 0.0,
            "{places:?}"
        );
        assert!(svg.contains(">0.2<") && svg.contains(">50<"), "{svg}");
        assert!(svg.contains("a &lt; b"), "{svg}");
    }

    #[test]
    fn all_points_lie_within_the_picture() {
        for points in [
            vec![(0.0, 1e-5), (1.0, 9e6)],
            vec![(0.0, 0.0), (1.0, 7.0)],
            vec![(0.0, 1.0)],
        ] {
            for (x, y) in places(&plot(&points).svg()) {
                assert!(
                    (0.0..=WIDTH).contains(&x) && (0.0..=HEIGHT).contains(&y),
                    "{points:?}"
                );
            }
        }
        assert!(plot(&[]).svg().ends_with("</svg>\n"));
    }

    #[test]
    fn many_names_stand_in_several_lines_above_the_points() {
        let mut many = plot(&[(0.0, 1.0), (1.0, 7.0)]);
        for server in 0..11 {
            many.lines.push(Line {
                name: format!("a server with a name, {server}"),
                points: vec![(0.0, 7.0)],
            });
        }
        let legend = many.legend();
        let lines = legend.windows(2).filter(|pair| pair[0].1 < pair[1].1);
        assert!(lines.count() >= 3, "{legend:?}");
        let lowest = legend[legend.len() - 1].1 + 40.0;
        let svg = many.svg();
        assert!(places(&svg).iter().all(|(_, y)| *y > lowest), "{svg}");
        assert_eq!(svg.matches("stroke-dasharray").count(), 12 - COLOURS.len());
    }
}
