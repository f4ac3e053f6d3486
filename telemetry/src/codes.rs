//! gRPC codes: how a call's headers or trailers tell one, and how it is written.

use http::HeaderMap;
use tonic::{Code, Status};

/// The code of a call, if these headers or trailers have one.
pub fn read(headers: &HeaderMap) -> Option<Code> {
    headers.get("grpc-status").map(|status| Code::from_bytes(status.as_bytes()))
}

/// What is said beside the code.
pub fn message(headers: &HeaderMap) -> String {
    Status::from_header_map(headers).map(|status| status.message().to_owned()).unwrap_or_default()
}

/// The code as gRPC's documents write it.
pub fn name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn every_code_is_read_as_it_is_written() {
        assert_eq!(read(&HeaderMap::new()), None, "it has not ended yet");
        let mut names = std::collections::BTreeSet::new();
        for number in 0..17 {
            let mut headers = HeaderMap::new();
            headers.insert("grpc-status", HeaderValue::from(number));
            headers.insert("grpc-message", HeaderValue::from_static("so%20it%20is"));
            let code = read(&headers).unwrap();
            assert_eq!((code as i32, &*message(&headers)), (number, "so it is"));
            // `InvalidArgument` is written as INVALID_ARGUMENT.
            assert_eq!(name(code).replace('_', "").to_lowercase(), format!("{code:?}").to_lowercase());
            names.insert(name(code));
        }
        assert_eq!(names.len(), 17);
    }
}
