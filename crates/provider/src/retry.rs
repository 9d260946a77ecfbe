//! How long to wait before a retry.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimeParser;
use ureq::http::HeaderMap;

/// Waits that double from attempt to attempt, with jitter.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Backoff {
    /// The wait after the first failure.
    pub first: Duration,
    /// The number of retries.
    pub retries: u32,
}

/// The longest wait of our own accord.
const LONGEST: Duration = Duration::from_secs(60);
/// The longest wait granted to a server that asks for one; beyond it, the user decides.
pub(crate) const PATIENCE: Duration = Duration::from_secs(3600);

impl Backoff {
    /// The wait after failure number `failures`, counted from 1: between half of the doubled wait and
    /// all of it, so that threads that failed together do not retry together, and never less than the
    /// server `asked` for.
    pub(crate) fn wait(&self, failures: u32, asked: Option<Duration>) -> Duration {
        let doubled = self
            .first
            .saturating_mul(2_u32.saturating_pow(failures.saturating_sub(1)))
            .min(LONGEST.max(self.first));
        // The standard library seeds each hasher afresh.
        let draw = RandomState::new().hash_one(failures) as f64 / u64::MAX as f64;
        let wait = doubled.mul_f64(0.5 + 0.5 * draw);
        wait.max(asked.unwrap_or_default())
    }
}

/// The wait that a response asks for by `retry-after-ms` (OpenAI's) or `Retry-After` (RFC 9110:
/// seconds or a date). A date in the past is no wait.
pub(crate) fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let text = |name: &str| headers.get(name)?.to_str().ok().map(str::trim);
    let seconds = |text: &str, unit: f64| {
        let number = text.parse::<f64>().ok().filter(|it| !it.is_nan())?;
        Duration::try_from_secs_f64((number * unit).max(0.0)).ok()
    };
    if let Some(wait) = text("retry-after-ms").and_then(|text| seconds(text, 1e-3)) {
        return Some(wait);
    }
    let asked = text("retry-after")?;
    seconds(asked, 1.0).or_else(|| {
        let then = DateTimeParser::new().parse_timestamp(asked).ok()?;
        Some(Duration::try_from(then.duration_since(now)).unwrap_or_default())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(name: &'static str, value: &'static str) -> Option<Duration> {
        let mut headers = HeaderMap::new();
        headers.insert(name, value.parse().unwrap());
        let now: Timestamp = "1994-11-06T08:49:37Z".parse().unwrap();
        retry_after(&headers, now)
    }

    #[test]
    fn servers_ask_in_seconds_in_milliseconds_or_by_a_date() {
        let of = Duration::from_millis;
        assert_eq!(asked("retry-after", "120"), Some(of(120_000)));
        assert_eq!(asked("retry-after", " 1.5 "), Some(of(1500)));
        assert_eq!(asked("retry-after-ms", "250"), Some(of(250)));
        let date = "Sun, 06 Nov 1994 08:50:07 GMT";
        assert_eq!(asked("retry-after", date), Some(of(30_000)));
        let past = "Sun, 06 Nov 1994 08:00:00 GMT";
        assert_eq!(asked("retry-after", past), Some(of(0)));
        for nonsense in ["soon", "NaN", "1e300", ""] {
            assert_eq!(asked("retry-after", nonsense), None, "{nonsense}");
        }
        assert_eq!(asked("retry-after", "-3"), Some(of(0)));
        assert_eq!(asked("date", date), None);
    }

    #[test]
    fn waits_double_within_their_bounds_and_heed_the_server() {
        let backoff = Backoff {
            first: Duration::from_secs(1),
            retries: 6,
        };
        for (failures, longest) in [(1, 1), (2, 2), (5, 16), (7, 60), (90, 60)] {
            let longest = Duration::from_secs(longest);
            for _ in 0..50 {
                let wait = backoff.wait(failures, None);
                assert!(wait >= longest / 2 && wait <= longest, "{wait:?}");
            }
        }
        let asked = Duration::from_secs(300);
        assert_eq!(backoff.wait(1, Some(asked)), asked);
        let waits: Vec<_> = (0..8).map(|_| backoff.wait(4, None)).collect();
        assert!(waits.iter().any(|wait| *wait != waits[0]), "no jitter");
    }
}
