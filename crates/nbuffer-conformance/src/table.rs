//! Cases and devices as a table.

use std::fmt::Write;

use unicode_width::UnicodeWidthStr;

use crate::{CASES, Column, Outcome};

/// The table in Markdown, and below it what stands behind its numbers.
pub fn table(columns: &[Column]) -> String {
    let mut notes: Vec<String> = Vec::new();
    let mut note = |text: String| {
        let at = notes.iter().position(|known| *known == text).unwrap_or_else(|| {
            notes.push(text);
            notes.len() - 1
        });
        at + 1
    };
    let mut rows = vec![vec!["case".to_owned()]];
    rows[0].extend(columns.iter().map(|column| column.name.clone()));
    for (i, case) in CASES.iter().enumerate() {
        let mut row = vec![case.name.to_owned()];
        row.extend(columns.iter().map(|column| match &column.outcomes[i] {
            Outcome::Passed => "ok".to_owned(),
            Outcome::Failed(why) => format!("FAILED [{}]", note(format!("failed: {why}"))),
            Outcome::ExpectedFailure(why) => format!("known [{}]", note(format!("a known failure: {why}"))),
            Outcome::UnexpectedPass(why) => {
                format!(
                    "PASSES [{}]",
                    note(format!("passes, but is listed as a failure ({why}): take it off"))
                )
            }
            Outcome::NotHere(why) => format!("- [{}]", note(format!("not here: {why}"))),
        }));
        rows.push(row);
    }
    let widths: Vec<usize> =
        (0..=columns.len()).map(|i| rows.iter().map(|row| row[i].width()).max().unwrap_or(0)).collect();
    let mut text = String::new();
    for (i, row) in rows.iter().enumerate() {
        for (cell, width) in row.iter().zip(&widths) {
            let _ = write!(text, "| {cell}{} ", " ".repeat(width - cell.width()));
        }
        text.push_str("|\n");
        if i == 0 {
            widths.iter().for_each(|width| text.push_str(&format!("|{}", "-".repeat(width + 2))));
            text.push_str("|\n");
        }
    }
    for (i, note) in notes.iter().enumerate() {
        let _ = writeln!(text, "{}[{}] {note}", if i == 0 { "\n" } else { "" }, i + 1);
    }
    text
}
