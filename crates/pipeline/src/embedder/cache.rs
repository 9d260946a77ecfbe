//! Vectors of texts on disk, so that no text is embedded twice.
//!
//! One file per embedder: a header, then records of one size, `text hash | vector | checksum`,
//! only ever appended to. Writers take the file's lock, cut off what a killed writer left half
//! written, and append whole records. Readers take no lock: a record counts when its checksum is
//! right. A cache that cannot be read or written is told once and done without.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use rarebit_deviation::{EmbedError, Embedder};

use crate::error::Result;
use crate::event::{Events, Stage};

/// Says what the file is and which version of the layout it has.
const MAGIC: &[u8; 8] = b"rbtemb01";
/// Magic, number of components, hash of the embedder's id.
const HEADER: usize = 8 + 8 + 32;
const KEY: usize = 32;
const CHECKSUM: usize = 8;
/// Texts embedded between two writes: what a kill can cost.
const TEXTS_PER_WRITE: usize = 256;
/// From so many texts on, embedding is shown as a bar.
const TEXTS_WORTH_A_BAR: usize = 2 * TEXTS_PER_WRITE;

type Key = [u8; KEY];

/// An embedder that remembers on disk.
pub struct CachedEmbedder<E> {
    inner: E,
    store: Mutex<Option<Store>>,
    events: Events,
}

impl<E: Embedder> CachedEmbedder<E> {
    /// Opens the embedder's file in the folder, which is made where it is missing.
    pub fn new(inner: E, folder: &Path, events: Events) -> Self {
        let store = Store::open(folder, inner.id(), inner.dims());
        let store = store.inspect_err(|error| told(folder, error)).ok();
        Self {
            inner,
            store: Mutex::new(store),
            events,
        }
    }

    fn with_store<T: Default>(&self, f: impl FnOnce(&mut Store) -> io::Result<T>) -> T {
        let mut store = self.store.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(open) = store.as_mut() else {
            return T::default();
        };
        match f(open) {
            Ok(found) => found,
            Err(error) => {
                told(&open.path, &error);
                *store = None;
                T::default()
            }
        }
    }
}

fn told(path: &Path, error: &io::Error) {
    tracing::warn!("embeddings are not kept: {error}: {}", path.display());
}

impl<E: Embedder> Embedder for CachedEmbedder<E> {
    fn id(&self) -> &str {
        self.inner.id()
    }

    fn dims(&self) -> usize {
        self.inner.dims()
    }

    fn embed(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>, EmbedError> {
        let keys: Vec<Key> = texts
            .iter()
            .map(|text| blake3::hash(text.as_bytes()).into())
            .collect();
        let mut known: HashMap<Key, Vec<f32>> = HashMap::new();
        let mut missing: Vec<(Key, &str)> = Vec::new();
        for (&key, &text) in keys.iter().zip(texts) {
            if known.contains_key(&key) {
                continue;
            }
            let vector = self.with_store(|store| Ok(store.get(&key)));
            if vector.is_none() {
                missing.push((key, text));
            }
            // A text that occurs twice is embedded once: the first place is taken at once.
            known.insert(key, vector.unwrap_or_default());
        }

        let work = (missing.len() >= TEXTS_WORTH_A_BAR).then(|| {
            self.events
                .begin(Stage::Embedding, Some(missing.len() as u64))
        });
        for chunk in missing.chunks(TEXTS_PER_WRITE) {
            let texts: Vec<&str> = chunk.iter().map(|(_, text)| *text).collect();
            let vectors = self.inner.embed(&texts)?;
            if vectors.len() != texts.len() {
                let (rows, texts) = (vectors.len(), texts.len());
                return Err(format!("{} gave {rows} rows for {texts} texts", self.id()).into());
            }
            let records: Vec<(Key, Vec<f32>)> =
                chunk.iter().map(|(key, _)| *key).zip(vectors).collect();
            self.with_store(|store| store.append(&records));
            known.extend(records);
            if let Some(work) = &work {
                work.add(chunk.len() as u64);
            }
        }
        Ok(keys
            .iter()
            .map(|key| known.get(key).cloned().unwrap_or_default())
            .collect())
    }
}

/// One embedder's file.
struct Store {
    path: PathBuf,
    file: File,
    dims: usize,
    /// Where each text's record starts.
    places: HashMap<Key, u64>,
}

impl Store {
    fn open(folder: &Path, id: &str, dims: usize) -> io::Result<Self> {
        std::fs::create_dir_all(folder)?;
        let path = folder.join(file_name(id));
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)?;
        let mut store = Self {
            path,
            file,
            dims,
            places: HashMap::new(),
        };
        store.start(id)?;
        store.scan()?;
        Ok(store)
    }

    /// Writes the header of a new file. A file with another header is no cache of this embedder,
    /// or damaged: it begins anew.
    fn start(&mut self, id: &str) -> io::Result<()> {
        let mut header = MAGIC.to_vec();
        header.extend((self.dims as u64).to_le_bytes());
        header.extend(blake3::hash(id.as_bytes()).as_bytes());
        self.locked(|file| {
            let mut found = Vec::with_capacity(HEADER);
            file.rewind()?;
            file.take(HEADER as u64).read_to_end(&mut found)?;
            if found != header {
                file.set_len(0)?;
                file.rewind()?;
                file.write_all(&header)?;
            }
            Ok(())
        })
    }

    /// Finds the whole records. A damaged one is passed over: all are of one size.
    fn scan(&mut self) -> io::Result<()> {
        self.file.seek(SeekFrom::Start(HEADER as u64))?;
        let mut reader = BufReader::with_capacity(1 << 20, &self.file);
        let mut record = vec![0; self.record()];
        let mut place = HEADER as u64;
        loop {
            match reader.read_exact(&mut record) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
                Err(error) => return Err(error),
            }
            if let Some((key, _)) = decode(&record) {
                self.places.insert(key, place);
            }
            place += record.len() as u64;
        }
    }

    /// The vector of a text. One that has been damaged since counts as absent.
    fn get(&mut self, key: &Key) -> Option<Vec<f32>> {
        let place = *self.places.get(key)?;
        let mut record = vec![0; self.record()];
        self.file.seek(SeekFrom::Start(place)).ok()?;
        self.file.read_exact(&mut record).ok()?;
        decode(&record)
            .filter(|(found, _)| found == key)
            .map(|(_, vector)| vector)
    }

    fn append(&mut self, records: &[(Key, Vec<f32>)]) -> io::Result<()> {
        let size = self.record() as u64;
        let mut bytes = Vec::with_capacity(records.len() * size as usize);
        for (key, vector) in records {
            if vector.len() != self.dims {
                return Err(io::Error::other("the embedder gave rows of unequal length"));
            }
            encode(key, vector, &mut bytes);
        }
        let start = self.locked(|file| {
            let length = file.metadata()?.len();
            if length < HEADER as u64 {
                return Err(io::Error::other("the file was cut while in use"));
            }
            // Half a record at the end is a killed writer's: the lock says that nobody writes it.
            let start = length - (length - HEADER as u64) % size;
            file.set_len(start)?;
            file.seek(SeekFrom::Start(start))?;
            file.write_all(&bytes)?;
            Ok(start)
        })?;
        for (i, (key, _)) in records.iter().enumerate() {
            self.places.insert(*key, start + i as u64 * size);
        }
        Ok(())
    }

    fn locked<T>(&mut self, f: impl FnOnce(&mut File) -> io::Result<T>) -> io::Result<T> {
        self.file.lock()?;
        let done = f(&mut self.file);
        self.file.unlock()?;
        done
    }

    fn record(&self) -> usize {
        KEY + self.dims * size_of::<f32>() + CHECKSUM
    }
}

fn encode(key: &Key, vector: &[f32], into: &mut Vec<u8>) {
    let start = into.len();
    into.extend(key);
    for value in vector {
        into.extend(value.to_le_bytes());
    }
    let checksum = blake3::hash(&into[start..]);
    into.extend(&checksum.as_bytes()[..CHECKSUM]);
}

fn decode(record: &[u8]) -> Option<(Key, Vec<f32>)> {
    let (content, checksum) = record.split_at_checked(record.len().checked_sub(CHECKSUM)?)?;
    if blake3::hash(content).as_bytes()[..CHECKSUM] != *checksum {
        return None;
    }
    let (key, vector) = content.split_first_chunk::<KEY>()?;
    let values = vector
        .as_chunks::<4>()
        .0
        .iter()
        .map(|&bytes| f32::from_le_bytes(bytes));
    Some((*key, values.collect()))
}

/// A name that people can read and file systems can hold, with the id's hash to tell it apart.
fn file_name(id: &str) -> String {
    let readable = |c: char| {
        if c.is_ascii_alphanumeric() || "-.".contains(c) {
            c
        } else {
            '_'
        }
    };
    let name: String = id.chars().take(64).map(readable).collect();
    format!("{name}-{}.bin", &blake3::hash(id.as_bytes()).to_hex()[..16])
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    /// Vectors that follow from the text's length; remembers what it was asked.
    #[derive(Default)]
    struct Lengths {
        asked: RefCell<Vec<String>>,
    }

    impl Embedder for Lengths {
        fn id(&self) -> &str {
            "org/lengths@1"
        }

        fn dims(&self) -> usize {
            3
        }

        fn embed(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>, EmbedError> {
            self.asked
                .borrow_mut()
                .extend(texts.iter().map(|text| (*text).to_owned()));
            Ok(texts
                .iter()
                .map(|text| vec![text.len() as f32, 0.1, -1.0])
                .collect())
        }
    }

    fn open(folder: &Path) -> CachedEmbedder<Lengths> {
        CachedEmbedder::new(Lengths::default(), folder, Events::default())
    }

    /// Embeds, checks the rows, and says what was not known.
    fn asked(cached: &CachedEmbedder<Lengths>, texts: &[&str]) -> Vec<String> {
        let rows = cached.embed(texts).unwrap();
        let expected: Vec<_> = texts
            .iter()
            .map(|t| vec![t.len() as f32, 0.1, -1.0])
            .collect();
        assert_eq!(rows, expected);
        cached.inner.asked.take()
    }

    fn only_file(folder: &Path) -> PathBuf {
        let mut files = std::fs::read_dir(folder).unwrap();
        let file = files.next().unwrap().unwrap().path();
        assert!(files.next().is_none());
        file
    }

    #[test]
    fn each_text_is_embedded_once_across_runs() {
        let folder = tempfile::tempdir().unwrap();
        let first = open(folder.path());
        assert_eq!(asked(&first, &["a", "bb", "a", ""]), ["a", "bb", ""]);
        assert_eq!(asked(&first, &["bb", "ccc"]), ["ccc"]);
        assert!(asked(&open(folder.path()), &["ccc", "", "a", "a", "bb"]).is_empty());
        assert!(asked(&first, &[]).is_empty());
    }

    #[test]
    fn a_file_cut_at_any_byte_keeps_its_whole_records() {
        let folder = tempfile::tempdir().unwrap();
        asked(&open(folder.path()), &["a", "bb", "ccc"]);
        let path = only_file(folder.path());
        let whole = std::fs::read(&path).unwrap();
        let record = KEY + 3 * 4 + CHECKSUM;
        assert_eq!(whole.len(), HEADER + 3 * record);
        for length in 0..=whole.len() {
            std::fs::write(&path, &whole[..length]).unwrap();
            let kept = length.saturating_sub(HEADER) / record;
            let expected = &["a", "bb", "ccc"][kept..];
            assert_eq!(
                asked(&open(folder.path()), &["a", "bb", "ccc"]),
                expected,
                "at {length}"
            );
            assert_eq!(
                std::fs::read(&path).unwrap(),
                whole,
                "whole again after {length}"
            );
        }
    }

    #[test]
    fn a_damaged_record_is_embedded_again_and_its_neighbours_are_not() {
        let folder = tempfile::tempdir().unwrap();
        asked(&open(folder.path()), &["a", "bb", "ccc"]);
        let path = only_file(folder.path());
        let whole = std::fs::read(&path).unwrap();
        let record = KEY + 3 * 4 + CHECKSUM;
        for offset in [
            HEADER + record,
            HEADER + record + KEY + 5,
            HEADER + 2 * record - 1,
        ] {
            let mut damaged = whole.clone();
            damaged[offset] ^= 1;
            std::fs::write(&path, &damaged).unwrap();
            let cached = open(folder.path());
            assert_eq!(
                asked(&cached, &["a", "bb", "ccc"]),
                ["bb"],
                "damage at {offset}"
            );
        }
        // Damage behind an open cache's back is seen when the record is read.
        std::fs::write(&path, &whole).unwrap();
        let cached = open(folder.path());
        let mut damaged = whole.clone();
        damaged[HEADER + KEY] ^= 1;
        std::fs::write(&path, &damaged).unwrap();
        assert_eq!(asked(&cached, &["a", "bb"]), ["a"]);
    }

    #[test]
    fn another_header_begins_anew() {
        let folder = tempfile::tempdir().unwrap();
        asked(&open(folder.path()), &["a"]);
        let path = only_file(folder.path());
        std::fs::write(
            &path,
            "this is no cache of embeddings, it is a letter to a friend",
        )
        .unwrap();
        assert_eq!(asked(&open(folder.path()), &["a"]), ["a"]);
        assert!(asked(&open(folder.path()), &["a"]).is_empty());
    }

    #[test]
    fn many_writers_at_once_lose_nothing() {
        let folder = tempfile::tempdir().unwrap();
        std::thread::scope(|scope| {
            for writer in 0..4 {
                let folder = folder.path();
                scope.spawn(move || {
                    let cached = open(folder);
                    for i in 0..50 {
                        asked(&cached, &[&format!("text {} of {writer}", "x".repeat(i))]);
                    }
                });
            }
        });
        let texts: Vec<String> = (0..4)
            .flat_map(|writer| (0..50).map(move |i| format!("text {} of {writer}", "x".repeat(i))))
            .collect();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        assert!(asked(&open(folder.path()), &texts).is_empty());
    }

    #[test]
    fn embedding_goes_on_where_nothing_can_be_kept() {
        let folder = tempfile::tempdir().unwrap();
        let blocked = folder.path().join("file");
        std::fs::write(&blocked, "").unwrap();
        let cached = open(&blocked);
        assert_eq!(asked(&cached, &["a", "a"]), ["a"]);
        assert_eq!(asked(&cached, &["a"]), ["a"]);
    }

    #[test]
    fn long_work_is_written_as_it_goes() {
        let folder = tempfile::tempdir().unwrap();
        let texts: Vec<String> = (0..TEXTS_PER_WRITE + 1).map(|i| i.to_string()).collect();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        assert_eq!(asked(&open(folder.path()), &texts).len(), texts.len());
        assert!(asked(&open(folder.path()), &texts).is_empty());
    }
}
