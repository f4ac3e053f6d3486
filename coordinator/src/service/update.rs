//! A SPARQL update: checked, evaluated in the writer's turn, committed as one epoch.

use super::call::{Call, bounded};
use super::{Coordinator, blocking};
use crate::staging::FactLoader;
use crate::writer::{Change, Request as WriteRequest};
use entail_model::{Cancellation, Fault};
use entail_proto::v1::{ChangeSummary, UpdateRequest};
use entail_rdf::QuadBatches;
use entail_sparql::update::{self, UpdateRequest as Evaluation};
use oxrdf::Quad;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tracing::info_span;

/// Quads that are brought to the nodes together.
const BATCH_QUADS: usize = 16_384;

impl Coordinator {
    /// Applies an update as one epoch. Dropping the future cancels it.
    ///
    /// # Errors
    /// What is wrong with the text, and whatever the writer gives.
    pub async fn update(self: &Arc<Self>, call: Call, request: UpdateRequest) -> Result<ChangeSummary, Fault> {
        call.describe("update", &request.update);
        let parts = ["update", &request.base_iri, &request.update].map(str::as_bytes);
        let identity = self.identity(request.request_id, &parts)?;
        if let Some(change) = self.writer.answered(&identity)? {
            return Ok(change);
        }
        let (_running, _bounded) = (self.running.begin("update", &request.update, &call), call.bounded());
        let base = Some(request.base_iri).filter(|base| !base.is_empty());
        // What is wrong with the text is said before anybody waits for a turn.
        let (text, checked_base) = (request.update.clone(), base.clone());
        blocking(move || info_span!("parse").in_scope(|| update::check(&text, checked_base.as_deref()))).await?;
        let time = call.deadline().map_or(self.options.query_timeout_default, |deadline| deadline - call.started);
        let coordinator = Arc::clone(self);
        let change = Change::Facts(Box::new(move |loader| {
            Box::pin(async move {
                let quads = coordinator.evaluate(request.update, base, time).await?;
                stage(&loader, &quads).await
            })
        }));
        self.writer.commit(WriteRequest { identity, change, cancel: call.cancel, watch: Arc::default() }).await
    }

    /// The quads that an update inserts. This is the writer's turn: WHERE sees the very epoch that the update builds on.
    async fn evaluate(&self, text: String, base: Option<String>, time: Duration) -> Result<Vec<Quad>, Fault> {
        let deadline = Instant::now() + time;
        // The time is for WHERE alone, and begins with the turn, so this is not the call's own cancellation. When that
        // ends, the writer drops this future, and the evaluation ends with `_owner`.
        let cancel = Cancellation::until(deadline);
        let _owner = bounded(&cancel);
        let permit = self.admitted(deadline).await?;
        let reader = self.reader(None, &cancel)?;
        let request = Evaluation { text, base, cancel, fed_bytes_max: self.options.memory / 4 };
        blocking(move || {
            let _permit = permit;
            update::quads(request, Arc::new(reader))
        })
        .await
    }
}

/// Brings quads to the nodes.
async fn stage(loader: &Arc<FactLoader>, quads: &[Quad]) -> Result<(), Fault> {
    let mut batches = QuadBatches::new(loader.key);
    for chunk in quads.chunks(BATCH_QUADS) {
        let batch = batches.batch(chunk.iter().map(Quad::as_ref))?;
        Arc::clone(loader).stage_batch(batch).await?;
    }
    Ok(())
}
