//! Bytes of our own records: big-endian integers, strings and lists behind their lengths. No field is optional by omission;
//! what may be missing says so with a byte.
//!
//! A reader trusts no length: a list is grown while elements are read, never sized from its count.

use crate::model::{BrokerId, LeaderEpoch, Offset, ProducerId, TopicId};

/// Why bytes are no record of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    #[error("the bytes end inside a field")]
    Truncated,
    #[error("unknown {what} {value}: a newer version of ottla has written it, so start that one")]
    Unknown { what: &'static str, value: u64 },
    #[error("text is not UTF-8")]
    NotText,
    #[error("{0} bytes are left behind the last field")]
    Trailing(usize),
}

/// Appends fields to a buffer.
#[derive(Debug, Default)]
pub struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    pub fn new() -> Writer {
        Writer::default()
    }

    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    pub fn u8(&mut self, value: u8) {
        self.bytes.push(value);
    }

    pub fn bool(&mut self, value: bool) {
        self.u8(u8::from(value));
    }

    pub fn i16(&mut self, value: i16) {
        self.bytes.extend_from_slice(&value.to_be_bytes());
    }

    pub fn u16(&mut self, value: u16) {
        self.bytes.extend_from_slice(&value.to_be_bytes());
    }

    pub fn i32(&mut self, value: i32) {
        self.bytes.extend_from_slice(&value.to_be_bytes());
    }

    pub fn i64(&mut self, value: i64) {
        self.bytes.extend_from_slice(&value.to_be_bytes());
    }

    pub fn u64(&mut self, value: u64) {
        self.bytes.extend_from_slice(&value.to_be_bytes());
    }

    pub fn uuid(&mut self, value: uuid::Uuid) {
        self.bytes.extend_from_slice(value.as_bytes());
    }

    /// The number of elements of a list; panics above 2³²−1, which no list in memory reaches.
    pub fn count(&mut self, count: usize) {
        let count = u32::try_from(count).expect("a list of fewer than 2^32 elements");
        self.bytes.extend_from_slice(&count.to_be_bytes());
    }

    pub fn str(&mut self, value: &str) {
        self.blob(value.as_bytes());
    }

    pub fn option_str(&mut self, value: Option<&str>) {
        self.bool(value.is_some());
        if let Some(value) = value {
            self.str(value);
        }
    }

    pub fn blob(&mut self, value: &[u8]) {
        self.count(value.len());
        self.bytes.extend_from_slice(value);
    }
}

/// Takes fields from the front of a slice.
#[derive(Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub fn new(bytes: &'a [u8]) -> Reader<'a> {
        Reader { rest: bytes }
    }

    /// Nothing may be left: a longer record is one we do not understand.
    pub fn finish(self) -> Result<(), DecodeError> {
        if self.rest.is_empty() { Ok(()) } else { Err(DecodeError::Trailing(self.rest.len())) }
    }

    fn take(&mut self, len: usize) -> Result<&'a [u8], DecodeError> {
        let (taken, rest) = self.rest.split_at_checked(len).ok_or(DecodeError::Truncated)?;
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        Ok(self.take(N)?.try_into().expect("as many bytes as were taken"))
    }

    pub fn u8(&mut self) -> Result<u8, DecodeError> {
        Ok(self.array::<1>()?[0])
    }

    pub fn bool(&mut self) -> Result<bool, DecodeError> {
        match self.u8()? {
            0 => Ok(false),
            1 => Ok(true),
            value => Err(DecodeError::Unknown { what: "boolean", value: value.into() }),
        }
    }

    pub fn i16(&mut self) -> Result<i16, DecodeError> {
        Ok(i16::from_be_bytes(self.array()?))
    }

    pub fn u16(&mut self) -> Result<u16, DecodeError> {
        Ok(u16::from_be_bytes(self.array()?))
    }

    pub fn i32(&mut self) -> Result<i32, DecodeError> {
        Ok(i32::from_be_bytes(self.array()?))
    }

    pub fn i64(&mut self) -> Result<i64, DecodeError> {
        Ok(i64::from_be_bytes(self.array()?))
    }

    pub fn u64(&mut self) -> Result<u64, DecodeError> {
        Ok(u64::from_be_bytes(self.array()?))
    }

    pub fn uuid(&mut self) -> Result<uuid::Uuid, DecodeError> {
        Ok(uuid::Uuid::from_bytes(self.array()?))
    }

    /// A list: its count, then each element by `element`.
    pub fn list<T>(
        &mut self,
        mut element: impl FnMut(&mut Reader<'a>) -> Result<T, DecodeError>,
    ) -> Result<Vec<T>, DecodeError> {
        let count = u32::from_be_bytes(self.array()?);
        let mut list = Vec::new();
        for _ in 0..count {
            list.push(element(self)?);
        }
        Ok(list)
    }

    pub fn str(&mut self) -> Result<&'a str, DecodeError> {
        std::str::from_utf8(self.blob()?).map_err(|_| DecodeError::NotText)
    }

    pub fn option_str(&mut self) -> Result<Option<&'a str>, DecodeError> {
        if self.bool()? { Ok(Some(self.str()?)) } else { Ok(None) }
    }

    pub fn blob(&mut self) -> Result<&'a [u8], DecodeError> {
        let len = u32::from_be_bytes(self.array()?);
        self.take(usize::try_from(len).map_err(|_| DecodeError::Truncated)?)
    }
}

/// The same fields, as the words of the house.
impl Writer {
    pub fn broker_id(&mut self, id: BrokerId) {
        self.i32(id.0);
    }

    pub fn topic_id(&mut self, id: TopicId) {
        self.uuid(id.0);
    }

    pub fn leader_epoch(&mut self, epoch: LeaderEpoch) {
        self.i32(epoch.0);
    }

    pub fn offset(&mut self, offset: Offset) {
        self.i64(offset.0);
    }

    pub fn producer_id(&mut self, id: ProducerId) {
        self.i64(id.0);
    }
}

impl Reader<'_> {
    pub fn broker_id(&mut self) -> Result<BrokerId, DecodeError> {
        Ok(BrokerId(self.i32()?))
    }

    pub fn topic_id(&mut self) -> Result<TopicId, DecodeError> {
        Ok(TopicId(self.uuid()?))
    }

    pub fn leader_epoch(&mut self) -> Result<LeaderEpoch, DecodeError> {
        Ok(LeaderEpoch(self.i32()?))
    }

    pub fn offset(&mut self) -> Result<Offset, DecodeError> {
        Ok(Offset(self.i64()?))
    }

    pub fn producer_id(&mut self) -> Result<ProducerId, DecodeError> {
        Ok(ProducerId(self.i64()?))
    }
}
