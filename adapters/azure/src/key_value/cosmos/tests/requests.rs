//! The exact requests.

use std::ops::Bound;

use super::*;

#[tokio::test]
async fn a_get_is_signed_and_names_its_partition_in_ascii() {
    let scene = Scene::script([absent()]).await;
    assert_eq!(scene.table.get(&Key::new("a\u{e9}", "b/?")).await.unwrap(), None);
    assert_eq!(scene.double.requests(), ["GET /dbs/iso/colls/links/docs/sYi8_"]);
    assert_eq!(scene.header(0, "x-ms-documentdb-partitionkey").as_deref(), Some("[\"a\\u00e9\"]"));
    assert_eq!(scene.header(0, "x-ms-version").as_deref(), Some("2020-07-15"));
    assert_eq!(scene.header(0, "x-ms-session-token"), None);
    let date = scene.header(0, "x-ms-date").unwrap();
    use base64::Engine;
    let key = crate::config::Secret(base64::prelude::BASE64_STANDARD.decode(KEY).unwrap());
    let signed = crate::credentials::cosmos::of_key(&key, &http::Method::GET, "/dbs/iso/colls/links/docs/sYi8_", &date);
    assert_eq!(scene.header(0, "authorization"), Some(signed));
}

/// No emulator accepts tokens: the form is that of "Access control on Azure Cosmos DB resources".
#[tokio::test]
async fn every_request_contains_the_token_of_the_identity() {
    let identity = crate::key_value::identity("h.p-_.s").await;
    let access = [("IDENTITY_ENDPOINT", identity.url.as_str()), ("IDENTITY_HEADER", "hush")];
    let scene = Scene::with_access(&access, |request| match request.headers().get("x-ms-cosmos-is-batch-request") {
        Some(_) => answer(200, json!([{"statusCode": 201, "eTag": "e"}])),
        None if request.method() == "GET" => absent(),
        None => written(201),
    })
    .await;
    scene.table.get(&Key::from("a")).await.unwrap();
    scene.table.put(put(PutMode::Create)).await.unwrap();
    scene.table.transact(vec![Write::Put(put(PutMode::Create))]).await.unwrap();
    scene.table.delete(&Key::from("a"), None).await.unwrap();
    for place in 0..4 {
        let token = scene.header(place, "authorization");
        assert_eq!(token.as_deref(), Some("type%3Daad%26ver%3D1.0%26sig%3Dh.p-_.s"), "{place}");
        assert!(scene.header(place, "x-ms-date").is_some_and(|date| date.ends_with("GMT")));
    }
    let requests = identity.requests();
    assert_eq!(requests.len(), 1, "{requests:?}");
    assert!(requests[0].ends_with("resource=https%3A%2F%2Fcosmos.azure.com"), "{requests:?}");
}

#[tokio::test]
async fn the_version_of_an_item_contains_its_expiry() {
    let scene = Scene::script([written(201)]).await;
    let expiring = put(PutMode::Overwrite).with_expires_at(at(NOW + 1));
    let version = scene.table.put(expiring).await.unwrap();
    assert_eq!(version.as_str(), format!("\"e-2\"@{}", NOW + 1));
    let expired = Version::new(format!("\"e-2\"@{NOW}"));
    assert_eq!(kind_of(scene.table.put(put(PutMode::Update(expired.clone()))).await), (ErrorKind::Conflict, false));
    assert_eq!(kind_of(scene.table.delete(&Key::from("a"), Some(&expired)).await), (ErrorKind::Conflict, false));
    assert_eq!(
        kind_of(scene.table.delete(&Key::from("a"), Some(&Version::new("*"))).await),
        (ErrorKind::Conflict, false)
    );
    assert_eq!(scene.count(), 1, "no further request");
}

#[tokio::test]
async fn a_query_passes_its_values_in_parameters() {
    let scene = Scene::script([answer(200, json!({"Documents": []}))]).await;
    let (lower, upper) = (Bound::Excluded("\u{e9}".to_owned()), Bound::Included("\" --".to_owned()));
    let mut range = QueryRange::new("' OR 1=1", 7).with_bounds(lower, upper);
    range.descending = true;
    scene.table.query(&range).await.unwrap();
    let parameters = json!([
        {"name": "@p", "value": "' OR 1=1"}, {"name": "@lower", "value": "\u{c3}\u{a9}"}, {"name": "@upper", "value": "\" --"},
    ]);
    let query = "SELECT * FROM c WHERE c.p = @p AND c.s > @lower AND c.s <= @upper ORDER BY c.s DESC";
    assert_eq!(scene.body(0), json!({"query": query, "parameters": parameters}));
    assert_eq!(scene.header(0, "x-ms-max-item-count").as_deref(), Some("7"));
    assert_eq!(scene.header(0, "content-type").as_deref(), Some("application/query+json"));
}

#[tokio::test]
async fn a_page_without_items_is_not_the_end() {
    let empty = Response::builder().header("x-ms-continuation", "more").body(json!({"Documents": []}).to_string());
    let expired = Response::builder()
        .header("x-ms-continuation", "yet more")
        .body(json!({"Documents": [stored(json!("x"), &json!("w"), Some(NOW))]}).to_string());
    let scene = Scene::script([empty.unwrap(), expired.unwrap()]).await;
    let range = QueryRange::new("a", 7);
    let page = scene.table.query(&range).await.unwrap();
    assert_eq!((page.items.len(), page.resume.as_deref()), (0, Some("")));
    assert_eq!(scene.header(1, "x-ms-continuation").as_deref(), Some("more"));
}

/// Returns two pages of ranges, between which the range `0` was split, and no items.
fn ranges(request: &Request<Bytes>) -> Answer {
    let range = |id: &str, min: &str, max: &str, parents: &[&str]| json!({"id": id, "minInclusive": min, "maxExclusive": max, "parents": parents});
    if !request.uri().path().ends_with("pkranges") {
        return answer(200, json!({"Documents": []}));
    }
    let (half, quarter) = ("20".repeat(16), "10".repeat(16));
    if request.headers().contains_key("x-ms-continuation") {
        let rest =
            [range("1", &half, "FF", &[]), range("2", "", &quarter, &["0"]), range("3", &quarter, &half, &["0"])];
        return answer(200, json!({ "PartitionKeyRanges": rest }));
    }
    let mut first = answer(200, json!({"PartitionKeyRanges": [range("0", "", &half, &[])]}));
    first.headers_mut().insert("x-ms-continuation", "more".parse().unwrap());
    first
}

#[tokio::test]
async fn a_scan_names_whole_ranges_by_their_ids_and_parts_also_by_their_bounds() {
    let scanned = |segment, segments| async move {
        let scene = Scene::new(ranges).await;
        let segment = ScanSegment::new(segment, segments, 10);
        assert_eq!(scene.table.scan(&segment).await.unwrap(), Items::default());
        let header = |place, name| scene.header(place, name).unwrap_or_default();
        let names = ["x-ms-documentdb-partitionkeyrangeid", "x-ms-start-epk", "x-ms-end-epk", "x-ms-read-key-type"];
        (2..scene.count()).map(|place| names.map(|name| header(place, name))).collect::<Vec<_>>()
    };
    let (zero, half) = ("0".repeat(32), "20".repeat(16));
    assert_eq!(scanned(0, 1).await, ["2", "3", "1"].map(|id| [id, "", "", ""]));
    let part = |id, from, to| [id, from, to, "EffectivePartitionKeyRange"];
    let eighth = format!("08{}", "0".repeat(30));
    assert_eq!(scanned(0, 8).await, [part("2", &zero, &eighth)]);
    let three_quarters = format!("30{}", "0".repeat(30));
    assert_eq!(scanned(3, 4).await, [part("1", &three_quarters, "FF")]);
    assert_eq!(scanned(2, 4).await.last(), Some(&part("1", &half, &three_quarters).map(str::to_owned)));
}

#[tokio::test]
async fn reads_and_batches_send_the_newest_session_token() {
    let scene = Scene::new(|request| {
        let mut response = if request.method() == "GET" { absent() } else { written(201) };
        let token = if request.method() == "GET" { "0:1#7,2:1#3" } else { "0:1#9" };
        response.headers_mut().insert("x-ms-session-token", token.parse().unwrap());
        if request.headers().contains_key("x-ms-cosmos-is-batch-request") {
            *response.body_mut() = json!([{"statusCode": 201, "eTag": "e"}]).to_string();
        }
        response
    })
    .await;
    scene.table.put(put(PutMode::Overwrite)).await.unwrap();
    scene.table.get(&Key::from("a")).await.unwrap();
    scene.table.get(&Key::from("a")).await.unwrap();
    scene.table.transact(vec![Write::Put(put(PutMode::Overwrite))]).await.unwrap();
    let sent: Vec<_> = (0..4).map(|place| scene.header(place, "x-ms-session-token")).collect();
    let token = |text: &str| Some(text.to_owned());
    assert_eq!(sent, [None, token("0:1#9"), token("0:1#9,2:1#3"), token("0:1#9,2:1#3")]);
}
