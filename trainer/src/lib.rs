//! Gait's offline trainer: learns how callers normally walk through a service and writes it into a model file.
//!
//! [`ingest`] reads logs and spools, [`corpus`] names and cuts what was read with the agent's own code, [`mod@train`] fits and
//! calibrates a model ([`markov`], [`counts`], [`patterns`] with [`mine`], [`timing`]), and [`score`] and [`evaluate`] judge
//! sessions by it; [`holdout`] and [`drift`] do so without [`labels`]. [`report`] shows all that on a page. [`mod@watchlist`]
//! builds the lists that callers are screened against. [`cli`] is the command line.

pub mod calibrate;
pub mod cli;
pub mod corpus;
pub mod counts;
pub mod draw;
pub mod drift;
pub mod evaluate;
pub mod groups;
pub mod holdout;
pub mod ingest;
pub mod inspect;
pub mod labels;
pub mod markov;
pub mod mine;
pub mod model;
pub mod patterns;
pub mod progress;
pub mod report;
pub mod score;
pub mod share;
pub mod similarity;
pub mod store;
pub mod timing;
pub mod train;
pub mod trees;
pub mod triage;
pub mod watchlist;
pub mod whole;
