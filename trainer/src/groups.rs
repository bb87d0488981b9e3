//! Groups of callers with like habits: the group matrix, its clustering, and what a model keeps of it.

use gait_common::interface::InterfaceId;

pub mod kmeans;

/// What was found while the callers were grouped: for the report, not for detection.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct GroupsReport {
    /// Every number of groups that was tried, with its Davies-Bouldin index; the lowest was chosen.
    pub tried: Vec<(usize, f64)>,
    /// The columns of the matrix: frequent call groups, each the interfaces called one after the other.
    pub columns: Vec<Vec<InterfaceId>>,
    /// The group matrix, row after row, a row per entry of `callers` and a value per entry of `columns`. Rows have
    /// length 1 (or 0).
    pub matrix: Vec<f32>,
    /// The callers, in the order of the matrix' rows.
    pub callers: Vec<Grouped>,
    /// The groups, in the order of the model's.
    pub groups: Vec<GroupBands>,
}

/// One caller and where it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Grouped {
    /// Its name.
    pub caller: Box<str>,
    /// Its group.
    pub group: usize,
    /// Distance of its row from the group's centre.
    pub distance: f64,
}

/// How far the callers of a group are from its centre.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct GroupBands {
    /// The centre, a value per column.
    pub centre: Vec<f32>,
    /// Mean distance.
    pub mean: f64,
    /// Standard deviation of the distance; two above the mean is anomalous, three extreme.
    pub deviation: f64,
    /// The distance that held-out callers exceed at the stated false-alarm rate.
    pub limit: f64,
}
