//! Walks a request's bytes before the codec crate may see them: are they whole, and what memory will decoding take?
//!
//! The crate sizes vectors from wire lengths and its structs are many times larger than their bytes (an empty OffsetFetch
//! group: 3 bytes on the wire, 120 in memory), so a small frame could take gigabytes or abort the process. The guard
//! walks the frame along a table of shapes (`shapes`, generated from the schemas of Kafka 4.3.1) and refuses what does
//! not fit in its frame; then it adds up what decoding allocates, which the caller charges to its memory budget.
//!
//! Invariants: nothing is allocated here. Depth is that of the table, never of the input. What passes decodes without
//! error, and decoding allocates no more than [`Charge::decoded_bytes`]. Bytes after the last field are ignored, as by
//! Kafka. Where this is stricter than Kafka is said at the head of `message`.

use super::api_key::ApiKey;
use super::wire::{Reader, WireError};

pub mod shapes;

/// Most memory that decoding one request may take, in bytes. A request of 100,000 partitions needs about a tenth.
pub const DECODED_BYTES_MAX: usize = 64 << 20;

/// Taking the first slice of a frame allocates its reference count.
const FRAME_BYTES: usize = 64;
/// The first leaf of a `BTreeMap<i32, Bytes>` of unknown tagged fields.
const TAGS_BYTES: usize = 416;
/// Further nodes of that map, to an entry: a split leaves at least five of eleven entries in a node of 504 bytes or less.
const TAG_BYTES: usize = 112;

/// One step over a request's bytes.
#[derive(Clone, Copy, Debug)]
pub enum Op {
    /// Fields of fixed size: their bytes together.
    Skip(usize),
    /// A string.
    Text { nullable: bool },
    /// Bytes or records.
    Bytes { nullable: bool },
    /// An array.
    Items { nullable: bool, item: &'static Item },
    /// A nullable struct: a byte that says whether it is there, then its fields.
    Maybe(&'static [Op]),
    /// Tagged fields, of which these are known.
    Tags(&'static [Tag]),
}

/// An array's element.
#[derive(Debug)]
pub struct Item {
    /// Fewest bytes that an element can have on the wire; at least 1.
    pub min_bytes: usize,
    /// Memory of an element in its vector.
    pub size_bytes: usize,
    pub ops: &'static [Op],
}

/// A tagged field that the schema knows; without `ops` in versions before the one that began it, where Kafka refuses it.
#[derive(Debug)]
pub struct Tag {
    pub tag: u32,
    pub ops: Option<&'static [Op]>,
}

/// The shape of a request in versions that are alike.
#[derive(Debug)]
pub struct Program {
    pub first: i16,
    pub last: i16,
    pub flexible: bool,
    pub ops: &'static [Op],
}

/// What decoding a request takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Charge {
    /// Most bytes that decoding allocates; the frame itself is not in it, since strings are slices of it.
    pub decoded_bytes: usize,
}

/// Why a request may not be decoded. The connection is closed, as by Kafka on an `InvalidRequestException`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GuardError {
    #[error("{api} has no version {version}")]
    UnsupportedVersion { api: ApiKey, version: i16 },
    #[error("malformed {api} v{version} at byte {position}: {error}")]
    Malformed { api: ApiKey, version: i16, position: usize, error: WireError },
    #[error("{api} v{version} would take {decoded_bytes} bytes of memory or more, over {max_bytes}")]
    TooExpensive { api: ApiKey, version: i16, decoded_bytes: usize, max_bytes: usize },
}

/// Checks the body of a request of any API and version of Kafka 4.3.1, with [`DECODED_BYTES_MAX`] as the limit.
pub fn check(api: ApiKey, version: i16, body: &[u8]) -> Result<Charge, GuardError> {
    check_within(api, version, body, DECODED_BYTES_MAX)
}

/// Checks a body; refuses it when decoding would take more than `max_bytes`, such as what is left of a budget.
pub fn check_within(api: ApiKey, version: i16, body: &[u8], max_bytes: usize) -> Result<Charge, GuardError> {
    let programs = shapes::programs(api).iter();
    let program = programs.clone().find(|program| program.first <= version && version <= program.last);
    let Some(program) = program else { return Err(GuardError::UnsupportedVersion { api, version }) };
    let decoded_bytes = FRAME_BYTES + bytes_beside_the_struct(api, version);
    let mut walk = Walk { reader: Reader::new(body), decoded_bytes, max_bytes };
    let walked = if program.flexible { walk.ops::<true>(program.ops) } else { walk.ops::<false>(program.ops) };
    match walked {
        Ok(()) => Ok(Charge { decoded_bytes: walk.decoded_bytes }),
        Err(Refusal::TooExpensive) => {
            Err(GuardError::TooExpensive { api, version, decoded_bytes: walk.decoded_bytes, max_bytes })
        }
        Err(Refusal::Wire(error)) => {
            let position = body.len() - walk.reader.remaining();
            Err(GuardError::Malformed { api, version, position, error })
        }
    }
}

/// What `message` keeps of a request among the tagged fields that the crate does not know, since the crate's struct is of an earlier
/// version: cordoned directories, and whether AddRaftVoter waits for the commit.
fn bytes_beside_the_struct(api: ApiKey, version: i16) -> usize {
    match (api, version) {
        (ApiKey::BrokerHeartbeat, 2..) | (ApiKey::AddRaftVoter, 1..) => TAGS_BYTES + TAG_BYTES,
        _ => 0,
    }
}

enum Refusal {
    Wire(WireError),
    TooExpensive,
}

impl From<WireError> for Refusal {
    fn from(error: WireError) -> Refusal {
        Refusal::Wire(error)
    }
}

struct Walk<'a> {
    reader: Reader<'a>,
    decoded_bytes: usize,
    max_bytes: usize,
}

impl<'a> Walk<'a> {
    fn charge(&mut self, count: usize, each_bytes: usize) -> Result<(), Refusal> {
        self.decoded_bytes = self.decoded_bytes.saturating_add(count.saturating_mul(each_bytes));
        if self.decoded_bytes > self.max_bytes { Err(Refusal::TooExpensive) } else { Ok(()) }
    }

    /// Calls itself once for each level of the table, six at most.
    fn ops<const FLEXIBLE: bool>(&mut self, ops: &'static [Op]) -> Result<(), Refusal> {
        for op in ops {
            match op {
                Op::Skip(bytes) => {
                    self.reader.take(*bytes)?;
                }
                Op::Text { nullable } => {
                    let text = self.reader.nullable_string(FLEXIBLE)?;
                    must_be(text.is_some() || *nullable)?;
                }
                Op::Bytes { nullable } => {
                    let bytes = self.reader.nullable_bytes(FLEXIBLE)?;
                    must_be(bytes.is_some() || *nullable)?;
                }
                Op::Items { nullable, item } => match self.reader.nullable_count(FLEXIBLE, item.min_bytes)? {
                    Some(count) => self.items::<FLEXIBLE>(count, item)?,
                    None => must_be(*nullable)?,
                },
                Op::Maybe(ops) => match self.reader.int8()? {
                    1 => self.ops::<FLEXIBLE>(ops)?,
                    -1 => {}
                    marker => return Err(WireError::StructMarker { marker }.into()),
                },
                Op::Tags(known) => self.tags(known)?,
            }
        }
        Ok(())
    }

    fn items<const FLEXIBLE: bool>(&mut self, count: usize, item: &'static Item) -> Result<(), Refusal> {
        self.charge(count, item.size_bytes)?;
        if let [Op::Skip(bytes)] = item.ops {
            // `nullable_count` found that many times `min_bytes`, which is `bytes` here.
            self.reader.take(count * bytes)?;
            return Ok(());
        }
        for _ in 0..count {
            self.ops::<FLEXIBLE>(item.ops)?;
        }
        Ok(())
    }

    fn tags(&mut self, known: &'static [Tag]) -> Result<(), Refusal> {
        let mut unknown_count = 0;
        for _ in 0..self.reader.unsigned_varint()? {
            let tag = self.reader.unsigned_varint()?;
            let size = self.reader.unsigned_varint()?;
            let field = self.reader.take(size as usize)?;
            match known.iter().find(|known| known.tag == tag) {
                Some(Tag { ops: Some(ops), .. }) => self.tag(field, ops)?,
                Some(Tag { ops: None, .. }) => return Err(WireError::UnexpectedTag { tag }.into()),
                None => unknown_count += 1,
            }
        }
        if unknown_count > 0 { self.charge(1, TAGS_BYTES + unknown_count * TAG_BYTES) } else { Ok(()) }
    }

    fn tag(&mut self, field: &'a [u8], ops: &'static [Op]) -> Result<(), Refusal> {
        let after = std::mem::replace(&mut self.reader, Reader::new(field));
        let walked = self.ops::<true>(ops);
        let field = std::mem::replace(&mut self.reader, after);
        walked?;
        Ok(field.finish_tag()?)
    }
}

fn must_be(allowed: bool) -> Result<(), WireError> {
    if allowed { Ok(()) } else { Err(WireError::UnexpectedNull) }
}

#[cfg(test)]
mod tests;
