//! Queries and scans: requests, and pages with many expired items.

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
    success(json!({"Items": items, "Count": items.len(), "LastEvaluatedKey": key}))
}

/// A page of expired items.
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
async fn empty_range_is_not_requested() {
    let fixture = Fixture::script([failure("ValidationException", "The BETWEEN operator requires upper bound")]).await;
    for (lower, upper) in [
        (Included("c"), Included("b")),
        (Excluded("b"), Included("b")),
        (Included("b"), Excluded("b")),
        (Excluded("b"), Excluded("b")),
    ] {
        assert_eq!(fixture.table.query(&range(lower, upper)).await.unwrap(), Items::default());
    }
    assert_eq!(fixture.count(), 0);
}

#[tokio::test]
async fn query_continues_after_expired_items_with_a_larger_limit() {
    let fixture = Fixture::script([expired(&["b", "c"], Some("c")), page(&["d", "e", "f"], Some("f"))]).await;
    let items = fixture.table.query(&QueryRange::new("a", 2)).await.unwrap();
    assert_eq!(sorts(&items), ["d", "e"]);
    assert_eq!(items.resume.as_deref(), Some("e"), "the next page starts after the last returned item");
    assert_eq!(fixture.input(0)["Limit"], 2);
    assert_eq!(fixture.input(1)["Limit"], 100);
    assert_eq!(fixture.input(1)["ExclusiveStartKey"], json!({"pk": {"S": "a"}, "sk": {"S": "c"}}));
}

#[tokio::test]
async fn partition_of_expired_items_is_empty() {
    let fixture = Fixture::script([expired(&["b"], Some("b")), expired(&["c"], None)]).await;
    assert_eq!(fixture.table.query(&range(Unbounded, Unbounded)).await.unwrap(), Items::default());
    assert_eq!(fixture.count(), 2);
}

#[tokio::test]
async fn limit_is_at_most_that_of_dynamodb() {
    let fixture = Fixture::script([page(&[], None)]).await;
    fixture.table.query(&QueryRange::new("a", usize::MAX)).await.unwrap();
    fixture.table.scan(&ScanSegment::new(2, 4, usize::MAX)).await.unwrap();
    for (_, input) in fixture.requests() {
        assert!(input["Limit"].as_u64().unwrap() <= i32::MAX as u64);
    }
}

#[tokio::test]
async fn scan_skips_expired_items_and_continues_after_them() {
    let fixture = Fixture::script([expired(&["b"], Some("b"))]).await;
    let items = fixture.table.scan(&segment(None)).await.unwrap();
    assert!(items.items.is_empty() && items.resume.is_some());
}

#[tokio::test]
async fn foreign_cursor_is_invalid_input() {
    let fixture = Fixture::script([failure("ValidationException", "The provided starting key is invalid")]).await;
    for cursor in ["", "{", "\"hush\"", "{\"partition\":\"a\",\"sort\":\"b\"}"] {
        let error = fixture.table.scan(&segment(Some(cursor))).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{cursor}");
    }
    assert_eq!(fixture.count(), 1, "a malformed cursor is not sent");
    let many = ScanSegment::new(2, 1_000_001, 10);
    assert_eq!(kind_of(fixture.table.scan(&many).await).0, ErrorKind::InvalidInput);
}
