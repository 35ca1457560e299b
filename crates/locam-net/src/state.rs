use crate::{Misshapen, NetError};
use locam_arch::{ArchName, StateDict};
use std::collections::BTreeMap;

/// What happens to the head's tensors when weights are loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeadRule {
    /// They are loaded like all others.
    Keep,
    /// They are dropped by name, whatever their number of classes, and the network keeps its own head.
    Replace,
}

/// What happened when weights were loaded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LoadReport {
    /// Tensors that were loaded.
    pub loaded: usize,
    /// Keys of a head in the weights that was dropped.
    pub dropped: Vec<String>,
    /// Keys that only the weights have; ignored, but worth a warning.
    pub unexpected: Vec<String>,
}

/// The weights `own` of a network, with those that `state` has in their place.
///
/// # Errors
/// [`NetError::Weights`] where a tensor is missing or has another shape. Tensors that only the weights have are listed
/// in the report.
pub fn merge_weights(
    arch: ArchName,
    classes: usize,
    mut own: StateDict,
    state: &StateDict,
    rule: HeadRule,
) -> Result<(StateDict, LoadReport), NetError> {
    let graph = arch.graph();
    let head = graph.head();
    let shapes = graph.state_shapes(classes);
    let report = check(&shapes, state, |key| head.owns(key), rule, (arch.as_str(), classes))?;
    for (key, value) in &mut own {
        if rule == HeadRule::Keep || !head.owns(key) {
            value.clone_from(&state[key]);
        }
    }
    Ok((own, report))
}

/// Checks that weights have every tensor of a network, and drops those that it has not.
///
/// # Errors
/// [`NetError::Weights`] where a tensor is missing or has another shape.
pub(crate) fn keep_known(
    arch: ArchName,
    classes: usize,
    mut state: StateDict,
) -> Result<StateDict, NetError> {
    let graph = arch.graph();
    let shapes = graph.state_shapes(classes);
    check(&shapes, &state, |key| graph.head().owns(key), HeadRule::Keep, (arch.as_str(), classes))?;
    state.retain(|key, _| shapes.contains_key(key));
    Ok(state)
}

/// Compares weights with what a network needs, tensor by tensor.
fn check(
    needed: &BTreeMap<String, Vec<usize>>,
    state: &StateDict,
    belongs_to_head: impl Fn(&str) -> bool,
    rule: HeadRule,
    (architecture, classes): (&str, usize),
) -> Result<LoadReport, NetError> {
    let wanted = |key: &str| rule == HeadRule::Keep || !belongs_to_head(key);
    let (mut missing, mut misshapen) = (Vec::new(), Vec::new());
    for (key, shape) in needed.iter().filter(|(key, _)| wanted(key)) {
        match state.get(key) {
            None => missing.push(key.clone()),
            Some(value) if value.shape != *shape => {
                let (expected, found) = (shape.clone(), value.shape.clone());
                misshapen.push(Misshapen { key: key.clone(), expected, found });
            }
            Some(_) => {}
        }
    }
    let loads = |key: &str| needed.contains_key(key) && wanted(key);
    let others = state.keys().filter(|key| !loads(key) && !key.ends_with(".num_batches_tracked")).cloned();
    let (dropped, unexpected): (Vec<String>, Vec<String>) = others.partition(|key| belongs_to_head(key));
    if missing.is_empty() && misshapen.is_empty() {
        let loaded = state.keys().filter(|key| loads(key)).count();
        return Ok(LoadReport { loaded, dropped, unexpected });
    }
    let architecture = architecture.to_owned();
    Err(NetError::Weights { architecture, classes, missing, misshapen, unexpected })
}
