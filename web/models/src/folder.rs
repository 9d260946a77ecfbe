//! Files that JavaScript has, as a folder that models are read from.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashMap};
use std::io;

use rarebit_models::files::{Folder, Mount};
use wasm_bindgen::prelude::*;

use crate::failure::Failure;

#[wasm_bindgen]
extern "C" {
    /// `{ names(): string[], size(name): number, read(name, start, into: Uint8Array): void }`
    pub type Files;

    #[wasm_bindgen(method)]
    fn names(this: &Files) -> Vec<String>;

    #[wasm_bindgen(method)]
    fn size(this: &Files, name: &str) -> f64;

    #[wasm_bindgen(method, catch)]
    fn read(this: &Files, name: &str, start: f64, into: &mut [u8]) -> Result<(), JsValue>;
}

thread_local! {
    /// What the mounted folders read from: values of JavaScript stay in their thread.
    static OPEN: RefCell<HashMap<usize, Files>> = RefCell::default();
    static LAST: Cell<usize> = const { Cell::new(0) };
}

struct Handed {
    id: usize,
    lengths: BTreeMap<String, u64>,
}

impl Folder for Handed {
    fn files(&self) -> Vec<String> {
        self.lengths.keys().cloned().collect()
    }

    fn length(&self, file: &str) -> Option<u64> {
        self.lengths.get(file).copied()
    }

    fn read(&self, file: &str, start: u64, into: &mut [u8]) -> io::Result<()> {
        OPEN.with_borrow(|open| {
            let files = open.get(&self.id).ok_or(io::ErrorKind::NotFound)?;
            files
                .read(file, start as f64, into)
                .map_err(|error| io::Error::other(Failure::from(error).message().to_owned()))
        })
    }
}

impl Drop for Handed {
    fn drop(&mut self) {
        OPEN.with_borrow_mut(|open| open.remove(&self.id));
    }
}

/// Mounts files under `name`, which is what messages call the folder.
pub(crate) fn mount(files: Files, name: &str) -> Mount {
    let id = LAST.get() + 1;
    LAST.set(id);
    let lengths = files.names().into_iter().map(|name| {
        let length = files.size(&name) as u64;
        (name, length)
    });
    let lengths = lengths.collect();
    OPEN.with_borrow_mut(|open| open.insert(id, files));
    // Two folders of one name are told apart by a number; the first needs none.
    let path = match id {
        1 => name.to_owned(),
        _ => format!("{id}/{name}"),
    };
    Mount::new(path, Handed { id, lengths })
}
