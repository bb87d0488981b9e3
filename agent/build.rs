//! Embeds the kernel programs: the object file that `GAIT_EBPF` names, or none.

use std::{env, error::Error, fs, path::Path};

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=GAIT_EBPF");
    let object = match env::var_os("GAIT_EBPF").filter(|path| !path.is_empty()) {
        None => "None".to_owned(),
        Some(path) => {
            let path = Path::new(&path).canonicalize().map_err(|error| {
                format!("GAIT_EBPF names {}, which cannot be read: {error}", path.display())
            })?;
            println!("cargo::rerun-if-changed={}", path.display());
            format!("Some(aya::include_bytes_aligned!({path:?}))")
        }
    };
    let out = env::var_os("OUT_DIR").ok_or("cargo sets OUT_DIR")?;
    fs::write(Path::new(&out).join("ebpf.rs"), object)?;
    Ok(())
}
