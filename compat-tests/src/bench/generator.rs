//! The load: raw sockets, prebuilt frames, every answer checked; one thread, so that its cost stays on one core.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use hdrhistogram::Histogram;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::net::{RecvFlags, recv};

use super::frames::{self, FetchAnswer, ProduceAnswer, REQUEST_CORRELATION};

/// Longer answers count as this long.
const LATENCY_US_MAX: u64 = 60_000_000;

/// What one connection sends, over and over.
pub enum Work {
    /// One frame; each answer's base offset must follow on the last one's.
    Produce { frame: Vec<u8>, records: i64 },
    /// Reads from offset 0 to the high watermark again and again; `offset_at` is where the frame holds the offset.
    Fetch { frame: Vec<u8>, offset_at: usize, batch_bytes: usize, batch_records: i64 },
}

/// A run's load, the same on every connection.
pub struct Load {
    pub address: SocketAddr,
    pub topic: String,
    /// Requests that a connection keeps in flight.
    pub window: usize,
    pub warm_up: Duration,
    pub measured: Duration,
}

/// What was acknowledged within the measured time, and from request to answer in µs.
pub struct Outcome {
    pub requests: u64,
    pub bytes: u64,
    pub elapsed: Duration,
    pub latency_us: Histogram<u64>,
    /// For each connection, the offset behind the last acknowledged record.
    pub ends: Vec<i64>,
}

struct Connection {
    stream: TcpStream,
    work: Work,
    /// Bytes of the current frame already sent; a frame is sent whole before its bytes change.
    sent: usize,
    sending: bool,
    next_correlation_id: i32,
    in_flight: VecDeque<(i32, Instant)>,
    answer: Vec<u8>,
    /// Bytes of the current answer that are read and dropped without looking.
    skip: usize,
    next_offset: i64,
    writable_wanted: bool,
}

/// Runs the load; `at_start` and `at_end` are called around the measured time.
pub fn run(load: &Load, work: Vec<Work>, mut at_start: impl FnMut(), mut at_end: impl FnMut()) -> Result<Outcome> {
    let epoll = epoll::create(CreateFlags::CLOEXEC)?;
    let mut connections = Vec::new();
    for (index, work) in work.into_iter().enumerate() {
        let stream = TcpStream::connect(load.address).with_context(|| format!("connecting to {}", load.address))?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        epoll::add(&epoll, &stream, EventData::new_u64(index as u64), EventFlags::IN)?;
        connections.push(Connection::new(stream, work));
    }
    let mut outcome = Outcome {
        requests: 0,
        bytes: 0,
        elapsed: Duration::ZERO,
        latency_us: Histogram::new_with_max(LATENCY_US_MAX, 3)?,
        ends: Vec::new(),
    };
    let begin = Instant::now();
    let (mut measuring, mut measured_from) = (false, begin);
    let mut scratch = vec![0u8; 1 << 20];
    let mut events = Vec::with_capacity(256);
    for connection in &mut connections {
        connection.send(load.window)?;
    }
    loop {
        let now = Instant::now();
        if !measuring && now - begin >= load.warm_up {
            measuring = true;
            measured_from = now;
            at_start();
        }
        if measuring && now - measured_from >= load.measured {
            at_end();
            outcome.elapsed = now - measured_from;
            break;
        }
        events.clear();
        let timeout = rustix::event::Timespec { tv_sec: 0, tv_nsec: 20_000_000 };
        epoll::wait(&epoll, rustix::buffer::spare_capacity(&mut events), Some(&timeout))?;
        for event in &events {
            let id = event.data.u64();
            let connection = &mut connections[id as usize];
            let flags = event.flags;
            if flags.contains(EventFlags::IN) {
                connection.receive(load, &mut scratch, measuring.then_some(&mut outcome))?;
            }
            connection.send(load.window)?;
            connection.listen_for(&epoll, id)?;
        }
    }
    // What is still in flight would land behind the measured offsets and confuse the check of the log's end.
    drain(load, &mut connections, &mut scratch)?;
    outcome.ends = connections.iter().map(|connection| connection.next_offset).collect();
    Ok(outcome)
}

fn drain(load: &Load, connections: &mut [Connection], scratch: &mut [u8]) -> Result<()> {
    let deadline = Instant::now() + Duration::from_secs(20);
    for connection in connections {
        connection.stream.set_nonblocking(false)?;
        connection.stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        connection.finish_sending()?;
        while !connection.in_flight.is_empty() {
            ensure!(Instant::now() < deadline, "answers are missing at the end of the run");
            connection.receive(load, scratch, None)?;
        }
    }
    Ok(())
}

impl Connection {
    fn new(stream: TcpStream, work: Work) -> Connection {
        Connection {
            stream,
            work,
            sent: 0,
            sending: false,
            next_correlation_id: 1,
            in_flight: VecDeque::new(),
            answer: Vec::with_capacity(512),
            skip: 0,
            next_offset: 0,
            writable_wanted: false,
        }
    }

    fn frame(&mut self) -> &mut Vec<u8> {
        match &mut self.work {
            Work::Produce { frame, .. } | Work::Fetch { frame, .. } => frame,
        }
    }

    fn send(&mut self, window: usize) -> Result<()> {
        loop {
            if !self.sending {
                if self.in_flight.len() >= window {
                    return Ok(());
                }
                self.begin_frame();
            }
            if !self.write_frame()? {
                return Ok(());
            }
        }
    }

    fn begin_frame(&mut self) {
        let correlation_id = self.next_correlation_id;
        self.next_correlation_id = self.next_correlation_id.wrapping_add(1) & i32::MAX;
        self.frame()[REQUEST_CORRELATION..REQUEST_CORRELATION + 4].copy_from_slice(&correlation_id.to_be_bytes());
        if let Work::Fetch { frame, offset_at, .. } = &mut self.work {
            frame[*offset_at..*offset_at + 8].copy_from_slice(&self.next_offset.to_be_bytes());
        }
        self.in_flight.push_back((correlation_id, Instant::now()));
        self.sending = true;
        self.sent = 0;
    }

    /// Whether the frame is out; `false` when the socket takes no more.
    fn write_frame(&mut self) -> Result<bool> {
        let from = self.sent;
        let (Work::Produce { frame, .. } | Work::Fetch { frame, .. }) = &self.work;
        match self.stream.write(&frame[from..]) {
            Ok(count) => self.sent += count,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
            Err(error) => return Err(error).context("sending"),
        }
        self.sending = self.sent < self.frame().len();
        Ok(!self.sending)
    }

    fn finish_sending(&mut self) -> Result<()> {
        while self.sending {
            self.write_frame()?;
        }
        Ok(())
    }

    fn listen_for(&mut self, epoll: &impl std::os::fd::AsFd, id: u64) -> Result<()> {
        if self.sending == self.writable_wanted {
            return Ok(());
        }
        self.writable_wanted = self.sending;
        let flags = if self.sending { EventFlags::IN | EventFlags::OUT } else { EventFlags::IN };
        epoll::modify(epoll, &self.stream, EventData::new_u64(id), flags)?;
        Ok(())
    }

    fn receive(&mut self, load: &Load, scratch: &mut [u8], outcome: Option<&mut Outcome>) -> Result<()> {
        if self.skip > 0 {
            return self.drop_records(scratch);
        }
        // A fetch answer is read only as far as its head; its records are dropped in the kernel.
        let wanted = match &self.work {
            Work::Produce { .. } => scratch.len(),
            Work::Fetch { .. } => (4 + frames::fetch_head_bytes(&load.topic)).saturating_sub(self.answer.len()),
        };
        let count = match self.stream.read(&mut scratch[..wanted]) {
            Ok(0) => bail!("the server closed the connection"),
            Ok(count) => count,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error).context("receiving"),
        };
        self.answer.extend_from_slice(&scratch[..count]);
        match &self.work {
            Work::Produce { .. } => self.produce_answers(load, outcome),
            Work::Fetch { .. } => self.fetch_answer(load, outcome),
        }
    }

    fn drop_records(&mut self, scratch: &mut [u8]) -> Result<()> {
        let wanted = self.skip.min(scratch.len());
        match recv(&self.stream, &mut scratch[..wanted], RecvFlags::TRUNC) {
            Ok((_, 0)) => bail!("the server closed the connection"),
            Ok((_, count)) => self.skip -= count,
            Err(rustix::io::Errno::AGAIN) => {}
            Err(error) => return Err(error).context("dropping records"),
        }
        Ok(())
    }

    fn produce_answers(&mut self, load: &Load, mut outcome: Option<&mut Outcome>) -> Result<()> {
        let mut from = 0;
        while self.answer.len() - from >= 4 {
            let length = frames::i32_at(&self.answer, from) as usize;
            if self.answer.len() - from - 4 < length {
                break;
            }
            let answer = ProduceAnswer::read(&self.answer[from + 4..from + 4 + length], &load.topic);
            let sent_at = self.answered(answer.correlation_id, answer.error_code)?;
            let Work::Produce { frame, records } = &self.work else { unreachable!("a producer") };
            ensure!(
                answer.base_offset == self.next_offset,
                "base offset {} where {} comes next",
                answer.base_offset,
                self.next_offset
            );
            self.next_offset += records;
            let frame_bytes = frame.len();
            if let Some(outcome) = outcome.as_deref_mut() {
                outcome.count(frame_bytes, sent_at);
            }
            from += 4 + length;
        }
        self.answer.drain(..from);
        Ok(())
    }

    fn fetch_answer(&mut self, load: &Load, outcome: Option<&mut Outcome>) -> Result<()> {
        if self.answer.len() < 4 + frames::fetch_head_bytes(&load.topic) {
            return Ok(());
        }
        let answer = FetchAnswer::read(&self.answer[4..], &load.topic);
        let length = frames::i32_at(&self.answer, 0) as usize + 4;
        let sent_at = self.answered(answer.correlation_id, answer.error_code)?;
        let Work::Fetch { batch_bytes, batch_records, .. } = &self.work else { unreachable!("a consumer") };
        ensure!(answer.records_bytes >= *batch_bytes, "{} bytes of records", answer.records_bytes);
        self.next_offset += (answer.records_bytes / batch_bytes) as i64 * batch_records;
        if self.next_offset >= answer.high_watermark {
            self.next_offset = 0;
        }
        self.skip = length - self.answer.len();
        self.answer.clear();
        if let Some(outcome) = outcome {
            outcome.count(answer.records_bytes, sent_at);
        }
        Ok(())
    }

    fn answered(&mut self, correlation_id: i32, error_code: i16) -> Result<Instant> {
        let (expected, sent_at) = self.in_flight.pop_front().context("an answer without a request")?;
        ensure!(correlation_id == expected, "correlation id {correlation_id} where {expected} comes next");
        ensure!(error_code == 0, "error code {error_code}");
        Ok(sent_at)
    }
}

impl Outcome {
    fn count(&mut self, bytes: usize, sent_at: Instant) {
        self.requests += 1;
        self.bytes += bytes as u64;
        let waited = sent_at.elapsed().as_micros();
        self.latency_us.saturating_record(u64::try_from(waited).unwrap_or(u64::MAX));
    }
}
