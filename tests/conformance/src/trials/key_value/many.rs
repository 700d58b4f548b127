//! `get_many` loses no key.

use bytes::Bytes;
use isobar::key_value::Key;

use super::{STRANGE_SORTS, fill};
use crate::{TrialResult, World};

crate::trials![
    "KV-8" => get_many_answers_in_the_order_asked_with_none_for_the_missing,
    "KV-8" => get_many_answers_a_key_as_often_as_it_is_asked,
    "KV-8" => get_many_of_no_keys_is_empty,
    "KV-8" => get_many_answers_hundreds_of_keys,
    "KV-8" => get_many_loses_no_key_of_more_than_16_megabytes,
    "KV-8" => get_many_answers_strange_keys_in_the_order_asked,
];

async fn get_many_answers_in_the_order_asked_with_none_for_the_missing(world: Box<dyn World>) -> TrialResult {
    let items = world.cloud().table::<u32>("items");
    for (key, value) in [(("p", "a"), 1), (("p", "b"), 2), (("q", "a"), 3)] {
        items.put(key, &value).await?;
    }
    let keys = [("q", "a"), ("p", "z"), ("p", "b"), ("z", ""), ("p", "a"), ("p", ""), ("q", "b")];
    assert_eq!(items.get_many(keys).await?, [Some(3), None, Some(2), None, Some(1), None, None]);
    assert_eq!(items.get_many([("z", "a"), ("z", "b")]).await?, [None, None]);
    Ok(())
}

async fn get_many_answers_a_key_as_often_as_it_is_asked(world: Box<dyn World>) -> TrialResult {
    let items = world.cloud().table::<u32>("items");
    items.put("a", &1).await?;
    items.put("b", &2).await?;
    let answers = items.get_many(["a", "b", "a", "c", "a", "c", "b"]).await?;
    assert_eq!(answers, [Some(1), Some(2), Some(1), None, Some(1), None, Some(2)]);
    let keys = vec!["a"; 150];
    assert_eq!(items.get_many(keys).await?, vec![Some(1); 150]);
    Ok(())
}

async fn get_many_of_no_keys_is_empty(world: Box<dyn World>) -> TrialResult {
    let items = world.cloud().table::<u32>("items");
    assert_eq!(items.get_many(Vec::<Key>::new()).await?, []);
    Ok(())
}

async fn get_many_answers_hundreds_of_keys(world: Box<dyn World>) -> TrialResult {
    let items = world.cloud().table::<usize>("items");
    let sorts: Vec<_> = (0..250).map(|number| format!("{number:03}")).collect();
    fill(&items, "p", &sorts).await?;
    // Every second key is missing, and the order is not that of the keys.
    let numbers: Vec<_> = (0..500).map(|number| number * 7 % 500).collect();
    let keys = numbers.iter().map(|number| Key::new("p", format!("{number:03}")));
    let expected: Vec<_> = numbers.iter().map(|number| Some(*number).filter(|number| *number < 250)).collect();
    assert_eq!(items.get_many(keys).await?, expected);
    Ok(())
}

async fn get_many_loses_no_key_of_more_than_16_megabytes(world: Box<dyn World>) -> TrialResult {
    let items = world.cloud().table::<Bytes>("items");
    let value = |number: u8| Bytes::from(vec![number; 170_000]);
    for number in 0..105 {
        items.put(format!("item {number}"), &value(number)).await?;
    }
    let mut numbers: Vec<_> = (0..105).rev().collect();
    numbers.extend([7, 104, 200, 7]);
    let answers = items.get_many(numbers.iter().map(|number| format!("item {number}"))).await?;
    assert_eq!(answers.len(), numbers.len());
    for (number, answer) in numbers.iter().zip(answers) {
        let expected = (*number < 105).then(|| value(*number));
        assert!(answer == expected, "item {number} is lost or another: {:?} bytes", answer.map(|value| value.len()));
    }
    Ok(())
}

async fn get_many_answers_strange_keys_in_the_order_asked(world: Box<dyn World>) -> TrialResult {
    let items = world.cloud().table::<usize>("items");
    fill(&items, "p'\"#/\0", STRANGE_SORTS).await?;
    let numbers: Vec<_> = (0..STRANGE_SORTS.len()).rev().collect();
    let keys = numbers.iter().map(|place| Key::new("p'\"#/\0", STRANGE_SORTS[*place]));
    assert_eq!(items.get_many(keys).await?, numbers.iter().copied().map(Some).collect::<Vec<_>>());
    Ok(())
}
