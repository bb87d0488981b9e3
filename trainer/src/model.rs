//! Model files on disk.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use anyhow::{Context, Result};
use gait_common::model::{Model, ModelData, file};

/// Reads a model's stored form.
///
/// # Errors
/// When the file cannot be read or holds no model.
pub fn load_data(path: &Path) -> Result<ModelData> {
    let context = || format!("failed to read the model {}", path.display());
    let mut bytes = Vec::new();
    let opened = File::open(path).with_context(context)?;
    // One byte more than a model may have, so that an oversized file is refused by its size.
    opened.take(file::MAX_SIZE + 1).read_to_end(&mut bytes).with_context(context)?;
    file::read(&bytes).with_context(context)
}

/// Reads a model and checks it.
///
/// # Errors
/// When the file cannot be read or holds no sound model.
pub fn load(path: &Path) -> Result<Model> {
    Model::new(load_data(path)?).with_context(|| format!("failed to use the model {}", path.display()))
}

/// Writes a model, whole or not at all.
///
/// # Errors
/// When the model cannot be encoded or the file not written.
pub fn save(path: &Path, model: &ModelData) -> Result<String> {
    let bytes = file::write(model)?;
    crate::whole::write(path, &bytes, "the model")?;
    Ok(file::fingerprint(&bytes))
}
