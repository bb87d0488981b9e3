//! Rust: panics that are caught pass through followed functions, and the thread goes on as if nobody had looked.

use std::{path::Path, process::Command, time::Duration};

use anyhow::bail;

use super::followed::{Followed, functions};

#[test]
fn rust_panics_pass_through_followed_functions() -> anyhow::Result<()> {
    let directory = tempfile::tempdir()?;
    let (source, program) = (
        Path::new(env!("CARGO_MANIFEST_DIR")).join("kernel/programs/panics.rs"),
        directory.path().join("panics"),
    );
    let built =
        Command::new("rustc").args(["--edition=2021", "-O", "-o"]).args([&program, &source]).output()?;
    if !built.status.success() {
        bail!("{}", String::from_utf8_lossy(&built.stderr));
    }
    let mut followed = Followed::start(&[functions(&program, &["panics::f_*"])?], &[])?;
    let outcome = Command::new(&program).output()?;
    assert!(outcome.status.success(), "{outcome:?}");
    assert_eq!(outcome.stdout, b"100\n", "every panic is caught");
    followed.drain_for(Duration::from_millis(50))?;
    followed.counters()?;
    followed.check_codes();
    let expected = [
        "100 panics::f_outer(!panics::f_middle(!panics::f_risky))",
        "100 panics::f_outer(panics::f_middle(panics::f_risky))",
    ];
    assert_eq!(followed.trees(), expected);
    Ok(())
}
