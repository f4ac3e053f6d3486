//! gRPC health of the coordinator's services.

use crate::service::Coordinator;
use std::sync::Arc;
use std::time::Duration;
use tonic_health::ServingStatus::{NotServing, Serving};
use tonic_health::server::HealthReporter;

/// How often the state is checked.
const LOOK: Duration = Duration::from_millis(200);

const SERVICES: [&str; 5] =
    ["", "entail.v1.QueryService", "entail.v1.UpdateService", "entail.v1.RuleService", "entail.v1.AdminService"];

/// Reports the health of the services: serving while every shard can be reached and the coordinator is not stopping.
/// Completes when the coordinator is leaving and this is reported.
pub async fn report_health(coordinator: Arc<Coordinator>, reporter: HealthReporter) {
    let mut last = None;
    loop {
        let is_stopping = coordinator.leaving.is_cancelled();
        let state = coordinator.check();
        let is_ready = state.is_ok();
        if last != Some(is_ready) || is_stopping {
            match state {
                Ok(()) => tracing::info!("the cluster is serving"),
                Err(why) if last.is_some() && !is_stopping => tracing::warn!(why, "the cluster is not serving"),
                Err(_) => {}
            }
            report(&reporter, is_ready, is_stopping).await;
            last = Some(is_ready);
        }
        if is_stopping {
            return;
        }
        tokio::select! {
            () = coordinator.leaving.cancelled() => {}
            () = tokio::time::sleep(LOOK) => {}
        }
    }
}

async fn report(reporter: &HealthReporter, is_ready: bool, is_stopping: bool) {
    for name in SERVICES {
        // The admin service answers in any state of the nodes.
        let serving = is_ready || (name.ends_with("AdminService") && !is_stopping);
        reporter.set_service_status(name, if serving { Serving } else { NotServing }).await;
    }
}
