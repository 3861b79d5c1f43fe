//! Chance that can be had again: what a test draws comes from one number, which it prints, with the command that repeats it.

use std::fmt;

use rand::SeedableRng as _;
use rand::rngs::StdRng;
use uuid::Uuid;

/// How many times the push size a fault is tried: `SAMSPIL_FAULTS`, or once.
pub fn faults() -> usize {
    std::env::var("SAMSPIL_FAULTS").ok().and_then(|times| times.parse().ok()).unwrap_or(1)
}

/// Says how to have the same again, when a test fails.
pub struct Seed {
    seed: u64,
    test: &'static str,
}

impl Seed {
    /// The seed that `SAMSPIL_SEED` names, or a new one.
    pub fn draw(test: &'static str) -> (Self, StdRng) {
        let named = std::env::var("SAMSPIL_SEED").ok().and_then(|seed| seed.parse().ok());
        let seed = named.unwrap_or_else(|| Uuid::new_v4().as_u64_pair().0);
        (Self { seed, test }, StdRng::seed_from_u64(seed))
    }
}

impl fmt::Display for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "seed {}", self.seed)
    }
}

impl Drop for Seed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!(
                "again: SAMSPIL_SEED={} SAMSPIL_FAULTS={} scripts/with-postgresql cargo test -p samspil-tests --test all {} -- --nocapture",
                self.seed,
                faults(),
                self.test
            );
        }
    }
}
