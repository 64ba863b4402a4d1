//! A timeline as a picture of its own, for pages that are not nbuffer's: no script, no style sheet.

use maud::{Markup, html};
use nbuffer_core::measure::Stage;
use nbuffer_core::plan::Time;
use nbuffer_core::trace::layout::{Bar, Room, Row, Segment};
use nbuffer_core::trace::{Layout, Span};

/// Pixels: of the names at the left, of the drawing, of a row, and of the axis below.
const NAMES: usize = 76;
const WIDTH: usize = 840;
const ROW: usize = 18;
const AXIS: usize = 34;

/// Bars at least this wide carry their item's number.
const NUMBERED: usize = 16;

/// Draws spans in SVG: a row a unit, a bar a span with its item's number. Of a run too long to be read fill, a slice of
/// the steady state, and drain are shown. Colours are readable on light and on dark pages.
pub fn timeline_svg(spans: &[Span]) -> String {
    let layout = Layout::new(spans, Room { cells: WIDTH, cut: 24, readable: 18 }, None);
    let height = layout.rows.len() * ROW;
    let drawn = html! {
        svg xmlns="http://www.w3.org/2000/svg" role="img" aria-label="timeline of the run"
            viewBox=(format!("0 0 {} {}", NAMES + WIDTH, height + AXIS))
            style="max-width: 100%; font: 11px sans-serif" fill="currentColor" {
            @if spans.is_empty() { text x="0" y="14" { "nothing ran" } }
            @for (index, row) in layout.rows.iter().enumerate() { (drawn_row(row, index * ROW)) }
            @for segment in &layout.segments { (axis(segment, height)) }
            (legend(height + 30))
        }
    };
    drawn.into_string()
}

fn drawn_row(row: &Row, y: usize) -> Markup {
    html! {
        text x=(NAMES - 6) y=(y + 13) text-anchor="end" { (row.label) }
        @for bar in &row.bars { (drawn_bar(bar, y)) }
    }
}

fn drawn_bar(bar: &Bar, y: usize) -> Markup {
    let (x, width) = (NAMES + bar.cells.start, bar.cells.len());
    let span = &bar.span;
    let several = if bar.spans > 1 { format!(" and {} more", bar.spans - 1) } else { String::new() };
    let length = Time(span.end.saturating_sub(span.start) as f64 / 1e9);
    let start = Time(span.start as f64 / 1e9);
    html! {
        rect x=(x) y=(y + 2) width=(width.saturating_sub(1).max(1)) height=(ROW - 4) rx="2" fill=(colour(span.stage)) {
            title { "item " (span.sequence) (several) ", " (span.stage.name()) ": " (length) " from " (start) }
        }
        @if width >= NUMBERED && bar.spans == 1 {
            text x=(x + width / 2) y=(y + 13) text-anchor="middle" fill="#fff" pointer-events="none" { (span.sequence) }
        }
    }
}

fn axis(segment: &Segment, y: usize) -> Markup {
    let (from, to) = (NAMES + segment.cells.start, NAMES + segment.cells.end);
    let [start, end] = [segment.time.start, segment.time.end].map(|at| Time(at as f64 / 1e9));
    html! {
        line x1=(from) x2=(to) y1=(y + 2) y2=(y + 2) stroke="currentColor" stroke-opacity="0.5" {}
        text x=(from) y=(y + 14) { (start) }
        text x=(to) y=(y + 14) text-anchor="end" { (end) }
        @if let Some(phase) = segment.phase {
            text x=((from + to) / 2) y=(y + 14) text-anchor="middle" fill-opacity="0.7" { (phase.name()) }
        }
    }
}

fn legend(y: usize) -> Markup {
    html! {
        @for (index, stage) in Stage::ALL.into_iter().enumerate() {
            rect x=(NAMES + index * 100) y=(y - 9) width="10" height="10" rx="2" fill=(colour(stage)) {}
            text x=(NAMES + 14 + index * 100) y=(y) { (stage.name()) }
        }
    }
}

/// Told apart by brightness too.
fn colour(stage: Stage) -> &'static str {
    match stage {
        Stage::Preprocess => "#3987b8",
        Stage::Write => "#8a6fb8",
        Stage::Kernel => "#c4572a",
        Stage::Read => "#5c8a3a",
        Stage::Postprocess => "#2f6f7e",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nbuffer_core::trace::Unit;

    #[test]
    fn every_span_is_a_bar_with_its_item() {
        let spans: Vec<Span> = (0..3)
            .map(|sequence| Span {
                unit: Unit::Kernel(0),
                stage: Stage::Kernel,
                lane: 0,
                sequence,
                start: 1_000_000 * sequence,
                end: 1_000_000 * (sequence + 1) - 100_000,
            })
            .collect();
        let svg = timeline_svg(&spans);
        for item in 0..3 {
            assert!(svg.contains(&format!("item {item}, kernel: 900.0 us")), "{svg}");
        }
        assert_eq!(svg.matches("<title>").count(), 3);
        assert!(timeline_svg(&[]).contains("nothing ran"));
    }
}
