//! Tables generated from given lines.

use super::*;

const LINES: &str = r#"{"line":"machine","processors":2,"processor":"P","memory_bytes":25000000000,"kernel":"6.1","load":0.5,"version":"0.1.0","build":"release"}
{"line":"cluster","nodes":2,"shards":16,"layout":"many","pinned":true,"memory":"2GiB","threads":null}
{"line":"measurement","workload":"w-1","subject":"entail","run":1,"step":"start","seconds":0.25,"rss_bytes":20000000}
{"line":"measurement","workload":"w-1","subject":"entail","run":1,"step":"total","facts":1000000,"seconds":2.0,"cpu_seconds":1.0,"rss_bytes":30000000}
{"line":"measurement","workload":"w-1","subject":"entail","run":1,"step":"rest","seconds":3.0,"rss_bytes":26000000}
{"line":"measurement","workload":"w-1","subject":"entail","run":1,"step":"q01","rows":1234567,"seconds":0.5,"server_seconds":0.4,"first_seconds":0.0001}
{"line":"measurement","workload":"w-1","subject":"entail","run":1,"step":"point_query","clients":1,"calls":10,"seconds":0.001,"p99_seconds":0.002,"per_second":12345.6}
{"line":"measurement","workload":"w-1","subject":"entail","run":1,"step":"point_query","clients":8,"calls":10,"seconds":0.004,"p99_seconds":0.005,"per_second":2000}
{"line":"measurement","workload":"w-1","subject":"ascent","run":1,"step":"total","facts":1000000,"seconds":0.05}
{"line":"measurement","workload":"w-1","subject":"entail","run":2,"step":"total","facts":1000000,"seconds":4.0,"cpu_seconds":2.0,"rss_bytes":50000000}
{"line":"ratio","workload":"w-1","against":"ascent","of":"seconds","runs":2,"min":0.5,"median":1.0,"max":2.0}
{"line":"ratio","workload":"w-1","against":"facts","of":"rss_bytes","runs":2,"min":30.0,"median":40.0,"max":null}
"#;

fn file(name: &str, text: &str) -> (String, String) {
    (name.to_owned(), text.to_owned())
}

#[test]
fn a_file_becomes_a_section() {
    let expected = "\
### w-1, 2 runs

2 nodes, 16 shards, a process each, pinned, memory 2GiB; 2 processors (P) with 25.0 GB; Linux 6.1; \
Entail 0.1.0, release build; load 0.5 when it began.

| subject, step | facts | seconds | CPU seconds | resident MB |
|---|---:|---:|---:|---:|
| entail, start |  | 0.25 |  | 20.0 |
| entail, total | 1,000,000 | 2.00 – **3.00** – 4.00 | 1.00 – **1.50** – 2.00 | 30.0 – **40.0** – 50.0 |
| entail, rest |  | 3.00 |  | 26.0 |
| ascent, total | 1,000,000 | 0.050 |  |  |

| Entail over ascent | least | median | largest |
|---|---:|---:|---:|
| `seconds` | 0.50 | **1.00** | 2.00 |

| bytes a fact | least | median | largest |
|---|---:|---:|---:|
| `rss_bytes` | 30.00 | **40.00** | – |

| query | rows | ms | server ms | first ms |
|---|---:|---:|---:|---:|
| q01 | 1,234,567 | 500.0 | 400.0 | 0.100 |

| request | clients | calls | p50 ms | p99 ms | a second |
|---|---:|---:|---:|---:|---:|
| point_query | 1 | 10 | 1.0 | 2.0 | 12,346 |
| point_query | 8 | 10 | 4.0 | 5.0 | 2,000 |

";
    assert_eq!(markdown(&[file("a", LINES)]).unwrap(), expected);
}

#[test]
fn files_are_also_put_side_by_side() {
    let text = markdown(&[file("a", LINES), file("b", &LINES.replace("w-1", "w-2"))]).unwrap();
    let (_, together) = text.split_once("### Together").unwrap();
    let rows: Vec<&str> = together.lines().filter(|line| line.starts_with("| w-")).collect();
    let row = |name| {
        format!(
            "| {name} | 2 nodes, 16 shards, a process each, pinned, memory 2GiB | 1,000,000 | 3.00 | 3.00 | 1.50 |  | 26.00 | 6.00 |  |"
        )
    };
    assert_eq!(rows, [row("w-1"), row("w-2")]);
    let one_file = [LINES, &LINES.replace("w-1", "w-2")].concat();
    assert_eq!(markdown(&[file("c", &one_file)]).unwrap(), text, "two commands may have written to one file");
}

#[test]
fn changes_have_tables_of_their_own() {
    let lines = r#"{"line":"machine","processors":2,"load":0.5}
{"line":"cluster","nodes":1,"shards":16,"layout":"one","pinned":false,"memory":null,"threads":null}
{"line":"measurement","workload":"c-1","subject":"entail","run":1,"step":"delete_100","calls":20,"seconds":0.5,"p90_seconds":0.75,"server_seconds":0.4,"asserted":100.0,"derived":900.0,"seconds_per_fact":0.0005}
{"line":"measurement","workload":"c-1","subject":"entail","run":1,"step":"recompute","calls":3,"seconds":2.0,"p90_seconds":2.0,"server_seconds":1.9,"asserted":0.0,"derived":2000.0,"seconds_per_fact":0.001}
{"line":"measurement","workload":"c-1","subject":"entail","run":1,"step":"write_one","clients":64,"calls":99,"seconds":0.01,"p99_seconds":0.02,"per_second":2500.0,"epochs":9}
{"line":"ratio","workload":"c-1","against":"guard","of":"delete_100","runs":1,"min":0.25,"median":0.25,"max":0.25}
"#;
    let one = markdown(&[file("a", lines)]).unwrap();
    let expected = "\
| change | changes | asserted | derived | p50 ms | p90 ms | server p50 ms | µs a fact |
|---|---:|---:|---:|---:|---:|---:|---:|
| delete_100 | 20 | 100 | 900 | 500.0 | 750.0 | 400.0 | 500.00 |
| recompute | 3 | 0 | 2,000 | 2000.0 | 2000.0 | 1900.0 | 1000.00 |

| p90 over 1.3 times recomputing and 20 ms | least | median | largest |
|---|---:|---:|---:|
| `delete_100` | 0.25 | **0.25** | 0.25 |

| request | clients | calls | p50 ms | p99 ms | a second | epochs |
|---|---:|---:|---:|---:|---:|---:|
| write_one | 64 | 99 | 10.0 | 20.0 | 2,500 | 9 |

";
    assert!(one.ends_with(expected), "{one}");
    let both = markdown(&[file("a", &[lines, lines].concat())]).unwrap();
    let row = "| c-1 | 1 node, 16 shards |  |  | 500.0 |  |  |  |  |  | 2000.0 |\n";
    assert!(both.ends_with(&format!("{row}\n")), "{both}");
    assert!(!both.contains("### Together"), "no section has a total");
}

#[test]
fn what_is_no_result_is_refused() {
    for (text, expected) in [("", "f has no results"), ("{}\n", "f, line 1, is no result"), ("x", "f, line 1")] {
        let error = markdown(&[file("f", text)]).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}
