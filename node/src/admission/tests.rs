//! A node, and a coordinator that says which attempt has begun.

use super::*;
use crate::coordinator::Registration;
use entail_model::{Attempt, NodeId, Secret};
use entail_proto::internal::cluster_service_server::{ClusterService, ClusterServiceServer};
use entail_proto::internal::*;
use std::time::Duration;
use tokio::net::TcpListener;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status};

/// The open attempt, the one that was committed before, and how often the coordinator was asked and has answered.
#[derive(Default)]
struct Known {
    open: u64,
    committed: u64,
    asked: u64,
    questions: u64,
    /// Is the next question refused?
    is_failing: bool,
}

#[derive(Clone, Default)]
struct Oracle(Arc<Mutex<Known>>);

#[tonic::async_trait]
impl ClusterService for Oracle {
    async fn register(&self, _: Request<RegisterRequest>) -> Result<Response<RegisterResponse>, Status> {
        Err(Status::unavailable("nobody registers"))
    }

    async fn heartbeat(&self, _: Request<HeartbeatRequest>) -> Result<Response<HeartbeatResponse>, Status> {
        Err(Status::unavailable("nobody is alive"))
    }

    async fn leave(&self, _: Request<LeaveRequest>) -> Result<Response<LeaveResponse>, Status> {
        Err(Status::unavailable("nobody leaves"))
    }

    async fn open_attempt(
        &self,
        request: Request<OpenAttemptRequest>,
    ) -> Result<Response<OpenAttemptResponse>, Status> {
        self.0.lock().expect("nobody has panicked").asked += 1;
        // Long enough for others to wait for the same question.
        tokio::time::sleep(Duration::from_millis(50)).await;
        let OpenAttemptRequest { node, incarnation, secret, decided, .. } = request.into_inner();
        assert_eq!((node, incarnation, secret), (1, 3, 5), "the node says who it is");
        let mut known = self.0.lock().expect("nobody has panicked");
        known.questions += 1;
        if std::mem::take(&mut known.is_failing) {
            return Err(Status::unavailable("on purpose"));
        }
        let (attempt, epoch) = (known.open, 2);
        let decision = (decided == known.committed).then_some(Decision { attempt: decided, epoch });
        Ok(Response::new(OpenAttemptResponse { attempt, secret: attempt * 10, decision }))
    }
}

const REGISTRATION: Registration = Registration { cluster: 9, incarnation: 3, secret: Secret(5), first_query: 0 };

async fn admission(oracle: &Oracle, registration: Option<Registration>) -> Arc<Admission> {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    let service = ClusterServiceServer::new(oracle.clone());
    tokio::spawn(Server::builder().add_service(service).serve_with_incoming(TcpIncoming::from(listener)));
    let coordinator = Coordinator::at(&format!("http://{address}"), NodeId(1)).expect("a URL");
    registration.into_iter().for_each(|told| coordinator.registered(told));
    Arc::new(Admission::new(Arc::new(coordinator)))
}

fn oracle(open: u64) -> Oracle {
    Oracle(Arc::new(Mutex::new(Known { open, committed: 4, ..Known::default() })))
}

fn begun(attempt: u64, secret: u64) -> Begun {
    Begun { attempt: Attempt(attempt), secret: Secret(secret) }
}

fn questions(oracle: &Oracle) -> u64 {
    oracle.0.lock().expect("nobody has panicked").questions
}

/// Waits until the coordinator is in this state.
async fn until(oracle: &Oracle, is_so: impl Fn(&Known) -> bool) {
    while !is_so(&oracle.0.lock().expect("nobody has panicked")) {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

async fn admitted(admission: &Admission, claimed: Begun) -> Result<(), Reason> {
    admission.admit(claimed).await.map_err(|fault| fault.reason)
}

#[tokio::test]
async fn an_attempt_is_admitted_when_the_coordinator_says_that_it_has_begun() {
    let oracle = oracle(7);
    let admission = admission(&oracle, Some(REGISTRATION)).await;
    assert_eq!(admitted(&admission, begun(7, 70)).await, Ok(()));
    assert_eq!(admitted(&admission, begun(7, 70)).await, Ok(()));
    assert_eq!(questions(&oracle), 1, "it is known now");
    for stray in [begun(7, 71), begun(6, 60), begun(1, 0)] {
        assert_eq!(admitted(&admission, stray).await, Err(Reason::Fenced));
    }
    assert_eq!(questions(&oracle), 1, "these cannot have begun since");
    for stray in [begun(8, 80), begun(1 << 63, 0)] {
        assert_eq!(admitted(&admission, stray).await, Err(Reason::Fenced));
    }
    oracle.0.lock().expect("nobody has panicked").open = 8;
    assert_eq!(admitted(&admission, begun(8, 80)).await, Ok(()), "strays before it do no harm");
}

#[tokio::test]
async fn messages_that_wait_share_a_question() {
    let oracle = oracle(7);
    let admission = admission(&oracle, Some(REGISTRATION)).await;
    let waiting: Vec<_> = (0..100)
        .map(|number| {
            let (admission, claimed) = (Arc::clone(&admission), begun(7 + number % 2, 70));
            tokio::spawn(async move { admitted(&admission, claimed).await })
        })
        .collect();
    let mut taken = 0;
    for one in waiting {
        taken += usize::from(one.await.expect("no panic").is_ok());
    }
    assert_eq!(taken, 50);
    assert!(questions(&oracle) <= 3, "{}", questions(&oracle));
}

type Admitted = tokio::task::JoinHandle<Result<(), Reason>>;

/// Attempt 7 begins after the coordinator was asked: two of its messages wait for the next question, which the first of
/// them has asked when this returns.
async fn two_that_wait(oracle: &Oracle, admission: &Arc<Admission>) -> [Admitted; 2] {
    let message = || {
        let admission = Arc::clone(admission);
        tokio::spawn(async move { admitted(&admission, begun(7, 70)).await })
    };
    let early = message();
    until(oracle, |known| known.asked == 1).await;
    let waiting = [message(), message()];
    until(oracle, |known| known.questions == 1).await;
    oracle.0.lock().expect("nobody has panicked").open = 7;
    assert_eq!(early.await.expect("no panic"), Err(Reason::Fenced), "it had not begun");
    until(oracle, |known| known.asked == 2).await;
    waiting
}

#[tokio::test]
async fn a_question_is_answered_although_its_message_is_cancelled() {
    let oracle = oracle(6);
    let admission = admission(&oracle, Some(REGISTRATION)).await;
    let [first, second] = two_that_wait(&oracle, &admission).await;
    first.abort();
    assert_eq!(second.await.expect("no panic"), Ok(()), "it learns the answer");
    assert_eq!(questions(&oracle), 2, "nothing is asked again");
}

#[tokio::test]
async fn a_question_that_fails_refuses_no_attempt() {
    let oracle = oracle(6);
    let admission = admission(&oracle, Some(REGISTRATION)).await;
    let waiting = two_that_wait(&oracle, &admission).await;
    oracle.0.lock().expect("nobody has panicked").is_failing = true;
    for one in waiting {
        let refused = one.await.expect("no panic").expect_err("nobody knows whether it has begun");
        assert_ne!(refused, Reason::Fenced);
    }
    assert_eq!(admitted(&admission, begun(7, 70)).await, Ok(()), "the next question is asked");
}

#[tokio::test]
async fn outcomes_that_are_made_up_keep_no_message_waiting() {
    let oracle = oracle(7);
    let admission = admission(&oracle, Some(REGISTRATION)).await;
    let forged: Vec<_> = (0..100)
        .map(|number| {
            let (admission, claimed) = (Arc::clone(&admission), begun(1 << 40 | number, 0));
            tokio::spawn(async move { admission.outcome(claimed, None).await.map_err(|fault| fault.reason) })
        })
        .collect();
    until(&oracle, |known| known.asked > 0).await;
    assert_eq!(admitted(&admission, begun(7, 70)).await, Ok(()));
    let asked = questions(&oracle) as usize;
    assert!(asked <= OUTCOMES_ASKED_MAX + 1, "{asked} were asked before it");
    let mut refused = 0;
    for one in forged {
        match one.await.expect("no panic").expect_err("it never began") {
            Reason::Overloaded => refused += 1,
            other => assert_eq!(other, Reason::Fenced),
        }
    }
    assert_eq!(refused, 100 - OUTCOMES_ASKED_MAX);
}

#[tokio::test]
async fn an_outcome_is_what_the_coordinator_says() {
    let oracle = oracle(7);
    let admission = admission(&oracle, Some(REGISTRATION)).await;
    let outcome = async |claimed, epoch| admission.outcome(claimed, epoch).await.map_err(|fault| fault.reason);
    assert_eq!(outcome(begun(4, 0), None).await, Ok(Some(Epoch(2))), "it was committed, whatever the message says");
    assert_eq!(outcome(begun(7, 0), None).await, Err(Reason::Fenced), "it is open");
    assert_eq!(outcome(begun(1 << 63, 0), None).await, Err(Reason::Fenced));
    assert_eq!(outcome(begun(7, 70), Some(Epoch(3))).await, Ok(Some(Epoch(3))), "the coordinator's own message");
}

#[tokio::test]
async fn without_a_registration_nothing_is_taken() {
    let oracle = oracle(7);
    let admission = admission(&oracle, None).await;
    assert_eq!(admitted(&admission, begun(7, 70)).await, Err(Reason::NotReady));
    assert_eq!(questions(&oracle), 0);
}

#[tokio::test]
async fn a_coordinator_of_an_earlier_version_is_not_asked() {
    let oracle = oracle(7);
    let admission = admission(&oracle, Some(Registration { secret: Secret::NONE, ..REGISTRATION })).await;
    assert_eq!(admitted(&admission, begun(9, 0)).await, Ok(()));
    assert_eq!(admission.outcome(begun(9, 0), Some(Epoch(3))).await, Ok(Some(Epoch(3))));
    assert_eq!(questions(&oracle), 0);
}

#[tokio::test]
async fn a_call_within_the_process_is_believed() {
    let oracle = oracle(7);
    let admission = admission(&oracle, Some(REGISTRATION)).await;
    admission.believe(begun(7, 70));
    assert_eq!(admitted(&admission, begun(7, 70)).await, Ok(()));
    assert_eq!(questions(&oracle), 0);
}
