//! A writer of scalars to TensorBoard event files.
//!
//! A file is a sequence of TFRecords, each one serialised `tensorflow.Event`. The two messages
//! used here have five scalar fields between them, so the protobuf is written by hand:
//!
//! ```text
//! Event      1: double wall_time  2: int64 step  3: string file_version
//!            5: Summary summary   7: SessionLog session_log
//! Summary    1: repeated Value { 1: string tag  2: float simple_value }
//! SessionLog 1: Status status (START = 1)
//! ```

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

const PREFIX: &str = "events.out.tfevents.";

/// Appends scalars to one event file of a run folder.
///
/// The caller passes times, in seconds since the Unix epoch, so that tests write the same file
/// every time.
#[derive(Debug)]
pub struct EventWriter {
    file: BufWriter<File>,
    path: PathBuf,
}

impl EventWriter {
    /// Starts a new event file in `dir`, which must exist.
    pub fn create(dir: &Path, wall_time: f64) -> io::Result<Self> {
        let (file, path) = create_file(dir, wall_time)?;
        let mut writer = Self {
            file: BufWriter::new(file),
            path,
        };
        let mut event = event(0, wall_time);
        put_bytes(&mut event, 3, b"brain.Event:2");
        writer.record(&event)?;
        Ok(writer)
    }

    /// Starts a new event file in `dir` for a run that continues after `step` finished steps.
    ///
    /// Later steps in an earlier file of the run were lost: the new file begins with a `SessionLog`
    /// START, which makes TensorBoard discard them.
    pub fn resume(dir: &Path, wall_time: f64, step: u64) -> io::Result<Self> {
        let mut writer = Self::create(dir, wall_time)?;
        let mut event = event(step + 1, wall_time);
        put_bytes(&mut event, 7, &[0x08, 0x01]);
        writer.record(&event)?;
        Ok(writer)
    }

    /// Appends one value of the curve `name`.
    pub fn scalar(&mut self, step: u64, wall_time: f64, name: &str, value: f64) -> io::Result<()> {
        let mut summary_value = Vec::with_capacity(name.len() + 8);
        put_bytes(&mut summary_value, 1, name.as_bytes());
        summary_value.push(2 << 3 | FIXED32);
        summary_value.extend((value as f32).to_le_bytes());
        let mut summary = Vec::with_capacity(summary_value.len() + 4);
        put_bytes(&mut summary, 1, &summary_value);
        let mut event = event(step, wall_time);
        put_bytes(&mut event, 5, &summary);
        self.record(&event)
    }

    /// Flushes everything appended so far to the operating system.
    pub fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }

    /// The path of the file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// One TFRecord: length, masked CRC of the length, data, masked CRC of the data.
    fn record(&mut self, data: &[u8]) -> io::Result<()> {
        let length = (data.len() as u64).to_le_bytes();
        self.file.write_all(&length)?;
        self.file.write_all(&masked_crc(&length).to_le_bytes())?;
        self.file.write_all(data)?;
        self.file.write_all(&masked_crc(data).to_le_bytes())
    }
}

/// TensorBoard reads the event files of a folder in the order of their names, so a new name must
/// sort after all existing ones, even within the same second or after the clock was set back.
fn create_file(dir: &Path, wall_time: f64) -> io::Result<(File, PathBuf)> {
    let mut seconds = wall_time.max(0.0) as u64;
    for entry in fs::read_dir(dir)? {
        let name = entry?.file_name();
        let existing = name.to_str().and_then(|name| {
            name.strip_prefix(PREFIX)?
                .split('.')
                .next()?
                .parse::<u64>()
                .ok()
        });
        if let Some(existing) = existing {
            seconds = seconds.max(existing + 1);
        }
    }
    let path = dir.join(format!("{PREFIX}{seconds:010}.rarebit"));
    Ok((File::create_new(&path)?, path))
}

const VARINT: u8 = 0;
const FIXED64: u8 = 1;
const LENGTH_DELIMITED: u8 = 2;
const FIXED32: u8 = 5;

/// The fields of every event; protobuf omits a step of 0.
fn event(step: u64, wall_time: f64) -> Vec<u8> {
    let mut out = vec![1 << 3 | FIXED64];
    out.extend(wall_time.to_le_bytes());
    if step != 0 {
        out.push(2 << 3 | VARINT);
        put_varint(&mut out, step);
    }
    out
}

fn put_bytes(out: &mut Vec<u8>, field: u8, bytes: &[u8]) {
    out.push(field << 3 | LENGTH_DELIMITED);
    put_varint(out, bytes.len() as u64);
    out.extend(bytes);
}

fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// TFRecord's masked CRC32C: rotated and offset, since a CRC of data that holds CRCs is weak.
fn masked_crc(data: &[u8]) -> u32 {
    crc32c::crc32c(data)
        .rotate_right(15)
        .wrapping_add(0xa282_ead8)
}

#[cfg(test)]
mod tests {
    use super::*;

    const WALL_TIME: f64 = 1_700_000_000.5;
    /// What TensorBoard's own `RecordWriter` writes for these three events.
    const FILE_VERSION: &str = "1800000000000000a37f4b220900002040fc54d9411a0d627261696e2e4576656e\
                                743a322b353110";
    const SCALAR: &str = "2500000000000000eabc36f30900002040fc54d941102a2a180a160a0f72657761726473\
                          2f6d617267696e73150000803ec7eccf3c";
    const START: &str = "100000000000000095fbfe180900002040fc54d94110ac023a020801b94512a3";

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    #[test]
    fn bytes_are_those_of_tensorboard() {
        let dir = tempfile::tempdir().unwrap();
        let mut writer = EventWriter::create(dir.path(), WALL_TIME).unwrap();
        writer
            .scalar(42, WALL_TIME, "rewards/margins", 0.25)
            .unwrap();
        writer.flush().unwrap();
        let bytes = fs::read(writer.path()).unwrap();
        assert_eq!(hex(&bytes), format!("{FILE_VERSION}{SCALAR}"));
    }

    #[test]
    fn resumed_run_opens_a_later_file_that_purges_lost_steps() {
        let dir = tempfile::tempdir().unwrap();
        let first = EventWriter::create(dir.path(), WALL_TIME).unwrap();
        let mut second = EventWriter::resume(dir.path(), WALL_TIME, 299).unwrap();
        second.flush().unwrap();
        assert!(first.path().file_name() < second.path().file_name());
        let bytes = fs::read(second.path()).unwrap();
        assert_eq!(hex(&bytes), format!("{FILE_VERSION}{START}"));

        let clock_set_back = EventWriter::create(dir.path(), 5.0).unwrap();
        assert!(second.path().file_name() < clock_set_back.path().file_name());
    }

    /// Reads the file as TensorBoard does: every length and both checksums must agree.
    #[test]
    fn records_parse_back() {
        let dir = tempfile::tempdir().unwrap();
        let mut writer = EventWriter::create(dir.path(), WALL_TIME).unwrap();
        let long_name = "a".repeat(300);
        writer.scalar(0, WALL_TIME, "loss", f64::NAN).unwrap();
        writer
            .scalar(u64::from(u32::MAX), WALL_TIME, &long_name, -1.5)
            .unwrap();
        writer.flush().unwrap();

        let bytes = fs::read(writer.path()).unwrap();
        let mut rest = bytes.as_slice();
        let mut records = Vec::new();
        while !rest.is_empty() {
            let (length, tail) = rest.split_at(8);
            let (length_crc, tail) = tail.split_at(4);
            assert_eq!(length_crc, masked_crc(length).to_le_bytes());
            let length = u64::from_le_bytes(length.try_into().unwrap()) as usize;
            let (data, tail) = tail.split_at(length);
            let (data_crc, tail) = tail.split_at(4);
            assert_eq!(data_crc, masked_crc(data).to_le_bytes());
            records.push(data);
            rest = tail;
        }
        assert_eq!(records.len(), 3);
        assert!(records[1].windows(4).any(|window| window == b"loss"));
        assert!(records[2].ends_with(&(-1.5f32).to_le_bytes()));
    }
}
