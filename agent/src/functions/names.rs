//! Names: what a function is called in trees, reports and models, on every host alike.

use std::fmt::{self, Write};
use std::path::Path;

pub use gait_common::wire::tree::NAME_BYTES;

/// Mangled names longer than this are not demangled: templates of templates that nobody reads.
const MAX_MANGLED: usize = 2048;
/// Bytes of a demangled name, at most.
const MAX_DEMANGLED: usize = 8192;
/// How deep a mangled C++ name may be nested.
const MAX_NESTING: u32 = 64;
/// What compilers append to the names of copies they made of a function, each followed by a number.
const CLONES: [&str; 4] = [".constprop.", ".isra.", ".lto_priv.", ".llvm."];

/// What a file is called in the names of its functions: its name without directory, and for a library without the
/// version, which an update changes and trees must not: `libpq.so` of `/usr/lib/libpq.so.5.15`.
pub fn binary(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    match name.find(".so.") {
        Some(at) => name[..at + 3].to_owned(),
        None => name.into_owned(),
    }
}

/// A symbol as its author wrote it: demangled if it is Rust's or C++'s, and without what the compiler appended to a copy.
pub fn readable(symbol: &str) -> String {
    let mut symbol = symbol;
    while let Some(at) = CLONES.iter().filter_map(|mark| numbered(symbol, mark)).min() {
        symbol = &symbol[..at];
    }
    demangle(symbol).unwrap_or_else(|| symbol.to_owned())
}

/// Where `mark` and a number begin, if the name ends with them or another copy's mark follows.
fn numbered(symbol: &str, mark: &str) -> Option<usize> {
    let at = symbol.find(mark).filter(|at| *at > 0)?;
    let digits = symbol[at + mark.len()..].bytes().take_while(u8::is_ascii_digit).count();
    let rest = &symbol[at + mark.len() + digits..];
    (digits > 0 && (rest.is_empty() || rest.starts_with('.'))).then_some(at)
}

fn demangle(symbol: &str) -> Option<String> {
    if symbol.len() > MAX_MANGLED {
        return None;
    }
    let mut text = Bounded(String::new());
    if let Ok(rust) = rustc_demangle::try_demangle(symbol) {
        write!(text, "{rust:#}").ok()?;
    } else if symbol.starts_with("_Z") {
        let parsing = cpp_demangle::ParseOptions::default().recursion_limit(MAX_NESTING);
        let writing = cpp_demangle::DemangleOptions::new().recursion_limit(MAX_NESTING);
        let cpp = cpp_demangle::Symbol::new_with_options(symbol, &parsing).ok()?;
        cpp.structured_demangle(&mut text, &writing).ok()?;
    } else {
        return None;
    }
    Some(text.0)
}

/// Text that does not grow past [`MAX_DEMANGLED`]: a short mangled name can stand for a very long one.
struct Bounded(String);

impl Write for Bounded {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if self.0.len() + text.len() > MAX_DEMANGLED {
            return Err(fmt::Error);
        }
        self.0.push_str(text);
        Ok(())
    }
}

/// A demangled name without its parameters, to match globs with: `shop::Cart::pay` of `shop::Cart::pay(int)`.
pub fn without_parameters(name: &str) -> &str {
    if !name.ends_with([')', 't']) {
        return name;
    }
    let end = name.strip_suffix(" const").unwrap_or(name);
    if !end.ends_with(')') {
        return name;
    }
    // The parenthesis that the last one closes; `operator()` is a name itself.
    let mut depth = 0_u32;
    for (at, byte) in end.bytes().enumerate().rev() {
        match byte {
            b')' => depth += 1,
            b'(' => {
                depth -= 1;
                if depth == 0 && at > 0 {
                    return if end[..at].ends_with("operator") { name } else { &end[..at] };
                }
            }
            _ => {}
        }
        if depth == 0 {
            break;
        }
    }
    name
}

/// `binary:symbol` in at most [`NAME_BYTES`] bytes. Of a longer one the rest is stood for by its hash, so that two
/// instances of one template stay two functions.
pub fn qualified(binary: &str, symbol: &str) -> String {
    let full = format!("{binary}:{symbol}");
    if full.len() <= NAME_BYTES {
        return full;
    }
    let hash = format!("~{:016x}", fnv(full.as_bytes()));
    let mut end = NAME_BYTES - hash.len();
    while !full.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}{hash}", &full[..end])
}

/// FNV-1a in 64 bits: small, and the same everywhere and always, as a name must be.
/// See <http://www.isthe.com/chongo/tech/comp/fnv/>.
fn fnv(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_are_those_of_the_source() {
        for (symbol, name) in [
            ("ngx_http_handler", "ngx_http_handler"),
            ("_ZN4shop4Cart3payEi", "shop::Cart::pay(int)"),
            ("_ZNK4shop4Cart3payEi", "shop::Cart::pay(int) const"),
            ("_ZN4shop4cart3pay17h0123456789abcdefE", "shop::cart::pay"),
            ("_RNvNtCs1234_4shop4cart3pay", "shop::cart::pay"),
            ("pay.constprop.0", "pay"),
            ("pay.isra.0.constprop.1", "pay"),
            ("_ZN4shop4Cart3payEi.constprop.0", "shop::Cart::pay(int)"),
            ("pay.constprop.", "pay.constprop."),
            ("pay.isra.0x", "pay.isra.0x"),
            (".isra.0", ".isra.0"),
            ("_Znonsense", "_Znonsense"),
        ] {
            assert_eq!(readable(symbol), name);
        }
    }

    #[test]
    fn parameters_are_set_aside_for_matching() {
        for (name, without) in [
            ("shop::pay(int)", "shop::pay"),
            ("shop::pay(void (*)(int)) const", "shop::pay"),
            ("shop::Pay::operator()(int)", "shop::Pay::operator()"),
            ("(anonymous namespace)::pay(int)", "(anonymous namespace)::pay"),
            ("(anonymous namespace)", "(anonymous namespace)"),
            ("operator()", "operator()"),
            ("const", "const"),
            ("plain", "plain"),
            (")", ")"),
        ] {
            assert_eq!(without_parameters(name), without);
        }
    }

    #[test]
    fn a_library_keeps_its_name_over_versions() {
        assert_eq!(binary(Path::new("/usr/lib/libpq.so.5.15")), "libpq.so");
        assert_eq!(binary(Path::new("/usr/sbin/nginx")), "nginx");
        assert_eq!(binary(Path::new("/")), "");
    }

    #[test]
    fn long_names_are_cut_and_stay_apart() {
        let (one, other) = (format!("{}a", "é".repeat(100)), format!("{}b", "é".repeat(100)));
        let (one, other) = (qualified("x", &one), qualified("x", &other));
        assert!(one.len() <= NAME_BYTES && one.starts_with("x:éé"));
        assert_ne!(one, other);
        assert_eq!(qualified("nginx", "main"), "nginx:main");
    }

    proptest! {
        #[test]
        fn hostile_symbols_are_bounded(symbol in "(_Z|_R|_ZN)?[A-Za-z0-9_.$]{0,80}(\\.isra\\.[0-9])?") {
            let name = readable(&symbol);
            prop_assert!(name.len() <= MAX_DEMANGLED.max(symbol.len()));
            without_parameters(&name);
            prop_assert!(qualified("binary", &name).len() <= NAME_BYTES);
        }

        #[test]
        fn any_text_has_parameters_or_none(name in "[()a const:é]{0,30}") {
            prop_assert!(name.starts_with(without_parameters(&name)));
        }
    }
}
