//! What the agent asks the host about itself.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use crate::capture;

/// The host's name.
pub fn name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// The ids of cgroups, given as directories below the cgroup v2 root, or as absolute paths into it.
///
/// # Errors
/// When one does not exist, or cgroup v2 is not mounted.
pub fn cgroup_ids(cgroups: &[PathBuf]) -> Result<Vec<u64>> {
    if cgroups.is_empty() {
        return Ok(Vec::new());
    }
    let root = capture::cgroup2_root()?;
    cgroups.iter().map(|cgroup| cgroup_id(&root, cgroup)).collect()
}

fn cgroup_id(root: &Path, cgroup: &Path) -> Result<u64> {
    let path = if cgroup.starts_with(root) {
        cgroup.to_owned()
    } else {
        root.join(cgroup.strip_prefix("/").unwrap_or(cgroup))
    };
    let meta = path
        .metadata()
        .with_context(|| format!("failed to find the cgroup {} of capture.cgroups", path.display()))?;
    Ok(meta.ino())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cgroup_is_named_from_its_root_or_in_full() {
        let root = tempfile::tempdir().expect("directory");
        let dir = root.path().join("system.slice");
        std::fs::create_dir(&dir).expect("directory");
        let want = dir.metadata().expect("directory").ino();
        for cgroup in [Path::new("/system.slice"), Path::new("system.slice"), &dir] {
            assert_eq!(cgroup_id(root.path(), cgroup).expect("a cgroup"), want, "{}", cgroup.display());
        }
        let error = cgroup_id(root.path(), Path::new("/nowhere")).expect_err("no cgroup").to_string();
        assert!(error.ends_with("/nowhere of capture.cgroups"), "{error}");
    }
}
