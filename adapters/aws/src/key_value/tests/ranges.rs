//! Queries and scans: what is asked, and pages in which much has expired.

use std::ops::Bound::{self, Excluded, Included, Unbounded};

use super::*;

fn range(lower: Bound<&str>, upper: Bound<&str>) -> QueryRange {
    let (lower, upper) = (lower.map(str::to_owned), upper.map(str::to_owned));
    QueryRange::new("a", 10).with_bounds(lower, upper)
}

fn segment(after: Option<&str>) -> ScanSegment {
    ScanSegment::new(2, 4, 10).with_after(after.map(str::to_owned))
}

fn page(sorts: &[&str], last: Option<&str>) -> Answer {
    let items: Vec<_> = sorts.iter().map(|sort| stored("a", sort, "x")).collect();
    let key = last.map(|sort| json!({"pk": {"S": "a"}, "sk": {"S": sort}}));
    done(json!({"Items": items, "Count": items.len(), "LastEvaluatedKey": key}))
}

/// Items that have expired.
fn expired(sorts: &[&str], last: Option<&str>) -> Answer {
    let (status, mut body) = page(sorts, last);
    for item in body["Items"].as_array_mut().unwrap() {
        item["ttl"] = json!({"N": (NOW / 1_000).to_string()});
    }
    (status, body)
}

fn sorts(items: &Items) -> Vec<&str> {
    items.items.iter().map(|item| item.key.sort.as_str()).collect()
}

#[tokio::test]
async fn a_range_that_holds_nothing_is_not_asked_for() {
    let scene = Scene::script([refused("ValidationException", "The BETWEEN operator requires upper bound")]).await;
    for (lower, upper) in [
        (Included("c"), Included("b")),
        (Excluded("b"), Included("b")),
        (Included("b"), Excluded("b")),
        (Excluded("b"), Excluded("b")),
    ] {
        assert_eq!(scene.table.query(&range(lower, upper)).await.unwrap(), Items::default());
    }
    assert_eq!(scene.count(), 0);
}

#[tokio::test]
async fn behind_items_that_have_expired_it_is_looked_on_with_more_at_once() {
    let scene = Scene::script([expired(&["b", "c"], Some("c")), page(&["d", "e", "f"], Some("f"))]).await;
    let items = scene.table.query(&QueryRange::new("a", 2)).await.unwrap();
    assert_eq!(sorts(&items), ["d", "e"]);
    assert_eq!(items.resume.as_deref(), Some("e"), "what was looked at and not returned comes with the next page");
    assert_eq!(scene.input(0)["Limit"], 2);
    assert_eq!(scene.input(1)["Limit"], 100);
    assert_eq!(scene.input(1)["ExclusiveStartKey"], json!({"pk": {"S": "a"}, "sk": {"S": "c"}}));
}

#[tokio::test]
async fn a_partition_of_expired_items_only_is_empty() {
    let scene = Scene::script([expired(&["b"], Some("b")), expired(&["c"], None)]).await;
    assert_eq!(scene.table.query(&range(Unbounded, Unbounded)).await.unwrap(), Items::default());
    assert_eq!(scene.count(), 2);
}

#[tokio::test]
async fn no_limit_is_larger_than_what_dynamodb_can_read() {
    let scene = Scene::script([page(&[], None)]).await;
    scene.table.query(&QueryRange::new("a", usize::MAX)).await.unwrap();
    scene.table.scan(&ScanSegment::new(2, 4, usize::MAX)).await.unwrap();
    for (_, input) in scene.requests() {
        assert!(input["Limit"].as_u64().unwrap() <= i32::MAX as u64);
    }
}

#[tokio::test]
async fn a_scan_leaves_out_what_has_expired_and_goes_on_behind_it() {
    let scene = Scene::script([expired(&["b"], Some("b"))]).await;
    let items = scene.table.scan(&segment(None)).await.unwrap();
    assert!(items.items.is_empty() && items.resume.is_some());
}

#[tokio::test]
async fn a_cursor_of_something_else_is_invalid() {
    let scene = Scene::script([refused("ValidationException", "The provided starting key is invalid")]).await;
    for cursor in ["", "{", "\"hush\"", "{\"partition\":\"a\",\"sort\":\"b\"}"] {
        let error = scene.table.scan(&segment(Some(cursor))).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{cursor}");
    }
    assert_eq!(scene.count(), 1, "what is no cursor at all is not sent");
    let many = ScanSegment::new(2, 1_000_001, 10);
    assert_eq!(kind_of(scene.table.scan(&many).await).0, ErrorKind::InvalidInput);
}
