//! The one mapping between [`Fault`] and gRPC status with `google.rpc` details.
//!
//! ```text
//! ErrorInfo { domain: "entail", reason, metadata: line, column, file, shards }     RetryInfo, if it may succeed later
//! ```

use entail_model::fault::Position;
use entail_model::{Fault, Reason, ShardId};
use std::collections::HashMap;
use std::error::Error;
use std::time::Duration;
use tonic::{Code, Status, TimeoutExpired};
use tonic_types::{ErrorDetails, StatusExt};

/// The domain of Entail's reasons.
pub const DOMAIN: &str = "entail";

/// The gRPC code of a reason.
pub fn code(reason: Reason) -> Code {
    match reason {
        Reason::InvalidRequest | Reason::Syntax => Code::InvalidArgument,
        Reason::Unsupported => Code::Unimplemented,
        Reason::NotFound => Code::NotFound,
        Reason::AlreadyExists => Code::AlreadyExists,
        Reason::LimitExceeded | Reason::Overloaded | Reason::DiskFull => Code::ResourceExhausted,
        Reason::DeadlineExceeded => Code::DeadlineExceeded,
        Reason::Cancelled | Reason::AnswerUnread => Code::Cancelled,
        Reason::ShardsUnavailable | Reason::NotReady => Code::Unavailable,
        Reason::EpochUnavailable | Reason::WrongCluster | Reason::DirectoryInUse => Code::FailedPrecondition,
        Reason::EpochAborted | Reason::Fenced => Code::Aborted,
        Reason::OutcomeUnknown => Code::Unknown,
        Reason::Corrupt => Code::DataLoss,
        Reason::Internal => Code::Internal,
    }
}

/// The longest text of a status, in bytes. It is sent twice, in headers that are limited to 16 KiB per connection, and
/// messages quote input of clients.
const TEXT_BYTES_MAX: usize = 2048;

fn cut(text: &str) -> String {
    match text.len() <= TEXT_BYTES_MAX {
        true => text.to_owned(),
        false => format!("{}…", &text[..text.floor_char_boundary(TEXT_BYTES_MAX)]),
    }
}

/// The status of a fault. Texts that are too long for headers are truncated.
pub fn from_fault(fault: &Fault) -> Status {
    let mut metadata = HashMap::new();
    if let Some(position) = &fault.position {
        if position.line > 0 {
            metadata.insert("line".to_owned(), position.line.to_string());
            metadata.insert("column".to_owned(), position.column.to_string());
        }
        if let Some(file) = &position.file {
            metadata.insert("file".to_owned(), cut(file));
        }
    }
    if !fault.shards.is_empty() {
        let shards: Vec<String> = fault.shards.iter().map(ToString::to_string).collect();
        metadata.insert("shards".to_owned(), shards.join(","));
    }
    let mut details = ErrorDetails::with_error_info(fault.reason.name(), DOMAIN, metadata);
    if fault.is_retryable() {
        details.set_retry_info(Some(Duration::from_millis(200)));
    }
    Status::with_error_details(code(fault.reason), cut(&fault.message), details)
}

/// The message for a call to a server that does not have the service.
const WRONG_SERVER: &str = "this port does not serve this call: \
     clients use the --listen port (7400), nodes the coordinator's --peer-listen port (7401)";

/// The fault in a status; a status from elsewhere maps to the nearest reason.
pub fn to_fault(status: &Status) -> Fault {
    let details = status.get_error_details();
    let Some(info) = details.error_info().filter(|info| info.domain == DOMAIN) else {
        let message = match status.code() {
            Code::Unimplemented if status.message().is_empty() => WRONG_SERVER,
            _ => status.message(),
        };
        return Fault::new(foreign_reason(status), message);
    };
    let reason = Reason::from_name(&info.reason).unwrap_or_else(|| foreign_reason(status));
    let mut fault = Fault::new(reason, status.message());
    let number = |key: &str| info.metadata.get(key).and_then(|text| text.parse().ok());
    let file = info.metadata.get("file").cloned();
    let line = number("line");
    if file.is_some() || line.is_some() {
        fault.position = Some(Position { file, line: line.unwrap_or(0), column: number("column").unwrap_or(0) });
    }
    if let Some(shards) = info.metadata.get("shards") {
        fault.shards = shards.split(',').filter_map(|shard| shard.parse().ok()).map(ShardId).collect();
    }
    fault
}

/// Did a service of Entail make the status? Others come from the transport, a timer or a proxy.
pub fn is_from_entail(status: &Status) -> bool {
    status.get_error_details().error_info().is_some_and(|info| info.domain == DOMAIN)
}

/// The reason for a status that the transport or a proxy created.
fn foreign_reason(status: &Status) -> Reason {
    match status.code() {
        // Tonic's status, at the client or at the server, for a call whose deadline has passed.
        Code::Cancelled if status.message() == TimeoutExpired(()).to_string() => Reason::DeadlineExceeded,
        // No server sent this status: the connection broke.
        Code::Cancelled | Code::Unknown | Code::Internal if status.source().is_some() => Reason::ShardsUnavailable,
        Code::Cancelled => Reason::Cancelled,
        Code::DeadlineExceeded => Reason::DeadlineExceeded,
        Code::Unavailable => Reason::ShardsUnavailable,
        Code::ResourceExhausted => Reason::LimitExceeded,
        Code::InvalidArgument | Code::OutOfRange => Reason::InvalidRequest,
        Code::Unimplemented => Reason::Unsupported,
        Code::NotFound => Reason::NotFound,
        Code::AlreadyExists => Reason::AlreadyExists,
        Code::Aborted => Reason::EpochAborted,
        Code::DataLoss => Reason::Corrupt,
        _ => Reason::Internal,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_comes_back() {
        for reason in Reason::ALL {
            let plain = Fault::new(reason, "what happened");
            assert_eq!(to_fault(&from_fault(&plain)), plain);
            assert!(is_from_entail(&from_fault(&plain)) && !is_from_entail(&Status::new(code(reason), "by a proxy")));
            let full = Fault::new(reason, "there").at(3, 14).in_file("a.nt").with_shards(vec![ShardId(2), ShardId(9)]);
            assert_eq!(to_fault(&from_fault(&full)), full);
        }
    }

    #[test]
    fn long_texts_fit_into_headers() {
        let fault = Fault::new(Reason::NotFound, "é".repeat(100_000)).at(1, 2).in_file("f".repeat(100_000));
        let headers = from_fault(&fault).into_http::<()>().into_parts().0.headers;
        let bytes: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 32).sum();
        // Characters outside of ASCII take three times as many bytes in the message, and the details repeat it in
        // base64.
        assert!(bytes < 16 << 10, "{bytes}");
        let told = to_fault(&from_fault(&fault));
        assert!(told.message.starts_with("éé") && told.message.ends_with('…') && told.reason == Reason::NotFound);
    }

    #[test]
    fn a_port_that_does_not_know_the_call_is_named() {
        let fault = to_fault(&Status::unimplemented(""));
        assert_eq!(fault.reason, Reason::Unsupported);
        assert!(fault.message.starts_with("this port does not serve this call: clients use the --listen port (7400)"));
        assert_eq!(to_fault(&Status::unimplemented("by a proxy")).message, "by a proxy");
    }

    #[test]
    fn what_the_transport_says_is_about_the_way_and_not_about_the_request() {
        let broken = |code| {
            let mut status = Status::new(code, "transport error");
            status.set_source(std::sync::Arc::new(std::io::Error::from(std::io::ErrorKind::BrokenPipe)));
            to_fault(&status).reason
        };
        for code in [Code::Cancelled, Code::Unknown, Code::Internal, Code::Unavailable] {
            assert_eq!(broken(code), Reason::ShardsUnavailable, "{code:?}");
        }
        let late = Status::from_error(Box::new(TimeoutExpired(())));
        assert_eq!(to_fault(&late).reason, Reason::DeadlineExceeded);
        assert_eq!(to_fault(&Status::cancelled("Timeout expired")).reason, Reason::DeadlineExceeded);
        assert_eq!(to_fault(&Status::cancelled("by a proxy")).reason, Reason::Cancelled);
        assert_eq!(to_fault(&Status::internal("by a proxy")).reason, Reason::Internal);
    }
}
