//! Gait's host agent: captures HTTP exchanges in the kernel and reports callers that walk differently.
//!
//! Read in this order, the modules are the data flow: [`capture`] hands over exchanges, [`decode`] makes calls of them,
//! the [`engine`] runs them through the pipeline of `gait-common`, and what comes out goes to the [`spool`] and to the
//! sinks of [`report`]. Callers' names go to [`screen`](mod@screen), which the [`web`] server asks too. [`run`](mod@run) starts and stops it all; [`replay`](mod@replay) does without the kernel.

pub mod capture;
pub mod check;
pub mod cli;
pub mod config;
pub mod decode;
pub mod engine;
pub mod exit;
pub mod functions;
pub mod host;
pub mod key;
pub mod model;
pub mod replay;
pub mod report;
pub mod run;
pub mod screen;
pub mod spool;
pub mod triage;
pub mod web;
