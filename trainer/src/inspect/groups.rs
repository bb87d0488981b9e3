//! Showing the groups of callers that a model knows.

use std::fmt::Write as _;

use gait_common::detect::typical;
use gait_common::model::ModelData;

/// Calls shown of a group, at most.
const TYPICAL: usize = 5;

/// The groups in words; nothing where there are none.
pub(super) fn groups(model: &ModelData, out: &mut String) -> std::fmt::Result {
    let Some(data) = &model.groups else {
        return writeln!(out, "no groups of callers: too few came back");
    };
    let tried: Vec<String> = data.tried.iter().map(|(k, index)| format!("{k}: {index:.3}")).collect();
    writeln!(
        out,
        "{} groups of callers by {} call groups, the habits of {} callers known; Davies-Bouldin index by number of groups: {}",
        data.groups.len(),
        data.columns.len(),
        data.callers.len(),
        tried.join(", ")
    )?;
    for (at, group) in data.groups.iter().enumerate() {
        let name = |id: u32| model.interfaces.get(id as usize).map_or("", String::as_str);
        let calls: Vec<&str> = typical(data, at).into_iter().take(TYPICAL).map(name).collect();
        writeln!(out, "{:>10}  callers in group {}: {}", group.callers, at + 1, calls.join(", "))?;
        writeln!(
            out,
            "            distance {:.3} on average, deviation {:.3}; anomalous above {:.3} (2 deviations), extreme above {:.3} (3); \
             {:.3} at the stated false-alarm rate, {:.3} for a session",
            group.mean,
            group.deviation,
            group.mean + 2.0 * group.deviation,
            group.mean + 3.0 * group.deviation,
            group.limit,
            group.session_limit
        )?;
    }
    Ok(())
}
