//! A recent trace, collected from the coordinator and each node.

use super::Coordinator;
use entail_model::{Fault, Reason};
use entail_proto::v1::{TraceRequest, TraceResponse};
use futures::{Stream, StreamExt, stream};

/// Nodes that are asked concurrently.
const NODES_ASKED: usize = 8;

impl Coordinator {
    /// One message for each process. A node that cannot be reached does not fail the others.
    ///
    /// # Errors
    /// `InvalidRequest` for text that is not a trace id.
    pub fn trace(&self, request: &TraceRequest) -> Result<impl Stream<Item = TraceResponse> + Send + use<>, Fault> {
        let trace = id(&request.trace_id)?;
        let links = self.members.holders().map(|holders| holders.links).unwrap_or_default();
        let own = TraceResponse {
            process: "coordinator".to_owned(),
            spans: entail_telemetry::recent(trace).into(),
            missing: String::new(),
        };
        let calls = links.into_values().map(move |link| async move {
            let (spans, missing) = match link.call(None, |node, call| node.trace(call, trace)).await {
                Ok(spans) => (spans, String::new()),
                Err(fault) => (Default::default(), fault.message),
            };
            TraceResponse { process: link.name, spans, missing }
        });
        Ok(stream::once(async { own }).chain(stream::iter(calls).buffer_unordered(NODES_ASKED)))
    }
}

/// Parses a trace id: 32 hexadecimal digits.
fn id(text: &str) -> Result<[u8; 16], Fault> {
    let is_hexadecimal = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let number = u128::from_str_radix(text, 16).ok().filter(|number| is_hexadecimal && *number != 0);
    let number =
        number.ok_or_else(|| Fault::new(Reason::InvalidRequest, format!("{text} is not the id of a trace")))?;
    Ok(number.to_be_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_32_digits() {
        assert_eq!(id("000000000000000000000000000000ff").unwrap()[15], 255);
        for bad in ["", "ff", "00000000000000000000000000000000", "+0000000000000000000000000000001", &"g".repeat(32)] {
            assert_eq!(id(bad).map(drop).unwrap_err().reason, Reason::InvalidRequest, "{bad}");
        }
    }
}
