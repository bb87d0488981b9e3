//! The framing of one direction of an HTTP/1 connection.
