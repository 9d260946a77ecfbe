//! Which processor computes: `--device auto|gpu|gpu:N|cpu`.

pub(crate) mod adapter;

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, anyhow, bail};
use burn::tensor::Device;

use adapter::{Adapter, AdapterType};

const SEE_LIST: &str = "`rarebit devices` lists what there is; `--device cpu` always works";

/// The value of `--device`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum DeviceChoice {
    /// The best real GPU, else the CPU.
    #[default]
    Auto,
    /// The best real GPU, else an error.
    Gpu,
    /// The adapter with this number in `rarebit devices`, whatever it is.
    Adapter(usize),
    /// The CPU.
    Cpu,
}

impl FromStr for DeviceChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let unknown = || format!("`{text}` is no device: use auto, gpu, gpu:N or cpu");
        match text {
            "auto" => Ok(Self::Auto),
            "gpu" => Ok(Self::Gpu),
            "cpu" => Ok(Self::Cpu),
            _ => {
                let index = text.strip_prefix("gpu:").ok_or_else(unknown)?;
                Ok(Self::Adapter(index.parse().map_err(|_| unknown())?))
            }
        }
    }
}

impl fmt::Display for DeviceChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Gpu => f.write_str("gpu"),
            Self::Adapter(index) => write!(f, "gpu:{index}"),
            Self::Cpu => f.write_str("cpu"),
        }
    }
}

/// Opens the chosen device; the text says which it is and why.
pub(crate) fn open(choice: DeviceChoice) -> anyhow::Result<(Device, String)> {
    match choice {
        DeviceChoice::Cpu => Ok((Device::flex(), "CPU, as asked".to_owned())),
        DeviceChoice::Auto => Ok(open_auto(&adapter::list())),
        DeviceChoice::Gpu => {
            let adapters = adapter::list();
            let Some(adapter) = real_gpus(&adapters).first().copied() else {
                bail!("no GPU: {}; {SEE_LIST}", why_none(&adapters));
            };
            let device = open_adapter(adapter)?;
            Ok((device, format!("{}, the first real GPU", label(adapter))))
        }
        DeviceChoice::Adapter(index) => {
            let adapters = adapter::list();
            let adapter = adapters.get(index).ok_or_else(|| {
                anyhow!(
                    "there is no adapter {index}, wgpu finds {}; {SEE_LIST}",
                    adapters.len()
                )
            })?;
            let device = open_adapter(adapter)?;
            Ok((device, format!("{}, as asked", label(adapter))))
        }
    }
}

/// The adapter that `auto` takes, if any, and why: the best real GPU.
pub(crate) fn automatic(adapters: &[Adapter]) -> (Option<&Adapter>, String) {
    match real_gpus(adapters).first() {
        Some(adapter) => (
            Some(adapter),
            format!("the first {} found", adapter.kind.as_str()),
        ),
        None => (None, why_none(adapters)),
    }
}

/// A GPU whose driver fails to open is passed over, so that `auto` always ends on a device.
fn open_auto(adapters: &[Adapter]) -> (Device, String) {
    let mut failures = String::new();
    for adapter in real_gpus(adapters) {
        match open_adapter(adapter) {
            Ok(device) => {
                let reason = format!(
                    "{}: the first {} found",
                    label(adapter),
                    adapter.kind.as_str()
                );
                return (device, reason + &failures);
            }
            Err(error) => failures += &format!("; passed over: {error:#}"),
        }
    }
    let why = if failures.is_empty() {
        why_none(adapters)
    } else {
        "no GPU could be opened".to_owned()
    };
    (Device::flex(), format!("CPU: {why}{failures}"))
}

/// Real GPUs, best first: discrete, integrated, virtual, each in listed order.
fn real_gpus(adapters: &[Adapter]) -> Vec<&Adapter> {
    let mut gpus: Vec<_> = adapters
        .iter()
        .filter(|it| it.selector.is_some() && rank(it.kind).is_some())
        .collect();
    gpus.sort_by_key(|it| rank(it.kind));
    gpus
}

/// `None` for what is taken only by its number.
fn rank(kind: AdapterType) -> Option<u8> {
    match kind {
        AdapterType::Discrete => Some(0),
        AdapterType::Integrated => Some(1),
        AdapterType::Virtual => Some(2),
        AdapterType::Software | AdapterType::Other => None,
    }
}

fn why_none(adapters: &[Adapter]) -> String {
    let names: Vec<_> = adapters.iter().map(label).collect();
    if names.is_empty() {
        "wgpu finds no adapter (no GPU, or no driver for it)".to_owned()
    } else {
        format!("wgpu finds no real GPU, only {}", names.join("; "))
    }
}

fn label(adapter: &Adapter) -> String {
    format!(
        "gpu:{} {}, {} on {}",
        adapter.index,
        adapter.name,
        adapter.kind.as_str(),
        adapter.api
    )
}

/// Burn sets an adapter up once per process: opening it again hands out the same device.
fn open_adapter(adapter: &Adapter) -> anyhow::Result<Device> {
    static OPENED: Mutex<BTreeMap<usize, Device>> = Mutex::new(BTreeMap::new());
    let mut opened = OPENED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(device) = opened.get(&adapter.index) {
        return Ok(device.clone());
    }
    let selector = adapter
        .selector
        .clone()
        .with_context(|| format!("Burn cannot address {}; {SEE_LIST}", label(adapter)))?;
    let (device, setup) = Device::wgpu_options()
        .device_kind(selector.kind)
        .graphics_api(selector.api)
        .init_with_setup()
        .with_context(|| format!("cannot open {}; {SEE_LIST}", label(adapter)))?;
    let taken = setup.adapter.get_info();
    if (taken.vendor, taken.device, &taken.name)
        != (adapter.vendor_id, adapter.device_id, &adapter.name)
    {
        bail!(
            "asked for {}, got {}: the adapters changed meanwhile, try again",
            label(adapter),
            taken.name
        );
    }
    opened.insert(adapter.index, device.clone());
    Ok(device)
}

#[cfg(test)]
mod tests {
    use burn::tensor::DeviceKind;
    use burn::tensor::wgpu::WgpuBackend;

    use super::*;
    use adapter::Selector;

    fn adapter(index: usize, kind: AdapterType) -> Adapter {
        Adapter {
            index,
            name: format!("adapter {index}"),
            vendor: String::new(),
            vendor_id: 0,
            device_id: 0,
            api: "Vulkan".to_owned(),
            driver: String::new(),
            driver_info: String::new(),
            kind,
            max_buffer_size: 0,
            max_storage_buffer_binding_size: 0,
            f16: false,
            subgroups: false,
            cooperative_matrix: Vec::new(),
            selector: Some(Selector {
                api: WgpuBackend::Vulkan,
                kind: DeviceKind::Cpu,
            }),
        }
    }

    fn automatic_index(kinds: &[AdapterType]) -> Option<usize> {
        let adapters: Vec<_> = kinds
            .iter()
            .enumerate()
            .map(|(index, kind)| adapter(index, *kind))
            .collect();
        automatic(&adapters).0.map(|it| it.index)
    }

    #[test]
    fn auto_takes_discrete_then_integrated_and_never_software() {
        use AdapterType::{Discrete, Integrated, Other, Software};
        assert_eq!(automatic_index(&[Software, Integrated, Discrete]), Some(2));
        assert_eq!(
            automatic_index(&[Software, Integrated, Integrated]),
            Some(1)
        );
        assert_eq!(automatic_index(&[Software, Other]), None);
        assert_eq!(automatic_index(&[]), None);
    }

    #[test]
    fn auto_says_why_it_stays_on_the_cpu() {
        assert!(open_auto(&[]).1.starts_with("CPU: wgpu finds no adapter"));
        let (_, reason) = open_auto(&[adapter(0, AdapterType::Software)]);
        assert_eq!(
            reason,
            "CPU: wgpu finds no real GPU, only gpu:0 adapter 0, software on Vulkan"
        );
    }

    #[test]
    fn choices_round_trip_and_others_are_refused() {
        for text in ["auto", "gpu", "gpu:0", "gpu:12", "cpu"] {
            assert_eq!(
                text.parse::<DeviceChoice>()
                    .map(|it| it.to_string())
                    .as_deref(),
                Ok(text)
            );
        }
        for text in ["", "GPU", "gpu:", "gpu:-1", "gpu:x", "cuda"] {
            let error = text.parse::<DeviceChoice>().unwrap_err();
            assert!(error.contains("auto, gpu, gpu:N or cpu"), "{error}");
        }
    }

    #[test]
    fn absent_adapter_is_an_error_with_a_remedy() {
        let error = open(DeviceChoice::Adapter(9_999)).unwrap_err().to_string();
        assert!(error.contains("rarebit devices"), "{error}");
    }
}
