//! Where a network's values lie in memory.

use crate::{Stage, Work};
use locam_arch::{Graph, NodeId};
use std::collections::BTreeMap;

/// A value's place: some channels of each pixel of a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// The value's number, or that of the concatenation that it is part of.
    pub(crate) value: usize,
    /// Memory that it shares with values that live at other times.
    pub(crate) slot: usize,
    /// Values from one pixel to the next.
    pub(crate) pitch: usize,
    /// The first channel.
    pub(crate) offset: usize,
    pub(crate) channels: usize,
}

/// Gives values places: parts of a concatenation lie in its place, and a slot serves again when its value has been read
/// for the last time.
pub(crate) struct Places<'a> {
    graph: &'a Graph,
    /// The concatenation that a value is part of, and its first channel there.
    part_of: BTreeMap<NodeId, (NodeId, usize)>,
    /// The last stage that reads a value.
    last_read: BTreeMap<NodeId, usize>,
    slot_of: BTreeMap<NodeId, usize>,
    free: Vec<usize>,
    pub(crate) slots: usize,
}

impl<'a> Places<'a> {
    pub(crate) fn new(graph: &'a Graph, stages: &[Stage]) -> Self {
        let mut part_of = BTreeMap::new();
        for stage in stages {
            if let Work::Concat(parts) = &stage.work {
                let mut offset = 0;
                for &part in parts {
                    part_of.insert(part, (stage.output, offset));
                    offset += graph.nodes()[part.0].channels;
                }
            }
        }
        let mut last_read = BTreeMap::new();
        for (number, stage) in stages.iter().enumerate() {
            let others = match &stage.work {
                Work::Conv { residual, .. } => residual.as_slice(),
                Work::Interleave(_, phases) => phases,
                Work::MaxPool(_) | Work::Concat(_) => &[],
            };
            // A part lives as long as the whole.
            for value in std::iter::once(&stage.input).chain(others) {
                let home = part_of.get(value).map_or(*value, |(whole, _)| *whole);
                last_read.insert(home, number);
            }
        }
        Self { graph, part_of, last_read, slot_of: BTreeMap::new(), free: Vec::new(), slots: 0 }
    }

    fn home(&self, value: NodeId) -> (NodeId, usize) {
        self.part_of.get(&value).copied().unwrap_or((value, 0))
    }

    /// The place of a value that was made.
    pub(crate) fn of(&self, value: NodeId) -> Place {
        let (home, offset) = self.home(value);
        let channels = |value: NodeId| self.graph.nodes()[value.0].channels;
        Place {
            value: home.0,
            slot: self.slot_of[&home],
            pitch: channels(home),
            offset,
            channels: channels(value),
        }
    }

    /// A place for a value.
    pub(crate) fn make(&mut self, value: NodeId) -> Place {
        let (home, _) = self.home(value);
        if !self.slot_of.contains_key(&home) {
            let slot = self.free.pop().unwrap_or_else(|| {
                self.slots += 1;
                self.slots - 1
            });
            self.slot_of.insert(home, slot);
        }
        self.of(value)
    }

    /// Frees the slots of values that no stage after this one reads.
    pub(crate) fn release(&mut self, number: usize) {
        let done: Vec<NodeId> =
            self.slot_of.keys().filter(|value| self.last_read.get(value) == Some(&number)).copied().collect();
        for value in done {
            self.free.extend(self.slot_of.remove(&value));
        }
    }
}
