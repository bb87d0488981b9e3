//! Findings as JSON lines on stdout, when nothing else is asked for.

use std::io::{self, Write as _};

use anyhow::Result;

use super::{Options, Report, Sink};

#[derive(Debug)]
struct Stdout;

pub(super) fn open(options: &Options) -> Result<Option<Box<dyn Sink>>> {
    let wanted = options.file.is_none() && !options.pretty;
    Ok(wanted.then(|| Box::new(Stdout) as Box<dyn Sink>))
}

impl Sink for Stdout {
    fn name(&self) -> String {
        "stdout".to_owned()
    }

    fn write(&mut self, report: &Report) -> io::Result<()> {
        let mut out = io::stdout().lock();
        out.write_all(&report.line)?;
        out.flush()
    }
}
