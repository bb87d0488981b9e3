//! Which rules there are, in one word: whether a model was learned from the alerts of the rules that run now.

use std::collections::BTreeSet;

/// BLAKE3 of a rule set, in hexadecimal digits.
///
/// Hashed are the rules of all files, without the white space around them, each once and in the order of their bytes, with a line end
/// behind each. Comments, rules that are switched off, and how rules are spread over files change nothing.
pub fn hash<B: AsRef<[u8]>>(files: impl IntoIterator<Item = B>) -> String {
    let files: Vec<B> = files.into_iter().collect();
    let rules: BTreeSet<&[u8]> = files
        .iter()
        .flat_map(|file| file.as_ref().split(|&byte| byte == b'\n'))
        .map(<[u8]>::trim_ascii)
        .filter(|line| !line.is_empty() && !line.starts_with(b"#"))
        .collect();
    let mut hasher = blake3::Hasher::new();
    for rule in rules {
        hasher.update(rule).update(b"\n");
    }
    hasher.finalize().to_hex().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_rules_count() {
        let one = hash(["alert http a\n# alert http c\n\nalert http b\n"]);
        assert_eq!(one, hash(["alert http b \r\n", "# new\nalert http a"]));
        assert_ne!(one, hash(["alert http b", "alert http c"]));
        assert_eq!(one.len(), 64);
    }
}
