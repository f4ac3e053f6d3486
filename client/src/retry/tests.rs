//! Tables of the events of a call and the resulting actions.

use super::*;

fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}

fn fault(reason: Reason) -> Fault {
    Fault::new(reason, "why")
}

fn failed(reason: Reason, at: u64) -> Event {
    Event::Failed { fault: fault(reason), elapsed: ms(at) }
}

fn waited(at: u64) -> Event {
    Event::Waited { elapsed: ms(at) }
}

/// The effect as one word, with numbers only where they do not depend on the seed.
fn word(effect: Effect) -> String {
    match effect {
        Effect::Wait(_) => "wait".to_owned(),
        Effect::Resend { timeout: None } => "resend".to_owned(),
        Effect::Resend { timeout: Some(left) } => format!("resend {}", left.as_millis()),
        Effect::GiveUp(fault) => fault.reason.name().to_owned(),
        Effect::Proceed => "proceed".to_owned(),
    }
}

fn run(deadline: Option<u64>, events: Vec<Event>) -> String {
    let mut budget = Budget::default();
    let mut retry = Retry::new(Policy::default(), deadline.map(ms), 7, &mut budget);
    let words: Vec<String> = events.into_iter().map(|event| word(retry.step(event, &mut budget))).collect();
    words.join(", ")
}

#[test]
fn calls_are_sent_again_when_that_can_help() {
    use Reason::*;
    let cases: Vec<(Option<u64>, Vec<Event>, &str)> = vec![
        (None, vec![Event::Succeeded], "proceed"),
        (None, vec![failed(NotReady, 1), waited(2), Event::Succeeded], "wait, resend, proceed"),
        (None, vec![failed(Syntax, 1)], "SYNTAX"),
        (None, vec![failed(Internal, 1)], "INTERNAL"),
        // The elapsed time is subtracted.
        (Some(1000), vec![failed(Overloaded, 300), waited(400), failed(Syntax, 500)], "wait, resend 600, SYNTAX"),
        // No time is left for another wait, or the wait took all of it: the failure itself is returned.
        (Some(1000), vec![failed(ShardsUnavailable, 1000)], "SHARDS_UNAVAILABLE"),
        (Some(1000), vec![failed(ShardsUnavailable, 100), waited(1000)], "wait, SHARDS_UNAVAILABLE"),
        // Rows that the caller has received are not sent twice.
        (None, vec![Event::Delivered, failed(ShardsUnavailable, 1)], "proceed, SHARDS_UNAVAILABLE"),
        (None, vec![Event::Delivered, Event::Succeeded], "proceed, proceed"),
        // A client that cannot know whether the write was applied reports the outcome as unknown.
        (None, vec![failed(OutcomeUnknown, 1), waited(2), failed(Syntax, 3)], "wait, resend, SYNTAX"),
        (
            Some(1000),
            vec![failed(OutcomeUnknown, 1), waited(2), failed(NotReady, 1000)],
            "wait, resend 998, OUTCOME_UNKNOWN",
        ),
        (
            Some(1000),
            vec![failed(OutcomeUnknown, 1), waited(2), failed(DeadlineExceeded, 1000)],
            "wait, resend 998, OUTCOME_UNKNOWN",
        ),
    ];
    for (deadline, events, expected) in cases {
        assert_eq!(run(deadline, events.clone()), expected, "{events:?}");
    }
}

#[test]
fn every_reason_is_retried_as_the_model_says() {
    for reason in Reason::ALL {
        let expected = if reason.is_retryable() { "wait" } else { reason.name() };
        assert_eq!(run(None, vec![failed(reason, 1)]), expected);
    }
}

#[test]
fn sends_are_counted() {
    for sends_max in [1, 2, 5] {
        let mut budget = Budget::default();
        let policy = Policy { sends_max, ..Policy::default() };
        let mut retry = Retry::new(policy, None, 1, &mut budget);
        for _ in 1..sends_max {
            assert_eq!(word(retry.step(failed(NotReady, 0), &mut budget)), "wait");
            assert_eq!(word(retry.step(waited(0), &mut budget)), "resend");
        }
        assert_eq!(word(retry.step(failed(NotReady, 0), &mut budget)), "NOT_READY");
    }
    use Reason::NotReady;
}

#[test]
fn waits_grow_to_a_bound_and_depend_on_the_seed_alone() {
    let waits = |seed| {
        let mut budget = Budget::default();
        let policy = Policy { sends_max: 12, ..Policy::default() };
        let mut retry = Retry::new(policy, None, seed, &mut budget);
        let mut waits = Vec::new();
        while let Effect::Wait(wait) = retry.step(failed(Reason::Overloaded, 0), &mut budget) {
            waits.push(wait);
            retry.step(waited(0), &mut budget);
        }
        waits
    };
    let mut longest = [Duration::ZERO; 11];
    for seed in 0..500 {
        let seen = waits(seed);
        assert_eq!(seen, waits(seed));
        assert_eq!(seen.len(), 11);
        for (longest, wait) in longest.iter_mut().zip(seen) {
            *longest = wait.max(*longest);
        }
    }
    for (count, longest) in longest.into_iter().enumerate() {
        let bound = ms(100 << count).min(ms(5000));
        assert!(longest <= bound && longest > bound.mul_f64(0.9), "{count}: {longest:?}");
    }
}

#[test]
fn when_everything_fails_the_budget_runs_out() {
    let mut budget = Budget::default();
    let mut retries = 0;
    for seed in 0..1000 {
        let mut retry = Retry::new(Policy::default(), None, seed, &mut budget);
        while let Effect::Wait(_) = retry.step(failed(Reason::Overloaded, 0), &mut budget) {
            retries += 1;
            retry.step(waited(0), &mut budget);
        }
    }
    assert!((100..=120).contains(&retries), "{retries}");
}

#[test]
#[should_panic(expected = "a call that is over")]
fn nothing_happens_after_the_end() {
    run(None, vec![Event::Succeeded, failed(Reason::NotReady, 1)]);
}
