//! Curves over the number of agents, as an SVG image.

use std::fmt::Write as _;

use super::operator::Measured;

/// The small charts of the image: title, the figure, and its unit.
const CHARTS: &[(&str, &str, &str)] = &[
    ("Highest memory", "highest-memory", "MiB"),
    ("Processor, heartbeats only", "quiet-processor", "% of a core"),
    ("Writes, heartbeats only", "quiet-writes", "per second"),
    ("A rule's change on all agents", "change-to-all", "s"),
    ("All agents back after a restart", "restart-to-ready", "s"),
    ("First signal among 10,000 groups", "groups-first-signal", "s"),
];

/// Size of one chart with its margins, and of its plot.
const WIDTH: f64 = 300.0;
const HEIGHT: f64 = 200.0;
const PLOT: (f64, f64) = (220.0, 110.0);
const CORNER: (f64, f64) = (56.0, 44.0);

/// The image: a chart for each kind of figure, the number of agents on a logarithmic axis.
pub(super) fn draw(figures: &[Measured]) -> String {
    let columns = 3;
    let rows = CHARTS.len().div_ceil(columns);
    let (width, height) = (WIDTH * float(columns), HEIGHT * float(rows));
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" \
         font-family=\"sans-serif\" font-size=\"11\">\n<title>The operator over the number of agents</title>\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n"
    );
    for (place, (title, name, unit)) in CHARTS.iter().enumerate() {
        let (left, top) = (
            WIDTH * float(place % columns) + CORNER.0,
            HEIGHT * float(place / columns) + CORNER.1,
        );
        let points: Vec<(usize, f64)> = figures
            .iter()
            .filter(|figure| figure.name == *name)
            .map(|figure| (figure.agents, figure.value))
            .collect();
        chart(&mut svg, (left, top), &format!("{title}, {unit}"), &points);
    }
    svg.push_str("</svg>\n");
    svg
}

fn chart(svg: &mut String, (left, top): (f64, f64), title: &str, points: &[(usize, f64)]) {
    let (width, height) = PLOT;
    let most = ceiling(points.iter().map(|(_, value)| *value).fold(0.0, f64::max));
    let agents = |n: usize| float(n.max(1)).log10();
    let (first, last) = (
        points
            .iter()
            .map(|(n, _)| agents(*n))
            .fold(f64::INFINITY, f64::min),
        points.iter().map(|(n, _)| agents(*n)).fold(0.0, f64::max),
    );
    let span = (last - first).max(f64::MIN_POSITIVE);
    let at = |(n, value): (usize, f64)| {
        (
            left + (agents(n) - first) / span * width,
            top + height - value / most * height,
        )
    };
    let bottom = top + height;
    let mut line = |text: String| {
        svg.push_str(&text);
        svg.push('\n');
    };
    line(format!(
        "<text x=\"{left}\" y=\"{:.0}\" fill=\"#24292f\" font-weight=\"bold\">{title}</text>",
        top - 14.0
    ));
    for part in [0.0, 0.5, 1.0] {
        let y = bottom - part * height;
        line(format!(
            "<path d=\"M{left} {y:.1}h{width}\" stroke=\"#d0d7de\"/><text x=\"{:.0}\" y=\"{:.1}\" text-anchor=\"end\" \
             fill=\"#57606a\">{}</text>",
            left - 6.0,
            y + 4.0,
            number(part * most)
        ));
    }
    let mut path = String::new();
    for point in points {
        let (x, y) = at(*point);
        let step = if path.is_empty() { 'M' } else { 'L' };
        // Writing to a text cannot fail.
        write!(path, "{step}{x:.1} {y:.1}").unwrap_or_default();
        line(format!(
            "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\" fill=\"#0969da\"/><text x=\"{x:.1}\" y=\"{:.1}\" \
             text-anchor=\"middle\" fill=\"#24292f\">{}</text><text x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\" \
             fill=\"#57606a\">{}</text>",
            y - 7.0,
            number(point.1),
            bottom + 16.0,
            point.0
        ));
    }
    line(format!(
        "<path d=\"{path}\" fill=\"none\" stroke=\"#0969da\" stroke-width=\"1.5\"/>"
    ));
}

/// The next of 1, 2 and 5 with a power of ten above a value and its label.
fn ceiling(value: f64) -> f64 {
    let wanted = (value * 1.1).max(1e-3);
    let power = 10f64.powf(wanted.log10().floor());
    [1.0, 2.0, 5.0, 10.0]
        .map(|step| step * power)
        .into_iter()
        .find(|step| *step >= wanted)
        .unwrap_or(wanted)
}

/// Two digits at least, and no more decimals than these need.
fn number(value: f64) -> String {
    if value == 0.0 {
        "0".to_owned()
    } else if value >= 10.0 {
        format!("{value:.0}")
    } else if value >= 1.0 {
        format!("{value:.1}")
    } else {
        format!("{value:.2}")
    }
}

#[expect(clippy::cast_precision_loss, reason = "numbers of agents and charts")]
fn float(n: usize) -> f64 {
    n as f64
}

#[cfg(test)]
mod tests {
    use super::super::operator::Measured;
    use super::{ceiling, draw, number};

    #[test]
    fn every_point_is_in_the_image_with_its_value() {
        let figure = |agents, value| Measured {
            agents,
            name: "highest-memory".to_owned(),
            value,
            unit: "MiB".to_owned(),
            note: String::new(),
        };
        let svg = draw(&[figure(10, 31.0), figure(5_000, 612.0)]);
        assert!(svg.contains(">612</text>") && svg.contains(">5000</text>") && svg.contains(">31</text>"));
        assert_eq!(svg.matches("<circle").count(), 2);
        assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
    }

    #[test]
    fn axes_end_at_round_numbers() {
        assert!((ceiling(612.0) - 1_000.0).abs() < 1e-9);
        assert!((ceiling(1.7) - 2.0).abs() < 1e-9);
        assert!((ceiling(0.0) - 1e-3).abs() < 1e-9);
        assert_eq!(
            (number(0.0), number(0.42), number(2.71), number(88.2)),
            ("0".into(), "0.42".into(), "2.7".into(), "88".into())
        );
    }
}
