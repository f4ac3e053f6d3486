//! Loads three facts, applies a rule and runs a query: `entail serve --data /tmp/hello`, then `cargo run -p
//! entail-client --example hello`.

use entail_client::v1::{ApplyRulesRequest, FileHeader, QueryRequest, ResultFormat};
use entail_client::{Client, Error, Options, Source};

const FACTS: &str = "@prefix : <http://example.org/> . :ann :parent :bob . :bob :parent :cat . :cat :parent :dan .";
const RULES: &str = "PREFIX : <http://example.org/> RULE { ?a :ancestor ?b } WHERE { ?a :parent ?b } \
     RULE { ?a :ancestor ?c } WHERE { ?a :ancestor ?b . ?b :parent ?c }";
const QUERY: &str = "PREFIX : <http://example.org/> SELECT ?who { :ann :ancestor ?who }";

#[tokio::main]
async fn main() -> Result<(), Error> {
    let server = std::env::var("ENTAIL_SERVER").unwrap_or_else(|_| "http://127.0.0.1:7400".to_owned());
    let client = Client::connect(&server, Options::default())?;
    let header = FileHeader { name: "hello.ttl".to_owned(), ..FileHeader::default() };
    client.load(vec![Source::bytes(FACTS, header)], &mut |_| ()).await?;
    let rules = ApplyRulesRequest { name: "family".to_owned(), text: RULES.to_owned(), ..Default::default() };
    client.apply_rules(rules).await?;
    let query = QueryRequest { query: QUERY.to_owned(), format: ResultFormat::Csv.into(), ..Default::default() };
    let answer = client.query_all(query, 1 << 20).await?;
    print!("{}", String::from_utf8_lossy(&answer.data));
    Ok(())
}
