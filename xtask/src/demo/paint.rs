//! Colours on a terminal, and a picture of what was printed.

use std::fmt::Write as _;
use std::io::IsTerminal as _;

/// How a piece of text looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    Plain,
    Bold,
    Dim,
    Good,
    Bad,
    Note,
}

impl Style {
    fn ansi(self) -> &'static str {
        match self {
            Self::Plain => "\x1b[0m",
            Self::Bold => "\x1b[1m",
            Self::Dim => "\x1b[2m",
            Self::Good => "\x1b[32m",
            Self::Bad => "\x1b[1;31m",
            Self::Note => "\x1b[36m",
        }
    }

    fn svg(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Bold => " font-weight=\"bold\" fill=\"#ffffff\"",
            Self::Dim => " fill=\"#8b949e\"",
            Self::Good => " fill=\"#56d364\"",
            Self::Bad => " font-weight=\"bold\" fill=\"#ff7b72\"",
            Self::Note => " fill=\"#79c0ff\"",
        }
    }
}

/// Text in pieces, each with its style.
#[derive(Debug, Default)]
pub(crate) struct Painted {
    pieces: Vec<(Style, String)>,
}

impl Painted {
    /// Adds a piece.
    pub(crate) fn add(&mut self, style: Style, text: impl Into<String>) -> &mut Self {
        self.pieces.push((style, text.into()));
        self
    }

    /// Adds a plain line end.
    pub(crate) fn end_line(&mut self) -> &mut Self {
        self.add(Style::Plain, "\n")
    }

    /// Prints it to stdout, coloured if that is a terminal.
    pub(crate) fn print(&self) {
        let coloured = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        print!("{}", self.text(coloured));
    }

    fn text(&self, coloured: bool) -> String {
        let mut out = String::new();
        for (style, text) in &self.pieces {
            if coloured && *style != Style::Plain {
                out.extend([style.ansi(), text, Style::Plain.ansi()]);
            } else {
                out.push_str(text);
            }
        }
        out
    }

    /// The lines as pieces.
    fn lines(&self) -> Vec<Vec<(Style, &str)>> {
        let mut lines = vec![Vec::new()];
        for (style, text) in &self.pieces {
            for (i, part) in text.split('\n').enumerate() {
                if i > 0 {
                    lines.push(Vec::new());
                }
                if let Some(line) = lines.last_mut().filter(|_| !part.is_empty()) {
                    line.push((*style, part));
                }
            }
        }
        while lines.last().is_some_and(Vec::is_empty) {
            lines.pop();
        }
        lines
    }

    /// A picture of a terminal window that shows its end, whole paragraphs of at most `most` lines, below the command
    /// that printed it.
    pub(crate) fn svg(&self, command: &str, most: usize) -> String {
        const ADVANCE: f64 = 7.8;
        const LINE: usize = 18;
        let all = self.lines();
        let lines = whole_paragraphs(&all, most);
        let columns = lines.iter().map(|line| line.iter().map(|(_, text)| text.chars().count()).sum()).max();
        let width = (columns.unwrap_or(0).max(60) as f64 * ADVANCE) as usize + 40;
        let height = (lines.len() + 2) * LINE + 50;
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\">\n\
             <rect width=\"{width}\" height=\"{height}\" rx=\"8\" fill=\"#0d1117\"/>\n\
             <circle cx=\"20\" cy=\"18\" r=\"6\" fill=\"#ff5f56\"/><circle cx=\"40\" cy=\"18\" r=\"6\" fill=\"#ffbd2e\"/>\
             <circle cx=\"60\" cy=\"18\" r=\"6\" fill=\"#27c93f\"/>\n\
             <g font-family=\"ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, monospace\" font-size=\"13\" \
             fill=\"#c9d1d9\" xml:space=\"preserve\">\n"
        );
        let prompt = [(Style::Good, "$ "), (Style::Bold, command)];
        let cut = [(Style::Dim, if lines.len() < all.len() { "..." } else { "" })];
        for (row, line) in
            std::iter::once(&prompt[..]).chain([&cut[..]]).chain(lines.iter().map(Vec::as_slice)).enumerate()
        {
            let y = 52 + row * LINE;
            let mut column = 0;
            for (style, text) in line {
                // Each piece is put where it stands, so that a font of another width does not shift what follows.
                let x = 20.0 + column as f64 * ADVANCE;
                let length = text.chars().count() as f64 * ADVANCE;
                let _ = writeln!(
                    svg,
                    "<text x=\"{x:.1}\" y=\"{y}\" textLength=\"{length:.1}\"{}>{}</text>",
                    style.svg(),
                    escape(text)
                );
                column += text.chars().count();
            }
        }
        svg.push_str("</g>\n</svg>\n");
        svg
    }
}

/// The last lines, beginning after an empty one.
fn whole_paragraphs<T>(lines: &[Vec<T>], most: usize) -> &[Vec<T>] {
    let first = lines.len().saturating_sub(most);
    let begins = |at: &usize| *at == 0 || lines[at - 1].is_empty();
    (first..lines.len()).find(begins).map_or(lines, |first| &lines[first..])
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_shows_every_line_and_nothing_breaks_out_of_it() {
        let mut painted = Painted::default();
        painted.add(Style::Bad, "a <b> & c\nnext").end_line();
        let svg = painted.svg("cargo xtask demo", 9);
        assert!(svg.contains(">a &lt;b&gt; &amp; c</text>") && svg.contains(">next</text>"), "{svg}");
        painted.end_line().add(Style::Plain, "last").end_line();
        let end = painted.svg("cargo xtask demo", 2);
        assert!(
            end.contains(">last</text>") && end.contains(">...</text>") && !end.contains(">next</text>"),
            "{end}"
        );
        assert_eq!(painted.text(false), "a <b> & c\nnext\n\nlast\n");
        assert!(painted.text(true).starts_with("\x1b[1;31ma <b>"));
    }
}
