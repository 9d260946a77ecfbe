//! What `RUST_LOG` shows on standard error.

use tracing::Level;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

/// Crates that hold requests in their hands. Below `info` they write down what goes over the wire:
/// ureq_proto the bytes themselves, with the key in them.
const SEND_REQUESTS: [&str; 4] = ["hf_hub", "rustls", "ureq", "ureq_proto"];

/// Shows what `RUST_LOG` asks for, but no request: no key is in a log, whatever the log is asked for.
pub(crate) fn start() {
    tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::from_default_env())
        .with_writer(std::io::stderr)
        .without_time()
        .finish()
        .with(filter_fn(|about| may_show(about.target(), about.level())))
        .init();
}

fn may_show(target: &str, level: &Level) -> bool {
    let crate_name = target.split("::").next().unwrap_or_default();
    *level <= Level::INFO || !SEND_REQUESTS.contains(&crate_name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_sends_requests_tells_no_details() {
        assert!(!may_show("ureq", &Level::DEBUG));
        assert!(!may_show("ureq_proto::util", &Level::TRACE));
        assert!(may_show("ureq_proto::util", &Level::INFO));
        assert!(may_show("wgpu_core::device", &Level::TRACE));
        assert!(may_show("ureq_like", &Level::TRACE));
    }
}
