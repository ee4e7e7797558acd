//! Makes request frames: whole ones along the guard's table, then broken in the ways that have broken brokers.

use ottla::protocol::api_key::ApiKey;
use ottla::protocol::guard::{Op, shapes};

use crate::random::Random;
use crate::record_batch::put_uvarint;

/// Most elements of an array that is made, so that frames stay small and many.
const COUNT_MAX: u64 = 4;

/// An API and a version of it that Kafka 4.3.1 reads.
pub fn pick(random: &mut Random) -> (ApiKey, i16) {
    let api = ApiKey::ALL[random.index(ApiKey::ALL.len())];
    let versions = api.versions();
    let count = u64::from(versions.end().abs_diff(*versions.start())) + 1;
    (api, versions.start() + i16::try_from(random.below(count)).expect("versions are few"))
}

/// Appends a request header.
pub fn put_header(api: ApiKey, version: i16, random: &mut Random, out: &mut Vec<u8>) {
    out.extend_from_slice(&api.key().to_be_bytes());
    out.extend_from_slice(&version.to_be_bytes());
    out.extend_from_slice(&[0, 0, 0, random.byte()]);
    put_text(false, true, random, out);
    if api.request_header_version(version) >= 2 {
        put_unknown_tags(random, out);
    }
}

/// Appends a body that Kafka would read.
pub fn put_body(api: ApiKey, version: i16, random: &mut Random, out: &mut Vec<u8>) {
    let programs = shapes::programs(api).iter();
    let mut fitting = programs.filter(|program| program.first <= version && version <= program.last);
    let program = fitting.next().expect("picked from the table");
    put_ops(program.ops, program.flexible, random, out);
}

/// Calls itself once for each level of the table.
fn put_ops(ops: &[Op], flexible: bool, random: &mut Random, out: &mut Vec<u8>) {
    for op in ops {
        match op {
            Op::Skip(bytes) => (0..*bytes).for_each(|_| out.push(random.byte())),
            Op::Text { nullable } => put_text(flexible, *nullable, random, out),
            Op::Bytes { nullable } => {
                if *nullable && random.one_in(8) {
                    put_length(None, flexible, out);
                } else {
                    let length = random.index(40);
                    put_length(Some(length), flexible, out);
                    (0..length).for_each(|_| out.push(random.byte()));
                }
            }
            Op::Items { nullable, .. } if *nullable && random.one_in(8) => put_length(None, flexible, out),
            Op::Items { item, .. } => {
                let count = random.below(COUNT_MAX);
                put_length(usize::try_from(count).ok(), flexible, out);
                (0..count).for_each(|_| put_ops(item.ops, flexible, random, out));
            }
            Op::Maybe(_) if random.one_in(3) => out.push(0xff),
            Op::Maybe(ops) => {
                out.push(1);
                put_ops(ops, flexible, random, out);
            }
            Op::Tags(known) => put_tags(known, random, out),
        }
    }
}

fn put_tags(known: &[ottla::protocol::guard::Tag], random: &mut Random, out: &mut Vec<u8>) {
    if known.is_empty() || random.one_in(4) {
        return put_unknown_tags(random, out);
    }
    let present: Vec<_> = known.iter().filter_map(|tag| tag.ops.map(|ops| (tag.tag, ops))).collect();
    out.push(u8::try_from(present.len()).expect("schemas have few tags"));
    for (tag, ops) in present {
        let mut field = Vec::new();
        put_ops(ops, true, random, &mut field);
        put_uvarint(out, u64::from(tag));
        put_uvarint(out, field.len() as u64);
        out.extend_from_slice(&field);
    }
}

/// Mostly none; sometimes so many that a map of them has several levels.
fn put_unknown_tags(random: &mut Random, out: &mut Vec<u8>) {
    let count = match random.below(32) {
        0 => random.below(200),
        1..4 => 1,
        _ => 0,
    };
    put_uvarint(out, count);
    for position in 0..count {
        put_uvarint(out, 1000 + position);
        put_uvarint(out, 2);
        out.extend_from_slice(b"ab");
    }
}

fn put_text(flexible: bool, nullable: bool, random: &mut Random, out: &mut Vec<u8>) {
    let null = nullable && random.one_in(4);
    let length = random.index(12);
    match (flexible, null) {
        (true, true) => out.push(0),
        (true, false) => put_uvarint(out, length as u64 + 1),
        (false, true) => out.extend_from_slice(&[0xff, 0xff]),
        (false, false) => out.extend_from_slice(&i16::try_from(length).expect("short").to_be_bytes()),
    }
    if !null {
        (0..length).for_each(|_| out.push(b'a' + random.byte() % 26));
    }
}

fn put_length(length: Option<usize>, flexible: bool, out: &mut Vec<u8>) {
    let length = length.map(|length| i32::try_from(length).expect("short"));
    if flexible {
        put_uvarint(out, length.map_or(0, |length| u64::from(length.unsigned_abs()) + 1));
    } else {
        out.extend_from_slice(&length.unwrap_or(-1).to_be_bytes());
    }
}

/// Breaks a frame at or after `from`. `other` is a frame made earlier, to splice in.
pub fn mutate(frame: &mut Vec<u8>, from: usize, other: &[u8], random: &mut Random) {
    for _ in 0..=random.below(3) {
        let end = frame.len();
        let position = (from + random.index(end.saturating_sub(from))).min(end);
        match random.below(6) {
            0 if position < end => frame[position] ^= 1 << random.below(8),
            1 => frame.truncate(position),
            2 => inflate(frame, position, random),
            3 if position < end => frame[position] = random.byte(),
            4 => {
                let (start, stop) = (random.index(other.len()), random.index(other.len()));
                let piece = &other[start.min(stop)..start.max(stop)];
                let keep = if random.one_in(2) { position } else { end };
                frame.splice(position..keep.max(position), piece.iter().copied());
            }
            _ => {
                let byte = random.byte();
                frame.insert(position, byte);
            }
        }
    }
}

/// Writes a length that promises far more than there is, where one may be.
fn inflate(frame: &mut [u8], position: usize, random: &mut Random) {
    const LENGTHS: [&[u8]; 7] = [
        &[0x7f, 0xff, 0xff, 0xff],
        &[0xff, 0xff, 0xff, 0xff, 0x0f],
        &[0xff, 0xff, 0xff, 0xff, 0x07],
        &[0x80, 0x80, 0x80, 0x80, 0x80],
        &[0x00, 0x0f, 0xff, 0xff],
        &[0x7f, 0xff],
        &[0xff, 0x7f],
    ];
    let length = LENGTHS[random.index(LENGTHS.len())];
    for (target, byte) in frame[position..].iter_mut().zip(length) {
        *target = *byte;
    }
}
