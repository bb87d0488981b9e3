//! Why a line was not taken.

/// What is wrong with a line. The texts name fields as the format's documentation does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, thiserror::Error)]
pub enum Malformed {
    /// Longer than the bound on lines.
    #[error("line is too long")]
    TooLong,
    /// A field is not there.
    #[error("{0} is missing")]
    Missing(&'static str),
    /// A field is there and cannot be understood.
    #[error("{0} cannot be read")]
    Bad(&'static str),
    /// Not one JSON object.
    #[error("not a JSON object")]
    NotJson,
    /// The server logged something that was no HTTP request: `-`, the first bytes of a TLS handshake, a probe
    /// in another protocol. The line is as it should be, so it does not count towards the malformed share.
    #[error("not an HTTP request")]
    NotHttp,
}

impl Malformed {
    /// Whether the line speaks against the input: all but [`Malformed::NotHttp`] do.
    pub fn is_fault(self) -> bool {
        self != Malformed::NotHttp
    }
}
