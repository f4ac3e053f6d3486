//! Simulates a small cluster in one thread, from a seed, for a thousand seeds.
//!
//! `ENTAIL_SIM_SEEDS=N` simulates N seeds instead; `ENTAIL_SIM_SEED=X` only that one, and prints its events.

use entail_tests::sim::{Options, Summary, simulate};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

const SEEDS: u64 = 1_000;

/// The number of lines that a failure prints.
const LINES: usize = 80;

/// The number of characters of a line that are printed.
const LINE_CHARS: usize = 240;

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable} is not a number: {text}")))
}

/// Calls `work` in a single-threaded pool.
fn alone<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().expect("one thread can be made");
    pool.install(work)
}

fn check(seed: u64) -> Summary {
    let summary = simulate(Options { seed, trace: false });
    if summary.violation.is_some() {
        let again = simulate(Options { seed, trace: true });
        panic!("{}", report(seed, &again));
    }
    summary
}

fn report(seed: u64, summary: &Summary) -> String {
    let lines = &summary.trace[summary.trace.len().saturating_sub(LINES)..];
    let lines: Vec<String> = lines.iter().map(|line| line.chars().take(LINE_CHARS).collect()).collect();
    let violation = summary.violation.as_deref().unwrap_or("nothing is wrong");
    format!(
        "{}\nseed {seed}: {violation}\nreplay: ENTAIL_SIM_SEED={seed} cargo test -p entail-tests --test simulation \
         -- seeds --nocapture",
        lines.join("\n")
    )
}

#[test]
fn seeds() {
    if let Some(seed) = number("ENTAIL_SIM_SEED") {
        let summary = alone(|| simulate(Options { seed, trace: true }));
        println!("{}", report(seed, &summary));
        assert_eq!(summary.violation, None);
        return;
    }
    let seeds = number("ENTAIL_SIM_SEEDS").unwrap_or(SEEDS);
    let next = AtomicU64::new(0);
    let total = Mutex::new(Summary::default());
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                alone(|| {
                    loop {
                        let seed = next.fetch_add(1, Ordering::Relaxed);
                        if seed >= seeds {
                            return;
                        }
                        let summary = check(seed);
                        let mut total = total.lock().expect("failures end the test");
                        total.epochs += summary.epochs;
                        total.aborts += summary.aborts;
                        total.crashes += summary.crashes;
                        total.reads += summary.reads;
                        total.messages += summary.messages;
                        total.ticks += summary.ticks;
                    }
                });
            });
        }
    });
    let total = total.into_inner().expect("failures end the test");
    println!("{seeds} seeds: {total:?}");
    // Simulations without events would find nothing.
    assert!(total.epochs > 2 * seeds && total.aborts > seeds / 10 && total.crashes > seeds && total.reads > seeds);
}

#[test]
fn the_same_seed_is_the_same_history() {
    for seed in 0..20 {
        let [one, other] = [(); 2].map(|()| alone(|| simulate(Options { seed, trace: true })));
        assert!(one.trace.len() > 100);
        let difference = one.trace.iter().zip(&other.trace).find(|(one, other)| one != other);
        assert_eq!(difference, None);
        assert!(one == other);
    }
}

/// A simulator that finds no violation may be blind: it must detect each of these broken guards.
#[cfg(feature = "broken-guards")]
mod broken {
    use super::alone;
    use entail_logic::failpoints::set_broken;
    use entail_tests::sim::{Options, simulate};
    use std::panic::{AssertUnwindSafe, catch_unwind};

    /// The number of seeds that are tried for each guard.
    const SEEDS: u64 = 5_000;

    /// The first seed whose simulation detects the broken guard, with the violation.
    fn caught(guard: &'static str) -> Option<(u64, String)> {
        (0..SEEDS).find_map(|seed| {
            set_broken(Some(guard));
            let result = catch_unwind(AssertUnwindSafe(|| simulate(Options { seed, trace: false })));
            set_broken(None);
            match result {
                Ok(summary) => Some((seed, summary.violation?)),
                Err(_) => Some((seed, "an assertion failed".to_owned())),
            }
        })
    }

    fn check(guard: &'static str) {
        let found = alone(|| caught(guard));
        let (seed, violation) = found.unwrap_or_else(|| panic!("{guard}: not noticed with {SEEDS} seeds"));
        println!("{guard}: seed {seed}: {violation}");
        assert_eq!(alone(|| simulate(Options { seed, trace: false })).violation, None, "with its guards, all is well");
    }

    #[test]
    fn deduplication_is_missed() {
        check("deduplicate");
    }

    #[test]
    fn the_count_of_messages_is_missed() {
        check("count-messages");
    }

    #[test]
    fn waiting_for_all_nodes_is_missed() {
        check("await-all-nodes");
    }

    #[test]
    fn the_fence_between_attempts_is_missed() {
        check("fence-attempt");
    }

    #[test]
    fn the_seals_before_a_commit_are_missed() {
        check("seal-before-commit");
    }

    #[test]
    fn logging_before_deciding_is_missed() {
        check("log-before-decide");
    }

    #[test]
    fn over_deletion_is_missed() {
        check("over-delete");
    }

    #[test]
    fn re_derivation_is_missed() {
        check("rederive");
    }

    #[test]
    fn sealing_deletions_is_missed() {
        check("seal-deletions");
    }

    #[test]
    fn telling_who_missed_an_outcome_is_missed() {
        check("answer-undecided");
    }
}
