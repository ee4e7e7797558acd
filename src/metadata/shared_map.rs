//! A sorted map whose copies share what did not change: a sorted list of sorted chunks, each chunk behind an `Arc`.
//!
//! A change to one key copies one chunk and the list of chunks: of 10,000 entries 128 at most, and some 150 pointers. A copy
//! that nobody else holds is changed in place, which makes replaying a long log as cheap as filling a plain map.
//!
//! Invariant: keys rise strictly through all chunks; no chunk is empty or holds more than [`CHUNK_ENTRIES_MAX`] entries.

use std::borrow::Borrow;
use std::sync::Arc;

/// A chunk is split in two halves when it would grow beyond this.
const CHUNK_ENTRIES_MAX: usize = 128;

/// See the head of this file. `K` and `V` should be cheap to clone (ids, `Arc`s).
#[derive(Clone, Debug)]
pub struct SharedMap<K, V> {
    chunks: Vec<Arc<Vec<(K, V)>>>,
    len: usize,
}

impl<K, V> Default for SharedMap<K, V> {
    fn default() -> SharedMap<K, V> {
        SharedMap { chunks: Vec::new(), len: 0 }
    }
}

/// The same entries, however they came to lie in chunks.
impl<K: Ord + Clone, V: Clone + PartialEq> PartialEq for SharedMap<K, V> {
    fn eq(&self, other: &SharedMap<K, V>) -> bool {
        self.len == other.len && self.iter().eq(other.iter())
    }
}

impl<K: Ord + Clone, V: Clone + Eq> Eq for SharedMap<K, V> {}

impl<K: Ord + Clone, V: Clone> SharedMap<K, V> {
    pub fn len(&self) -> usize {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The chunk that holds the key or would hold it; 0 when there is none yet.
    fn chunk_of<Q: Ord + ?Sized>(&self, key: &Q) -> usize
    where
        K: Borrow<Q>,
    {
        self.chunks.partition_point(|chunk| chunk[0].0.borrow() <= key).saturating_sub(1)
    }

    pub fn get<Q: Ord + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        let chunk = self.chunks.get(self.chunk_of(key))?;
        let index = chunk.binary_search_by(|(known, _)| known.borrow().cmp(key)).ok()?;
        Some(&chunk[index].1)
    }

    /// The value of a key, to be changed; copies the chunk if others hold it too.
    pub fn get_mut<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<&mut V>
    where
        K: Borrow<Q>,
    {
        let at = self.chunk_of(key);
        let chunk = self.chunks.get_mut(at)?;
        let index = chunk.binary_search_by(|(known, _)| known.borrow().cmp(key)).ok()?;
        Some(&mut Arc::make_mut(chunk)[index].1)
    }

    /// Sets the value of a key and returns the one it had.
    pub fn insert(&mut self, key: K, value: V) -> Option<V> {
        if self.chunks.is_empty() {
            self.chunks.push(Arc::new(vec![(key, value)]));
            self.len = 1;
            return None;
        }
        let at = self.chunk_of(&key);
        let chunk = Arc::make_mut(&mut self.chunks[at]);
        match chunk.binary_search_by(|(known, _)| known.cmp(&key)) {
            Ok(index) => return Some(std::mem::replace(&mut chunk[index].1, value)),
            Err(index) => chunk.insert(index, (key, value)),
        }
        self.len += 1;
        if chunk.len() > CHUNK_ENTRIES_MAX {
            let upper = chunk.split_off(chunk.len() / 2);
            self.chunks.insert(at + 1, Arc::new(upper));
        }
        None
    }

    /// Takes a key out and returns its value.
    pub fn remove<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        let at = self.chunk_of(key);
        let chunk = self.chunks.get_mut(at)?;
        let index = chunk.binary_search_by(|(known, _)| known.borrow().cmp(key)).ok()?;
        let (_, value) = Arc::make_mut(chunk).remove(index);
        if chunk.is_empty() {
            self.chunks.remove(at);
        }
        self.len -= 1;
        Some(value)
    }

    /// All entries, by rising key.
    pub fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.chunks.iter().flat_map(|chunk| chunk.iter()).map(|(key, value)| (key, value))
    }

    /// The entries from the key on (itself included), by rising key.
    pub fn range_from<'a, Q: Ord + ?Sized>(&'a self, key: &'a Q) -> impl Iterator<Item = (&'a K, &'a V)>
    where
        K: Borrow<Q>,
    {
        let first = self.chunk_of(key);
        let chunks = self.chunks.get(first..).unwrap_or_default();
        chunks
            .iter()
            .flat_map(|chunk| chunk.iter())
            .skip_while(move |(known, _)| known.borrow() < key)
            .map(|(key, value)| (key, value))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn check(map: &SharedMap<u16, u32>, model: &BTreeMap<u16, u32>) {
        assert!(map.iter().eq(model.iter()));
        assert_eq!(map.len(), model.len());
        assert!(map.chunks.iter().all(|chunk| !chunk.is_empty() && chunk.len() <= CHUNK_ENTRIES_MAX));
    }

    proptest! {
        #[test]
        fn behaves_like_a_sorted_map(
            changes in prop::collection::vec((0u16..600, prop::option::of(any::<u32>())), 0..1500),
            probe in 0u16..600,
        ) {
            let mut map = SharedMap::default();
            let mut model = BTreeMap::new();
            for (key, value) in changes {
                let (was, expected) = match value {
                    Some(value) => (map.insert(key, value), model.insert(key, value)),
                    None => (map.remove(&key), model.remove(&key)),
                };
                assert_eq!(was, expected);
            }
            check(&map, &model);
            assert_eq!(map.get(&probe), model.get(&probe));
            assert!(map.range_from(&probe).eq(model.range(probe..)));
        }
    }

    #[test]
    fn a_copy_keeps_its_entries_and_shares_untouched_chunks() {
        let mut map = SharedMap::default();
        for key in 0u16..1000 {
            map.insert(key, u32::from(key));
        }
        let before = map.clone();
        *map.get_mut(&500).expect("inserted above") = 7;
        assert_eq!(map.get_mut(&1000), None);
        assert_eq!((before.get(&500), map.get(&500)), (Some(&500), Some(&7)));
        let shared = before.chunks.iter().zip(&map.chunks).filter(|(old, new)| Arc::ptr_eq(old, new)).count();
        assert_eq!(shared, before.chunks.len() - 1);
    }
}
