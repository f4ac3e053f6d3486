//! Measures small requests: an empty call, a query for one entity's facts, a write of one fact under rules.
//!
//! ```text
//! empty_call: health check    point_query: one client, then CLIENTS    write_one: insert, insert, …
//! ```
//! All are about LUBM. At the end the cluster must have exactly the written facts and their consequences in addition.

use super::Bench;
use crate::Error;
use crate::cluster::{Cluster, Content};
use crate::lubm::term;
use crate::measurement::{Measurement, percentile};
use entail_client::Client;
use entail_client::v1::{QueryRequest, ResultFormat, UpdateRequest};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;
use tonic::transport::{Channel, Endpoint};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

/// The number of measured empty calls and queries, after WARM unmeasured ones.
const CALLS: usize = 2000;
const WARM: usize = 500;
/// The number of entities that are queried in turns.
const ENTITIES: usize = 100;
/// The number of concurrent clients, each with its own connection, and the duration.
const CLIENTS: u16 = 8;
const CLIENTS_TIME: Duration = Duration::from_secs(3);
/// The number of facts to insert, one after the other; fewer if the time is over earlier.
const WRITES: usize = 200;
const WRITES_TIME: Duration = Duration::from_secs(30);
const WRITES_WARM: usize = 5;
/// The largest answer, in bytes.
const ANSWER_BYTES_MAX: usize = 1 << 20;

impl Bench<'_> {
    /// Measures small requests to a cluster that has LUBM's facts and rules.
    pub(super) async fn points(&mut self, cluster: &Cluster, content: Content) -> Result<(), Error> {
        let health = health(cluster.url()).await?;
        empty_calls(health.clone(), WARM).await?;
        self.timed(cluster, "empty_call", 1, empty_calls(health, CALLS)).await?;
        let client = cluster.client()?;
        let queries = queries(&client).await?;
        ask(&client, &queries, Until::Calls(WARM)).await?;
        self.timed(cluster, "point_query", 1, ask(&client, &queries, Until::Calls(CALLS))).await?;
        self.timed(cluster, "point_query", CLIENTS, ask_together(cluster, &queries)).await?;
        let mut expected = content;
        write(&client, "Warm", WRITES_WARM, &mut expected).await?;
        self.timed(cluster, "write_one", 1, write(&client, "Bench", WRITES, &mut expected)).await?;
        self.content_is(cluster, expected).await
    }

    /// Reports the durations of calls that `work` has measured.
    async fn timed(
        &mut self,
        cluster: &Cluster,
        step: &str,
        clients: u16,
        calls: impl Future<Output = Result<Vec<Took>, Error>>,
    ) -> Result<(), Error> {
        self.note(&format!("{step} by {clients}"));
        let (usage, started) = (cluster.usage()?, Instant::now());
        let times = calls.await?;
        let per_second = Some(times.len() as f64 / started.elapsed().as_secs_f64());
        let usage = Some(cluster.usage()?.since(usage));
        self.tell(Measurement { clients: Some(clients), per_second, usage, ..of(&times, self.step("entail", step)) })
    }
}

/// The duration of a call in seconds: by the client's clock, and by the server's if it reports one.
struct Took {
    ours: f64,
    servers: Option<f64>,
}

fn of(times: &[Took], step: Measurement) -> Measurement {
    let ours: Vec<f64> = times.iter().map(|took| took.ours).collect();
    let servers: Vec<f64> = times.iter().filter_map(|took| took.servers).collect();
    Measurement {
        calls: Some(ours.len() as u64),
        seconds: percentile(&ours, 50),
        server_seconds: (!servers.is_empty()).then(|| percentile(&servers, 50)),
        p99_seconds: Some(percentile(&ours, 99)),
        ..step
    }
}

async fn timed<T>(call: impl Future<Output = Result<T, Error>>) -> Result<(T, Took), Error> {
    let started = Instant::now();
    let answer = call.await?;
    Ok((answer, Took { ours: started.elapsed().as_secs_f64(), servers: None }))
}

async fn health(url: &str) -> Result<HealthClient<Channel>, Error> {
    let failed = |error: tonic::transport::Error| unhealthy(error.to_string());
    let endpoint = Endpoint::from_shared(url.to_owned()).map_err(failed)?;
    Ok(HealthClient::new(endpoint.tcp_nodelay(true).connect().await.map_err(failed)?))
}

fn unhealthy(why: String) -> Error {
    Error::Child { name: "a health check".to_owned(), why }
}

/// Measures empty calls: health checks.
async fn empty_calls(mut health: HealthClient<Channel>, calls: usize) -> Result<Vec<Took>, Error> {
    let mut times = Vec::new();
    for _ in 0..calls {
        let check = health.check(HealthCheckRequest::default());
        times.push(timed(async { check.await.map_err(|status| unhealthy(status.to_string())) }).await?.1);
    }
    Ok(times)
}

/// Queries for all facts of an entity, for each of some entities.
async fn queries(client: &Client) -> Result<Vec<String>, Error> {
    let text = format!("SELECT ?x {{ ?x a <{}> }} LIMIT {ENTITIES}", term("GraduateStudent"));
    let (rows, _) = rows(client, &text).await?;
    Ok(rows.iter().map(|entity| format!("SELECT ?p ?o {{ {entity} ?p ?o }}")).collect())
}

/// The rows of an answer, as lines of TSV, and the duration.
async fn rows(client: &Client, query: &str) -> Result<(Vec<String>, Took), Error> {
    let request = QueryRequest { query: query.to_owned(), format: ResultFormat::Tsv.into(), ..Default::default() };
    let (answer, took) = timed(async { Ok(client.query_all(request, ANSWER_BYTES_MAX).await?) }).await?;
    let took = Took { servers: Some(answer.summary.seconds), ..took };
    let text = String::from_utf8_lossy(&answer.data);
    let rows: Vec<String> = text.lines().skip(1).map(str::to_owned).collect();
    match rows.is_empty() {
        true => Err(Error::Input(format!("{query} has no answer"))),
        false => Ok((rows, took)),
    }
}

/// When to stop sending.
#[derive(Clone, Copy)]
enum Until {
    Calls(usize),
    Time(Duration),
}

async fn ask(client: &Client, queries: &[String], until: Until) -> Result<Vec<Took>, Error> {
    let started = Instant::now();
    let mut times = Vec::new();
    for query in queries.iter().cycle() {
        let is_over = match until {
            Until::Calls(calls) => times.len() >= calls,
            Until::Time(time) => started.elapsed() >= time,
        };
        if is_over {
            break;
        }
        times.push(rows(client, query).await?.1);
    }
    Ok(times)
}

/// Each client starts with a different entity.
async fn ask_together(cluster: &Cluster, queries: &[String]) -> Result<Vec<Took>, Error> {
    let mut clients = JoinSet::new();
    for number in 0..usize::from(CLIENTS) {
        let (client, mut queries) = (cluster.client()?, queries.to_vec());
        let first = number * queries.len() / usize::from(CLIENTS);
        queries.rotate_left(first);
        clients.spawn(async move { ask(&client, &queries, Until::Time(CLIENTS_TIME)).await });
    }
    let mut times = Vec::new();
    while let Some(asked) = clients.join_next().await {
        let asked = asked.map_err(|error| Error::Input(format!("a client failed: {error}")))?;
        times.extend(asked?);
    }
    Ok(times)
}

/// Inserts a new head of a department, from which several rules derive more facts, again and again. The response comes
/// when the change is durable and the closure is complete.
async fn write(client: &Client, name: &str, count: usize, content: &mut Content) -> Result<Vec<Took>, Error> {
    let (heads, started) = (term("headOf"), Instant::now());
    let mut times = Vec::new();
    while times.len() < count && started.elapsed() < WRITES_TIME {
        let who = format!("http://bench.entail/{name}{}", times.len());
        let update = format!("INSERT DATA {{ <{who}> <{heads}> <http://www.Department0.University0.edu> }}");
        let request = UpdateRequest { update, ..Default::default() };
        let (response, took) = timed(async { Ok(client.update(request).await?) }).await?;
        let change = response.change.unwrap_or_default();
        if change.asserted != 1 || change.derived == 0 {
            let (asserted, derived) = (change.asserted, change.derived);
            return Err(Error::Input(format!(
                "{asserted} facts asserted and {derived} derived of {who}: not one, and some"
            )));
        }
        content.asserted += change.asserted;
        content.derived += change.derived;
        times.push(took);
    }
    Ok(times)
}
