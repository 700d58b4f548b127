//! Queries in both directions and scans, against rows in memory.

use std::ops::Bound;

use percent_encoding::percent_decode_str;

use super::*;

/// Responds to queries of partition `a` as the service does: ascending, at most 1,000 rows. Before the end, a response
/// names the next row.
fn serve(rows: &[Value], request: &Request<Bytes>) -> Answer {
    let query: HashMap<String, String> = request
        .uri()
        .query()
        .unwrap_or_default()
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .map(|(name, value)| (name.to_owned(), percent_decode_str(value).decode_utf8().unwrap().into_owned()))
        .collect();
    let ends: Vec<(&str, &str)> = query["$filter"]
        .split(" and ")
        .filter_map(|clause| clause.strip_prefix("RowKey "))
        .map(|clause| (&clause[..2], clause[3..].trim_matches('\'')))
        .collect();
    let within = |row: &&Value| {
        let key = row["RowKey"].as_str().unwrap();
        let after = query.get("NextPartitionKey").is_none_or(|next| key >= next.as_str());
        after
            && ends.iter().all(|(operator, end)| match *operator {
                "ge" => key >= *end,
                "gt" => key > *end,
                "le" => key <= *end,
                _ => key < *end,
            })
    };
    let top: usize = query["$top"].parse().unwrap();
    assert!(top <= 1_000);
    let first = rows.partition_point(|row| {
        ends.iter().any(|(operator, end)| {
            let key = row["RowKey"].as_str().unwrap();
            (*operator == "ge" && key < *end) || (*operator == "gt" && key <= *end)
        })
    });
    let mut found = rows[first..].iter().filter(within);
    let page: Vec<_> = found.by_ref().take(top).collect();
    let next = found.next().map(|row| &*row["RowKey"].as_str().unwrap().to_owned().leak());
    // The double's headers are text: the continuation is a percent-encoded key.
    let next = next.map(|next| &*encode(next).leak());
    Answer(200, next, json!({"value": page}).to_string())
}

fn encode(text: &str) -> String {
    isobar_rest::object::encode(text)
}

async fn scene(rows: Vec<Value>) -> Scene {
    // The client sends the tokens back with a second encoding.
    let decoded = move |request: &Request<Bytes>| {
        let uri = request.uri().to_string().replace("%25", "%");
        let decoded = Request::get(uri).body(Bytes::new()).unwrap();
        serve(&rows, &decoded)
    };
    Scene::new(decoded).await
}

fn range(descending: bool, limit: usize) -> QueryRange {
    let mut range = QueryRange::new("a", limit);
    range.descending = descending;
    range
}

fn sorts(items: &Items) -> Vec<String> {
    items.items.iter().map(|item| item.key.sort.clone()).collect()
}

fn numbered(count: usize) -> Vec<Value> {
    (0..count).map(|number| row(&format!("event-{number:07}"), "w", None)).collect()
}

#[tokio::test]
async fn the_last_of_many_are_found_without_reading_the_rest() {
    let count = 30_000;
    let scene = scene(numbered(count)).await;
    for (limit, most) in [(1, 25), (10, 25), (1_000, 20)] {
        let before = scene.count();
        let items = scene.table.query(&range(true, limit)).await.unwrap();
        let expected: Vec<_> = (count - limit..count).rev().map(|number| format!("event-{number:07}")).collect();
        assert_eq!(sorts(&items), expected);
        assert_eq!(items.resume, expected.last().cloned());
        let requests = scene.count() - before;
        assert!(requests <= most, "{limit}: {requests} requests");
    }
}

#[tokio::test]
async fn descending_pages_return_everything_once() {
    for (count, limit) in [(0, 3), (1, 1), (99, 7), (101, 100), (1_203, 100), (2_500, 999), (2_500, 1_000)] {
        let scene = scene(numbered(count)).await;
        let mut all = Vec::new();
        let mut range = range(true, limit);
        loop {
            let items = scene.table.query(&range).await.unwrap();
            assert!(items.items.len() <= limit || limit >= 1_000);
            all.extend(sorts(&items));
            let Some(resume) = items.resume else { break };
            range.upper = Bound::Excluded(resume);
        }
        let expected: Vec<_> = (0..count).rev().map(|number| format!("event-{number:07}")).collect();
        assert_eq!(all, expected, "{count} by {limit}");
    }
}

#[tokio::test]
async fn small_ranges_cost_one_request_or_two() {
    let scene = scene(numbered(90)).await;
    scene.table.query(&range(true, 1_000)).await.unwrap();
    assert_eq!(scene.count(), 1);
    let items = scene.table.query(&range(true, 5)).await.unwrap();
    assert_eq!((scene.count(), items.items.len()), (3, 5));
    scene
        .double
        .request(1, |request| assert!(request.uri().to_string().contains("$select=PartitionKey%2CRowKey%2Cexpires")));
}

#[tokio::test]
async fn bounds_hold_in_both_directions() {
    let scene = scene(numbered(1_500)).await;
    let at = |number: usize| format!("event-{number:07}");
    for (lower, upper, first, last) in [
        (Bound::Included(at(100)), Bound::Excluded(at(1_400)), 100, 1_399),
        (Bound::Excluded(at(100)), Bound::Included(at(1_400)), 101, 1_400),
        (Bound::Included("event-".to_owned()), Bound::Excluded("event.".to_owned()), 0, 1_499),
    ] {
        let mut down = range(true, 3).with_bounds(lower, upper);
        let items = scene.table.query(&down).await.unwrap();
        assert_eq!(sorts(&items), [at(last), at(last - 1), at(last - 2)]);
        down.descending = false;
        let items = scene.table.query(&down).await.unwrap();
        assert_eq!(sorts(&items), [at(first), at(first + 1), at(first + 2)]);
        assert_eq!(items.resume, Some(at(first + 2)));
    }
}

#[tokio::test]
async fn expired_items_are_skipped_in_few_requests() {
    let mut rows: Vec<_> = (0..2_000).map(|number| row(&format!("{number:04}"), "w", Some(NOW))).collect();
    rows[5] = row("0005", "w", None);
    rows[1_990] = row("1990", "w", Some(NOW + 1));
    let scene = scene(rows).await;
    let up = scene.table.query(&range(false, 2)).await.unwrap();
    assert_eq!(sorts(&up), ["0005", "1990"]);
    assert!(scene.count() <= 6, "{}", scene.count());
    let down = scene.table.query(&range(true, 1)).await.unwrap();
    assert_eq!(sorts(&down), ["1990"]);
}

#[tokio::test]
async fn a_response_without_rows_is_not_the_end_if_it_has_a_continuation() {
    let empty = || Answer(200, Some("next"), json!({"value": []}).to_string());
    let last = || Answer(200, None, json!({"value": [row("1", "w", None)]}).to_string());
    for descending in [false, true] {
        let scene = Scene::script([empty(), empty(), last()]).await;
        let items = scene.table.query(&range(descending, 10)).await.unwrap();
        assert_eq!((sorts(&items), items.resume), (vec!["1".to_owned()], None));
    }
    let scene = Scene::script([empty()]).await;
    let segment = ScanSegment::new(0, 1, 10);
    let items = scene.table.scan(&segment).await.unwrap();
    assert_eq!((items.items.len(), items.resume.as_deref()), (0, Some(r#"["next",null]"#)));
}

#[tokio::test]
async fn a_scan_requests_its_segment_and_continues_from_its_cursor() {
    let scene = Scene::script([Answer(200, None, json!({"value": []}).to_string())]).await;
    let segment = |segment, segments, after: Option<&str>| {
        ScanSegment::new(segment, segments, 5_000).with_after(after.map(str::to_owned))
    };
    // The size of the items is not known yet.
    scene.table.scan(&segment(0, 1, None)).await.unwrap();
    scene.table.scan(&segment(1, 4, Some(r#"["p","r"]"#))).await.unwrap();
    assert_eq!(
        scene.double.requests(),
        [
            "GET /links()?$filter=PartitionKey%20ge%20%27%27&$top=50",
            "GET /links()?$filter=PartitionKey%20ge%20%274000%27%20and%20PartitionKey%20lt%20%278000%27&$top=50\
             &NextPartitionKey=p&NextRowKey=r"
        ]
    );
    assert_eq!(kind_of(scene.table.scan(&segment(0, 1, Some("x"))).await).0, ErrorKind::InvalidInput);
    assert_eq!(scene.table.scan(&segment(0, u32::MAX, None)).await.unwrap(), Items::default(), "an empty segment");
    assert_eq!(scene.count(), 2);
}
