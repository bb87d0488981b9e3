//! Loads the kernel programs, in the richest form that this kernel admits, and attaches them.

use std::{
    error::Error,
    fs::File,
    io,
    os::fd::AsFd as _,
    path::{Path, PathBuf},
};

use aya::{
    Btf, Ebpf, EbpfLoader, VerifierLogLevel,
    maps::{Array, HashMap, MapData, PerCpuArray, RingBuf},
    programs::{BtfTracePoint, CgroupAttachMode, CgroupSkb, CgroupSkbAttachType, ProgramError, UProbe},
};
use aya_log::EbpfLogger;
use gait_common::wire::{PORT_WORDS, RINGS, counter, stream, tree};

use super::{
    CaptureError, Options, PortSet, TreeOptions,
    host::Features,
    trees::{PointProgram, Trees, multi},
};

/// The object file of `gait-agent-ebpf`, if this build has one.
static OBJECT: Option<&[u8]> = include!(concat!(env!("OUT_DIR"), "/ebpf.rs"));

/// Names of the rings, in the order of the CPUs that use them.
const RING_NAMES: [&str; RINGS] = ["RING_0", "RING_1", "RING_2", "RING_3"];
/// Size of a ring that no CPU uses.
const SMALLEST_RING: u32 = 4096;

/// Threads of which is known what request they work on, at least: the map forgets old ones sooner when it is small.
const MIN_TIES: u32 = 4096;
/// Requests whose trees wait for the response; 330 bytes each.
const MAX_REQUESTS: u32 = 8192;
/// Records that wait for a tree; 2.2 KiB each while they do.
const MAX_DEFERRED: u32 = 4096;
/// Functions whose names were sent, so that they are not sent again.
const MAX_NAMES: u32 = 16_384;

/// One CPU's counters and, last, how many records it numbered.
pub(super) type Stats = [u64; counter::COUNT as usize + 1];

/// A value of a map in the form that the kernel side knows.
#[repr(transparent)]
#[derive(Clone, Copy)]
pub(super) struct Wire<T>(pub(super) T);

/// Values without padding, of which every bit pattern is one.
///
/// # Safety
/// The type must be so.
pub(super) unsafe trait Plain: Copy + 'static {}

// SAFETY: `repr(C)` structures of integers whose sizes are asserted where they are defined, and bytes.
unsafe impl Plain for tree::point::Point {}
// SAFETY: as above.
unsafe impl Plain for tree::Key {}
// SAFETY: as above.
unsafe impl Plain for tree::Statistics {}
// SAFETY: as above.
unsafe impl Plain for tree::point::Takes {}
// SAFETY: as above.
unsafe impl Plain for tree::value::ValueKey {}
// SAFETY: as above.
unsafe impl Plain for tree::value::ValueCount {}
// SAFETY: as above.
unsafe impl<const BYTES: usize> Plain for [u8; BYTES] {}

// SAFETY: by `Plain`.
unsafe impl<T: Plain> aya::Pod for Wire<T> {}

impl<T: Plain> Wire<T> {
    /// Reads a value from exactly its bytes.
    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        // SAFETY: there are as many bytes as the value has, of which every pattern is one; no alignment is needed.
        (bytes.len() == size_of::<T>()).then(|| Self(unsafe { bytes.as_ptr().cast::<T>().read_unaligned() }))
    }
}

/// The loaded programs. Dropping it detaches them.
pub(super) struct Kernel {
    ebpf: Ebpf,
    stats: PerCpuArray<MapData, Stats>,
    flush_log: Option<Box<dyn FnMut() + Send>>,
    /// The program that follows functions, until it is attached.
    point: Option<PointProgram>,
    thread_end_hook: bool,
}

/// What the programs may use of the kernel they are loaded into.
#[derive(Clone, Copy, Debug)]
struct Form {
    current_thread: bool,
    current_comm: bool,
    state_hook: bool,
    receive_hook: bool,
    thread_end_hook: bool,
    /// Turns of one scan, a power of two.
    turns: u32,
}

impl Kernel {
    /// Loads the programs without attaching them, and says what they had to do without.
    pub(super) fn load(options: &Options) -> Result<(Self, Features), CaptureError> {
        let object = OBJECT.ok_or(CaptureError::NotBuilt)?;
        let btf = Btf::from_sys_fs();
        let mut features = Features::new();
        let without = options.without;
        let mut form = Form {
            current_thread: !without.current_thread,
            current_comm: !without.current_thread,
            state_hook: !without.state,
            receive_hook: !without.receive,
            thread_end_hook: options.trees.is_some(),
            turns: stream::TURNS,
        };
        const UNWANTED: &str = "the configuration does without it";
        if without.receive {
            features.lacks_receive(UNWANTED);
        }
        if without.state {
            features.lacks_state(UNWANTED);
        }
        if without.current_thread {
            features.lacks_current_thread(UNWANTED);
        }
        if let Err(error) = &btf {
            let reason = format!("the kernel has no BTF: {}", chain(error));
            features.lacks_receive(&reason);
            features.lacks_state(&reason);
            form = Form { state_hook: false, receive_hook: false, thread_end_hook: false, ..form };
        }
        loop {
            let mut ebpf = create(object, options, form)?;
            if let (true, Ok(btf)) = (form.receive_hook, &btf)
                && let Err(error) = load_tracepoint(&mut ebpf, "gait_receive", "sock_recv_length", btf)
            {
                features.lacks_receive(&chain(&error));
                form.receive_hook = false;
            }
            if let (true, Ok(btf)) = (form.state_hook, &btf)
                && let Err(error) = load_tracepoint(&mut ebpf, "gait_state", "inet_sock_set_state", btf)
            {
                features.lacks_state(&chain(&error));
                form.state_hook = false;
                continue;
            }
            if let (true, Ok(btf)) = (form.thread_end_hook, &btf)
                && let Err(error) = load_tracepoint(&mut ebpf, "gait_thread_end", "sched_process_exit", btf)
            {
                features.lacks_thread_end(&chain(&error));
                form.thread_end_hook = false;
                continue;
            }
            let mut point = None;
            if options.trees.is_some() {
                point = Some(load_tree_program(object, &mut ebpf)?);
            }
            match load_packet_programs(&mut ebpf) {
                Ok(()) => {
                    set_filters(&mut ebpf, options)?;
                    let kernel = Self::take(ebpf, point, form.thread_end_hook)?;
                    return Ok((kernel, features));
                }
                // The verifier of kernels before 6.4 or so sees fewer states as equal.
                Err(error) if form.turns > 1 && is_too_complex(&error) => {
                    tracing::debug!("loading with {} turns a scan: {}", form.turns / 2, short(&error));
                    form.turns /= 2;
                }
                Err(error) if form.current_comm && !is_privilege(&error) => {
                    tracing::debug!("loading without the current command: {}", chain(&error));
                    features.lacks_current_comm(&short(&error));
                    form.current_comm = false;
                }
                Err(error) if form.current_thread && !is_privilege(&error) => {
                    tracing::debug!("loading without the current thread: {}", chain(&error));
                    features.lacks_current_thread(&short(&error));
                    form.current_thread = false;
                }
                Err(error) => return Err(refused("loading the packet programs", &error)),
            }
        }
    }

    fn take(
        mut ebpf: Ebpf,
        point: Option<PointProgram>,
        thread_end_hook: bool,
    ) -> Result<Self, CaptureError> {
        let map = ebpf.take_map("STATS").ok_or_else(|| missing("STATS"))?;
        let stats = PerCpuArray::try_from(map).map_err(|error| kernel("opening the map STATS", &error))?;
        let flush_log = match EbpfLogger::init(&mut ebpf) {
            Ok(mut logger) => Some(Box::new(move || logger.flush()) as Box<dyn FnMut() + Send>),
            Err(error) => {
                tracing::debug!("the kernel programs keep no log: {error}");
                None
            }
        };
        Ok(Self { ebpf, stats, flush_log, point, thread_end_hook })
    }

    /// The tree coder, attached to nothing yet.
    pub(super) fn trees(&mut self, options: &TreeOptions) -> Result<Trees, CaptureError> {
        if self.thread_end_hook {
            let attached = program::<BtfTracePoint>(&mut self.ebpf, "gait_thread_end")?.attach();
            attached.map_err(|error| refused("attaching gait_thread_end", &error))?;
        }
        let point = self.point.take().ok_or_else(|| missing("gait_point"))?;
        Trees::take(&mut self.ebpf, point, options, cpus()?)
    }

    /// Attaches the programs to every socket below `cgroup`.
    pub(super) fn attach(&mut self, cgroup: &Path, features: &mut Features) -> Result<(), CaptureError> {
        let root = File::open(cgroup)
            .map_err(|source| CaptureError::Cgroup { path: cgroup.to_path_buf(), source })?;
        // The trackers of threads and ends come first, so that no connection is followed without them.
        for (name, has) in [("gait_receive", features.receive), ("gait_state", features.state)] {
            if !has {
                continue;
            }
            let attached = program::<BtfTracePoint>(&mut self.ebpf, name)?.attach();
            attached.map_err(|error| refused(&format!("attaching {name}"), &error))?;
        }
        for (name, way) in
            [("gait_egress", CgroupSkbAttachType::Egress), ("gait_ingress", CgroupSkbAttachType::Ingress)]
        {
            program::<CgroupSkb>(&mut self.ebpf, name)?
                .attach(&root, way, CgroupAttachMode::Single)
                .map_err(|error| refused(&format!("attaching {name} to {}", cgroup.display()), &error))?;
        }
        Ok(())
    }

    /// Stops the programs; what they left in the rings stays.
    pub(super) fn detach(&mut self) -> Result<(), CaptureError> {
        for name in ["gait_ingress", "gait_egress"] {
            program::<CgroupSkb>(&mut self.ebpf, name)?
                .unload()
                .map_err(|error| kernel(&format!("detaching {name}"), &error))?;
        }
        Ok(())
    }

    /// Takes out the rings that CPUs use.
    pub(super) fn rings(&mut self) -> Result<Vec<RingBuf<MapData>>, CaptureError> {
        let mut rings = Vec::with_capacity(RINGS);
        for name in RING_NAMES.iter().take(cpus()?) {
            let map = self.ebpf.take_map(name).ok_or_else(|| missing(name))?;
            let ring = RingBuf::try_from(map)
                .map_err(|error| kernel(&format!("opening the ring {name}"), &error))?;
            rings.push(ring);
        }
        Ok(rings)
    }

    /// Lets connections to this server port pass every filter, for the self test; 0 for none.
    pub(super) fn waive(&mut self, port: u16) -> Result<(), CaptureError> {
        let map = self.ebpf.map_mut("WAIVED").ok_or_else(|| missing("WAIVED"))?;
        Array::<_, u32>::try_from(map)
            .and_then(|mut map| map.set(0, u32::from(port), 0))
            .map_err(|error| kernel("setting the self test's port", &error))
    }

    /// Every CPU's counters.
    pub(super) fn stats(&self) -> Result<Vec<Stats>, CaptureError> {
        let values = self.stats.get(&0, 0).map_err(|error| kernel("reading the map STATS", &error))?;
        Ok(values.iter().copied().collect())
    }

    /// Hands the programs' own messages to the log.
    pub(super) fn flush_log(&mut self) {
        if let Some(flush) = &mut self.flush_log {
            flush();
        }
    }
}

/// Number of CPUs that the kernel may use.
fn cpus() -> Result<usize, CaptureError> {
    aya::util::nr_cpus().map_err(|(path, error)| kernel(&format!("reading {path}"), &error))
}

/// Creates maps and relocates programs.
fn create(object: &[u8], options: &Options, form: Form) -> Result<Ebpf, CaptureError> {
    let flag = |on: bool| u8::from(on);
    let (server, client) = (flag(options.roles.server), flag(options.roles.client));
    let (current, comm) = (flag(form.current_thread), flag(form.current_comm));
    let state = flag(form.state_hook);
    let by_cgroup = flag(!options.cgroups.is_empty());
    let max_connections = u64::from(options.max_connections);
    let head_limit = u64::from(options.head_bytes);
    let ring_half = u64::from(options.ring_bytes / 2);
    let scans = stream::ALL_TURNS / form.turns;
    let log_level = log_level();
    let mut loader = EbpfLoader::new();
    loader
        .verifier_log_level(VerifierLogLevel::STATS)
        // aya has no type for the storage of tasks, which nobody but the programs touches.
        .allow_unsupported_maps()
        .override_global("SERVER", &server, true)
        .override_global("CLIENT", &client, true)
        .override_global("CURRENT_THREAD", &current, true)
        .override_global("CURRENT_COMM", &comm, true)
        .override_global("STATE_HOOK", &state, true)
        .override_global("BY_CGROUP", &by_cgroup, true)
        .override_global("MAX_CONNECTIONS", &max_connections, true)
        .override_global("HEAD_LIMIT", &head_limit, true)
        .override_global("TURNS", &form.turns, true)
        .override_global("SCANS", &scans, true)
        .override_global("RING_HALF", &ring_half, true)
        .override_global("AYA_LOG_LEVEL", &log_level, false);
    let (trees, thread_end) = (flag(options.trees.is_some()), flag(form.thread_end_hook));
    let values = flag(options.trees.as_ref().is_some_and(|trees| trees.values));
    let max_threads = u64::from(options.trees.as_ref().map_or(0, |trees| trees.max_threads));
    loader
        .override_global("TREES", &trees, true)
        .override_global("VALUES", &values, true)
        .override_global("MAX_THREADS", &max_threads, true)
        .override_global("THREAD_END_HOOK", &thread_end, true);
    // Without trees their maps stay as small as maps can be.
    if let Some(trees) = &options.trees {
        loader
            .map_max_entries("POINTS", trees.max_points)
            .map_max_entries("POINT_HITS", trees.max_points)
            .map_max_entries("TREE_STATS", trees.max_codes)
            .map_max_entries("TIES", trees.max_threads.max(MIN_TIES))
            .map_max_entries("REQUESTS", MAX_REQUESTS)
            .map_max_entries("DEFERRED", MAX_DEFERRED)
            .map_max_entries("NAMED", MAX_NAMES)
            .map_max_entries("TREE_RING", trees.ring_bytes);
    }
    if let Some(trees) = options.trees.as_ref().filter(|trees| trees.values) {
        loader.map_max_entries("TAKES", trees.max_points).map_max_entries("TREE_VALUES", trees.max_values);
    }
    let used = cpus()?;
    for (number, name) in RING_NAMES.iter().enumerate() {
        loader.map_max_entries(name, if number < used { options.ring_bytes } else { SMALLEST_RING });
    }
    loader.load(object).map_err(|error| refused("creating the kernel maps", &error))
}

/// The level of the programs' messages that anyone listens to.
fn log_level() -> u8 {
    use tracing::level_filters::LevelFilter;
    match tracing::level_filters::LevelFilter::current() {
        LevelFilter::TRACE => 5,
        LevelFilter::DEBUG => 4,
        LevelFilter::INFO => 3,
        LevelFilter::WARN => 2,
        LevelFilter::ERROR => 1,
        _ => 0,
    }
}

fn load_tracepoint(ebpf: &mut Ebpf, name: &str, tracepoint: &str, btf: &Btf) -> Result<(), ProgramError> {
    let program: &mut BtfTracePoint = ebpf.program_mut(name).ok_or(ProgramError::NotLoaded)?.try_into()?;
    program.load(tracepoint, btf)
}

fn load_packet_programs(ebpf: &mut Ebpf) -> Result<(), ProgramError> {
    for name in ["gait_ingress", "gait_egress"] {
        let program: &mut CgroupSkb = ebpf.program_mut(name).ok_or(ProgramError::NotLoaded)?.try_into()?;
        program.load()?;
    }
    Ok(())
}

/// Loads the program that follows functions, in the newest form that this kernel admits.
fn load_tree_program(object: &[u8], ebpf: &mut Ebpf) -> Result<PointProgram, CaptureError> {
    match multi::load(object, ebpf, "gait_point") {
        Ok(program) => return Ok(PointProgram::Multi(program)),
        Err(error) => tracing::debug!("points are attached one by one: {error}"),
    }
    let mut single = || -> Result<_, ProgramError> {
        let program: &mut UProbe =
            ebpf.program_mut("gait_point").ok_or(ProgramError::NotLoaded)?.try_into()?;
        program.load()?;
        let fd = program.fd()?.as_fd().try_clone_to_owned()?;
        Ok(PointProgram::Single(fd))
    };
    single().map_err(|error| refused("loading the program that follows functions", &error))
}

/// Takes a map out of the loaded object.
pub(super) fn take_map<M>(ebpf: &mut Ebpf, name: &str) -> Result<M, CaptureError>
where
    M: TryFrom<aya::maps::Map, Error = aya::maps::MapError>,
{
    let map = ebpf.take_map(name).ok_or_else(|| missing(name))?;
    M::try_from(map).map_err(|error| kernel(&format!("opening the map {name}"), &error))
}

/// Lets this process have as many files open as it may: each point is one.
pub(super) fn raise_open_files() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }) {
        tracing::debug!("the limit of open files stays as it is: {error}");
    }
}

/// Tells the programs which ports and cgroups are captured.
fn set_filters(ebpf: &mut Ebpf, options: &Options) -> Result<(), CaptureError> {
    let mut ports = match &options.ports {
        PortSet::All => [u64::MAX; PORT_WORDS],
        PortSet::Only(list) => {
            let mut bits = [0; PORT_WORDS];
            list.iter().for_each(|port| bits[usize::from(port / 64)] |= 1 << (port % 64));
            bits
        }
    };
    options.exclude_ports.iter().for_each(|port| ports[usize::from(port / 64)] &= !(1 << (port % 64)));
    let map = ebpf.map_mut("PORTS").ok_or_else(|| missing("PORTS"))?;
    Array::<_, [u64; PORT_WORDS]>::try_from(map)
        .and_then(|mut map| map.set(0, ports, 0))
        .map_err(|error| kernel("setting the captured ports", &error))?;
    let map = ebpf.map_mut("CGROUPS").ok_or_else(|| missing("CGROUPS"))?;
    let mut cgroups: HashMap<_, u64, u8> =
        HashMap::try_from(map).map_err(|error| kernel("opening the map CGROUPS", &error))?;
    for id in &options.cgroups {
        cgroups.insert(id, 0, 0).map_err(|error| kernel("setting the captured cgroups", &error))?;
    }
    Ok(())
}

pub(super) fn program<'a, P>(ebpf: &'a mut Ebpf, name: &str) -> Result<&'a mut P, CaptureError>
where
    &'a mut P: TryFrom<&'a mut aya::programs::Program, Error = ProgramError>,
{
    let program = ebpf.program_mut(name).ok_or_else(|| missing(name))?;
    program.try_into().map_err(|error| kernel(&format!("using the program {name}"), &error))
}

/// Where cgroup v2 is mounted.
///
/// # Errors
/// [`CaptureError::NoCgroup2`] when it is not.
pub fn cgroup2_root() -> Result<PathBuf, CaptureError> {
    let mounts = std::fs::read_to_string("/proc/self/mountinfo")
        .map_err(|error| kernel("reading /proc/self/mountinfo", &error))?;
    mounts.lines().find_map(cgroup2_mount).ok_or(CaptureError::NoCgroup2)
}

/// The mount point in a line of mountinfo, if it is that of the whole cgroup v2 tree.
fn cgroup2_mount(line: &str) -> Option<PathBuf> {
    let (mount, kind) = line.split_once(" - ")?;
    let mut fields = mount.split(' ').skip(3);
    let (root, point) = (fields.next()?, fields.next()?);
    (kind.split(' ').next() == Some("cgroup2") && root == "/").then(|| unescape(point).into())
}

/// Undoes mountinfo's octal escapes of blanks and the like.
fn unescape(field: &str) -> String {
    let mut out = Vec::with_capacity(field.len());
    let mut rest = field.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        let octal = tail.get(..3).and_then(|digits| std::str::from_utf8(digits).ok());
        match (byte, octal.and_then(|digits| u8::from_str_radix(digits, 8).ok())) {
            (b'\\', Some(escaped)) => {
                out.push(escaped);
                rest = &tail[3..];
            }
            _ => {
                out.push(byte);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

fn missing(name: &str) -> CaptureError {
    CaptureError::Kernel {
        action: format!("using {name}"),
        reason: "it is not in the object file".to_owned(),
    }
}

pub(super) fn kernel(action: &str, error: &dyn Error) -> CaptureError {
    CaptureError::Kernel { action: action.to_owned(), reason: chain(error) }
}

/// The kernel refused: for want of privilege, or for want of a feature.
fn refused(action: &str, error: &(dyn Error + 'static)) -> CaptureError {
    if is_privilege(error) {
        return CaptureError::Privilege { action: action.to_owned() };
    }
    CaptureError::Unsupported { what: action.to_owned(), reason: short(error) }
}

/// Whether the verifier gave up before it had seen all that the programs may do.
fn is_too_complex(error: &ProgramError) -> bool {
    let full = rustix::io::Errno::TOOBIG.raw_os_error();
    matches!(error, ProgramError::LoadError { io_error, .. } if io_error.raw_os_error() == Some(full))
}

/// Whether somewhere below `error` the kernel said EPERM or EACCES without a verifier's complaint.
fn is_privilege(error: &(dyn Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(ProgramError::LoadError { io_error, verifier_log }) = error.downcast_ref() {
            return denied(io_error) && verifier_log.to_string().trim().is_empty();
        }
        if error.downcast_ref::<io::Error>().is_some_and(denied) {
            return true;
        }
        next = error.source();
    }
    false
}

fn denied(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::PermissionDenied
}

/// The error and its causes in one line.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(error) = next {
        let cause = error.to_string();
        if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
        next = error.source();
    }
    text
}

/// The error with no more than the end of a verifier's log, where the complaint stands.
fn short(error: &dyn Error) -> String {
    let text = chain(error);
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    let (first, last) = (lines.first().copied().unwrap_or_default(), lines.iter().rev().take(4).rev());
    if lines.len() <= 4 {
        return lines.join("; ");
    }
    let tail: Vec<&str> = last.copied().collect();
    format!("{first} … {}", tail.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cgroup2_mount_is_found_wherever_it_is() {
        let line = r"38 31 0:31 / /sys/fs/cgroup/a\040b rw,relatime shared:9 - cgroup2 cgroup2 rw,nsdelegate";
        assert_eq!(cgroup2_mount(line), Some(PathBuf::from("/sys/fs/cgroup/a b")));
    }

    #[test]
    fn cgroup1_and_parts_of_the_tree_are_not_the_root() {
        assert_eq!(cgroup2_mount("32 31 0:29 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu"), None);
        assert_eq!(cgroup2_mount("40 31 0:31 /user /mnt rw - cgroup2 cgroup2 rw"), None);
    }
}
