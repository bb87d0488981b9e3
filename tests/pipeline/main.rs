//! Whole-system tests without root: the programs themselves, from logs and recordings to a model and to findings.

mod support;

mod bad_input;
mod formats;
mod gaps;
mod golden;
mod model_file;
mod properties;
mod secrets;
mod story;
