//! A timeline drawn with characters.

use std::fmt::{self, Write};
use std::ops::Range;

use super::Span;
use super::axis::{Axis, duration};
use super::layout::{Bar, Layout, Room, Row, labels};
use crate::measure::{Nanos, Stage};

/// Which characters a timeline is drawn with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Style {
    /// Box-drawing characters, each one column wide.
    #[default]
    Unicode,
    /// ASCII only.
    Ascii,
}

/// Draws spans as text: a row a unit, a bar a span with its item's number, and a time axis.
///
/// Data sent to the device is drawn in light lines, kernels in heavy ones, data that comes back in double
/// ones. Of a run too long to be read, three parts are shown: fill, a slice of the steady state, and drain.
///
/// ```
/// use nbuffer_core::measure::Stage;
/// use nbuffer_core::trace::{Span, Style, Timeline, Unit};
///
/// let kernel = |sequence, start, end| {
///     Span { unit: Unit::Kernel(0), stage: Stage::Kernel, lane: 0, sequence, start, end }
/// };
/// let spans = [kernel(0, 0, 400), kernel(1, 600, 1000)];
/// let drawn = Timeline::new(&spans).width(38).style(Style::Ascii).to_string();
/// assert!(drawn.starts_with("kernel  [####0#####]......[####1#####]\n"), "{drawn}");
/// ```
#[derive(Clone, Debug)]
pub struct Timeline<'spans> {
    spans: &'spans [Span],
    width: usize,
    style: Style,
    colour: bool,
    window: Option<Range<Nanos>>,
}

impl<'spans> Timeline<'spans> {
    /// All spans, 80 columns wide, in Unicode, without colour.
    pub fn new(spans: &'spans [Span]) -> Self {
        Timeline { spans, width: 80, style: Style::default(), colour: false, window: None }
    }

    /// Draws so many columns, labels included; 1 if that is 0.
    pub fn width(self, width: usize) -> Self {
        Timeline { width, ..self }
    }

    /// Draws with these characters.
    pub fn style(self, style: Style) -> Self {
        Timeline { style, ..self }
    }

    /// Colours the bars by stage, with the terminal's own colours.
    pub fn colour(self, colour: bool) -> Self {
        Timeline { colour, ..self }
    }

    /// Draws this stretch of time only; `None` draws the whole run, cut if it is too long to be read.
    pub fn window(self, window: Option<Range<Nanos>>) -> Self {
        Timeline { window, ..self }
    }
}

impl fmt::Display for Timeline<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.spans.is_empty() {
            return writeln!(f, "no spans");
        }
        let longest = labels(self.spans).values().map(|label| label.len() + 2).max().unwrap_or(0);
        let gutter = longest.min(self.width / 2);
        let cells = self.width.saturating_sub(gutter).max(1);
        let digits = self.spans.iter().map(|span| span.sequence).max().unwrap_or(0).to_string().len();
        let room = Room { cells, cut: CUT.len(), readable: digits + 2 };
        let drawing = Drawing {
            layout: Layout::new(self.spans, room, self.window.clone()),
            glyphs: match self.style {
                Style::Unicode => &UNICODE,
                Style::Ascii => &ASCII,
            },
            gutter,
            cells,
        };
        for line in drawing.lines() {
            line.write(f, self.colour)?;
        }
        Ok(())
    }
}

/// Where time was left out. Its length is that in [`Room::cut`].
const CUT: &str = " // ";

/// How bars of one stage look: ends, middle, and a bar of one column, where touching ones take turns.
struct BarGlyphs {
    left: char,
    line: char,
    right: char,
    narrow: [char; 2],
}

struct Glyphs {
    /// Preprocess and write.
    sent: BarGlyphs,
    kernel: BarGlyphs,
    /// Read and postprocess.
    back: BarGlyphs,
    /// Several short spans in one column.
    several: char,
    idle: char,
    axis: char,
    tick: char,
    micro: &'static str,
}

const UNICODE: Glyphs = Glyphs {
    sent: BarGlyphs { left: '├', line: '─', right: '┤', narrow: ['│', '│'] },
    kernel: BarGlyphs { left: '┣', line: '━', right: '┫', narrow: ['┃', '┃'] },
    back: BarGlyphs { left: '╞', line: '═', right: '╡', narrow: ['║', '║'] },
    several: '▒',
    idle: '·',
    axis: '─',
    tick: '┬',
    micro: "µ",
};

const ASCII: Glyphs = Glyphs {
    sent: BarGlyphs { left: '(', line: '-', right: ')', narrow: ['-', '+'] },
    kernel: BarGlyphs { left: '[', line: '#', right: ']', narrow: ['#', '%'] },
    back: BarGlyphs { left: '{', line: '=', right: '}', narrow: ['=', '~'] },
    several: '*',
    idle: '.',
    axis: '-',
    tick: '+',
    micro: "u",
};

impl Glyphs {
    fn of(&self, stage: Stage) -> &BarGlyphs {
        match stage {
            Stage::Preprocess | Stage::Write => &self.sent,
            Stage::Kernel => &self.kernel,
            Stage::Read | Stage::Postprocess => &self.back,
        }
    }
}

/// A line of text, column by column, with what colours it.
#[derive(Default)]
struct Line {
    columns: Vec<(char, Option<Stage>)>,
}

impl Line {
    /// Writes text from a column on, as far as it fits before `end`.
    fn put(&mut self, column: usize, end: usize, text: &str, stage: Option<Stage>) {
        if self.columns.len() < end {
            self.columns.resize(end, (' ', None));
        }
        for (column, c) in self.columns[column..end].iter_mut().zip(text.chars()) {
            *column = (c, stage);
        }
    }

    fn write(&self, f: &mut fmt::Formatter<'_>, colour: bool) -> fmt::Result {
        let end = self.columns.iter().rposition(|(c, _)| *c != ' ').map_or(0, |last| last + 1);
        for run in self.columns[..end].chunk_by(|a, b| a.1 == b.1) {
            let colour = run[0].1.filter(|_| colour).map(colour_of);
            if let Some(colour) = colour {
                write!(f, "\x1b[{colour}m")?;
            }
            run.iter().try_for_each(|(c, _)| f.write_char(*c))?;
            if colour.is_some() {
                f.write_str("\x1b[0m")?;
            }
        }
        f.write_char('\n')
    }
}

/// The number of a foreground colour in an SGR sequence (ECMA-48, 8.3.117).
fn colour_of(stage: Stage) -> u8 {
    match stage {
        Stage::Preprocess => 36,
        Stage::Write => 34,
        Stage::Kernel => 32,
        Stage::Read => 33,
        Stage::Postprocess => 35,
    }
}

struct Drawing {
    layout: Layout,
    glyphs: &'static Glyphs,
    gutter: usize,
    cells: usize,
}

impl Drawing {
    fn lines(&self) -> Vec<Line> {
        let mut lines: Vec<Line> = self.layout.rows.iter().map(|row| self.row(row)).collect();
        lines.extend(self.axis());
        lines.extend(self.phases());
        lines.extend(self.legend());
        lines
    }

    fn width(&self) -> usize {
        self.gutter + self.cells
    }

    /// A line that begins with a label and goes on with `fill` and the cuts.
    fn line(&self, label: &str, fill: char) -> Line {
        let mut line = Line { columns: vec![(' ', None); self.gutter] };
        // Two columns part label and bars unless even the label is cut off.
        line.put(0, self.gutter.saturating_sub(2), label, None);
        line.columns.resize(self.width(), (fill, None));
        for pair in self.layout.segments.windows(2) {
            let (from, to) = (pair[0].cells.end, pair[1].cells.start);
            line.put(self.gutter + from, self.gutter + to, CUT, None);
        }
        line
    }

    fn row(&self, row: &Row) -> Line {
        let mut line = self.line(&row.label, self.glyphs.idle);
        // One of several stages must not be reduced to a number.
        let one_stage = self.stages(row).len() == 1;
        let mut touched = 0;
        let mut turn = 0;
        for bar in &row.bars {
            let touches = bar.cells.start == touched && touched > 0;
            turn = if touches { 1 - turn } else { 0 };
            touched = bar.cells.end;
            let text = self.bar(bar, turn, one_stage && !touches);
            let Range { start, end } = bar.cells;
            line.put(self.gutter + start, self.gutter + end, &text, Some(bar.span.stage));
        }
        line
    }

    /// A bar as text. `bare`: a number that fills the bar may go without a left end.
    fn bar(&self, bar: &Bar, turn: usize, bare: bool) -> String {
        let width = bar.cells.len();
        if bar.spans > 1 {
            return self.glyphs.several.to_string();
        }
        let glyphs = self.glyphs.of(bar.span.stage);
        let number = bar.span.sequence.to_string();
        if bare && number.len() == width {
            return number;
        }
        if width == 1 {
            return glyphs.narrow[turn].to_string();
        }
        let mut text = vec![glyphs.line; width];
        if bar.starts {
            text[0] = glyphs.left;
        }
        if bar.ends {
            text[width - 1] = glyphs.right;
        }
        if number.len() < width {
            // In the middle, but never in place of the left end.
            let at = ((width - number.len()) / 2).max(1);
            text.splice(at..at + number.len(), number.chars());
        }
        text.into_iter().collect()
    }

    /// The ruler, and the times under it.
    fn axis(&self) -> [Line; 2] {
        let segments = &self.layout.segments;
        let last = segments.last().map_or(0, |segment| segment.time.end);
        let scale = segments.iter().max_by_key(|segment| segment.cells.len());
        let (time, cells) =
            scale.map_or((1, 1), |s| (s.time.end.saturating_sub(s.time.start), s.cells.len()));
        let axis = Axis::new(last, time, cells, 3);
        let unit = axis.unit().symbol.replace('µ', self.glyphs.micro);
        let mut ruler = self.line("", self.glyphs.axis);
        let mut labels = self.line(&format!("{unit:>0$}", self.gutter.saturating_sub(2)), ' ');
        for segment in segments {
            let end = self.gutter + segment.cells.end;
            for tick in axis.ticks(&segment.time) {
                let column = self.gutter + segment.cell(tick);
                ruler.columns[column].0 = self.glyphs.tick;
                let label = axis.label(tick);
                if column + label.len() <= end {
                    labels.put(column, end, &label, None);
                }
            }
        }
        [ruler, labels]
    }

    /// The names of the parts of a run that was cut.
    fn phases(&self) -> Option<Line> {
        let mut line = self.line("", ' ');
        for segment in &self.layout.segments {
            let mut name = segment.phase?.name();
            while name.len() > segment.cells.len()
                && let Some((words, _)) = name.rsplit_once(' ')
            {
                name = words;
            }
            line.put(self.gutter + segment.cells.start, self.gutter + segment.cells.end, name, None);
        }
        Some(line)
    }

    /// What the rows alone do not say.
    fn legend(&self) -> Vec<Line> {
        let mut lines = Vec::new();
        let mut line = Line::default();
        for (entry, stage) in self.entries() {
            let length = entry.chars().count().min(self.width());
            if !line.columns.is_empty() && line.columns.len() + 3 + length > self.width() {
                lines.push(std::mem::take(&mut line));
            }
            let start = if line.columns.is_empty() { 0 } else { line.columns.len() + 3 };
            line.put(start, start + length, &entry, stage);
        }
        lines.extend((!line.columns.is_empty()).then_some(line));
        lines
    }

    /// The entries of the legend: stages that share a row, columns that several items share, and how much
    /// was cut out.
    fn entries(&self) -> Vec<(String, Option<Stage>)> {
        let rows = &self.layout.rows;
        let mut entries = Vec::new();
        let shared: Vec<&Row> = rows.iter().filter(|row| self.stages(row).len() > 1).collect();
        for stage in Stage::ALL {
            let mut bars =
                shared.iter().flat_map(|row| &row.bars).filter(|bar| bar.span.stage == stage).peekable();
            if bars.peek().is_some() {
                let BarGlyphs { left, line, right, narrow } = self.glyphs.of(stage);
                let mut glyphs = format!("{left}{line}{right} ");
                if bars.any(|bar| bar.cells.len() == 1) {
                    let mut narrow = narrow.to_vec();
                    narrow.dedup();
                    narrow.iter().for_each(|c| glyphs.extend([*c, ' ']));
                }
                entries.push((glyphs + stage.name(), Some(stage)));
            }
        }
        if rows.iter().flat_map(|row| &row.bars).any(|bar| bar.spans > 1) {
            entries.push((format!("{} several items", self.glyphs.several), None));
        }
        let cuts = self.layout.segments.windows(2);
        let left_out = cuts.map(|pair| duration(pair[1].time.start - pair[0].time.end));
        let left_out = left_out.collect::<Vec<_>>().join(" and ").replace('µ', self.glyphs.micro);
        if !left_out.is_empty() {
            entries.push((format!("{} {left_out} left out", CUT.trim()), None));
        }
        entries
    }

    /// The stages that a row's unit works on, in all its rows.
    fn stages(&self, row: &Row) -> Vec<Stage> {
        let bars = self.layout.rows.iter().filter(|other| other.unit == row.unit).flat_map(|row| &row.bars);
        let stages: Vec<Stage> = bars.map(|bar| bar.span.stage).collect();
        Stage::ALL.into_iter().filter(|stage| stages.contains(stage)).collect()
    }
}
