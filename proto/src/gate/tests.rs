//! Which requests are admitted, which may finish, and what the refused ones receive.

use super::*;
use entail_model::Reason;
use futures::stream::{self, StreamExt};
use http_body_util::{BodyExt, StreamBody};
use std::convert::Infallible;
use tonic::codegen::Bytes;

fn say(refusal: Refusal, path: &str) -> Fault {
    Fault::new(Reason::NotReady, format!("{refusal:?} {path}"))
}

/// How the test service responds.
#[derive(Clone, Copy)]
enum Answer {
    Never,
    /// With one frame, then nothing.
    Once,
    /// With one frame and its end.
    Whole,
    /// With frames that are always there.
    Endless,
}

async fn call(
    gate: &Gate,
    path: &str,
    answer: Answer,
) -> Response<GatedBody<impl Body<Data = Bytes, Error = Infallible> + Unpin>> {
    let service = tower::service_fn(move |_: Request<()>| async move {
        let row = || Ok::<_, Infallible>(Frame::data(Bytes::from_static(b"row")));
        let frames = match answer {
            Answer::Never => std::future::pending().await,
            Answer::Once => stream::once(async move { row() }).chain(stream::pending()).boxed(),
            Answer::Whole => stream::iter([row(), Ok(Frame::trailers(HeaderMap::new()))]).boxed(),
            Answer::Endless => stream::repeat_with(row).boxed(),
        };
        Ok::<_, Infallible>(Response::new(StreamBody::new(frames)))
    });
    let request = Request::builder().uri(format!("http://a{path}")).body(()).expect("a request");
    gate.layer(service).call(request).await.expect("it never fails")
}

fn fault(headers: &HeaderMap) -> Fault {
    status::to_fault(&tonic::Status::from_header_map(headers).expect("a status"))
}

#[tokio::test]
async fn who_is_inside_may_finish_until_it_is_cut_off() {
    let gate = Gate::new(say);
    let mut inside = call(&gate, "/entail/Query", Answer::Once).await.into_body();
    let mut watch = call(&gate, "/grpc.health.v1.Health/Watch", Answer::Once).await.into_body();
    gate.shut();
    let refused = call(&gate, "/entail/Query", Answer::Once).await;
    assert_eq!(fault(refused.headers()), say(Refusal::Shut, "/entail/Query"));
    assert!(refused.into_body().frame().await.is_none());
    let first = inside.frame().await.expect("a frame").expect("it never fails");
    assert_eq!(first.into_data().expect("data"), "row");
    watch.frame().await.expect("a frame").expect("it never fails");
    let empty = gate.empty();
    tokio::pin!(empty);
    assert!(tokio::time::timeout(std::time::Duration::from_millis(20), &mut empty).await.is_err(), "one is inside");
    let cutting = gate.clone();
    tokio::spawn(async move { cutting.cut() });
    let last = inside.frame().await.expect("a frame").expect("it never fails");
    assert_eq!(fault(&last.into_trailers().expect("the end")), say(Refusal::Cut, "/entail/Query"));
    assert!(inside.frame().await.is_none());
    watch.frame().await.expect("its end").expect("it never fails").into_trailers().expect("its end");
    drop(inside);
    empty.await;
}

#[tokio::test]
async fn a_call_without_an_answer_is_cut_off_as_well() {
    let gate = Gate::new(say);
    let cutting = gate.clone();
    let (answer, ()) = tokio::join!(call(&gate, "/entail/Apply", Answer::Never), async move {
        tokio::task::yield_now().await;
        cutting.cut();
    });
    assert_eq!(fault(answer.headers()), say(Refusal::Cut, "/entail/Apply"));
    drop(answer);
    gate.empty().await;
}

/// A response whose reader is slower than its producer always has a frame ready.
#[tokio::test]
async fn an_answer_that_always_has_a_next_part_is_cut_off() {
    let gate = Gate::new(say);
    let mut body = call(&gate, "/entail/Dump", Answer::Endless).await.into_body();
    for _ in 0..3 {
        let frame = body.frame().await.expect("a frame").expect("it never fails");
        assert_eq!(frame.into_data().expect("data"), "row");
    }
    gate.cut();
    let mut rows = 0;
    let last = loop {
        match body.frame().await.expect("a frame").expect("it never fails").into_trailers() {
            Ok(last) => break last,
            Err(_) => rows += 1,
        }
        assert!(rows <= LAST_PARTS, "it goes on and on");
    };
    assert_eq!(fault(&last), say(Refusal::Cut, "/entail/Dump"));
    assert!(body.frame().await.is_none());
    // The body still exists, but the work behind it has ended.
    gate.empty().await;
}

/// A watch receives the end of the server as its last update, and a completed response is not reported as doubtful.
#[tokio::test]
async fn what_is_there_at_the_cut_still_goes() {
    let gate = Gate::new(say);
    let mut watch = call(&gate, "/grpc.health.v1.Health/Watch", Answer::Once).await.into_body();
    let mut whole = call(&gate, "/entail/Apply", Answer::Whole).await.into_body();
    gate.cut();
    let news = watch.frame().await.expect("a frame").expect("it never fails");
    assert_eq!(news.into_data().expect("data"), "row");
    watch.frame().await.expect("its end").expect("it never fails").into_trailers().expect("its end");
    let message = whole.frame().await.expect("a frame").expect("it never fails");
    assert_eq!(message.into_data().expect("data"), "row");
    let end = whole.frame().await.expect("its end").expect("it never fails").into_trailers().expect("its end");
    assert!(end.is_empty(), "its own end");
    assert!(whole.frame().await.is_none());
}
