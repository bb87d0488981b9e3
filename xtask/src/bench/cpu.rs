//! CPU time of processes, from /proc.

use std::fs;
use std::time::Duration;

use anyhow::{Context as _, Result};

/// CPU time that a process and all its threads have used so far, user and kernel together.
pub(crate) fn used(pid: u32) -> Result<Duration> {
    let file = format!("/proc/{pid}/stat");
    let stat = fs::read_to_string(&file).with_context(|| format!("failed to read {file}"))?;
    let ticks = parse(&stat).with_context(|| format!("{file} has another form than expected"))?;
    // USER_HZ: what /proc counts in, 100 a second on every Linux this runs on.
    Ok(Duration::from_millis(ticks * 10))
}

/// `utime` + `stime`, fields 14 and 15; the name in field 2 may itself hold blanks and brackets.
fn parse(stat: &str) -> Option<u64> {
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_whitespace().skip(11);
    let mut next = || fields.next()?.parse::<u64>().ok();
    Some(next()? + next()?)
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_name_with_brackets_does_not_shift_the_fields() {
        let stat = "17 (a) b) S 1 17 17 0 -1 4194560 900 0 0 0 250 50 0 0 20 0 3 0 100 0 0";
        assert_eq!(super::parse(stat), Some(300));
    }
}
