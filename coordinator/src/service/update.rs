//! A SPARQL update: checked at once, evaluated in the writer's turn, committed as one epoch.

use super::call::Call;
use super::{Coordinator, blocking, moment};
use crate::staging::Update;
use crate::writer::{Change, Purpose, Request as WriteRequest};
use entail_model::Fault;
use entail_proto::v1::{ChangeSummary, UpdateRequest};
use entail_sparql::update;
use std::sync::Arc;
use tracing::info_span;

impl Coordinator {
    /// Applies an update as one epoch, or says what it would change. Dropping the future cancels it.
    ///
    /// # Errors
    /// Errors in the text, and the faults of the writer.
    pub async fn update(self: &Arc<Self>, call: Call, request: UpdateRequest) -> Result<ChangeSummary, Fault> {
        call.describe("update", &request.update);
        let parts = ["update", &request.base_iri, &request.update].map(str::as_bytes);
        let identity = self.identity(request.request_id, &parts)?;
        let purpose = if request.dry_run { Purpose::DryRun } else { Purpose::Commit };
        if purpose == Purpose::Commit
            && let Some(change) = self.writer.answered(&identity)?
        {
            return Ok(change);
        }
        let (_running, _bounded) = (self.running.begin("update", &request.update, &call), call.bounded());
        let base = Some(request.base_iri).filter(|base| !base.is_empty());
        // Errors in the text are reported before the change waits for the writer.
        let (text, checked_base) = (request.update.clone(), base.clone());
        let checked =
            blocking(move || info_span!("parse").in_scope(|| update::check(&text, checked_base.as_deref()))).await?;
        let time = call.deadline().map_or(self.options.query_timeout_default, |deadline| deadline - call.started);
        let (text, now) = (request.update, moment::now());
        let (has_where, data) = (checked.has_where, checked.data.map(Arc::new));
        let change = Change::Update(Update { text, base, now, has_where, data, time });
        let (cancel, watch) = (call.cancel, Arc::default());
        self.writer.commit(WriteRequest { identity, change, purpose, cancel, watch }).await
    }
}
