//! The simulated network and its faults: loss, delay, duplication, reordering by delay, and cuts between two processes.

use super::wire::Process;
use entail_model::random::Random;
use std::collections::BTreeMap;

/// The rates of faults; probabilities are in units of 1/10,000.
#[derive(Clone, Debug)]
pub struct Weather {
    /// For each message.
    pub loss: u64,
    /// For each message.
    pub duplication: u64,
    /// The longest delay of a message, in ticks.
    pub delay_max: u64,
    /// Before each action of a process.
    pub crash: u64,
    /// At each write to the coordinator's log.
    pub log_failure: u64,
    /// At each tick of a process: the probability that it is temporarily cut off from another one.
    pub cut: u64,
    /// At each tick of a node: the probability that a stranger sends it a message.
    pub stray: u64,
}

impl Weather {
    /// No faults.
    pub fn calm() -> Self {
        Self { loss: 0, duplication: 0, delay_max: 3, crash: 0, log_failure: 0, cut: 0, stray: 0 }
    }

    /// Some faults are frequent, others absent: different for each seed.
    pub fn storm(random: &mut Random) -> Self {
        Self {
            loss: *random.pick(&[0, 100, 500, 1_500]),
            duplication: *random.pick(&[0, 100, 500, 2_000]),
            delay_max: *random.pick(&[1, 3, 10, 30]),
            crash: *random.pick(&[0, 2, 5, 15, 40]),
            log_failure: *random.pick(&[0, 0, 200, 1_000]),
            cut: *random.pick(&[0, 0, 10, 50]),
            stray: *random.pick(&[0, 200, 2_000]),
        }
    }
}

/// The network between all processes.
#[derive(Debug)]
pub struct Network {
    pub weather: Weather,
    random: Random,
    /// The end of the cut between two processes, the lesser one first.
    cuts: BTreeMap<(Process, Process), u64>,
}

impl Network {
    pub fn new(weather: Weather, random: Random) -> Self {
        Self { weather, random, cuts: BTreeMap::new() }
    }

    /// Ends all faults.
    pub fn heal(&mut self) {
        self.weather = Weather::calm();
        self.cuts.clear();
    }

    /// Cuts the connection of two processes until a time.
    pub fn cut(&mut self, one: Process, other: Process, until: u64) {
        self.cuts.insert((one.min(other), one.max(other)), until);
    }

    /// The times at which a message arrives: none, one or several.
    pub fn deliveries(&mut self, now: u64, from: Process, to: Process, comes_once: bool) -> Vec<u64> {
        let is_cut = self.cuts.get(&(from.min(to), from.max(to))).is_some_and(|until| now < *until);
        if is_cut || self.random.chance(self.weather.loss) {
            return Vec::new();
        }
        let mut times = vec![now + self.random.among(1..=self.weather.delay_max)];
        while !comes_once && times.len() < 4 && self.random.chance(self.weather.duplication) {
            // Duplicates may be very late, long after the sender has moved on.
            let delay = self.random.among(1..=self.weather.delay_max * 20);
            times.push(now + delay);
        }
        times
    }
}
