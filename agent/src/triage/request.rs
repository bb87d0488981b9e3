//! What tells whether an alert and an exchange are about one request: method and path.

use std::hash::Hasher as _;

use gait_common::alert::Alert;
use gait_common::call::Call;
use rustc_hash::FxHasher;

/// Longest path that is compared, in bytes.
const MAX_PATH: usize = 512;

/// Method and path of a request, hashed. Two that differ may be equal by chance, so it is a check, not a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request(u64);

impl Request {
    /// Of an alert; `scratch` is for the texts without their escapes.
    pub fn of_alert(alert: &Alert<'_>, scratch: &mut Vec<u8>) -> Self {
        scratch.clear();
        alert.http.method.unwrap_or_default().decode(scratch, MAX_PATH);
        let method = scratch.len();
        alert.http.url.unwrap_or_default().decode(scratch, 2 * MAX_PATH);
        Self::new(&scratch[..method], &scratch[method..])
    }

    /// Of a captured call.
    pub fn of_call(call: &Call<'_>) -> Self {
        Self::new(call.method.as_bytes(), call.target.as_bytes())
    }

    fn new(method: &[u8], target: &[u8]) -> Self {
        let path = path(target);
        let mut hasher = FxHasher::default();
        hasher.write(method);
        hasher.write_u8(b' ');
        hasher.write(&path[..path.len().min(MAX_PATH)]);
        Self(hasher.finish())
    }
}

/// What stands before query and fragment, without scheme and host.
fn path(target: &[u8]) -> &[u8] {
    let end = target.iter().position(|byte| matches!(byte, b'?' | b'#')).unwrap_or(target.len());
    let before = &target[..end];
    match before.windows(3).position(|three| three == b"://") {
        Some(scheme) if !before.starts_with(b"/") => {
            let host = scheme + 3;
            let slash = before[host..].iter().position(|&byte| byte == b'/');
            slash.map_or(&b"/"[..], |at| &before[host + at..])
        }
        _ => before,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn query_and_host_make_no_difference() {
        let request = |target: &str| Request::new(b"GET", target.as_bytes());
        for same in ["/a/b?x=1", "/a/b#c", "http://shop.example/a/b?x", "/a/b"] {
            assert_eq!(request(same), request("/a/b"), "{same}");
        }
        assert_eq!(request("http://shop.example"), request("/"));
        assert_ne!(request("/a/b/"), request("/a/b"));
        assert_ne!(request("/http://x/a/b"), request("/a/b"));
        assert_ne!(Request::new(b"POST", b"/a"), Request::new(b"GET", b"/a"));
    }
}
