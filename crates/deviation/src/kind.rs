//! The kinds of deviation and the choice among them.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::UnknownName;

/// The aspect of two texts that a distance compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Content: plot, people, places.
    Semantic,
    /// Style: voice, person, tense, punctuation.
    Style,
}

impl Kind {
    /// Every kind, in the order that files and tables keep.
    pub const ALL: [Kind; 2] = [Kind::Semantic, Kind::Style];

    /// The name in files and on the command line.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Semantic => "semantic",
            Kind::Style => "style",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Kind {
    type Err = UnknownName;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        match name {
            "semantic" => Ok(Kind::Semantic),
            "style" => Ok(Kind::Style),
            _ => Err(UnknownName {
                name: name.to_owned(),
                expected: "semantic, style",
            }),
        }
    }
}

/// Which kinds of deviation the weights follow.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kinds {
    /// Semantic deviation alone.
    Semantic,
    /// Style deviation alone.
    Style,
    /// Both, mixed by their geometric mean.
    #[default]
    Both,
    /// None: every weight is 1, and the weighted objective is the plain one.
    None,
}

impl Kinds {
    /// The kinds that are mixed, in the order of [`Kind::ALL`].
    #[must_use]
    pub fn as_slice(self) -> &'static [Kind] {
        match self {
            Kinds::Semantic => &[Kind::Semantic],
            Kinds::Style => &[Kind::Style],
            Kinds::Both => &Kind::ALL,
            Kinds::None => &[],
        }
    }

    /// Whether the weights follow this kind.
    #[must_use]
    pub fn contains(self, kind: Kind) -> bool {
        self.as_slice().contains(&kind)
    }

    /// The name in files and on the command line.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Kinds::Semantic => "semantic",
            Kinds::Style => "style",
            Kinds::Both => "both",
            Kinds::None => "none",
        }
    }
}

impl fmt::Display for Kinds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Kinds {
    type Err = UnknownName;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        match name {
            "semantic" => Ok(Kinds::Semantic),
            "style" => Ok(Kinds::Style),
            "both" => Ok(Kinds::Both),
            "none" => Ok(Kinds::None),
            _ => Err(UnknownName {
                name: name.to_owned(),
                expected: "semantic, style, both, none",
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_survive_a_round_trip() {
        for kinds in [Kinds::Semantic, Kinds::Style, Kinds::Both, Kinds::None] {
            assert_eq!(kinds.as_str().parse::<Kinds>(), Ok(kinds));
            let json = serde_json::to_string(&kinds).unwrap();
            assert_eq!(json, format!("\"{kinds}\""));
        }
        for kind in Kind::ALL {
            assert_eq!(kind.as_str().parse::<Kind>(), Ok(kind));
        }
    }

    #[test]
    fn an_unknown_name_is_told_the_known_ones() {
        let message = "plot".parse::<Kinds>().unwrap_err().to_string();
        assert_eq!(message, "`plot` is not one of semantic, style, both, none");
    }
}
