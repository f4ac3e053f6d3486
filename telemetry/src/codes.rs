//! gRPC status codes: reading them from a call's headers or trailers, and their names.

use http::HeaderMap;
use tonic::{Code, Status};

/// The prefixes of tonic's messages, percent-encoded as on the wire, for a request that broke off before it was read:
/// before its message, within it, or with an error of the connection.
const BROKEN_OFF: [&[u8]; 3] =
    [b"Missing%20request%20message", b"Unexpected%20EOF%20decoding%20stream", b"h2%20protocol%20error"];

/// The code of a call, if these headers or trailers have one. A request that its caller aborted counts as cancelled;
/// tonic reports it as an internal error.
pub fn read(headers: &HeaderMap) -> Option<Code> {
    let code = headers.get("grpc-status").map(|status| Code::from_bytes(status.as_bytes()))?;
    let message = headers.get("grpc-message").map_or(&b""[..], |text| text.as_bytes());
    let is_broken_off = BROKEN_OFF.iter().any(|begin| message.starts_with(begin));
    Some(if code == Code::Internal && is_broken_off { Code::Cancelled } else { code })
}

/// The status message beside the code.
pub fn message(headers: &HeaderMap) -> String {
    Status::from_header_map(headers).map(|status| status.message().to_owned()).unwrap_or_default()
}

/// The name of a code as in the gRPC documentation.
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
    fn a_request_that_broke_off_was_cancelled() {
        for text in ["Missing request message.", "Unexpected EOF decoding stream.", "h2 protocol error: broken"] {
            assert_eq!(read(Status::internal(text).into_http::<()>().headers()), Some(Code::Cancelled), "{text}");
        }
        assert_eq!(read(Status::internal("a defect").into_http::<()>().headers()), Some(Code::Internal));
    }

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
