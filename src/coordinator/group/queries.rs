//! ListGroups and DescribeGroups: what is known of groups that are committed.

use super::Coordinator;
use super::messages::{DescribedGroup, ListedGroup};
use super::slot::Slot;

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

    /// `None`: there is no group of that name.
    pub fn describe_group(&self, group_id: &str) -> Option<DescribedGroup> {
        self.groups.get(group_id).and_then(Slot::committed).map(|group| group.to_described())
    }
}
