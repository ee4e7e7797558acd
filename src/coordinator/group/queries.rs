//! ListGroups and DescribeGroups: what is known of groups that are committed.

use std::sync::Arc;

use super::Coordinator;
use super::classic::State;
use super::messages::{DescribedGroup, ListedGroup};
use super::slot::Slot;
use crate::model::{Offset, PartitionIndex};

/// A group in numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupNumbers {
    pub id: Arc<str>,
    pub state: State,
    pub member_count: usize,
}

impl<T> Coordinator<T> {
    /// The groups in one of the states and of one of the types named, in any case; an empty filter lets all pass
    /// (`GroupMetadataManager.listGroups`). Every group here is of type `classic`.
    pub fn list_groups(&self, states: &[String], types: &[String]) -> Vec<ListedGroup> {
        let names_classic = |name: &String| name.eq_ignore_ascii_case("classic");
        if !types.is_empty() && !types.iter().any(names_classic) {
            return Vec::new();
        }
        let groups = self.groups.values().filter_map(Slot::committed);
        let wanted = groups.filter(|group| {
            states.is_empty() || states.iter().any(|state| state.trim().eq_ignore_ascii_case(group.state.name()))
        });
        wanted.map(|group| group.to_listed()).collect()
    }

    /// What is counted of every group.
    pub fn numbers(&self) -> impl Iterator<Item = GroupNumbers> {
        let groups = self.groups.iter().filter_map(|(id, slot)| Some((id, slot.committed()?)));
        groups.map(|(id, group)| GroupNumbers {
            id: Arc::clone(id),
            state: group.state,
            member_count: group.members.len(),
        })
    }

    /// Every committed offset, by group, topic and partition.
    pub fn committed_offsets(&self) -> impl Iterator<Item = (&Arc<str>, &Arc<str>, PartitionIndex, Offset)> {
        self.offsets.committed()
    }

    /// `None`: there is no group of that name.
    pub fn describe_group(&self, group_id: &str) -> Option<DescribedGroup> {
        self.groups.get(group_id).and_then(Slot::committed).map(|group| group.to_described())
    }
}
