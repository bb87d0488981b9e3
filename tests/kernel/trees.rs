//! Call trees of real programs, coded in the kernel.

mod bounds;
mod faults;
mod followed;
mod nginx;
mod panics;
mod places;
mod postgres;
mod programs;
mod python;
mod values;
