//! Hands the host's target triple to the program: cargo names it only to build scripts.

fn main() {
    let host = std::env::var("HOST").unwrap_or_default();
    println!("cargo:rustc-env=XTASK_HOST={host}");
    println!("cargo:rerun-if-changed=build.rs");
}
