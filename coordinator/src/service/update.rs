//! A SPARQL update: checked, evaluated in the writer's turn, committed as one epoch.

use super::call::{Call, bounded};
use super::{Coordinator, blocking, moment};
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

/// Quads that are staged together.
const BATCH_QUADS: usize = 16_384;

impl Coordinator {
    /// Applies an update as one epoch. Dropping the future cancels it.
    ///
    /// # Errors
    /// Errors in the text, and the faults of the writer.
    pub async fn update(self: &Arc<Self>, call: Call, request: UpdateRequest) -> Result<ChangeSummary, Fault> {
        call.describe("update", &request.update);
        let parts = ["update", &request.base_iri, &request.update].map(str::as_bytes);
        let identity = self.identity(request.request_id, &parts)?;
        if let Some(change) = self.writer.answered(&identity)? {
            return Ok(change);
        }
        let (_running, _bounded) = (self.running.begin("update", &request.update, &call), call.bounded());
        let base = Some(request.base_iri).filter(|base| !base.is_empty());
        // Errors in the text are reported before the change waits for the writer.
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

    /// The quads that an update inserts. Runs while the writer is held: WHERE reads the epoch that the update builds on.
    async fn evaluate(&self, text: String, base: Option<String>, time: Duration) -> Result<Vec<Quad>, Fault> {
        let deadline = Instant::now() + time;
        // The time limit is for WHERE alone and begins now, so WHERE has its own cancellation. Cancelling the call drops
        // this future, and with it `_owner`.
        let cancel = Cancellation::until(deadline);
        let _owner = bounded(&cancel);
        let permit = self.admitted(deadline).await?;
        let reader = self.reader(None, &cancel)?;
        let request = Evaluation { text, base, cancel, held_bytes_max: self.options.memory / 4, now: moment::now() };
        blocking(move || {
            let _permit = permit;
            update::quads(request, Arc::new(reader))
        })
        .await
    }
}

/// Stages quads at the nodes.
async fn stage(loader: &Arc<FactLoader>, quads: &[Quad]) -> Result<(), Fault> {
    let mut batches = QuadBatches::new(loader.key);
    for chunk in quads.chunks(BATCH_QUADS) {
        let batch = batches.batch(chunk.iter().map(Quad::as_ref))?;
        Arc::clone(loader).stage_batch(batch).await?;
    }
    Ok(())
}
