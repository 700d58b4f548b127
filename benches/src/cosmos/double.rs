//! A double of Cosmos DB's REST API that responds immediately: upserts, and reads by id. It has the few other
//! resources that the official client reads before its first item. It checks no signature.
//!
//! Its answers are the emulator's, with the headers that a client may look at.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, OnceLock};

use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::http1::{self, Answer, Request};

const CONTAINER: &str = "/dbs/isobar/colls/bench-links";
const ETAG: &str = "\"d5a8a12f-3d41-4f51-8add-55a57520f80e\"";
const RID: &str = "AAAAAYAAAAE=";

/// Items by their ids and partitions.
type Items = Mutex<HashMap<String, String>>;

pub(super) fn start(heard: Arc<Mutex<Vec<String>>>) -> SocketAddr {
    let items = Items::default();
    let own = Arc::<OnceLock<SocketAddr>>::default();
    let address = Arc::clone(&own);
    let address = http1::serve(move |request| {
        let path = request.path.strip_prefix(CONTAINER).unwrap_or(&request.path);
        Some(match (&*request.method, path) {
            ("GET", "/") => found(&account(address.wait())),
            ("GET", "") => found(&container()),
            ("GET", "/pkranges") if request.header("if-none-match") == ETAG => {
                Answer { status: 304, ..found(&json!({})) }
            }
            ("GET", "/pkranges") => found(&ranges()),
            ("POST", "/docs") => {
                heard.lock().unwrap().push("upsert".to_owned());
                upsert(&items, &request)
            }
            ("GET", path) if path.starts_with("/docs/") => {
                heard.lock().unwrap().push("read".to_owned());
                read(&items, &path["/docs/".len()..], &request)
            }
            (method, path) => panic!("the double does not know {method} {path}"),
        })
    });
    own.set(address).unwrap();
    address
}

fn upsert(items: &Items, request: &Request) -> Answer {
    assert!(request.header("x-ms-documentdb-is-upsert").eq_ignore_ascii_case("true"), "no upsert");
    #[derive(serde::Deserialize)]
    struct Item<'a> {
        id: &'a str,
        #[serde(borrow)]
        p: &'a RawValue,
    }
    let text = std::str::from_utf8(&request.body).unwrap();
    let item: Item<'_> = serde_json::from_str(text).unwrap();
    let system = format!(
        r#","_rid":"AAAAAYAAAAEBAAAAAAAAAA==","_self":"dbs/AAAAAQ==/colls/AAAAAYAAAAE=/docs/AAAAAYAAAAEBAAAAAAAAAA==/","_etag":{},"_attachments":"attachments/","_ts":1795650654}}"#,
        Value::from(ETAG)
    );
    let stored = format!("{}{system}", &text[..text.len() - 1]);
    items.lock().unwrap().insert(format!("{} [{}]", item.id, item.p), stored);
    answer(201, Vec::new())
}

fn read(items: &Items, id: &str, request: &Request) -> Answer {
    let key = format!("{id} {}", request.header("x-ms-documentdb-partitionkey"));
    match items.lock().unwrap().get(&key) {
        Some(item) => answer(200, item.clone().into_bytes()),
        None => answer(
            404,
            br#"{"code":"NotFound","message":"Entity with the specified id does not exist in the system."}"#.to_vec(),
        ),
    }
}

fn found(what: &Value) -> Answer {
    answer(200, what.to_string().into_bytes())
}

fn answer(status: u16, body: Vec<u8>) -> Answer {
    let headers = [
        ("content-type", "application/json"),
        ("etag", ETAG),
        ("lsn", "1"),
        ("x-ms-activity-id", "12532993-7787-4104-afb0-42dbac69da0f"),
        ("x-ms-documentdb-partitionkeyrangeid", "0"),
        ("x-ms-gatewayversion", "version=2.14.0"),
        ("x-ms-global-committed-lsn", "1"),
        ("x-ms-item-lsn", "1"),
        ("x-ms-number-of-read-regions", "0"),
        ("x-ms-request-charge", "1.00"),
        ("x-ms-request-duration-ms", "0.20"),
        ("x-ms-resource-usage", "documentSize=0;documentsSize=1;documentsCount=1;collectionSize=1;"),
        ("x-ms-serviceversion", "version=2.14.0"),
        ("x-ms-session-token", "0:0#1#0=1"),
        ("x-ms-transport-request-id", "1"),
    ];
    Answer { status, headers: headers.map(|(name, value)| (name, value.to_owned())).into(), body }
}

fn account(address: &SocketAddr) -> Value {
    let locations = json!([{"databaseAccountEndpoint": format!("http://{address}/"), "name": "East US"}]);
    json!({
        "_dbs": "//dbs/", "_rid": "127.sql.cosmos.azure.com", "_self": "", "addresses": "//addresses/", "id": "127",
        "media": "//media/", "enableMultipleWriteLocations": false, "queryEngineConfiguration": "{}",
        "readPolicy": {"primaryReadCoefficient": 1, "secondaryReadCoefficient": 1},
        "readableLocations": locations, "writableLocations": locations,
        "systemReplicationPolicy": {"maxReplicasetSize": 4, "minReplicaSetSize": 3},
        "userReplicationPolicy": {"asyncReplication": false, "maxReplicasetSize": 4, "minReplicaSetSize": 3},
        "userConsistencyPolicy": {"defaultConsistencyLevel": "Session"},
    })
}

fn container() -> Value {
    json!({
        "_etag": ETAG, "_rid": RID, "_self": "dbs/AAAAAQ==/colls/AAAAAYAAAAE=/", "_ts": 1_795_650_654,
        "_docs": "docs/", "_conflicts": "conflicts/", "_sprocs": "sprocs/", "_triggers": "triggers/", "_udfs": "udfs/",
        "conflictResolutionPolicy": {"conflictResolutionPath": "/_ts", "conflictResolutionProcedure": "", "mode": "LastWriterWins"},
        "defaultTtl": -1, "geospatialConfig": {"type": "Geography"}, "id": "bench-links",
        "indexingPolicy": {"automatic": true, "excludedPaths": [{"path": "/\"_etag\"/?"}],
            "includedPaths": [{"path": "/*"}], "indexingMode": "consistent"},
        "partitionKey": {"kind": "Hash", "paths": ["/p"], "version": 2},
    })
}

fn ranges() -> Value {
    let only = json!({
        "_etag": ETAG, "_lsn": 0, "_rid": "AAAAAYAAAAEAAAAAAAAAUA==", "_self": "dbs/AAAAAQ==/colls/AAAAAYAAAAE=/pkranges/0/",
        "_ts": 1_795_650_654, "id": "0", "maxExclusive": "FF", "minInclusive": "", "parents": [], "ridPrefix": 0,
        "status": "online", "throughputFraction": 1.0, "vectorClockVersion": 0,
    });
    json!({"PartitionKeyRanges": [only], "_count": 1, "_rid": RID})
}
