//! The model: everything training learned and detection needs.
//!
//! [`mod@file`] reads and writes it. What is read is plain data ([`ModelData`]); [`Model::new`] checks it and builds the
//! look-up structures, so that a [`Model`] is always sound whoever wrote the file.

pub mod file;

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::alert::{Triage, TriageData};
use crate::call::Nanos;
use crate::container::ContainerError;
use crate::detect::{
    Calibration, CalibrationData, Counts, CountsData, Groups, GroupsData, Markov, MarkovData, Patterns,
    PatternsData, SimilarityData,
};
use crate::interface::{Interfaces, Naming};
use crate::sequence::Timing;
use crate::tree::{Trees, TreesData};

/// What a model says of itself.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Meta {
    /// Version of the trainer that wrote it.
    pub trainer: String,
    /// Start of the earliest call learned from; 0 when the input had no times.
    pub first_call: Nanos,
    /// Start of the latest call learned from.
    pub last_call: Nanos,
    /// Calls learned from.
    pub calls: u64,
    /// Sessions learned from.
    pub sessions: u64,
    /// Callers learned from.
    pub callers: u64,
    /// Seed of the training run.
    pub seed: u64,
    /// Hyper-parameters, as name and value.
    pub parameters: Vec<(String, String)>,
}

/// A model as it is stored.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ModelData {
    /// What the model says of itself.
    pub meta: Meta,
    /// How calls are named.
    pub naming: Naming,
    /// Interface names; the place in the list is the id, the first is `~new`.
    pub interfaces: Vec<String>,
    /// How callers' calls are cut.
    pub timing: Timing,
    /// The weighted n-order Markov model.
    pub markov: MarkovData,
    /// How often sessions call what.
    pub counts: CountsData,
    /// The pattern graphs.
    pub patterns: PatternsData,
    /// From evidence to a score.
    pub calibration: CalibrationData,
    /// The groups of callers with like habits; none when too few callers came back.
    pub groups: Option<GroupsData>,
    /// What is normal about call trees; none when there were none to learn from.
    pub trees: Option<TreesData>,
    /// How near to the learned ways normal sessions come.
    pub similarity: SimilarityData,
    /// How alerts are judged; none when there were none to learn from.
    pub triage: Option<TriageData>,
}

/// A model ready for use.
#[derive(Debug)]
pub struct Model {
    /// What the model says of itself.
    pub meta: Meta,
    /// Its interfaces.
    pub interfaces: Interfaces,
    /// How callers' calls are cut.
    pub timing: Timing,
    pub(crate) markov: Markov,
    pub(crate) counts: Counts,
    pub(crate) patterns: Patterns,
    pub(crate) calibration: Calibration,
    pub(crate) groups: Option<Groups>,
    trees: Option<Arc<Trees>>,
    pub(crate) similarity: SimilarityData,
    triage: Option<Arc<Triage>>,
}

/// Why data is not a model, or a file holds none.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// The bytes are not a whole, undamaged model file.
    #[error(transparent)]
    File(#[from] ContainerError),
    /// The content decodes but contradicts itself.
    #[error("the model is not sound: {0}")]
    Unsound(String),
}

impl Model {
    /// Checks stored data and builds a model from it.
    ///
    /// # Errors
    /// [`ModelError::Unsound`] when the data contradicts itself.
    pub fn new(data: ModelData) -> Result<Self, ModelError> {
        let unsound = |what: &str| ModelError::Unsound(what.to_owned());
        let ModelData {
            meta,
            naming,
            interfaces,
            timing,
            markov,
            counts,
            patterns,
            calibration,
            groups,
            trees,
            similarity,
            triage,
        } = data;
        let interfaces =
            Interfaces::new(&interfaces, naming).map_err(|e| ModelError::Unsound(e.to_string()))?;
        if timing.operation_gap > timing.session_idle {
            return Err(unsound("the operation gap is longer than the session's idle time"));
        }
        let count = interfaces.len() as u32;
        let markov = Markov::new(markov, count).map_err(unsound)?;
        similarity.check(count).map_err(unsound)?;
        Ok(Self {
            meta,
            timing,
            groups: groups.map(|data| Groups::new(data, &markov, count)).transpose().map_err(unsound)?,
            markov,
            counts: Counts::new(counts, count).map_err(unsound)?,
            patterns: Patterns::new(patterns, count).map_err(unsound)?,
            calibration: Calibration::new(calibration).map_err(unsound)?,
            trees: trees.map(Trees::new).transpose().map_err(unsound)?.map(Arc::new),
            similarity,
            triage: triage.map(Triage::new).transpose().map_err(unsound)?.map(Arc::new),
            interfaces,
        })
    }

    /// The Markov model.
    pub fn markov(&self) -> &Markov {
        &self.markov
    }

    /// The pattern graphs.
    pub fn patterns(&self) -> &Patterns {
        &self.patterns
    }

    /// The groups of callers, if there are any.
    pub fn groups(&self) -> Option<&Groups> {
        self.groups.as_ref()
    }

    /// What is known about call trees, if anything is.
    pub fn trees(&self) -> Option<&Arc<Trees>> {
        self.trees.as_ref()
    }

    /// How alerts are judged, if anything is known of them.
    pub fn triage(&self) -> Option<&Arc<Triage>> {
        self.triage.as_ref()
    }

    /// Scores from here on are anomalous.
    pub fn threshold(&self) -> f64 {
        self.calibration.threshold()
    }
}
