//! Flags of every command, and what they open.

use std::path::PathBuf;
use std::sync::Arc;

use burn::tensor::Device;
use rarebit_deviation::Embedder;
use rarebit_models::sentence_transformer::LongTexts;
use rarebit_pipeline::embedder::open_embedder;
use rarebit_pipeline::{Session, Stop};

use crate::device::{self, DeviceChoice};
use crate::{cache, event_view, hub};

/// Flags of every command
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Global {
    /// What computes: auto, gpu, gpu:N or cpu. auto takes a real GPU if there is one, else the CPU;
    /// `rarebit devices` lists them
    #[arg(long, global = true, value_name = "DEVICE", default_value_t)]
    pub(crate) device: DeviceChoice,
    /// Where embeddings and reference log-probs are kept between runs
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) cache_dir: Option<PathBuf>,
    /// Embed texts longer than an embedder reads as the mean over their chunks
    #[arg(long, global = true)]
    pub(crate) embed_chunks: bool,
}

impl Global {
    /// Opens the device and says which it is.
    pub(crate) fn open_device(&self) -> anyhow::Result<Device> {
        let (device, why) = device::open(self.device)?;
        crate::progress::note(&format!("device: {why}"));
        Ok(device)
    }

    /// What a run needs, on the chosen device.
    pub(crate) fn session(&self) -> anyhow::Result<Session> {
        self.session_on(self.open_device()?)
    }

    /// What a run needs, on this device.
    fn session_on(&self, device: Device) -> anyhow::Result<Session> {
        Ok(Session {
            device,
            models: Arc::new(hub::HubOrFolder),
            cache_dir: cache::folder(self.cache_dir.as_deref())?,
            events: event_view::events(),
            stop: Stop::default(),
        })
    }

    /// Opens an embedder; only a neural one needs the device.
    pub(crate) fn embedder(&self, name: &str) -> anyhow::Result<Box<dyn Embedder>> {
        let long_texts = if self.embed_chunks {
            LongTexts::MeanOfChunks
        } else {
            LongTexts::Truncate
        };
        let computes_nothing = name.starts_with("builtin:") || name.starts_with("vectors:");
        let session = match computes_nothing {
            true => self.session_on(Device::flex())?,
            false => self.session()?,
        };
        Ok(open_embedder(name, long_texts, &session)?)
    }
}
