//! The program for links of the kind `uprobe_multi` (kernel 6.6), which aya cannot load.
//!
//! They matter when a probe is taken off: the kernel then waits for a tenth of a second, and with probes of the older kind
//! it does so one after the other, whoever closes them.

use std::error::Error;
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd};
use std::path::Path;

use aya::Ebpf;
use aya::maps::Map;
use aya_obj::Object;
use aya_obj::generated::bpf_prog_type::BPF_PROG_TYPE_KPROBE;

use super::sys::{self, Place, Program};

/// Loads the program `name` of `object` for links of that kind, on the maps of `loaded`.
///
/// # Errors
/// When the kernel has no such links, or refuses the program.
pub(in crate::capture) fn load(object: &[u8], loaded: &Ebpf, name: &str) -> Result<OwnedFd, Box<dyn Error>> {
    let mut object = Object::parse(object)?;
    let features = aya::features();
    let btf = match features.btf() {
        Some(features) => object.fixup_and_sanitize_btf(features)?.map(|btf| sys::load_btf(&btf.to_bytes())),
        None => None,
    };
    let btf = btf.transpose()?;
    let maps = std::mem::take(&mut object.maps);
    let fds = maps.iter().filter_map(|(name, map)| {
        let fd = loaded.map(name).and_then(fd)?;
        Some((name.as_str(), fd.as_raw_fd(), map))
    });
    let sections = object.functions.keys().map(|(section, _)| *section).collect();
    object.relocate_maps(fds, &sections)?;
    object.relocate_calls(&sections)?;
    object.sanitize_functions(features);
    let program = object.programs.get(name).ok_or("it is not in the object file")?;
    let function = object.functions.get(&program.function_key()).ok_or("it has no instructions")?;
    let fd = sys::load_program(&Program {
        kind: BPF_PROG_TYPE_KPROBE as u32,
        name,
        license: &program.license,
        instructions: &function.instructions,
        btf: btf.as_ref().map(|btf| btf.as_fd()),
        functions: (&function.func_info.func_info_bytes(), function.func_info_rec_size),
        lines: (&function.line_info.line_info_bytes(), function.line_info_rec_size),
    })?;
    if !links_exist(fd.as_fd()) {
        return Err("the kernel has no uprobe_multi links".into());
    }
    Ok(fd)
}

/// Whether the kernel knows such links: it then finds fault with the file, a directory, and not with the call.
fn links_exist(program: BorrowedFd<'_>) -> bool {
    let nowhere = Place { path: Path::new("/"), offset: 1, is_return: false, semaphore: None };
    sys::attach_multi(program, &nowhere, 0).is_err_and(|error| error.raw_os_error() == Some(libc::EBADF))
}

/// The map's descriptor, if it is of a kind that the kernel side has.
fn fd(map: &Map) -> Option<BorrowedFd<'_>> {
    match map {
        Map::Array(map)
        | Map::HashMap(map)
        | Map::LruHashMap(map)
        | Map::PerCpuArray(map)
        | Map::PerCpuHashMap(map)
        | Map::PerfEventArray(map)
        | Map::RingBuf(map)
        | Map::SkStorage(map)
        | Map::Unsupported(map) => Some(map.fd().as_fd()),
        _ => None,
    }
}
