//! A line chart as SVG that can be read without colours, and without eyes by its title and description.

use anyhow::Context;
use plotters::prelude::*;
use plotters::series::DashedLineSeries;
use plotters::style::text_anchor::{HPos, Pos, VPos};

/// Lines over whole numbers.
pub(super) struct Chart {
    pub(super) title: String,
    pub(super) x_label: String,
    pub(super) y_label: String,
    pub(super) series: Vec<Series>,
}

/// One line.
pub(super) struct Series {
    /// Written at its end, if there are several.
    pub(super) label: Option<String>,
    /// From left to right.
    pub(super) points: Vec<(usize, f64)>,
}

const SIZE: (u32, u32) = (800, 480);

/// Colours that keep apart with the common colour blindnesses (Okabe and Ito); dashes and labels tell lines
/// apart without them.
const COLOURS: [RGBColor; 8] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(86, 180, 233),
    RGBColor(230, 159, 0),
    RGBColor(0, 0, 0),
    RGBColor(120, 120, 120),
];

/// Lengths of dashes and of the gaps between them; the first line has no gaps.
const DASHES: [(u32, u32); 8] = [(1, 0), (12, 4), (6, 4), (3, 3), (18, 6), (9, 9), (2, 6), (24, 4)];

impl Chart {
    /// The chart as an SVG document.
    pub(super) fn svg(&self) -> anyhow::Result<String> {
        let mut svg = String::new();
        self.draw(&mut svg).map_err(anyhow::Error::msg).context("the chart cannot be drawn")?;
        let (head, rest) = svg.split_once("<svg ").context("the chart is no SVG")?;
        let (attributes, body) = rest.split_once('>').context("the chart is no SVG")?;
        Ok(format!(
            "{head}<svg role=\"img\" aria-labelledby=\"title description\" {attributes}>\n\
             <title id=\"title\">{}</title>\n<desc id=\"description\">{}</desc>{body}",
            escaped(&self.title),
            escaped(&self.description())
        ))
    }

    /// What the lines show, in words.
    fn description(&self) -> String {
        let lines = self.series.iter().map(|series| {
            let points: Vec<_> = series.points.iter().map(|(x, y)| format!("{x}: {y:.1}")).collect();
            let label = series.label.as_ref().map_or(String::new(), |label| format!("{label}, "));
            format!("{label}{}", points.join(", "))
        });
        format!("{} by {}. {}.", self.y_label, self.x_label, lines.collect::<Vec<_>>().join("; "))
    }

    fn draw(&self, svg: &mut String) -> Result<(), String> {
        let points = || self.series.iter().flat_map(|series| &series.points);
        let x_min = points().map(|p| p.0).min().unwrap_or(0) as f64;
        let x_max = points().map(|p| p.0).max().unwrap_or(1) as f64;
        let y_max = points().map(|p| p.1).fold(0.0, f64::max) * 1.08;
        // Room on the right for what is written at the ends of the lines.
        let (left, right) = (x_min - 0.5, x_max + 0.5);
        let labels_px = if self.series.iter().any(|series| series.label.is_some()) { 130 } else { 20 };
        let root = SVGBackend::with_string(svg, SIZE).into_drawing_area();
        root.fill(&WHITE).map_err(|e| e.to_string())?;
        let mut chart = ChartBuilder::on(&root)
            .caption(&self.title, ("sans-serif", 20))
            .margin(12)
            .margin_right(labels_px)
            .x_label_area_size(44)
            .y_label_area_size(72)
            .build_cartesian_2d(left..right, 0.0..y_max)
            .map_err(|e| e.to_string())?;
        chart
            .configure_mesh()
            .x_desc(&self.x_label)
            .y_desc(&self.y_label)
            .label_style(("sans-serif", 14))
            .x_labels(((x_max - x_min) as usize + 1).min(16))
            .x_label_formatter(&|x| if x.fract() == 0.0 { format!("{x:.0}") } else { String::new() })
            .max_light_lines(1)
            .light_line_style(RGBColor(225, 225, 225))
            .bold_line_style(RGBColor(225, 225, 225))
            .draw()
            .map_err(|e| e.to_string())?;
        for (number, series) in self.series.iter().enumerate() {
            let colour = COLOURS[number % COLOURS.len()];
            let (dash, gap) = DASHES[number % DASHES.len()];
            let line = series.points.iter().map(|&(x, y)| (x as f64, y));
            let stroke = colour.stroke_width(2);
            let drawn = match gap {
                0 => chart.draw_series(LineSeries::new(line.clone(), stroke)).map(drop),
                _ => chart.draw_series(DashedLineSeries::new(line.clone(), dash, gap, stroke)).map(drop),
            };
            drawn.map_err(|e| e.to_string())?;
            let marks = line.clone().map(|at| Circle::new(at, 3, colour.filled()));
            chart.draw_series(marks).map_err(|e| e.to_string())?;
        }
        for (y_px, series) in self.labelled(&chart) {
            let (Some(label), Some(&(x, _))) = (&series.label, series.points.last()) else { continue };
            let style = ("sans-serif", 13).into_text_style(&root).pos(Pos::new(HPos::Left, VPos::Center));
            let (x_px, _) = chart.backend_coord(&(x as f64, 0.0));
            root.draw_text(label, &style, (x_px + 10, y_px)).map_err(|e| e.to_string())?;
        }
        root.present().map_err(|e| e.to_string())
    }

    /// Where each line's label stands: at its end, but not on another one.
    fn labelled<'a, B: DrawingBackend>(
        &'a self,
        chart: &ChartContext<
            '_,
            B,
            Cartesian2d<plotters::coord::types::RangedCoordf64, plotters::coord::types::RangedCoordf64>,
        >,
    ) -> Vec<(i32, &'a Series)> {
        const LINE_PX: i32 = 16;
        let ends = self.series.iter().filter_map(|series| {
            let &(x, y) = series.points.last()?;
            Some((chart.backend_coord(&(x as f64, y)).1, series))
        });
        let mut ends: Vec<_> = ends.collect();
        ends.sort_by_key(|(y_px, _)| *y_px);
        for i in 1..ends.len() {
            ends[i].0 = ends[i].0.max(ends[i - 1].0 + LINE_PX);
        }
        let bottom = chart.plotting_area().get_pixel_range().1.end;
        for (i, end) in ends.iter_mut().rev().enumerate() {
            end.0 = end.0.min(bottom - i as i32 * LINE_PX);
        }
        ends
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
