//! Typed values: JSON by serde, and what happens where it does not fit.

use std::collections::{BTreeMap, HashMap};

use bytes::Bytes;
use isobar::ErrorKind;
use serde::{Deserialize, Serialize};

use crate::{TrialResult, World};

crate::trials![
    "KV-19" => typed_values_come_back_as_they_were,
    "KV-19" => a_value_of_another_type_is_invalid_input_in_every_read_and_stays_stored,
    "KV-19" => bytes_that_are_not_json_are_invalid_input_and_stay_stored,
    "KV-19" => a_value_that_json_cannot_hold_is_invalid_input_and_not_written,
    "KV-19" => a_value_too_deep_or_not_finite_is_invalid_input_and_not_written,
    "KV-19" => an_unreadable_item_does_not_hide_its_neighbours,
    "KV-19" => a_value_of_a_newer_form_of_the_type_is_read_by_the_older,
];

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Shape {
    Point,
    Circle { radius: u64 },
    Text(String),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Drawing {
    title: String,
    shapes: Vec<Shape>,
    tags: BTreeMap<String, Option<bool>>,
    nested: Option<Box<Drawing>>,
    bytes: Vec<u8>,
}

async fn typed_values_come_back_as_they_were(world: Box<dyn World>) -> TrialResult {
    let drawings = world.cloud().table::<Drawing>("drawings");
    let text = "quotes \" ' \\ / \u{0} \u{7f} \u{2028} \u{1f600} </script>".to_owned();
    let mut drawing = Drawing {
        title: text.clone(),
        shapes: vec![Shape::Point, Shape::Circle { radius: u64::MAX }, Shape::Text(String::new())],
        tags: BTreeMap::from([(text, Some(true)), (String::new(), None), ("$set".to_owned(), Some(false))]),
        nested: None,
        bytes: (0..=255).collect(),
    };
    drawing.nested = Some(Box::new(drawing.clone()));
    drawings.put(("p", "a"), &drawing).await?;
    assert_eq!(drawings.get(("p", "a")).await?.as_ref(), Some(&drawing));
    assert_eq!(drawings.get_many([("p", "a")]).await?, [Some(drawing.clone())]);
    assert_eq!(drawings.query("p").all().await?[0].value, drawing);
    assert_eq!(drawings.scan().all().await?[0].value, drawing);
    Ok(())
}

async fn a_value_of_another_type_is_invalid_input_in_every_read_and_stays_stored(world: Box<dyn World>) -> TrialResult {
    let cloud = world.cloud();
    let (texts, numbers) = (cloud.table::<String>("items"), cloud.table::<u32>("items"));
    texts.put(("p", "a"), &"text".to_owned()).await?;
    let errors = [
        numbers.get(("p", "a")).await.unwrap_err(),
        numbers.get_entry(("p", "a")).await.unwrap_err(),
        numbers.get_many([("p", "a")]).await.unwrap_err(),
        numbers.query("p").all().await.unwrap_err(),
        numbers.scan().all().await.unwrap_err(),
    ];
    for error in errors {
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(!error.is_retryable());
    }
    assert_eq!(texts.get(("p", "a")).await?.as_deref(), Some("text"));
    Ok(())
}

async fn bytes_that_are_not_json_are_invalid_input_and_stay_stored(world: Box<dyn World>) -> TrialResult {
    let cloud = world.cloud();
    let (raw, typed) = (cloud.table::<Bytes>("items"), cloud.table::<serde_json::Value>("items"));
    for bytes in ["", "{", "{} {}", "\"open", "\u{0}", "nul"] {
        raw.put("a", &Bytes::from(bytes)).await?;
        assert_eq!(typed.get("a").await.unwrap_err().kind(), ErrorKind::InvalidInput, "{bytes:?}");
        assert_eq!(raw.get("a").await?, Some(Bytes::from(bytes)));
    }
    // No depth of a document ends the process.
    raw.put("a", &Bytes::from("[".repeat(100_000))).await?;
    assert_eq!(typed.get("a").await.unwrap_err().kind(), ErrorKind::InvalidInput);
    Ok(())
}

async fn a_value_that_json_cannot_hold_is_invalid_input_and_not_written(world: Box<dyn World>) -> TrialResult {
    let items = world.cloud().table::<HashMap<Vec<u8>, u32>>("items");
    let without_names = HashMap::from([(vec![1, 2], 3)]);
    assert_eq!(items.put("a", &without_names).await.unwrap_err().kind(), ErrorKind::InvalidInput);
    assert_eq!(items.update("a", |_| without_names.clone()).await.unwrap_err().kind(), ErrorKind::InvalidInput);
    let transaction = items.transact("a").put("x", &HashMap::new()).put("y", &without_names);
    assert_eq!(transaction.commit().await.unwrap_err().kind(), ErrorKind::InvalidInput);
    assert_eq!(items.scan().all().await?, []);
    Ok(())
}

async fn a_value_too_deep_or_not_finite_is_invalid_input_and_not_written(world: Box<dyn World>) -> TrialResult {
    let cloud = world.cloud();
    let floats = cloud.table::<f64>("items");
    for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        assert_eq!(floats.put("a", &value).await.unwrap_err().kind(), ErrorKind::InvalidInput, "{value}");
        assert_eq!(floats.update("a", |_| value).await.unwrap_err().kind(), ErrorKind::InvalidInput, "{value}");
        let transaction = floats.transact("a").put("x", &1.5).put("y", &value);
        assert_eq!(transaction.commit().await.unwrap_err().kind(), ErrorKind::InvalidInput, "{value}");
    }
    let maybe = cloud.table::<Option<f64>>("items");
    assert_eq!(maybe.put("a", &Some(f64::NAN)).await.unwrap_err().kind(), ErrorKind::InvalidInput);
    let topic = cloud.topic::<f64>("numbers");
    assert_eq!(topic.publish(f64::NAN).await.unwrap_err().kind(), ErrorKind::InvalidInput);
    let deep = |depth| (1..depth).fold(serde_json::json!([]), |inner, _| serde_json::json!([inner]));
    let values = cloud.table::<serde_json::Value>("items");
    let topic = cloud.topic::<serde_json::Value>("values");
    for depth in [128, 200] {
        assert_eq!(values.put("a", &deep(depth)).await.unwrap_err().kind(), ErrorKind::InvalidInput, "{depth}");
        assert_eq!(topic.publish(deep(depth)).await.unwrap_err().kind(), ErrorKind::InvalidInput, "{depth}");
    }
    assert_eq!(floats.scan().all().await?, []);
    values.put("a", &deep(127)).await?;
    assert_eq!(values.get("a").await?, Some(deep(127)));
    floats.put("a", &f64::MIN_POSITIVE).await?;
    assert_eq!(floats.get("a").await?, Some(f64::MIN_POSITIVE));
    Ok(())
}

async fn an_unreadable_item_does_not_hide_its_neighbours(world: Box<dyn World>) -> TrialResult {
    let cloud = world.cloud();
    let (numbers, raw) = (cloud.table::<f64>("items"), cloud.table::<Bytes>("items"));
    for (sort, text) in [("a", "1"), ("b", "null"), ("c", "2")] {
        raw.put(("p", sort), &Bytes::from(text)).await?;
    }
    let mut scanned = vec![numbers.scan().page().await?];
    while let Some(next) = scanned.last().and_then(|page| page.next.clone()) {
        scanned.push(numbers.scan().after(next).page().await?);
    }
    for pages in [vec![numbers.query("p").page().await?], scanned] {
        let mut values: Vec<_> = pages.iter().flat_map(|page| &page.items).map(|entry| entry.value).collect();
        values.sort_by(f64::total_cmp);
        assert_eq!(values, [1.0, 2.0]);
        let unreadable = pages.iter().flat_map(|page| &page.unreadable).map(|item| item.key.sort.as_str());
        assert_eq!(unreadable.collect::<Vec<_>>(), ["b"]);
    }
    let error = numbers.query("p").all().await.unwrap_err();
    assert!(error.message().contains("`p / b`"), "{error}");
    Ok(())
}

async fn a_value_of_a_newer_form_of_the_type_is_read_by_the_older(world: Box<dyn World>) -> TrialResult {
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Older {
        name: String,
    }
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Newer {
        name: String,
        #[serde(default)]
        age: u32,
    }
    let cloud = world.cloud();
    let (older, newer) = (cloud.table::<Older>("people"), cloud.table::<Newer>("people"));
    newer.put("ada", &Newer { name: "Ada".to_owned(), age: 36 }).await?;
    assert_eq!(older.get("ada").await?, Some(Older { name: "Ada".to_owned() }));
    older.put("ada", &Older { name: "Ada".to_owned() }).await?;
    assert_eq!(newer.get("ada").await?, Some(Newer { name: "Ada".to_owned(), age: 0 }));
    Ok(())
}
