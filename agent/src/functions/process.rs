//! Processes: who runs which file, and what else it has mapped.
//!
//! A look at them all costs one `stat` each. The rest is read when a process is new or has become another program; maps
//! of memory, which are dear, are read of a few processes at a time.

use std::fs::{self, File};
use std::io::Read as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use rustc_hash::FxHashMap;
use rustix::fs::{FileType, Mode, OFlags, ResolveFlags};

use super::point::FileId;

/// Processes followed, at most.
const MAX_PROCESSES: usize = 1 << 16;
/// Bytes read of a process's map.
const MAX_MAPS: u64 = 4 << 20;
/// Files of a process's map.
const MAX_MAPPED: usize = 1024;
/// What the kernel appends to the path of a file that is no longer there.
const DELETED: &str = " (deleted)";

/// A file as it was when it was looked at; another stamp is another content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    pub(super) id: FileId,
    size: u64,
    modified: (i64, u64),
}

/// A program that runs.
#[derive(Clone, Debug)]
pub(super) struct Process {
    pub(super) pid: u32,
    pub(super) exe: Stamp,
    /// Its file's path as it sees it.
    pub(super) path: PathBuf,
    pub(super) comm: String,
    /// Its systemd unit.
    pub(super) unit: Option<String>,
    /// Whether it sees other file systems than the agent.
    pub(super) contained: bool,
    /// The files with code that it has mapped, by path as it sees them; read now and then.
    pub(super) mapped: Vec<PathBuf>,
    /// When they were read, in looks.
    mapped_at: u64,
    seen_at: u64,
}

/// All of them.
#[derive(Debug)]
pub(super) struct Processes {
    proc: PathBuf,
    namespace: Option<PathBuf>,
    known: FxHashMap<u32, Process>,
    look: u64,
}

/// `OVERLAYFS_SUPER_MAGIC`.
const OVERLAY: u64 = 0x794c_7630;
/// Set in the device of files that are known by their layer, which no device has.
const LAYER: u64 = 1 << 63;

impl Stamp {
    /// The stamp of a regular file.
    pub(super) fn at(path: &Path) -> Option<Self> {
        let stat = rustix::fs::stat(path).ok()?;
        Self::of(&stat, || rustix::fs::statfs(path).ok())
    }

    /// The stamp of a regular file that is reached below `root` without a link on the way: the root of somebody who might
    /// have put one there that leads out.
    fn below(root: &Path, path: &Path) -> Option<Self> {
        let directory = rustix::fs::open(root, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).ok()?;
        let (flags, resolve) =
            (OFlags::PATH | OFlags::CLOEXEC, ResolveFlags::IN_ROOT | ResolveFlags::NO_SYMLINKS);
        let file = rustix::fs::openat2(directory, path, flags, Mode::empty(), resolve).ok()?;
        Self::of(&rustix::fs::fstat(&file).ok()?, || rustix::fs::fstatfs(&file).ok())
    }

    fn of(stat: &rustix::fs::Stat, system: impl FnOnce() -> Option<rustix::fs::StatFs>) -> Option<Self> {
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return None;
        }
        let (size, modified) = (stat.st_size as u64, (stat.st_mtime, stat.st_mtime_nsec));
        let mut device = stat.st_dev;
        // Containers of one image have the same file under many devices, an overlay's each, and the kernel puts probes
        // into the file below: with a probe for each of them a call would be seen many times. The inode's number is that
        // of the file below; what its device is nobody says.
        let overlaid =
            rustix::fs::major(device) == 0 && system().is_some_and(|of| of.f_type as u64 == OVERLAY);
        if overlaid {
            let sum = [size, modified.0 as u64, modified.1]
                .iter()
                .fold(0_u64, |sum, part| (sum.rotate_left(29) ^ part).wrapping_mul(0x9e37_79b9_7f4a_7c15));
            device = sum | LAYER;
        }
        Some(Self { id: FileId { device, inode: stat.st_ino }, size, modified })
    }
}

impl Processes {
    pub(super) fn new() -> Self {
        let proc = PathBuf::from("/proc");
        Self {
            namespace: fs::read_link(proc.join("self/ns/mnt")).ok(),
            proc,
            known: FxHashMap::default(),
            look: 0,
        }
    }

    /// Looks which processes there are. Those that are new or have become another program are read.
    pub(super) fn look(&mut self) {
        self.look += 1;
        let Ok(entries) = self.proc.read_dir() else { return };
        for entry in entries.filter_map(Result::ok) {
            let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else {
                continue;
            };
            let directory = entry.path();
            // A thread of the kernel has no file; a process of others may not be looked at.
            let Some(exe) = Stamp::at(&directory.join("exe")) else { continue };
            let full = self.known.len() >= MAX_PROCESSES;
            match self.known.get_mut(&pid) {
                Some(process) if process.exe == exe => process.seen_at = self.look,
                None if full => {}
                _ => {
                    if let Some(process) = self.read(pid, &directory, exe) {
                        self.known.insert(pid, process);
                    }
                }
            }
        }
        let look = self.look;
        self.known.retain(|_, process| process.seen_at == look);
    }

    fn read(&self, pid: u32, directory: &Path, exe: Stamp) -> Option<Process> {
        let path = fs::read_link(directory.join("exe")).ok()?;
        let comm = fs::read_to_string(directory.join("comm")).ok()?;
        let namespace = fs::read_link(directory.join("ns/mnt")).ok();
        Some(Process {
            pid,
            exe,
            path: undeleted(&path),
            comm: comm.trim_end().to_owned(),
            unit: fs::read_to_string(directory.join("cgroup")).ok().and_then(|text| unit(&text)),
            contained: namespace.is_some() && namespace != self.namespace,
            mapped: Vec::new(),
            mapped_at: 0,
            seen_at: self.look,
        })
    }

    /// Reads the maps of up to `count` processes, those first that were not read for longest.
    pub(super) fn look_at_maps(&mut self, count: usize, wanted: &dyn Fn(&Process) -> bool) {
        let mut due: Vec<(u64, u32)> = self
            .known
            .values()
            .filter(|process| wanted(process))
            .map(|process| (process.mapped_at, process.pid))
            .collect();
        due.sort_unstable();
        for (_, pid) in due.into_iter().take(count) {
            let maps = read_start(&self.proc.join(format!("{pid}/maps")), MAX_MAPS);
            if let Some(process) = self.known.get_mut(&pid) {
                process.mapped = maps.as_deref().map(mapped).unwrap_or_default();
                process.mapped_at = self.look;
            }
        }
    }

    /// All that run, in order of their numbers.
    pub(super) fn all(&self) -> impl Iterator<Item = &Process> {
        let mut all: Vec<&Process> = self.known.values().collect();
        all.sort_unstable_by_key(|process| process.pid);
        all.into_iter()
    }

    /// The root directory of a process, as the agent reaches it.
    pub(super) fn root(&self, process: &Process) -> PathBuf {
        if process.contained { self.proc.join(format!("{}/root", process.pid)) } else { PathBuf::from("/") }
    }

    /// The stamp of a file that a process sees under this path.
    pub(super) fn stamp(&self, process: &Process, path: &Path) -> Option<Stamp> {
        if process.contained { Stamp::below(&self.root(process), path) } else { Stamp::at(path) }
    }

    /// A path under which the agent reaches a process's file, which it may share with the host or not, and which may
    /// have been replaced since it started.
    pub(super) fn reach(&self, process: &Process) -> PathBuf {
        let inside = below(&self.root(process), &process.path);
        if Stamp::at(&inside) == Some(process.exe) {
            inside
        } else {
            self.proc.join(format!("{}/exe", process.pid))
        }
    }
}

/// `path` as it is seen below `root`.
pub(super) fn below(root: &Path, path: &Path) -> PathBuf {
    root.join(path.strip_prefix("/").unwrap_or(path))
}

fn undeleted(path: &Path) -> PathBuf {
    match path.to_str().and_then(|text| text.strip_suffix(DELETED)) {
        Some(text) => PathBuf::from(text),
        None => path.to_owned(),
    }
}

/// The innermost systemd unit that a process's cgroups name.
fn unit(cgroups: &str) -> Option<String> {
    cgroups
        .lines()
        .find_map(|line| line.rsplit('/').find(|part| part.ends_with(".service")))
        .map(str::to_owned)
}

fn read_start(path: &Path, most: u64) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path).ok()?.take(most).read_to_end(&mut bytes).ok()?;
    Some(bytes)
}

/// The files with code in a process's map; each once.
fn mapped(maps: &[u8]) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = Vec::new();
    for line in maps.split(|&byte| byte == b'\n') {
        // address permissions offset device inode path
        let mut rest = line;
        let mut fields = [&b""[..]; 5];
        for field in &mut fields {
            let end = rest.iter().position(|&byte| byte == b' ').unwrap_or(rest.len());
            *field = &rest[..end];
            rest = rest[end..].trim_ascii_start();
        }
        if fields[1].get(2) != Some(&b'x') || !rest.starts_with(b"/") || found.len() >= MAX_MAPPED {
            continue;
        }
        let path = undeleted(Path::new(std::ffi::OsStr::from_bytes(rest)));
        if found.last() != Some(&path) && !found.contains(&path) {
            found.push(path);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn maps_give_the_files_with_code() {
        let maps = b"55d0-55d1 r--p 00000000 fe:00 12 /usr/sbin/nginx\n\
            55d1-55d2 r-xp 00001000 fe:00 12                     /usr/sbin/nginx\n\
            7f00-7f01 r-xp 00001000 fe:00 13   /opt/a b/libx.so.1 (deleted)\n\
            7f01-7f02 r-xp 00000000 00:00 0 \n\
            7ffd-7ffe r-xp 00000000 00:00 0  [vdso]\n\
            7f03-7f04 r-xp 00001000 fe:00 12   /usr/sbin/nginx\n\
            cut r-xp";
        assert_eq!(mapped(maps), [PathBuf::from("/usr/sbin/nginx"), PathBuf::from("/opt/a b/libx.so.1")]);
    }

    #[test]
    fn units_are_found_in_either_version_of_cgroups() {
        assert_eq!(unit("0::/system.slice/nginx.service\n").as_deref(), Some("nginx.service"));
        let nested = "12:cpu:/\n1:name=systemd:/system.slice/docker.service/abc\n0::/\n";
        assert_eq!(unit(nested).as_deref(), Some("docker.service"));
        assert_eq!(unit("0::/user.slice/session-1.scope\n"), None);
    }

    #[test]
    fn this_process_is_found_with_its_file_and_maps() {
        let mut processes = Processes::new();
        processes.look();
        let own = |process: &Process| process.pid == std::process::id();
        processes.look_at_maps(1, &own);
        let me = processes.all().find(|process| own(process)).expect("this process runs");
        let exe = std::env::current_exe().expect("its file");
        assert_eq!((&me.path, Some(me.exe)), (&exe, Stamp::at(&exe)));
        assert!(!me.contained && me.mapped.contains(&exe), "{me:?}");
        assert_eq!(processes.reach(me), exe);
    }
}
