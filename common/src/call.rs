//! One HTTP call: what every source (kernel, access log, spool) hands to the pipeline.

/// Nanoseconds since the Unix epoch.
pub type Nanos = u64;

/// The process that served a call, as far as the source knows it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Process<'a> {
    /// Process id in the agent's pid namespace; 0 when unknown.
    pub pid: u32,
    /// Command name, at most 15 bytes on Linux; empty when unknown.
    pub comm: &'a str,
}

/// One HTTP exchange, seen from the side that answered it.
///
/// Everything is borrowed from the source's buffer: the pipeline copies only what it keeps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Call<'a> {
    /// When the request began.
    pub start: Nanos,
    /// Time to the response's status line, in nanoseconds; 0 when the source does not know it.
    pub duration: Nanos,
    /// Request method as sent, e.g. `GET`. Empty when the source names interfaces itself
    /// (`target` then holds the interface's name).
    pub method: &'a str,
    /// Host the request names; empty when unknown.
    pub host: &'a str,
    /// Request target as sent: path and, possibly, query.
    pub target: &'a str,
    /// Response status code; 0 when unknown.
    pub status: u16,
    /// Who called, as [`crate::caller`] names it.
    pub caller: &'a str,
    /// Who answered.
    pub process: Process<'a>,
    /// The capture lost something on this connection just before this call.
    pub gap: bool,
}

impl Call<'_> {
    /// When the response began.
    pub fn end(&self) -> Nanos {
        self.start.saturating_add(self.duration)
    }
}
