//! Whether a model fits, before any of it is read.

use std::path::Path;

use rarebit_models::safetensors_file::TensorFile;

use crate::device;
use crate::failure::Failure;

/// What a 32-bit program can hold, less what computing takes.
const MEMORY: u64 = 3 << 30;

/// The weights of a folder, as they will be in memory.
pub(crate) struct Room {
    pub(crate) bytes: u64,
    pub(crate) parameters: u64,
}

/// Counts a folder's weights, all as f32, and refuses what a backend has no room for.
pub(crate) fn check(folder: &Path, backend: &str) -> Result<Room, Failure> {
    let file = TensorFile::open(folder)?;
    let limit = device::largest_tensor(backend);
    let mut parameters = 0;
    for name in file.names().filter(|name| !name.ends_with("_scale")) {
        let numbers: u64 = file
            .shape(name)
            .unwrap_or(&[])
            .iter()
            .map(|&n| n as u64)
            .product();
        parameters += numbers;
        if numbers * 4 > limit {
            return Err(Failure::new(
                "too-large",
                format!(
                    "its tensor {name} takes {}, this {} takes {} at once",
                    megabytes(numbers * 4),
                    if backend == "webgpu" {
                        "graphics processor"
                    } else {
                        "browser"
                    },
                    megabytes(limit),
                ),
            ));
        }
    }
    let bytes = parameters * 4;
    if backend == "cpu" && bytes > MEMORY {
        let message = format!(
            "its weights take {} in memory, WebAssembly has room for {}",
            megabytes(bytes),
            megabytes(MEMORY)
        );
        return Err(Failure::new("too-large", message));
    }
    Ok(Room { bytes, parameters })
}

fn megabytes(bytes: u64) -> String {
    format!("{} MB", bytes.div_ceil(1_000_000))
}
