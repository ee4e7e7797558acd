//! A topic as a hot-path request or response names it: by name in old versions, by id in new ones (KIP-516).

use bytes::{BufMut, BytesMut};

use super::wire::{self, Reader, WireError};
use crate::model::TopicId;

/// A topic's name or id, borrowed from a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TopicRef<'a> {
    Name(&'a str),
    Id(TopicId),
}

impl<'a> TopicRef<'a> {
    #[inline]
    pub(super) fn read(reader: &mut Reader<'a>, by_id: bool, flexible: bool) -> Result<TopicRef<'a>, WireError> {
        if by_id {
            return Ok(TopicRef::Id(TopicId(reader.uuid()?)));
        }
        Ok(TopicRef::Name(reader.string(flexible)?))
    }

    /// Writes the form that the version has.
    ///
    /// Panics when the other form is given: a response names topics as its request did.
    pub(super) fn write(self, out: &mut BytesMut, by_id: bool, flexible: bool) {
        match self {
            TopicRef::Name(name) => {
                assert!(!by_id, "a topic name where the version has an id");
                wire::put_string(out, name, flexible);
            }
            TopicRef::Id(id) => {
                assert!(by_id, "a topic id where the version has a name");
                out.put_slice(id.0.as_bytes());
            }
        }
    }
}
