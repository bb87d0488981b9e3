//! Reads a model file from disk.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use gait_common::model::{Model, ModelError, file};

/// A model that can be used.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The model.
    pub model: Arc<Model>,
    /// Its name in logs and findings.
    pub fingerprint: String,
}

/// Why a model cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The file cannot be read.
    #[error("failed to read the model {}: {reason}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        reason: io::Error,
    },
    /// The file's content is refused.
    #[error("the model {} is refused: {reason}", path.display())]
    Refused {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: ModelError,
    },
}

/// Reads and checks a model. No more is read than a model may have.
///
/// # Errors
/// When the file cannot be read or is no sound model.
pub fn load(path: &Path) -> Result<Loaded, LoadError> {
    let unreadable = |reason| LoadError::Unreadable { path: path.to_owned(), reason };
    let mut bytes = Vec::new();
    // One byte more, so that a file that is too large is refused as that and not as cut short.
    File::open(path)
        .and_then(|file| file.take(file::MAX_SIZE + 1).read_to_end(&mut bytes))
        .map_err(unreadable)?;
    let model = file::read(&bytes)
        .map_err(ModelError::from)
        .and_then(Model::new)
        .map_err(|reason| LoadError::Refused { path: path.to_owned(), reason })?;
    Ok(Loaded { model: Arc::new(model), fingerprint: file::fingerprint(&bytes) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use gait_common::model::ModelData;
    use std::fs;

    #[test]
    fn a_model_is_read_or_refused_with_its_name() {
        let dir = tempfile::tempdir().expect("directory");
        let path = dir.path().join("m.gait");
        let missing = load(&path).expect_err("no file").to_string();
        assert!(missing.starts_with("failed to read the model ") && missing.contains("m.gait"), "{missing}");
        let data = ModelData { interfaces: vec!["~new".to_owned()], ..ModelData::default() };
        let bytes = file::write(&data).expect("model");
        fs::write(&path, &bytes).expect("file");
        assert_eq!(load(&path).expect("sound").fingerprint, file::fingerprint(&bytes));
        fs::write(&path, &bytes[..bytes.len() - 1]).expect("file");
        let cut = load(&path).expect_err("cut").to_string();
        assert!(cut.contains("is refused: the model file is cut short"), "{cut}");
    }

    #[test]
    fn an_endless_file_is_refused_in_bounded_memory() {
        let error = load(Path::new("/dev/zero")).expect_err("endless").to_string();
        assert!(error.contains("over the limit"), "{error}");
    }
}
