//! Tables: a caption, heads that say what their columns hold, and room to scroll where the page is narrow.

use maud::{Markup, html};

/// A column, by its head and what stands in it.
#[derive(Clone, Copy, Debug)]
pub(super) enum Column<'a> {
    Text(&'a str),
    Number(&'a str),
    /// The number beside it as a bar.
    Bar,
    /// What a narrow page leaves out.
    Aside(&'a str),
}

/// A table with these rows. Its label tells it apart from others for those who do not see it.
pub(super) fn tabular(label: &str, caption: Option<Markup>, columns: &[Column<'_>], rows: Markup) -> Markup {
    html! {
        div .scrolls tabindex="0" role="group" aria-label=(label) {
            table {
                @if let Some(caption) = caption { caption { (caption) } }
                thead { tr { @for column in columns { (head(*column)) } } }
                tbody { (rows) }
            }
        }
    }
}

fn head(column: Column<'_>) -> Markup {
    html! {
        @match column {
            Column::Text(name) => th scope="col" { (name) },
            Column::Number(name) => th scope="col" .number { (name) },
            Column::Bar => th scope="col" .wide { span .unseen { "as a bar" } },
            Column::Aside(name) => th scope="col" .aside { (name) },
        }
    }
}
