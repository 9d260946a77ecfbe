//! Flags of a model behind an API.

use std::time::Duration;

use rarebit_pipeline::Events;
use rarebit_pipeline::generate::Price;
use rarebit_provider::{Api, Backoff, Client, ClientOptions, Settings};

/// Where a model behind an API is
#[derive(clap::Args, Clone, Debug)]
#[command(next_help_heading = "Provider")]
pub(crate) struct ProviderArgs {
    /// Ask a model behind an API. Its key comes from OPENAI_API_KEY or ANTHROPIC_API_KEY
    #[arg(long, value_name = "API", value_enum)]
    pub(super) provider: Option<Api>,
    /// The provider's name of the model; the same as MODEL
    #[arg(
        long = "model",
        value_name = "NAME",
        requires = "provider",
        conflicts_with = "model"
    )]
    pub(super) model_name: Option<String>,
    /// Where the API is: https://host/v1, or http://localhost:8000/v1 for a server of your own
    /// [default: the provider's]
    #[arg(long, value_name = "URL", requires = "provider")]
    base_url: Option<String>,
    /// The environment variable that holds the API key
    #[arg(long, value_name = "NAME", requires = "provider")]
    api_key_env: Option<String>,
    /// Requests in flight at the same time
    #[arg(
        long,
        value_name = "N",
        default_value_t = 8,
        requires = "provider",
        value_parser = clap::value_parser!(u16).range(1..=1024)
    )]
    pub(super) concurrency: u16,
    /// How often a request is retried after time-outs, dropped connections, unreadable answers, and
    /// statuses 408, 409, 425, 429 and 5xx
    #[arg(long, value_name = "N", default_value_t = 6, requires = "provider")]
    max_retries: u32,
    /// The wait before the first retry; it doubles each time, up to a minute, and is longer if the
    /// server asks for it (Retry-After)
    #[arg(long, value_name = "SECONDS", default_value = "1", requires = "provider", value_parser = seconds)]
    retry_delay: Duration,
    /// How long an answer may take
    #[arg(long, value_name = "SECONDS", default_value = "600", requires = "provider", value_parser = seconds)]
    timeout: Duration,
    /// Dollars per million tokens of prompts, for the spend that is shown
    #[arg(long, value_name = "USD", requires = "provider")]
    price_input: Option<f64>,
    /// Dollars per million tokens of responses
    #[arg(long, value_name = "USD", requires = "provider")]
    price_output: Option<f64>,
}

impl ProviderArgs {
    pub(super) fn client(
        &self,
        api: Api,
        model: &str,
        settings: Settings,
        events: Events,
    ) -> anyhow::Result<Client> {
        let options = ClientOptions {
            api,
            base_url: self.base_url.clone(),
            model: model.to_owned(),
            key_variable: self.api_key_env.clone(),
            settings,
            backoff: Backoff {
                first: self.retry_delay,
                retries: self.max_retries,
            },
            timeout: self.timeout,
        };
        Ok(Client::new(options, events)?)
    }

    pub(super) fn price(&self) -> Price {
        Price {
            input: self.price_input,
            output: self.price_output,
        }
    }
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())
}
