//! The timeout of a call, as its caller sends it.

use std::time::Duration;
use tonic::Request;

/// The longest timeout of a call; longer ones are reduced to this.
const TIME_MAX: Duration = Duration::from_secs(7 * 24 * 3600);

/// The header with the timeout.
const HEADER: &str = "grpc-timeout";

/// The timeout that the caller of a request sent.
pub fn deadline_of<T>(request: &Request<T>) -> Option<Duration> {
    parse(request.metadata().get(HEADER)?.to_str().ok()?)
}

fn parse(text: &str) -> Option<Duration> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let count: u64 = digits.parse().ok()?;
    let time = match unit {
        "H" => Duration::from_secs(count.saturating_mul(3600)),
        "M" => Duration::from_secs(count.saturating_mul(60)),
        "S" => Duration::from_secs(count),
        "m" => Duration::from_millis(count),
        "u" => Duration::from_micros(count),
        "n" => Duration::from_nanos(count),
        _ => return None,
    };
    Some(time.min(TIME_MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deadlines_are_read_in_every_unit() {
        for (text, expected) in [
            ("2S", Some(Duration::from_secs(2))),
            ("1500m", Some(Duration::from_millis(1500))),
            ("7u", Some(Duration::from_micros(7))),
            ("1H", Some(Duration::from_secs(3600))),
            ("18446744073709551615S", Some(TIME_MAX)),
            ("x", None),
            ("", None),
            ("5", None),
        ] {
            let mut request = Request::new(());
            request.metadata_mut().insert("grpc-timeout", text.parse().expect("ascii"));
            assert_eq!(deadline_of(&request), expected, "{text}");
        }
    }
}
