//! The strategies by name, as configuration and command line give them.

use super::{Affinity, Balancer, LeastConnections, RoundRobin, Weighted};
use entail_model::{Fault, Reason};
use std::fmt;
use std::str::FromStr;

/// How replicas are picked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Strategy {
    /// Each in turn.
    RoundRobin,
    /// The less busy of two drawn at random.
    #[default]
    LeastConnections,
    /// At random, in proportion to weights.
    Weighted,
    /// Equal requests to the same node, for its caches.
    Affinity,
}

impl Strategy {
    /// All strategies.
    pub const ALL: [Self; 4] = [Self::RoundRobin, Self::LeastConnections, Self::Weighted, Self::Affinity];

    /// The name in configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::RoundRobin => "round-robin",
            Self::LeastConnections => "least-connections",
            Self::Weighted => "weighted",
            Self::Affinity => "affinity",
        }
    }

    /// A fresh balancer of this kind.
    pub fn balancer(self) -> Box<dyn Balancer> {
        match self {
            Self::RoundRobin => Box::new(RoundRobin::default()),
            Self::LeastConnections => Box::new(LeastConnections),
            Self::Weighted => Box::new(Weighted),
            Self::Affinity => Box::new(Affinity),
        }
    }
}

impl FromStr for Strategy {
    type Err = Fault;

    fn from_str(name: &str) -> Result<Self, Fault> {
        Self::ALL.into_iter().find(|strategy| strategy.name() == name).ok_or_else(|| {
            let names = Self::ALL.map(Self::name).join(", ");
            Fault::new(
                Reason::InvalidRequest,
                format!("unknown strategy {name:?} for load balancing; there are {names}"),
            )
        })
    }
}

impl fmt::Display for Strategy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
