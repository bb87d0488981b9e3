//! What the demo comes down to: a table for people, one JSON object for programs, and whether it holds.

use anyhow::{Context as _, Result, bail};
use serde::Serialize;

use super::paint::{Painted, Style};

/// The demo's result; the JSON object's keys are these names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) struct Table {
    /// Requests, by nginx's own count.
    pub(crate) served: u64,
    /// Those that reached the agent's user space.
    pub(crate) captured: u64,
    /// Those it knows of and could not capture.
    pub(crate) lost: u64,
    /// Abnormal behaviours mixed in, each by a caller of its own.
    pub(crate) injected: usize,
    /// Those whose caller got a finding.
    pub(crate) found: usize,
    /// Callers that behaved normally while the agent detected.
    pub(crate) normal_callers: usize,
    /// Those that got a finding all the same.
    pub(crate) false_alarms: usize,
}

impl Table {
    /// Adds it to what is printed, for people.
    pub(crate) fn paint(&self, out: &mut Painted) {
        let good = |good| if good { Style::Good } else { Style::Bad };
        let rate = 100.0 * self.false_alarms as f64 / self.normal_callers.max(1) as f64;
        let rows = [
            ("requests served by nginx", self.served.to_string(), Style::Plain),
            ("  captured", self.captured.to_string(), good(self.accounted())),
            ("  lost, and counted as such", self.lost.to_string(), good(self.lost == 0)),
            ("abnormal behaviours injected", self.injected.to_string(), Style::Plain),
            ("  found", self.found.to_string(), good(self.found == self.injected)),
            ("normal callers", self.normal_callers.to_string(), Style::Plain),
            ("  with a false alarm", format!("{} ({rate:.1} %)", self.false_alarms), good(self.quiet())),
        ];
        for (name, value, style) in rows {
            out.add(Style::Plain, format!("{name:<30}")).add(style, format!("{value:>10}")).end_line();
        }
    }

    /// Prints it as the last line.
    pub(crate) fn print_json(&self) -> Result<()> {
        println!("{}", serde_json::to_string(self).context("failed to encode the table")?);
        Ok(())
    }

    /// Whether the demo showed what it is to show.
    pub(crate) fn check(&self) -> Result<()> {
        let Self { served, captured, lost, injected, found, .. } = *self;
        if !self.accounted() {
            bail!("{served} requests were served, but {captured} captured and {lost} counted as lost");
        }
        if found < injected {
            bail!("{} of {injected} injected behaviours were not found", injected - found);
        }
        if !self.quiet() {
            bail!("{} of {} normal callers raised a false alarm", self.false_alarms, self.normal_callers);
        }
        Ok(())
    }

    fn accounted(&self) -> bool {
        self.captured + self.lost == self.served
    }

    /// Fewer than one normal caller in a hundred has a finding.
    fn quiet(&self) -> bool {
        self.false_alarms * 100 < self.normal_callers
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: Table = Table {
        served: 10,
        captured: 9,
        lost: 1,
        injected: 8,
        found: 8,
        normal_callers: 120,
        false_alarms: 1,
    };

    #[test]
    fn the_demo_fails_when_one_promise_does_not_hold() {
        assert!(GOOD.check().is_ok());
        assert!(Table { captured: 8, ..GOOD }.check().is_err());
        assert!(Table { captured: 10, ..GOOD }.check().is_err());
        assert!(Table { found: 7, ..GOOD }.check().is_err());
        assert!(Table { false_alarms: 2, ..GOOD }.check().is_err());
    }
}
