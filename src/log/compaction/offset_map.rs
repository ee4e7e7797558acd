//! The last offset of each key, in memory that does not grow.
//!
//! As Kafka's `SkimpyOffsetMap`: a table of 24 bytes an entry, keys as a hash of 128 bits. Where Kafka's hash is MD5, for which two
//! keys with one hash can be made on purpose, ours begins with a seed of the pass, so that no one can make one key hide another.
//! Two keys meet by chance in a table of a thousand million entries with a probability of about 10⁻²¹.

use std::hash::{DefaultHasher, Hasher};

use crate::model::Offset;

/// Bytes of an entry.
pub(crate) const ENTRY_BYTES: usize = 24;

/// The hash in two halves, and the offset plus one: zero is an empty place.
type Slot = [u64; 3];

/// See the head of this file.
pub(crate) struct OffsetMap {
    slots: Vec<Slot>,
    entry_count: usize,
    entries_max: usize,
    seed: u64,
    /// The offset up to which everything was taken in.
    pub latest: Offset,
}

impl OffsetMap {
    /// For up to `expected_count` keys, if `memory_bytes` with that part of it in use has room for so many.
    pub fn new(memory_bytes: usize, load_factor: f64, expected_count: u64, seed: u64) -> OffsetMap {
        let load_factor = if load_factor > 0.0 { load_factor.min(1.0) } else { 0.9 };
        let slots_max = (memory_bytes / ENTRY_BYTES).max(2);
        let wanted = expected_count as f64 / load_factor;
        // A float beyond the range becomes its end.
        let slot_count = (wanted as usize).saturating_add(2).min(slots_max);
        let entries_max = ((slot_count as f64 * load_factor) as usize).clamp(1, slot_count - 1);
        OffsetMap { slots: vec![[0; 3]; slot_count], entry_count: 0, entries_max, seed, latest: Offset::NONE }
    }

    /// Notes a record. False when the key is new and there is no room for it.
    pub fn put(&mut self, key: &[u8], offset: Offset) -> bool {
        let hash = self.hash(key);
        let place = self.place_of(hash);
        let is_new = self.slots[place][2] == 0;
        if is_new && self.entry_count >= self.entries_max {
            return false;
        }
        self.entry_count += usize::from(is_new);
        self.slots[place] = [hash.0, hash.1, offset.0.cast_unsigned() + 1];
        self.latest = offset;
        true
    }

    /// The last offset of a key.
    pub fn get(&self, key: &[u8]) -> Option<Offset> {
        let slot = self.slots[self.place_of(self.hash(key))];
        slot[2].checked_sub(1).map(|offset| Offset(offset.cast_signed()))
    }

    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.entry_count
    }

    fn hash(&self, key: &[u8]) -> (u64, u64) {
        let half = |seed: u64| {
            let mut hasher = DefaultHasher::new();
            hasher.write_u64(seed);
            hasher.write(key);
            hasher.finish()
        };
        (half(self.seed), half(!self.seed))
    }

    /// Where the hash stands, or the empty place where it belongs. There always is an empty one.
    fn place_of(&self, hash: (u64, u64)) -> usize {
        let count = self.slots.len();
        let mut place = usize::try_from(hash.0 % count as u64).expect("below the count of slots");
        while self.slots[place][2] != 0 && (self.slots[place][0], self.slots[place][1]) != hash {
            place = if place + 1 == count { 0 } else { place + 1 };
        }
        place
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn every_key_has_its_last_offset() {
        let mut map = OffsetMap::new(1 << 20, 0.9, 1000, 7);
        let mut model = BTreeMap::new();
        for offset in 0..3000 {
            let key = format!("key-{}", offset * 7919 % 1000);
            assert!(map.put(key.as_bytes(), Offset(offset)));
            model.insert(key, offset);
        }
        assert_eq!(map.len(), model.len());
        for (key, offset) in model {
            assert_eq!(map.get(key.as_bytes()), Some(Offset(offset)), "{key}");
        }
        assert_eq!(map.get(b"another"), None);
        assert_eq!(map.get(b""), None);
        assert!(map.put(b"", Offset(0)));
        assert_eq!(map.get(b""), Some(Offset(0)));
    }

    #[test]
    fn a_full_map_takes_known_keys_only_and_keeps_to_its_memory() {
        let memory_bytes = 100 * ENTRY_BYTES;
        let mut map = OffsetMap::new(memory_bytes, 0.9, u64::MAX, 7);
        let taken = (0i64..200).take_while(|offset| map.put(&offset.to_be_bytes(), Offset(*offset))).count();
        assert_eq!((taken, map.slots.len()), (90, 100));
        assert_eq!(map.latest, Offset(89));
        assert!(map.put(&5i64.to_be_bytes(), Offset(300)));
        assert!(!map.put(b"new", Offset(301)));
        assert_eq!(map.get(&5i64.to_be_bytes()), Some(Offset(300)));
    }

    #[test]
    fn a_small_log_takes_little_memory_and_the_smallest_map_makes_progress() {
        assert!(OffsetMap::new(128 << 20, 0.9, 10, 7).slots.len() < 16);
        let mut map = OffsetMap::new(0, 0.9, 10, 7);
        assert!(map.put(b"one", Offset(0)));
        assert!(!map.put(b"two", Offset(1)));
    }
}
