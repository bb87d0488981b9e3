//! The system calls that aya does not offer: uprobes with a semaphore or of the newer kind, and maps read in batches.

use std::ffi::{CStr, CString, c_long};
use std::io;
use std::os::fd::{AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use aya_obj::generated::bpf_insn;

const BPF_PROG_LOAD: u32 = 5;
const BPF_BTF_LOAD: u32 = 18;
const BPF_MAP_LOOKUP_AND_DELETE_ELEM: u32 = 21;
const BPF_MAP_LOOKUP_BATCH: u32 = 24;
const BPF_MAP_LOOKUP_AND_DELETE_BATCH: u32 = 25;
const BPF_LINK_CREATE: u32 = 28;
const BPF_PERF_EVENT: u32 = 41;
const BPF_TRACE_UPROBE_MULTI: u32 = 48;
const BPF_F_UPROBE_MULTI_RETURN: u32 = 1;
/// Where in a uprobe event's configuration the offset of its semaphore begins (format/ref_ctr_offset: config:32-63).
const SEMAPHORE_SHIFT: u32 = 32;
const PERF_FLAG_FD_CLOEXEC: u64 = 8;

/// The kernel's `struct perf_event_attr`, first version with both addresses.
#[repr(C)]
#[derive(Default)]
struct PerfEventAttr {
    kind: u32,
    size: u32,
    config: u64,
    sample_period: u64,
    sample_type: u64,
    read_format: u64,
    flags: u64,
    wakeup: u32,
    breakpoint: u32,
    path: u64,
    offset: u64,
}

/// `union bpf_attr` of BPF_LINK_CREATE for a perf event.
#[repr(C)]
struct LinkCreate {
    program: u32,
    target: u32,
    attach_type: u32,
    flags: u32,
    cookie: u64,
}

/// `union bpf_attr` of BPF_LINK_CREATE for uprobes of which one link has many.
#[repr(C)]
struct MultiLinkCreate {
    program: u32,
    target: u32,
    attach_type: u32,
    flags: u32,
    path: u64,
    offsets: u64,
    semaphores: u64,
    cookies: u64,
    count: u32,
    multi_flags: u32,
    process: u32,
    unused: u32,
}

/// `union bpf_attr` of BPF_BTF_LOAD.
#[repr(C)]
#[derive(Default)]
struct BtfLoad {
    data: u64,
    log: u64,
    size: u32,
    log_size: u32,
    log_level: u32,
    log_true_size: u32,
}

/// `union bpf_attr` of BPF_PROG_LOAD.
#[repr(C)]
#[derive(Default)]
struct ProgLoad {
    kind: u32,
    instruction_count: u32,
    instructions: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log: u64,
    kernel_version: u32,
    flags: u32,
    name: [u8; 16],
    interface: u32,
    expected_attach_type: u32,
    btf: u32,
    function_size: u32,
    functions: u64,
    function_count: u32,
    line_size: u32,
    lines: u64,
    line_count: u32,
    unused: u32,
}

/// A program to be loaded for links of the kind `uprobe_multi`.
pub(super) struct Program<'a> {
    pub(super) kind: u32,
    pub(super) name: &'a str,
    pub(super) license: &'a CStr,
    pub(super) instructions: &'a [bpf_insn],
    pub(super) btf: Option<BorrowedFd<'a>>,
    /// Records of what the functions are, and the size of one.
    pub(super) functions: (&'a [u8], usize),
    /// Records of where the instructions come from, and the size of one.
    pub(super) lines: (&'a [u8], usize),
}

/// `union bpf_attr` of the batch operations.
#[repr(C)]
struct Batch {
    from: u64,
    next: u64,
    keys: u64,
    values: u64,
    count: u32,
    map: u32,
    element_flags: u64,
    flags: u64,
}

/// `union bpf_attr` of the operations on one entry of a map.
#[repr(C)]
struct Element {
    map: u32,
    unused: u32,
    key: u64,
    value: u64,
    flags: u64,
}

/// How this kernel wants uprobes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Uprobes {
    kind: u32,
    return_bit: u32,
}

/// A place to attach to.
pub(super) struct Place<'a> {
    pub(super) path: &'a Path,
    pub(super) offset: u64,
    pub(super) is_return: bool,
    pub(super) semaphore: Option<u64>,
}

impl Uprobes {
    /// As sysfs describes them.
    pub(super) fn of_this_kernel() -> io::Result<Self> {
        let dir = Path::new("/sys/bus/event_source/devices/uprobe");
        let number = |name: &str, prefix: &str| {
            let text = std::fs::read_to_string(dir.join(name))?;
            let number = text.trim().strip_prefix(prefix).and_then(|text| text.parse().ok());
            number.ok_or_else(|| {
                io::Error::other(format!("{} holds {:?}", dir.join(name).display(), text.trim()))
            })
        };
        Ok(Self { kind: number("type", "")?, return_bit: number("format/retprobe", "config:")? })
    }

    /// Attaches a loaded program; dropping what is returned detaches it.
    pub(super) fn attach(
        self,
        program: BorrowedFd<'_>,
        place: &Place<'_>,
        cookie: u64,
    ) -> io::Result<OwnedFd> {
        let event = self.event(place)?;
        let mut link = LinkCreate {
            program: program.as_raw_fd() as u32,
            target: event.as_raw_fd() as u32,
            attach_type: BPF_PERF_EVENT,
            flags: 0,
            cookie,
        };
        // The link keeps the event.
        // SAFETY: the structure lives until the call returns.
        owned(unsafe { bpf(BPF_LINK_CREATE, &raw mut link) })
    }

    /// Makes the kernel stop at a place. Dropping what is returned ends it, unless a link keeps it.
    pub(super) fn event(self, place: &Place<'_>) -> io::Result<OwnedFd> {
        let path = CString::new(place.path.as_os_str().as_bytes())?;
        let semaphore = place.semaphore.unwrap_or(0);
        let semaphore =
            u32::try_from(semaphore).map_err(|_| io::Error::other("the semaphore is beyond 4 GiB"))?;
        let attr = PerfEventAttr {
            kind: self.kind,
            size: size_of::<PerfEventAttr>() as u32,
            config: u64::from(semaphore) << SEMAPHORE_SHIFT | u64::from(place.is_return) << self.return_bit,
            path: path.as_ptr() as u64,
            offset: place.offset,
            ..PerfEventAttr::default()
        };
        let (every_process, first_cpu, no_group) = (-1_i32, 0_i32, -1_i32);
        // SAFETY: the structure and the path it points to live until the call returns.
        owned(unsafe {
            libc::syscall(
                libc::SYS_perf_event_open,
                &raw const attr,
                every_process,
                first_cpu,
                no_group,
                PERF_FLAG_FD_CLOEXEC,
            )
        })
    }
}

/// Attaches a program that was loaded for it by a link of the kind `uprobe_multi`; dropping what is returned detaches it.
pub(super) fn attach_multi(program: BorrowedFd<'_>, place: &Place<'_>, cookie: u64) -> io::Result<OwnedFd> {
    let path = CString::new(place.path.as_os_str().as_bytes())?;
    let semaphore = place.semaphore.unwrap_or(0);
    let mut link = MultiLinkCreate {
        program: program.as_raw_fd() as u32,
        target: 0,
        attach_type: BPF_TRACE_UPROBE_MULTI,
        flags: 0,
        path: path.as_ptr() as u64,
        offsets: &raw const place.offset as u64,
        semaphores: &raw const semaphore as u64,
        cookies: &raw const cookie as u64,
        count: 1,
        multi_flags: if place.is_return { BPF_F_UPROBE_MULTI_RETURN } else { 0 },
        process: 0,
        unused: 0,
    };
    // SAFETY: the structure and what it points to live until the call returns.
    owned(unsafe { bpf(BPF_LINK_CREATE, &raw mut link) })
}

/// Gives type information to the kernel.
pub(super) fn load_btf(data: &[u8]) -> io::Result<OwnedFd> {
    let mut load = BtfLoad { data: data.as_ptr() as u64, size: data.len() as u32, ..BtfLoad::default() };
    // SAFETY: the structure and the data live until the call returns.
    owned(unsafe { bpf(BPF_BTF_LOAD, &raw mut load) })
}

/// Loads a program for links of the kind `uprobe_multi`.
pub(super) fn load_program(program: &Program<'_>) -> io::Result<OwnedFd> {
    let records = |(bytes, size): (&[u8], usize)| match program.btf {
        Some(_) if size > 0 => (bytes.as_ptr() as u64, (bytes.len() / size) as u32, size as u32),
        _ => (0, 0, 0),
    };
    let (functions, function_count, function_size) = records(program.functions);
    let (lines, line_count, line_size) = records(program.lines);
    let mut load = ProgLoad {
        kind: program.kind,
        instruction_count: program.instructions.len() as u32,
        instructions: program.instructions.as_ptr() as u64,
        license: program.license.as_ptr() as u64,
        expected_attach_type: BPF_TRACE_UPROBE_MULTI,
        btf: program.btf.map_or(0, |btf| btf.as_raw_fd() as u32),
        function_size,
        functions,
        function_count,
        line_size,
        lines,
        line_count,
        ..ProgLoad::default()
    };
    // The last byte stays zero.
    load.name[..15].iter_mut().zip(program.name.bytes()).for_each(|(to, from)| *to = from);
    // SAFETY: the structure and what it points to live until the call returns.
    owned(unsafe { bpf(BPF_PROG_LOAD, &raw mut load) })
}

/// Reads entries of a hash map in batches.
pub(super) struct Batches {
    keys: Vec<u8>,
    values: Vec<u8>,
    key_size: usize,
    value_size: usize,
    command: u32,
}

impl Batches {
    /// For a map of these sizes, in bytes; those of all CPUs' values together for a per-CPU map. `count`: entries read at
    /// a time, more than any bucket of the map holds.
    pub(super) fn new(key_size: usize, value_size: usize, count: usize) -> Self {
        let (keys, values) = (vec![0; key_size * count], vec![0; value_size * count]);
        Self { keys, values, key_size, value_size, command: BPF_MAP_LOOKUP_BATCH }
    }

    /// As [`new`](Self::new); what is read is taken out of the map.
    pub(super) fn taking(key_size: usize, value_size: usize, count: usize) -> Self {
        Self { command: BPF_MAP_LOOKUP_AND_DELETE_BATCH, ..Self::new(key_size, value_size, count) }
    }

    /// Hands every entry of the map to `each`, the bytes of its key and of its value.
    pub(super) fn read(&mut self, map: BorrowedFd<'_>, each: &mut dyn FnMut(&[u8], &[u8])) -> io::Result<()> {
        let room = (self.keys.len() / self.key_size) as u32;
        // A hash map's position is the number of a bucket.
        let (mut position, mut first) = ([0_u64; 2], true);
        loop {
            let from = position;
            let mut batch = Batch {
                from: if first { 0 } else { from.as_ptr() as u64 },
                next: position.as_mut_ptr() as u64,
                keys: self.keys.as_mut_ptr() as u64,
                values: self.values.as_mut_ptr() as u64,
                count: room,
                map: map.as_raw_fd() as u32,
                element_flags: 0,
                flags: 0,
            };
            // SAFETY: keys and values have room for `count` entries of the map's sizes, and all of it lives until the
            // call returns, which writes how many there were.
            let outcome = unsafe { bpf(self.command, &raw mut batch) };
            let error = (outcome < 0).then(io::Error::last_os_error);
            // The last batch is told by an error.
            let last = error.as_ref().is_some_and(|error| error.raw_os_error() == Some(libc::ENOENT));
            if let (Some(error), false) = (error, last) {
                return Err(error);
            }
            let count = (batch.count.min(room)) as usize;
            let keys = self.keys.chunks_exact(self.key_size);
            keys.zip(self.values.chunks_exact(self.value_size))
                .take(count)
                .for_each(|(key, value)| each(key, value));
            if last {
                return Ok(());
            }
            first = false;
        }
    }
}

/// Takes an entry out of a hash map, its key and value of the map's sizes; for a per-CPU map `value` is those of all CPUs. Both
/// in one step: what was counted until then is in the value, and who looks for the key later does not find it.
pub(super) fn take_entry(map: BorrowedFd<'_>, key: &[u8], value: &mut [u8]) -> io::Result<()> {
    let mut element = Element {
        map: map.as_raw_fd() as u32,
        unused: 0,
        key: key.as_ptr() as u64,
        value: value.as_mut_ptr() as u64,
        flags: 0,
    };
    // SAFETY: key and value have the map's sizes, and all of it lives until the call returns.
    match unsafe { bpf(BPF_MAP_LOOKUP_AND_DELETE_ELEM, &raw mut element) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// # Safety
/// `attr` must be what the command takes.
unsafe fn bpf<T>(command: u32, attr: *mut T) -> c_long {
    // SAFETY: by the caller.
    unsafe { libc::syscall(libc::SYS_bpf, command, attr, size_of::<T>()) }
}

fn owned(fd: c_long) -> io::Result<OwnedFd> {
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just made it for us.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as i32) })
}
