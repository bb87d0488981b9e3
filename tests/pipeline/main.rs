//! Whole-system tests without root: the programs themselves, from logs and recordings to a model and to findings.

mod support;

mod bad_input;
mod evaluate;
mod formats;
mod gaps;
mod golden;
mod graphs;
mod groups;
mod labels;
mod model_file;
mod properties;
mod report;
mod screen;
mod secrets;
mod spans;
mod story;
mod trees;
mod triage;
mod update;
mod watchlist;
