//! The same on a GPU, but for what the CPU has shown already: one objective's gradients, and none of
//! the ten steps. Any adapter will do, a software renderer too; without one the test says so and
//! passes.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use burn::tensor::wgpu::WgpuBackend;
use burn::tensor::{Device, DeviceKind};
use serde_json::Value;

use super::super::embedders;
use super::super::fixture::TOLERANCE;
use super::fixture::Variant;
use super::{Column, generate, gradients, logits, lora, reward};

/// What is compared on a GPU. Its sums and its `exp` and `tanh` round otherwise than the CPU's.
pub(super) static COLUMNS: [Column; 5] = [
    Column::new("logits", 3.0 * TOLERANCE, logits::of_whole_batches),
    Column::new("gradient of DDPO", 3.0 * TOLERANCE, |variant, device| {
        gradients::of_first_step(variant, &["ddpo"], device)
    }),
    Column::new("LoRA", 3.0 * TOLERANCE, lora::logits),
    Column::new("generate", 0.0, generate::compare),
    Column::new("reward", 3.0 * TOLERANCE, reward::compare),
];

/// The largest errors that an adapter made.
pub(super) struct Seen {
    pub(super) adapter: String,
    /// By variant and column.
    pub(super) errors: BTreeMap<String, [f32; 5]>,
    pub(super) embedders: Vec<embedders::Row>,
}

/// What the comparison saw, once per process; none without an adapter.
pub(super) fn seen() -> Option<&'static Seen> {
    static SEEN: OnceLock<Option<Seen>> = OnceLock::new();
    let seen = SEEN.get_or_init(|| {
        let (adapter, device) = open()?;
        let rows = Variant::all().into_iter().map(|variant| {
            let errors = COLUMNS
                .each_ref()
                .map(|column| (column.compare)(&variant, &device));
            (variant.name, errors)
        });
        let errors = rows.collect();
        let embedders = embedders::compare(&device, false);
        Some(Seen {
            adapter,
            errors,
            embedders,
        })
    });
    seen.as_ref()
}

/// The adapter that `--device auto` takes, or else the first one there is.
fn open() -> Option<(String, Device)> {
    let output = assert_cmd::cargo::cargo_bin_cmd!("rarebit")
        .args(["devices", "--json"])
        .output()
        .expect("rarebit runs");
    let found: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let adapters = found["adapters"].as_array().expect("a list");
    let auto = found["auto"]["device"].as_str().unwrap_or_default();
    let is_auto = |adapter: &&Value| format!("gpu:{}", adapter["index"]) == auto;
    let adapter = adapters.iter().find(is_auto).or(adapters.first())?;
    let (kind, api) = (adapter["type"].as_str()?, adapter["api"].as_str()?);
    let kind = match kind {
        "discrete" => DeviceKind::DiscreteGpu(0),
        "integrated" => DeviceKind::IntegratedGpu(0),
        "virtual" => DeviceKind::VirtualGpu(0),
        "software" => DeviceKind::Cpu,
        _ => return None,
    };
    let graphics = match api {
        "Metal" => WgpuBackend::Metal,
        "DirectX 12" => WgpuBackend::Dx12,
        _ => WgpuBackend::Vulkan,
    };
    let (device, setup) = Device::wgpu_options()
        .device_kind(kind)
        .graphics_api(graphics)
        .init_with_setup()
        .expect("an adapter that is listed opens");
    let name = setup.adapter.get_info().name;
    Some((format!("{name} on {api}"), device))
}

#[test]
fn a_gpu_computes_what_the_cpu_does() {
    match seen() {
        Some(seen) => println!("{}: {} variants", seen.adapter, seen.errors.len()),
        None => println!("skipped: wgpu finds no adapter"),
    }
}
