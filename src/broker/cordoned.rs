//! Directories that are to get nothing new: `cordoned.log.dirs` (KIP-1066). A heartbeat tells the controller of them, so that
//! nothing is placed on a broker that has no other.
//!
//! Source: `BrokerLifecycleManager.propagateDirectoryCordoned`, BrokerHeartbeatRequest.json v2.

use std::path::Path;

use bytes::{BufMut, Bytes, BytesMut};
use uuid::Uuid;

use super::Broker;
use crate::log::LogDir;
use crate::metadata::{ConfigResource, Image};

/// The heartbeat's field `CordonedLogDirs`, from v2 on: a list of directory ids, or null, which says nothing.
pub const CORDONED_TAG: i32 = 1;
const ID_BYTES: usize = 16;

/// The bytes of the field: a compact array. A broker has few directories: the count fits into a byte of seven bits.
pub fn encode(directories: &[Uuid]) -> Bytes {
    let count = u8::try_from(directories.len() + 1).ok().filter(|count| *count < 0x80);
    let mut bytes = BytesMut::with_capacity(1 + directories.len() * ID_BYTES);
    bytes.put_u8(count.expect("fewer directories than a volume has mount points"));
    directories.iter().for_each(|id| bytes.put_slice(id.as_bytes()));
    bytes.freeze()
}

/// The directories that the field names; `None` where it is null, or what is no such list.
pub fn decode(field: &Bytes) -> Option<Vec<Uuid>> {
    let (count, ids) = field.split_first()?;
    let count = usize::from(*count).checked_sub(1).filter(|count| count * ID_BYTES == ids.len())?;
    Some(ids.chunks_exact(ID_BYTES).take(count).filter_map(|id| Uuid::from_slice(id).ok()).collect())
}

impl Broker {
    /// Whether `cordoned.log.dirs` names the directory.
    pub(super) fn is_cordoned(&self, image: &Image, directory: &LogDir) -> bool {
        let own = image.configs(&ConfigResource::Broker(self.node_id));
        let text =
            own.get("cordoned.log.dirs").map_or_else(|| self.settings.get_str("cordoned.log.dirs"), String::as_str);
        text.split(',').map(str::trim).any(|name| name == "*" || Path::new(name) == directory.path())
    }

    /// The cordoned directories, where the cluster knows others of this broker.
    pub(super) fn cordoned_untold(&self, image: &Image) -> Option<Vec<Uuid>> {
        let told = &image.broker(self.node_id)?.cordoned;
        let cordoned = self.directories.iter().filter(|directory| self.is_cordoned(image, directory));
        let mut cordoned: Vec<Uuid> = cordoned.filter_map(|directory| directory.id()).collect();
        cordoned.sort_unstable();
        (cordoned != *told).then_some(cordoned)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_directories_comes_back() {
        for count in [0, 1, 126] {
            let ids: Vec<Uuid> = (0..count).map(Uuid::from_u128).collect();
            assert_eq!(decode(&encode(&ids)), Some(ids), "{count}");
        }
    }

    #[test]
    fn what_is_null_or_cut_says_nothing() {
        for bytes in [&[][..], &[0], &[2], &[2; 16], &[1, 0], &[0x80, 1]] {
            assert_eq!(decode(&Bytes::copy_from_slice(bytes)), None, "{bytes:?}");
        }
    }
}
