//! The spool: how recorded calls lie on disk, for the agent that writes them and everybody who reads them.
//!
//! ```text
//! DIR/calls/date=2026-11-22/hour=07/web1-1795331912345678-0.parquet
//! ```
//!
//! Parquet with zstd; one directory per UTC day and hour of the file's first row; `HOST-STARTED-N`, where `STARTED` is
//! when the agent started, in microseconds since 1970, and `N` counts its files. Files appear whole (they are renamed
//! into place) and never change; what begins with a dot or ends in `.tmp` is not a file of the spool. The key
//! [`VERSION_KEY`] in a file's metadata holds [`VERSION`]. Sorted by path, the files of one host are in the order in
//! which they were written, and so are their rows. The columns, none of which is ever null:
//!
//! | column | type | holds |
//! |---|---|---|
//! | `start` | timestamp, µs, UTC | when the request began |
//! | `duration_us` | int64 | time to the response's status line; 0 when unknown |
//! | `method` | text | as sent |
//! | `host` | text | the host that the request names; empty when unknown |
//! | `target` | text | path as sent, then `?` and the sorted names of the query's parameters, without their values |
//! | `status` | int32 | 0 when unknown |
//! | `caller` | text | who called, as [`crate::caller`] names it |
//! | `pid` | int32 | the process that answered (or asked, see `role`); 0 when unknown |
//! | `comm` | text | its command name; empty when unknown |
//! | `gap` | bool | the capture lost something on this connection just before this call |
//! | `interrupted` | bool | just before this call something was lost, nobody knows of whom |
//! | `role` | text | `server`, or `client` where the recorded process sent the request |
//! | `local` | text | that process's end of the connection, `address:port`; empty when unknown |
//! | `peer` | text | the other end's address; empty when unknown |
//! | `cgroup` | int64 | the process's cgroup id; 0 when unknown |
//!
//! Beside the calls lie the tables of call trees, see [`trees`].
//!
//! The pipeline sees whole microseconds too ([`whole_micros`]), so that a replay equals what was seen live.

mod rows;
pub mod trees;
mod view;

use std::sync::Arc;

use arrow_schema::{DataType, Field, Schema, SchemaRef, TimeUnit};

pub use rows::{Extra, Rows};
pub use view::{BadSpool, Calls};

use crate::call::Nanos;

/// Version of the schema.
pub const VERSION: &str = "1";

/// Where a file's metadata holds [`VERSION`].
pub const VERSION_KEY: &str = "gait.spool.version";

/// The directory of the calls, below that of the spool.
pub const CALLS: &str = "calls";

/// The names of the columns; the module's page says what they hold.
#[allow(missing_docs, reason = "a table of names that the module's page explains")]
pub mod column {
    pub const START: &str = "start";
    pub const DURATION: &str = "duration_us";
    pub const METHOD: &str = "method";
    pub const HOST: &str = "host";
    pub const TARGET: &str = "target";
    pub const STATUS: &str = "status";
    pub const CALLER: &str = "caller";
    pub const PID: &str = "pid";
    pub const COMM: &str = "comm";
    pub const GAP: &str = "gap";
    pub const INTERRUPTED: &str = "interrupted";
    pub const ROLE: &str = "role";
    pub const LOCAL: &str = "local";
    pub const PEER: &str = "peer";
    pub const CGROUP: &str = "cgroup";
}

/// The time zone of `start`.
const ZONE: &str = "UTC";

/// The schema of the calls.
pub fn schema() -> SchemaRef {
    let field = |name: &str, kind: DataType| Field::new(name, kind, false);
    Arc::new(Schema::new(vec![
        field(column::START, DataType::Timestamp(TimeUnit::Microsecond, Some(ZONE.into()))),
        field(column::DURATION, DataType::Int64),
        field(column::METHOD, DataType::Utf8),
        field(column::HOST, DataType::Utf8),
        field(column::TARGET, DataType::Utf8),
        field(column::STATUS, DataType::Int32),
        field(column::CALLER, DataType::Utf8),
        field(column::PID, DataType::Int32),
        field(column::COMM, DataType::Utf8),
        field(column::GAP, DataType::Boolean),
        field(column::INTERRUPTED, DataType::Boolean),
        field(column::ROLE, DataType::Utf8),
        field(column::LOCAL, DataType::Utf8),
        field(column::PEER, DataType::Utf8),
        field(column::CGROUP, DataType::Int64),
    ]))
}

/// The time as the spool keeps it: cut to whole microseconds.
pub fn whole_micros(time: Nanos) -> Nanos {
    time - time % 1000
}
