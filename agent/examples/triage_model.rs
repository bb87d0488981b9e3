//! Writes a model whose triage has something at every place: what `cargo xtask bench triage` judges with.
//!
//! Every feature has a weight, and there are as many exemplars as a model may have, so that no alert is judged cheaper than with
//! a model that was learned. The verdicts mean nothing.

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use gait_common::alert::{Band, Class, Exemplar, MAX_EXEMPLARS, Origin, SKETCH, SPACE, TriageData};
use gait_common::model::{ModelData, file};

fn main() -> Result<()> {
    let path: PathBuf = std::env::args_os().nth(1).context("name the file to write")?.into();
    let mut rng = fastrand::Rng::with_seed(1);
    let mut weight = || rng.f32() - 0.5;
    let weights = (0..SPACE).map(|place| (place, weight())).collect();
    let exemplar = |number: usize| Exemplar {
        key: format!("2023-11-14T22:13:20.{number:06}Z/203.0.0.4:20004/192.168.56.10:80/TCP/0/2006445"),
        class: if number.is_multiple_of(2) { Class::Real } else { Class::FalseAlarm },
        sketch: (0..SKETCH).map(|_| rng.u8(..)).collect(),
    };
    let triage = TriageData {
        origin: Origin {
            rules: "0".repeat(64),
            method: "made for measuring".to_owned(),
            ..Origin::default()
        },
        weights,
        calibration: vec![(-4.0, 0.01), (4.0, 0.99)],
        band: Band { false_alarm: 0.3, real: 0.7 },
        exemplars: (0..MAX_EXEMPLARS).map(exemplar).collect(),
        ..TriageData::default()
    };
    let data =
        ModelData { interfaces: vec!["~new".to_owned()], triage: Some(triage), ..ModelData::default() };
    let bytes = file::write(&data).context("failed to make the model")?;
    std::fs::write(&path, bytes).with_context(|| format!("failed to write {}", path.display()))
}
