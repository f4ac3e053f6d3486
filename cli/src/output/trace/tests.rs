//! Waterfalls of generated spans.

use super::*;

/// A span of a trace; start and end are in microseconds.
fn span(id: u8, parent: u8, name: &str, kind: &'static str, times: (u64, u64)) -> Span {
    Span {
        trace: [7; 16],
        id: [id; 8],
        parent: Some([parent; 8]).filter(|_| parent > 0),
        name: name.to_owned(),
        kind,
        start: 1_000_000_000 + times.0 * 1000,
        end: 1_000_000_000 + times.1 * 1000,
        service: "entail".to_owned(),
        attributes: BTreeMap::new(),
        error: None,
    }
}

fn with(mut span: Span, key: &str, value: Value) -> Span {
    span.attributes.insert(key.to_owned(), value);
    span
}

fn at(span: Span, process: &str) -> Span {
    with(span, "entail.process", Value::Text(process.to_owned()))
}

fn drawn(spans: Vec<Span>) -> String {
    drawn_within(None, spans)
}

fn drawn_within(width: Option<usize>, spans: Vec<Span>) -> String {
    let mut out = Vec::new();
    Tree::new(spans).write(width, &mut out).unwrap();
    String::from_utf8(out).unwrap().lines().map(|line| format!("{}\n", line.trim_end())).collect()
}

const EXECUTE: &str = "entail.internal.v1.NodeService/Execute";

/// A query on two nodes, of which the second is slower.
fn query() -> Vec<Span> {
    vec![
        span(1, 0, "query", "client", (0, 10_000)),
        at(span(2, 1, "entail.v1.QueryService/Query", "server", (1_000, 9_500)), "coordinator"),
        span(3, 2, EXECUTE, "client", (2_000, 4_000)),
        at(span(4, 3, EXECUTE, "server", (2_500, 3_500)), "node-0"),
        span(5, 2, EXECUTE, "client", (2_000, 9_000)),
        at(span(6, 5, EXECUTE, "server", (2_500, 8_900)), "node-1"),
        with(span(7, 6, "execute", "internal", (2_600, 8_800)), "entail.rows", Value::Number(1234)),
    ]
}

#[test]
fn a_call_is_one_row_and_the_slowest_of_several_is_marked() {
    // A process with several roles returns its spans once for each role.
    let spans = [query(), query()].concat();
    let expected = "\
trace 07070707070707070707070707070707: 10.00 ms, 7 spans
span           process        start      time
─────────────  ───────────  ───────  ────────  ──────────────────────────  ───────────────────────
query          client       0.00 ms  10.00 ms  |========================|
  Query        coordinator  1.00 ms   8.50 ms  |  ===================== |
    Execute    node-1       2.00 ms   7.00 ms  |    ==================  |  way 0.60 ms, <- slowest
      execute  node-1       2.60 ms   6.20 ms  |      ================  |  rows 1,234
    Execute    node-0       2.00 ms   2.00 ms  |    ======              |  way 1.00 ms
";
    assert_eq!(drawn(spans), expected);
}

#[test]
fn many_siblings_are_folded() {
    let round =
        |n: u8| span(10 + n, 2, "round", "internal", (u64::from(n) * 100, u64::from(n) * 100 + 10 + u64::from(n)));
    let head = [span(1, 0, "load", "client", (0, 10_000)), span(2, 1, "epoch", "internal", (0, 9_000))];
    let text = drawn(head.into_iter().chain((0..90).map(round)).collect());
    assert_eq!(text.lines().count(), 3 + 2 + SIBLINGS_SHOWN + 1, "{text}");
    assert!(text.contains("round x87") && text.contains("together, 0.10 ms at most"), "{text}");
}

/// A call of the coordinator to a node, and the server span with its child, which fails if `fails`.
fn call(n: u8, node: &str, fails: bool) -> [Span; 3] {
    let times = (u64::from(n) * 10, u64::from(n) * 10 + 10 + u64::from(n));
    let mut work = span(n * 4 + 12, n * 4 + 11, "intern", "internal", times);
    work.error = fails.then(|| "no room".to_owned());
    [
        span(n * 4 + 10, 2, EXECUTE, "client", times),
        at(span(n * 4 + 11, n * 4 + 10, EXECUTE, "server", times), node),
        work,
    ]
}

#[test]
fn failures_are_not_folded_away() {
    let head = || query()[..2].to_vec();
    let calls =
        |fails: fn(u8) -> bool| (0..40).flat_map(move |n| call(n, ["node-0", "node-1"][usize::from(n % 2)], fails(n)));
    let one = drawn(head().into_iter().chain(calls(|n| n == 5)).collect());
    assert_eq!(one.matches("failed:").count(), 1, "it is shown, though it is short:\n{one}");
    assert!(one.contains("Execute x36  2 processes") && !one.contains("at most, "), "{one}");
    let all = drawn(head().into_iter().chain(calls(|_| true)).collect());
    let shown = SIBLINGS_SHOWN + FAILURES_SHOWN;
    assert_eq!(all.matches("failed: ").count(), shown, "{all}");
    assert!(all.contains(&format!("at most, {} failed", 40 - shown)), "{all}");
    let even = drawn(head().into_iter().chain((0..40).flat_map(|n| call(n, "node-0", false))).collect());
    assert!(even.contains("Execute x37  node-0"), "{even}");
}

#[test]
fn what_does_not_belong_is_shown_and_noticed() {
    let mut spans = query();
    assert!(Tree::new(spans.clone()).is_whole());
    assert!(!Tree::new(spans[..1].to_vec()).is_whole(), "nobody has answered");
    spans.push(span(9, 8, "lost", "internal", (3_000, 4_000)));
    assert!(!Tree::new(spans.clone()).is_whole());
    assert!(drawn(spans).contains("lost"));
    assert_eq!(drawn(Vec::new()), "no spans of this trace are stored\n");
}

#[test]
fn a_failed_call_says_where_it_went() {
    let mut failed = span(3, 2, EXECUTE, "client", (2_000, 4_000));
    failed.error = Some("connection refused".to_owned());
    let failed = with(failed, "error.type", Value::Text("UNAVAILABLE".to_owned()));
    let failed =
        with(with(failed, "server.address", Value::Text("10.0.0.1".to_owned())), "server.port", Value::Number(7401));
    let text = drawn([&query()[..2], &[failed]].concat());
    assert!(text.contains("to 10.0.0.1:7401, failed: UNAVAILABLE connection refused"), "{text}");
}

#[test]
fn programs_get_every_span() {
    let json = Tree::new(query()).json();
    assert_eq!(json["trace_id"], hex(&[7; 16]));
    let spans = json["spans"].as_array().unwrap();
    assert_eq!(spans.len(), 7);
    let execute = spans.iter().find(|span| span["name"] == "execute").unwrap();
    assert_eq!((&execute["process"], &execute["start_seconds"]), (&Json::from("node-1"), &Json::from(0.0026)));
    assert_eq!(
        (&execute["duration_seconds"], &execute["attributes"]["entail.rows"]),
        (&Json::from(0.0062), &Json::from(1234))
    );
}

#[test]
fn a_waterfall_fits_into_a_terminal() {
    for width in [100, 80, 60] {
        let drawn = drawn_within(Some(width), query());
        // The line of the trace's id is what the user copies.
        let widest = drawn.lines().skip(1).map(|line| line.chars().count()).max().unwrap();
        assert!(widest <= width, "{widest} in {width}:\n{drawn}");
        assert!(drawn.contains("query") && drawn.contains("10.00 ms"), "{drawn}");
        // There is no room for bars in the narrowest.
        assert_eq!(drawn.contains("|=========="), width >= 80, "{drawn}");
    }
}
