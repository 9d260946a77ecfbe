//! The adapters that wgpu finds, in the order in which `rarebit devices` prints them.

use std::pin::pin;
use std::task::{Context, Poll, Waker};

use burn::tensor::DeviceKind;
use burn::tensor::wgpu::WgpuBackend;
use serde::Serialize;
use wgpu::{Backend, DeviceType, Features};

/// The graphics APIs that rarebit computes on, best first for this system.
const APIS: &[Backend] = if cfg!(windows) {
    &[Backend::Dx12, Backend::Vulkan]
} else {
    &[Backend::Metal, Backend::Vulkan]
};

/// Names of renderers that run on the CPU, for drivers that do not say so in the device type.
const SOFTWARE: [&str; 7] = [
    "llvmpipe",
    "lavapipe",
    "softpipe",
    "swiftshader",
    "microsoft basic render",
    "warp",
    "software",
];

/// What kind of hardware an adapter is, by its driver's word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum AdapterType {
    /// A GPU with memory of its own.
    Discrete,
    /// A GPU that shares the CPU's memory.
    Integrated,
    /// A GPU that a virtual machine passes on.
    Virtual,
    /// A renderer on the CPU, such as lavapipe, SwiftShader or WARP.
    Software,
    /// The driver does not say.
    Other,
}

impl AdapterType {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Discrete => "discrete GPU",
            Self::Integrated => "integrated GPU",
            Self::Virtual => "virtual GPU",
            Self::Software => "software",
            Self::Other => "unknown",
        }
    }

    fn of(info: &wgpu::AdapterInfo) -> Self {
        if is_software(&info.name) || is_software(&info.driver) {
            return Self::Software;
        }
        match info.device_type {
            DeviceType::DiscreteGpu => Self::Discrete,
            DeviceType::IntegratedGpu => Self::Integrated,
            DeviceType::VirtualGpu => Self::Virtual,
            DeviceType::Cpu => Self::Software,
            DeviceType::Other => Self::Other,
        }
    }
}

fn is_software(name: &str) -> bool {
    let name = name.to_lowercase();
    SOFTWARE.iter().any(|software| {
        // "warp" and "software" as words: a product name may contain them.
        name.split(|c: char| !c.is_alphanumeric())
            .any(|word| word == *software)
            || (software.len() > "software".len() && name.contains(software))
    })
}

/// One adapter of one graphics API.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Adapter {
    /// The N of `--device gpu:N`.
    pub(crate) index: usize,
    pub(crate) name: String,
    pub(crate) vendor: String,
    pub(crate) vendor_id: u32,
    pub(crate) device_id: u32,
    pub(crate) api: String,
    pub(crate) driver: String,
    pub(crate) driver_info: String,
    #[serde(rename = "type")]
    pub(crate) kind: AdapterType,
    pub(crate) max_buffer_size: u64,
    pub(crate) max_storage_buffer_binding_size: u64,
    pub(crate) f16: bool,
    pub(crate) subgroups: bool,
    /// Shapes and types as `16x16x16 F16->F32`; empty where there are none.
    pub(crate) cooperative_matrix: Vec<String>,
    #[serde(skip)]
    pub(super) selector: Option<Selector>,
}

/// How Burn is told to take this adapter and no other.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Selector {
    pub(super) api: WgpuBackend,
    pub(super) kind: DeviceKind,
}

/// Lists the adapters of every API.
///
/// Burn addresses an adapter as the n-th of its device type on one API, in the order in which
/// wgpu enumerates that API on an instance of its own; so this asks in the same way.
pub(crate) fn list() -> Vec<Adapter> {
    let mut adapters = Vec::new();
    for &api in APIS {
        let instance = wgpu::Instance::new(wgpu::InstanceDescriptor {
            backends: api.into(),
            ..wgpu::InstanceDescriptor::new_without_display_handle()
        });
        let found = ready(instance.enumerate_adapters(api.into())).unwrap_or_default();
        let types: Vec<_> = found.iter().map(|it| it.get_info().device_type).collect();
        for (position, adapter) in found.iter().enumerate() {
            let selector = selector(api, &types, position);
            adapters.push(describe(adapters.len(), adapter, selector));
        }
    }
    adapters
}

fn describe(index: usize, adapter: &wgpu::Adapter, selector: Option<Selector>) -> Adapter {
    let info = adapter.get_info();
    let limits = adapter.limits();
    let features = adapter.features();
    Adapter {
        index,
        kind: AdapterType::of(&info),
        vendor: vendor_name(info.vendor).to_owned(),
        vendor_id: info.vendor,
        device_id: info.device,
        api: api_name(info.backend).to_owned(),
        name: info.name,
        driver: info.driver,
        driver_info: info.driver_info,
        max_buffer_size: limits.max_buffer_size,
        max_storage_buffer_binding_size: limits.max_storage_buffer_binding_size,
        f16: features.contains(Features::SHADER_F16),
        subgroups: features.contains(Features::SUBGROUP),
        cooperative_matrix: adapter
            .cooperative_matrix_properties()
            .iter()
            .map(|it| {
                format!(
                    "{}x{}x{} {:?}->{:?}",
                    it.m_size, it.n_size, it.k_size, it.ab_type, it.cr_type
                )
            })
            .collect(),
        selector,
    }
}

/// The Burn selector of the adapter at `position` among the `types` that one API enumerates, or
/// none where Burn has no way to name it.
fn selector(api: Backend, types: &[DeviceType], position: usize) -> Option<Selector> {
    let device_type = *types.get(position)?;
    let nth = types[..position]
        .iter()
        .filter(|it| **it == device_type)
        .count();
    let kind = match device_type {
        DeviceType::DiscreteGpu => DeviceKind::DiscreteGpu(nth),
        DeviceType::IntegratedGpu => DeviceKind::IntegratedGpu(nth),
        DeviceType::VirtualGpu => DeviceKind::VirtualGpu(nth),
        DeviceType::Cpu if nth == 0 => DeviceKind::Cpu,
        DeviceType::Cpu | DeviceType::Other => return None,
    };
    let api = match api {
        Backend::Vulkan => WgpuBackend::Vulkan,
        Backend::Metal => WgpuBackend::Metal,
        Backend::Dx12 => WgpuBackend::Dx12,
        Backend::Gl | Backend::BrowserWebGpu | Backend::Noop => return None,
    };
    Some(Selector { api, kind })
}

/// The result of a future that is ready at once, as wgpu's are outside a browser.
fn ready<T>(future: impl Future<Output = T>) -> Option<T> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => Some(value),
        Poll::Pending => None,
    }
}

fn api_name(api: Backend) -> &'static str {
    match api {
        Backend::Vulkan => "Vulkan",
        Backend::Metal => "Metal",
        Backend::Dx12 => "DirectX 12",
        Backend::Gl => "OpenGL",
        Backend::BrowserWebGpu => "WebGPU",
        Backend::Noop => "none",
    }
}

/// PCI vendor ids, and the ids that Khronos gives to vendors without one.
fn vendor_name(id: u32) -> &'static str {
    match id {
        0x1002 | 0x1022 => "AMD",
        0x1010 => "Imagination",
        0x106b => "Apple",
        0x10de => "NVIDIA",
        0x13b5 => "Arm",
        0x1414 => "Microsoft",
        0x144d => "Samsung",
        0x14e4 => "Broadcom",
        0x15ad => "VMware",
        0x1ae0 => "Google",
        0x1af4 => "Red Hat (virtio)",
        0x5143 => "Qualcomm",
        0x8086 => "Intel",
        0x10005 => "Mesa",
        0 => "unknown",
        _ => "other",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_device_type_counts_on_its_own() {
        use DeviceType::{Cpu, DiscreteGpu, IntegratedGpu, Other};
        let types = [IntegratedGpu, DiscreteGpu, Cpu, DiscreteGpu, Cpu, Other];
        let kinds: Vec<_> = (0..types.len())
            .map(|position| selector(Backend::Vulkan, &types, position).map(|it| it.kind))
            .collect();
        assert_eq!(
            kinds,
            [
                Some(DeviceKind::IntegratedGpu(0)),
                Some(DeviceKind::DiscreteGpu(0)),
                Some(DeviceKind::Cpu),
                Some(DeviceKind::DiscreteGpu(1)),
                None,
                None,
            ]
        );
    }

    #[test]
    fn software_is_known_by_name() {
        for name in [
            "llvmpipe (LLVM 19.1.7, 256 bits)",
            "SwiftShader Device (Subzero)",
            "Microsoft Basic Render Driver",
            "WARP",
            "Apple Software Renderer",
        ] {
            assert!(is_software(name), "{name}");
        }
        for name in ["NVIDIA GeForce RTX 5080", "Radeon 890M", "WarpCore 9000"] {
            assert!(!is_software(name), "{name}");
        }
    }

    #[test]
    fn listing_never_panics_and_numbers_in_order() {
        for (position, adapter) in list().iter().enumerate() {
            assert_eq!(adapter.index, position);
        }
    }
}
