//! Hashes of files that come piece by piece, which browsers compute of whole files only.

use sha1::Sha1;
use sha2::{Digest, Sha256};
use wasm_bindgen::prelude::*;

use crate::failure::Failure;

/// The hash of the pieces so far.
#[wasm_bindgen]
pub struct Hasher(Algorithm);

enum Algorithm {
    Sha1(Sha1),
    Sha256(Sha256),
}

#[wasm_bindgen]
impl Hasher {
    /// Of `sha1` or `sha256`.
    ///
    /// # Errors
    /// When it is neither.
    #[wasm_bindgen(constructor)]
    pub fn new(algorithm: &str) -> Result<Hasher, JsValue> {
        match algorithm {
            "sha1" => Ok(Self(Algorithm::Sha1(Sha1::new()))),
            "sha256" => Ok(Self(Algorithm::Sha256(Sha256::new()))),
            other => {
                Err(Failure::new("input", format!("`{other}` is no hash that is known")).into())
            }
        }
    }

    /// Takes the next piece.
    pub fn update(&mut self, piece: &[u8]) {
        match &mut self.0 {
            Algorithm::Sha1(hash) => hash.update(piece),
            Algorithm::Sha256(hash) => hash.update(piece),
        }
    }

    /// The hash of all pieces, in hexadecimal.
    pub fn finish(self) -> String {
        let hash = match self.0 {
            Algorithm::Sha1(hash) => hash.finalize().to_vec(),
            Algorithm::Sha256(hash) => hash.finalize().to_vec(),
        };
        hash.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}
