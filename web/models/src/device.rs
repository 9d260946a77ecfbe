//! What computes, and what becomes of it.

use std::cell::{Cell, OnceCell};
use std::sync::Arc;

use burn::tensor::Device;
use burn::tensor::wgpu::wgpu;
use wasm_bindgen::prelude::*;

use crate::complaint;
use crate::failure::Failure;

thread_local! {
    static GPU: OnceCell<Gpu> = const { OnceCell::new() };
    static PANICKED: Cell<bool> = const { Cell::new(false) };
}

struct Gpu {
    device: Device,
    largest_buffer: u64,
    /// Kept to be asked for a loss in the tests.
    wgpu: wgpu::Device,
}

/// Opens the graphics processor, once, and returns the bytes of the largest tensor it takes.
///
/// # Errors
/// When there is none, with what the browser says.
#[wasm_bindgen(js_name = openGpu)]
pub async fn open_gpu() -> Result<f64, JsValue> {
    if let Some(largest) = GPU.with(|gpu| gpu.get().map(|gpu| gpu.largest_buffer)) {
        return Ok(largest as f64);
    }
    let (device, setup) = Device::wgpu_options()
        .init_with_setup_async()
        .await
        .map_err(|error| Failure::new("no-backend", error.to_string()))?;
    // A loss is told by whatever is read next; these would end the module.
    setup.device.on_uncaptured_error(Arc::new(|error| {
        complaint::note(match error {
            wgpu::Error::OutOfMemory { .. } => ("out-of-memory", error.to_string()),
            _ => ("internal", error.to_string()),
        });
    }));
    let limits = setup.device.limits();
    let largest_buffer = limits
        .max_storage_buffer_binding_size
        .min(limits.max_buffer_size);
    GPU.with(|gpu| {
        let wgpu = setup.device;
        // Two calls at once may both come here; the first one's stays.
        let _ = gpu.set(Gpu {
            device,
            largest_buffer,
            wgpu,
        });
    });
    Ok(largest_buffer as f64)
}

/// Ends the graphics device, as a driver that restarts does.
#[wasm_bindgen(js_name = loseGpu)]
pub fn lose_gpu() {
    GPU.with(|gpu| {
        if let Some(gpu) = gpu.get() {
            gpu.wgpu.destroy();
        }
    });
}

/// Fails with what the GPU has complained of by now, if it has.
pub(crate) fn check() -> Result<(), Failure> {
    match complaint::first() {
        Some((code, message)) => Err(Failure::new(code, message)),
        None => Ok(()),
    }
}

/// The device of that name; the graphics processor must have been opened.
pub(crate) fn named(backend: &str) -> Result<Device, Failure> {
    match backend {
        "cpu" => Ok(Device::flex()),
        "webgpu" => {
            let device = GPU.with(|gpu| gpu.get().map(|gpu| gpu.device.clone()));
            device.ok_or_else(|| Failure::new("no-backend", "the graphics processor is not open"))
        }
        other => Err(Failure::new("input", format!("`{other}` is no backend"))),
    }
}

/// Bytes of the largest tensor that a device takes.
pub(crate) fn largest_tensor(backend: &str) -> u64 {
    match backend {
        "webgpu" => GPU.with(|gpu| gpu.get().map_or(0, |gpu| gpu.largest_buffer)),
        // What a 32-bit program can ask for at once.
        _ => i32::MAX as u64,
    }
}

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_namespace = console, js_name = error)]
    fn complain(message: &str);
}

#[expect(unsafe_code, reason = "nothing else can call the linker's function")]
unsafe extern "C" {
    /// The linker's: runs what registers itself before a program begins, as the operations of shaders do.
    fn __wasm_call_ctors();
}

/// Called by the module as it starts: a panic says where it was before everything ends.
#[wasm_bindgen(start)]
#[expect(unsafe_code, reason = "nothing else can call the linker's function")]
pub fn start() {
    // SAFETY: it is called once, before anything else. Were it called nowhere, the linker would call it
    // at every call from JavaScript, and each would register everything anew.
    unsafe { __wasm_call_ctors() };
    std::panic::set_hook(Box::new(|panic| {
        if !PANICKED.replace(true) {
            complain(&panic.to_string());
        }
    }));
}
