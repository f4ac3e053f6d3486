//! Blocking waits that end when a flag is set.

use entail_model::{Fault, Reason};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::runtime::Handle;

/// The interval at which a waiting thread checks its stop flag.
pub const LOOK: Duration = Duration::from_millis(40);

/// Waits for the work, on a thread outside of the runtime. Ready work is taken, whether or not the flag is set.
///
/// # Errors
/// `Cancelled` when the flag is set first.
pub fn wait<T>(runtime: &Handle, stop: &AtomicBool, work: impl Future<Output = T>) -> Result<T, Fault> {
    runtime.block_on(async {
        tokio::pin!(work);
        loop {
            tokio::select! {
                biased;
                done = &mut work => return Ok(done),
                () = std::future::ready(()), if stop.load(Ordering::Relaxed) => {
                    return Err(Fault::new(Reason::Cancelled, "the work was stopped"));
                }
                () = tokio::time::sleep(LOOK) => {}
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::time::Instant;
    use tokio::sync::Semaphore;

    #[test]
    fn a_wait_ends_with_the_flag_and_keeps_its_place_until_then() {
        let runtime = tokio::runtime::Runtime::new().expect("threads");
        let stop = Arc::new(AtomicBool::new(false));
        let permits = Arc::new(Semaphore::new(0));
        let started = Instant::now();
        let other = std::thread::spawn({
            let (stop, permits) = (Arc::clone(&stop), Arc::clone(&permits));
            move || {
                std::thread::sleep(LOOK * 3);
                permits.add_permits(1);
                std::thread::sleep(LOOK * 3);
                stop.store(true, Ordering::Relaxed);
            }
        });
        let permit = wait(runtime.handle(), &stop, permits.acquire()).expect("one comes").expect("it is open");
        let second = wait(runtime.handle(), &stop, permits.acquire());
        assert_eq!(second.map(drop).expect_err("none comes").reason, Reason::Cancelled);
        assert!(started.elapsed() < Duration::from_secs(5), "it would wait for ever");
        drop(permit);
        wait(runtime.handle(), &stop, permits.acquire()).expect("ready work is taken").expect("it is open").forget();
        other.join().expect("no panic");
    }
}
