//! Who is let in, who may finish, and what those hear who may not.

use super::*;
use entail_model::Reason;
use http_body_util::{BodyExt, StreamBody};
use std::convert::Infallible;
use tonic::codegen::Bytes;

fn say(refusal: Refusal, path: &str) -> Fault {
    Fault::new(Reason::NotReady, format!("{refusal:?} {path}"))
}

/// A service that answers with one frame and then never ends, or never answers.
async fn call(
    gate: &Gate,
    path: &str,
    is_silent: bool,
) -> Response<GatedBody<impl Body<Data = Bytes, Error = Infallible> + Unpin>> {
    let service = tower::service_fn(move |_: Request<()>| async move {
        if is_silent {
            std::future::pending::<()>().await;
        }
        let first = Ok::<_, Infallible>(Frame::data(Bytes::from_static(b"row")));
        let frames = tonic::codegen::tokio_stream::StreamExt::chain(
            tonic::codegen::tokio_stream::once(first),
            tonic::codegen::tokio_stream::pending(),
        );
        Ok::<_, Infallible>(Response::new(StreamBody::new(Box::pin(frames))))
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
    let mut inside = call(&gate, "/entail/Query", false).await.into_body();
    let mut watch = call(&gate, "/grpc.health.v1.Health/Watch", false).await.into_body();
    gate.shut();
    let refused = call(&gate, "/entail/Query", false).await;
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
    let (answer, ()) = tokio::join!(call(&gate, "/entail/Apply", true), async move {
        tokio::task::yield_now().await;
        cutting.cut();
    });
    assert_eq!(fault(answer.headers()), say(Refusal::Cut, "/entail/Apply"));
    drop(answer);
    gate.empty().await;
}
