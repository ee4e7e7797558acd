//! The floor: the least that a correct broker must do, on one thread and nothing else.
//!
//! Produce v9: split frames, check the batch's CRC, patch its offset, append all of one readable event to the page cache with one
//! `pwritev` a partition, answer all with one write. Fetch v12: `sendfile`. It checks no limits, knows no groups, and trusts its client:
//! it is a yardstick, not a server.

use std::collections::HashMap;
use std::fs::File;
use std::io::{IoSlice, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};

use super::frames::{i16_at, i32_at, i64_at};
use crate::record_batch::put_uvarint;

const READ_BUFFER_BYTES: usize = 1 << 20;
const LISTENER: u64 = u64::MAX;

struct Partition {
    file: File,
    end_position: u64,
    next_offset: i64,
    /// Base offset and position of every batch.
    batches: Vec<(i64, u64)>,
}

struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
    filled: usize,
}

/// One batch of the current readable event, waiting to be written.
struct Staged {
    partition: usize,
    from: usize,
    to: usize,
}

struct Floor {
    folder: PathBuf,
    names: HashMap<Vec<u8>, usize>,
    partitions: Vec<Partition>,
    staged: Vec<Staged>,
    answers: Vec<u8>,
}

/// Serves until killed; prints one line with its address when it is ready.
pub fn serve(listen: &str, folder: &Path) -> Result<()> {
    std::fs::create_dir_all(folder)?;
    let listener = TcpListener::bind(listen).with_context(|| format!("listening on {listen}"))?;
    listener.set_nonblocking(true)?;
    let epoll = epoll::create(CreateFlags::CLOEXEC)?;
    epoll::add(&epoll, &listener, EventData::new_u64(LISTENER), EventFlags::IN)?;
    println!("floor ready on {}", listener.local_addr()?);
    let mut floor = Floor {
        folder: folder.to_owned(),
        names: HashMap::new(),
        partitions: Vec::new(),
        staged: Vec::new(),
        answers: Vec::new(),
    };
    let mut connections: Vec<Option<Connection>> = Vec::new();
    let mut events = Vec::with_capacity(256);
    loop {
        events.clear();
        epoll::wait(&epoll, rustix::buffer::spare_capacity(&mut events), None)?;
        for event in &events {
            let id = event.data.u64();
            if id == LISTENER {
                let (stream, _) = listener.accept()?;
                stream.set_nonblocking(true)?;
                stream.set_nodelay(true)?;
                epoll::add(&epoll, &stream, EventData::new_u64(connections.len() as u64), EventFlags::IN)?;
                connections.push(Some(Connection { stream, buffer: vec![0; READ_BUFFER_BYTES], filled: 0 }));
                continue;
            }
            let slot = &mut connections[id as usize];
            let Some(connection) = slot else { continue };
            if floor.readable(connection).is_err() {
                *slot = None;
            }
        }
    }
}

impl Floor {
    fn readable(&mut self, connection: &mut Connection) -> Result<()> {
        let count = match connection.stream.read(&mut connection.buffer[connection.filled..]) {
            Ok(0) => bail!("closed"),
            Ok(count) => count,
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        connection.filled += count;
        let mut from = 0;
        while connection.filled - from >= 4 {
            let length = i32_at(&connection.buffer, from) as usize;
            if connection.filled - from - 4 < length {
                break;
            }
            self.request(connection, from + 4, from + 4 + length)?;
            from += 4 + length;
        }
        self.write_staged(&connection.buffer)?;
        write_all(&connection.stream, &self.answers)?;
        self.answers.clear();
        connection.buffer.copy_within(from..connection.filled, 0);
        connection.filled -= from;
        Ok(())
    }

    fn request(&mut self, connection: &mut Connection, from: usize, to: usize) -> Result<()> {
        let frame = &mut connection.buffer[from..to];
        let client_id_bytes = i16_at(frame, 8).max(0) as usize;
        let body = 10 + client_id_bytes + 1;
        match (i16_at(frame, 0), i16_at(frame, 2)) {
            (0, 9) => self.produce(frame, body, from),
            (1, 12) => self.fetch(&connection.stream, frame, body),
            other => bail!("not a request of the benchmark: {other:?}"),
        }
    }

    fn produce(&mut self, frame: &mut [u8], body: usize, frame_from: usize) -> Result<()> {
        let correlation_id = i32_at(frame, 4);
        // transactional id 1, acks 2, timeout 4, topics 1
        let topic_at = body + 8;
        let name_bytes = usize::from(frame[topic_at]) - 1;
        let partition_at = topic_at + 1 + name_bytes + 1;
        let partition = self.partition(&frame[topic_at + 1..partition_at - 1], i32_at(frame, partition_at))?;
        let (length, records_at) = uvarint(frame, partition_at + 4);
        let batch = &mut frame[records_at..records_at + length - 1];
        if crc32c::crc32c(&batch[21..]) != i32_at(batch, 17) as u32 {
            bail!("wrong CRC");
        }
        let state = &mut self.partitions[partition];
        let base_offset = state.next_offset;
        batch[..8].copy_from_slice(&base_offset.to_be_bytes());
        batch[12..16].copy_from_slice(&0i32.to_be_bytes());
        state.next_offset += i64::from(i32_at(batch, 57));
        let from = frame_from + records_at;
        self.staged.push(Staged { partition, from, to: from + length - 1 });
        let topic = topic_at..topic_at + 1 + name_bytes;
        let index = partition_at..partition_at + 4;
        self.answers.extend_from_slice(&((12 + name_bytes + 35) as i32).to_be_bytes());
        self.answers.extend_from_slice(&correlation_id.to_be_bytes());
        self.answers.extend_from_slice(&[0, 2]);
        self.answers.extend_from_slice(&frame[topic]);
        self.answers.push(2);
        self.answers.extend_from_slice(&frame[index]);
        self.answers.extend_from_slice(&0i16.to_be_bytes());
        self.answers.extend_from_slice(&base_offset.to_be_bytes());
        self.answers.extend_from_slice(&(-1i64).to_be_bytes());
        self.answers.extend_from_slice(&0i64.to_be_bytes());
        // No record errors, no error message, tags of partition and topic, throttle time, tags of the answer.
        self.answers.extend_from_slice(&[1, 0, 0, 0, 0, 0, 0, 0, 0]);
        Ok(())
    }

    /// Writes what one readable event brought: one `pwritev` for each run of batches of one partition.
    fn write_staged(&mut self, buffer: &[u8]) -> Result<()> {
        let mut staged = std::mem::take(&mut self.staged);
        for run in staged.chunk_by(|left, right| left.partition == right.partition) {
            let partition = &mut self.partitions[run[0].partition];
            let mut slices: Vec<IoSlice<'_>> = Vec::with_capacity(run.len());
            let mut position = partition.end_position;
            for batch in run {
                let bytes = &buffer[batch.from..batch.to];
                partition.batches.push((i64_at(bytes, 0), position));
                position += bytes.len() as u64;
                slices.push(IoSlice::new(bytes));
            }
            let written = rustix::io::pwritev(&partition.file, &slices, partition.end_position)?;
            if written as u64 != position - partition.end_position {
                bail!("short write");
            }
            partition.end_position = position;
        }
        staged.clear();
        self.staged = staged;
        Ok(())
    }

    fn fetch(&mut self, stream: &TcpStream, frame: &[u8], body: usize) -> Result<()> {
        let correlation_id = i32_at(frame, 4);
        let max_bytes = i32_at(frame, body + 12) as u64;
        let topic_at = body + 26;
        let name_bytes = usize::from(frame[topic_at]) - 1;
        let partition_at = topic_at + 1 + name_bytes + 1;
        let index = i32_at(frame, partition_at);
        let offset = i64_at(frame, partition_at + 8);
        let id = self.partition(&frame[topic_at + 1..partition_at - 1], index)?;
        let partition = &self.partitions[id];
        let batch = partition.batches.partition_point(|(base_offset, _)| *base_offset <= offset) - 1;
        let position = partition.batches[batch].1;
        let records_bytes = max_bytes.min(partition.end_position - position);
        let mut head = vec![0, 0, 0, 0];
        head.extend_from_slice(&correlation_id.to_be_bytes());
        head.extend_from_slice(&[0; 11]);
        head.push(2);
        head.extend_from_slice(&frame[topic_at..topic_at + 1 + name_bytes]);
        head.push(2);
        head.extend_from_slice(&index.to_be_bytes());
        head.extend_from_slice(&0i16.to_be_bytes());
        head.extend_from_slice(&partition.next_offset.to_be_bytes());
        head.extend_from_slice(&partition.next_offset.to_be_bytes());
        head.extend_from_slice(&0i64.to_be_bytes());
        head.push(0);
        head.extend_from_slice(&(-1i32).to_be_bytes());
        put_uvarint(&mut head, records_bytes + 1);
        let length = (head.len() - 4) as u64 + records_bytes + 3;
        head[..4].copy_from_slice(&(length as i32).to_be_bytes());
        write_all(stream, &head)?;
        send_file(stream, &partition.file, position, records_bytes)?;
        write_all(stream, &[0, 0, 0])
    }

    fn partition(&mut self, topic: &[u8], index: i32) -> Result<usize> {
        let mut name = topic.to_vec();
        name.extend_from_slice(&index.to_be_bytes());
        if let Some(id) = self.names.get(&name) {
            return Ok(*id);
        }
        let path = self.folder.join(format!("{}-{index}.log", String::from_utf8_lossy(topic)));
        let file = File::options().create(true).truncate(true).read(true).write(true).open(path)?;
        self.partitions.push(Partition { file, end_position: 0, next_offset: 0, batches: Vec::new() });
        self.names.insert(name, self.partitions.len() - 1);
        Ok(self.partitions.len() - 1)
    }
}

fn uvarint(bytes: &[u8], mut at: usize) -> (usize, usize) {
    let (mut value, mut shift) = (0usize, 0);
    loop {
        value |= usize::from(bytes[at] & 0x7f) << shift;
        at += 1;
        if bytes[at - 1] < 0x80 {
            return (value, at);
        }
        shift += 7;
    }
}

fn wait_writable(stream: &TcpStream) -> Result<()> {
    use rustix::event::{PollFd, PollFlags, poll};
    poll(&mut [PollFd::new(stream, PollFlags::OUT)], None)?;
    Ok(())
}

fn write_all(mut stream: &TcpStream, mut bytes: &[u8]) -> Result<()> {
    while !bytes.is_empty() {
        match stream.write(bytes) {
            Ok(count) => bytes = &bytes[count..],
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => wait_writable(stream)?,
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

fn send_file(stream: &TcpStream, file: &File, position: u64, length: u64) -> Result<()> {
    let (mut from, to) = (position, position + length);
    while from < to {
        let count = (to - from) as usize;
        match rustix::fs::sendfile(stream, file, Some(&mut from), count) {
            Ok(0) => bail!("the file ends early"),
            Ok(_) => {}
            Err(rustix::io::Errno::AGAIN) => wait_writable(stream)?,
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}
