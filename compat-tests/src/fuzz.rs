//! Frames by the million through header, guard, codec and the hot-path readers, under a counting allocator.
//!
//! What must hold for every frame: nothing panics; the guard's charge is under its cap; what the guard passes, the codec
//! decodes, and allocates no more than was charged; the hot-path readers of Produce and Fetch agree with the guard and
//! allocate nothing. For a frame that was not broken, moreover: the guard passes it, and writing what was decoded and
//! decoding that again gives the same bytes. `--seed` makes the same frames again.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use anyhow::{Context, anyhow, ensure};
use bytes::{Bytes, BytesMut};
use ottla::protocol::api_key::ApiKey;
use ottla::protocol::guard::{self, Charge, DECODED_BYTES_MAX};
use ottla::protocol::header::RequestHeader;
use ottla::protocol::message::{self, RequestMessage, RequestVisitor};
use ottla::protocol::{fetch, produce};

use crate::random::Random;
use crate::report::Report;

mod frames;

/// One frame in this many has a body of four random bytes.
const FOUR_BYTES_ONE_IN: u64 = 16;
/// One frame in this many is left whole.
const WHOLE_ONE_IN: u64 = 4;

#[derive(clap::Args)]
pub struct Arguments {
    /// Frames in all.
    #[arg(long, default_value_t = 10_000_000)]
    frames: u64,
    /// The same seed makes the same frames.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Threads; each has its own frames.
    #[arg(long, default_value_t = 2)]
    threads: u64,
}

/// What became of the frames.
#[derive(Default)]
struct Tally {
    frames: u64,
    headers_refused: u64,
    refused: u64,
    decoded: u64,
    without_codec: u64,
    charged_max_bytes: usize,
}

pub fn run(arguments: &Arguments, report: &Report) -> anyhow::Result<()> {
    let four_bytes = every_four_byte_body();
    report.check("bodies of four bytes of every api and version do no harm", four_bytes);
    let started = Instant::now();
    let share = arguments.frames / arguments.threads.max(1);
    let outcomes: Vec<anyhow::Result<Tally>> = std::thread::scope(|scope| {
        let run = |thread: u64| scope.spawn(move || fuzz(share, arguments.seed.wrapping_mul(1000) + thread));
        let threads: Vec<_> = (0..arguments.threads.max(1)).map(run).collect();
        threads.into_iter().map(|thread| thread.join().expect("panics are caught inside")).collect()
    });
    let mut total = Tally::default();
    for outcome in outcomes {
        let Some(tally) = report.check("frames pass header, guard, codec and readers", outcome) else { continue };
        total.add(&tally);
    }
    let seconds = started.elapsed().as_secs_f64();
    println!(
        "      {} frames in {seconds:.1} s, {:.0} a second: {} headers refused, {} bodies refused, {} decoded, \
         {} of versions without structs; largest charge {} bytes",
        total.frames,
        total.frames as f64 / seconds,
        total.headers_refused,
        total.refused,
        total.decoded,
        total.without_codec,
        total.charged_max_bytes
    );
    Ok(())
}

impl Tally {
    fn add(&mut self, other: &Tally) {
        self.frames += other.frames;
        self.headers_refused += other.headers_refused;
        self.refused += other.refused;
        self.decoded += other.decoded;
        self.without_codec += other.without_codec;
        self.charged_max_bytes = self.charged_max_bytes.max(other.charged_max_bytes);
    }
}

/// Lengths and counts that lie, in the shortest body that can hold one.
fn every_four_byte_body() -> anyhow::Result<()> {
    let mut tally = Tally::default();
    let mut random = Random::new(4);
    for api in ApiKey::ALL {
        for version in api.versions() {
            for high in [0x00, 0x01, 0x02, 0x7f, 0x80, 0xff] {
                for low in [0x00, 0x01, 0x0f, 0x7f, 0x80, 0xff] {
                    let mut frame = Vec::new();
                    frames::put_header(*api, version, &mut random, &mut frame);
                    frame.extend_from_slice(&[high, low, low, low]);
                    guarded(&frame, false, &mut tally)?;
                }
            }
        }
    }
    Ok(())
}

fn fuzz(count: u64, seed: u64) -> anyhow::Result<Tally> {
    let mut random = Random::new(seed);
    let mut tally = Tally::default();
    let (mut frame, mut earlier) = (Vec::new(), Vec::new());
    for _ in 0..count {
        std::mem::swap(&mut frame, &mut earlier);
        frame.clear();
        let (api, version) = frames::pick(&mut random);
        frames::put_header(api, version, &mut random, &mut frame);
        let body_position = frame.len();
        let mut whole = false;
        if random.below(FOUR_BYTES_ONE_IN) == 0 {
            frame.extend_from_slice(&random.next().to_be_bytes()[..4]);
        } else {
            frames::put_body(api, version, &mut random, &mut frame);
            whole = random.below(WHOLE_ONE_IN) == 0;
            if !whole {
                // Mostly the body: a broken header ends the journey early.
                let from = if random.below(16) == 0 { 0 } else { body_position };
                frames::mutate(&mut frame, from, &earlier, &mut random);
            }
        }
        guarded(&frame, whole, &mut tally)?;
    }
    Ok(tally)
}

/// Judges a frame; a failure or a panic is told with the frame's bytes.
fn guarded(frame: &[u8], whole: bool, tally: &mut Tally) -> anyhow::Result<()> {
    let judged = catch_unwind(AssertUnwindSafe(|| judge(frame, whole, tally)));
    let judged = judged.unwrap_or_else(|_| Err(anyhow!("panicked")));
    judged.with_context(|| {
        let mut rest = Bytes::copy_from_slice(frame);
        let head = RequestHeader::parse(&mut rest).map(|header| format!("{} v{}", header.api_key, header.api_version));
        let hex: String = frame.iter().map(|byte| format!("{byte:02x}")).collect();
        format!("{} whole={whole} frame={hex}", head.unwrap_or_else(|error| error.to_string()))
    })
}

fn judge(frame: &[u8], whole: bool, tally: &mut Tally) -> anyhow::Result<()> {
    tally.frames += 1;
    let mut body = Bytes::copy_from_slice(frame);
    let header = match RequestHeader::parse(&mut body) {
        Ok(header) => header,
        Err(error) => {
            ensure!(!whole, "a whole header was refused: {error}");
            tally.headers_refused += 1;
            return Ok(());
        }
    };
    let (api, version) = (header.api_key, header.api_version);
    let mut checked = Err(guard::GuardError::UnsupportedVersion { api, version });
    let memory = allocation_counter::measure(|| checked = guard::check(api, version, &body));
    ensure!(memory.count_total == 0, "the guard allocated {} bytes", memory.bytes_total);
    read_hot_path(api, version, &body, checked.is_ok())?;
    let charge = match checked {
        Ok(charge) => charge,
        Err(error) => {
            ensure!(!whole, "a whole body was refused: {error}");
            tally.refused += 1;
            return Ok(());
        }
    };
    ensure!(charge.decoded_bytes <= DECODED_BYTES_MAX, "charged {} bytes", charge.decoded_bytes);
    tally.charged_max_bytes = tally.charged_max_bytes.max(charge.decoded_bytes);
    let decoded = message::visit_request(api, Decode { version, body, charge, whole }).unwrap_or(Ok(false))?;
    tally.decoded += u64::from(decoded);
    tally.without_codec += u64::from(!decoded);
    Ok(())
}

/// The hot-path readers take what the guard takes, and no memory.
fn read_hot_path(api: ApiKey, version: i16, body: &Bytes, passed: bool) -> anyhow::Result<()> {
    // A slice of the frame takes memory once, for the count of its holders; so one is taken before.
    let body = body.slice(..);
    let mut read = true;
    let memory = allocation_counter::measure(|| {
        read = match api {
            ApiKey::Produce if produce::VERSIONS.contains(&version) => read_produce(version, body),
            ApiKey::Fetch if fetch::VERSIONS.contains(&version) => read_fetch(version, body),
            _ => passed,
        };
    });
    ensure!(read == passed, "the guard says {passed}, the reader {read}");
    ensure!(memory.count_total == 0, "the reader allocated {} bytes", memory.bytes_total);
    Ok(())
}

fn read_produce(version: i16, body: Bytes) -> bool {
    let Ok(request) = produce::Request::parse(version, body) else { return false };
    let partitions = request.topics().map(|topic| topic.partitions().count() == topic.partition_count);
    partitions.filter(|whole| *whole).count() == request.topic_count()
}

fn read_fetch(version: i16, body: Bytes) -> bool {
    let Ok(request) = fetch::Request::parse(version, body) else { return false };
    let topics = request.topics().filter(|topic| topic.partitions().count() == topic.partition_count).count();
    let forgotten = request.forgotten_topics();
    let forgotten = forgotten.filter(|topic| topic.partitions().count() == topic.partition_count).count();
    topics == request.topic_count() && forgotten == request.forgotten_topic_count()
}

/// Decodes what the guard passed; answers false when there is no struct for the version.
struct Decode {
    version: i16,
    body: Bytes,
    charge: Charge,
    whole: bool,
}

impl RequestVisitor for Decode {
    type Output = anyhow::Result<bool>;

    fn visit<R: RequestMessage>(self) -> anyhow::Result<bool> {
        if !R::VERSIONS.contains(&self.version) {
            return Ok(false);
        }
        let body = self.body.clone();
        let mut decoded = None;
        let memory = allocation_counter::measure(|| decoded = Some(message::decode_request::<R>(self.version, body)));
        let request = decoded.expect("measured code runs")?;
        let charged = u64::try_from(self.charge.decoded_bytes)?;
        ensure!(memory.bytes_total <= charged, "allocated {} bytes, charged {charged}", memory.bytes_total);
        if self.whole {
            same_when_written(&request, self.version)?;
        }
        Ok(true)
    }
}

/// Writing, reading and writing again must give the same bytes: tags may be in another order than they came in.
fn same_when_written<R: RequestMessage>(request: &R, version: i16) -> anyhow::Result<()> {
    let (mut first, mut second) = (BytesMut::new(), BytesMut::new());
    request.write(&mut first, version)?;
    message::decode_request::<R>(version, first.clone().freeze())?.write(&mut second, version)?;
    ensure!(first == second, "written {first:?}, then {second:?}");
    Ok(())
}
