//! Numbers on the command line, within their ranges.

use clap::builder::{RangedI64ValueParser, RangedU64ValueParser};

/// So many resamples say more than anybody reads; each takes memory.
const MOST_RESAMPLES: i64 = 1_000_000;

/// A count that must be at least 1.
pub(crate) fn at_least_one() -> RangedU64ValueParser<usize> {
    RangedU64ValueParser::new().range(1..)
}

/// Resamples of a bootstrap.
pub(crate) fn resamples() -> RangedI64ValueParser<u32> {
    RangedI64ValueParser::new().range(1..=MOST_RESAMPLES)
}
