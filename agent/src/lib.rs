//! Gait.
