//! Pages of a list: bounded, complete, and steady while others write.

use futures_util::future;
use isobar::ErrorKind;
use isobar::blob::{Bucket, ListCursor};

use super::{STRANGE_KEYS, fill, keys_of, pages};
use crate::{TrialResult, World};

crate::trials![
    "BL-10" => pages_of_any_size_are_together_the_whole,
    "BL-10" => pages_of_strange_object_keys_go_on_from_printed_cursors,
    "BL-10" => pages_hold_to_their_prefix,
    "BL-10" => list_pages_return_once_what_was_there_all_the_time,
    "BL-10" => pages_of_groups_are_steady_while_others_write,
    "BL-10" => a_cursor_is_good_when_the_object_at_it_is_gone,
    "BL-10" => a_list_limit_of_zero_counts_as_one_and_the_largest_takes_all,
    "BL-10" => all_returns_more_objects_than_a_page_of_the_default_size,
    "BL-10" => a_list_cursor_is_text_that_a_url_can_carry,
    "BL-10" => text_that_is_no_list_cursor_is_invalid_input,
    "BL-10" => a_list_cursor_never_leads_out_of_its_prefix,
];

fn numbered(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("dir/{number:04}")).collect()
}

async fn paged(files: &Bucket, prefix: &str, limit: usize) -> isobar::Result<Vec<String>> {
    let pages = pages(files.list(prefix).limit(limit)).await?;
    assert!(pages.iter().all(|page| page.objects.len() <= limit && page.prefixes.is_empty()));
    Ok(pages.into_iter().flat_map(|page| page.objects).map(|object| object.key).collect())
}

async fn pages_of_any_size_are_together_the_whole(world: Box<dyn World>) -> TrialResult {
    let files = world.cloud().bucket("files");
    let keys = numbered(20);
    fill(&files, &keys).await?;
    for limit in [1, 2, 7, 19, 20, 21] {
        assert_eq!(paged(&files, "", limit).await?, keys, "limit {limit}");
    }
    Ok(())
}

async fn pages_of_strange_object_keys_go_on_from_printed_cursors(world: Box<dyn World>) -> TrialResult {
    let files = world.cloud().bucket("files");
    fill(&files, STRANGE_KEYS).await?;
    let whole = keys_of(&files, "").await?;
    assert_eq!(whole.len(), STRANGE_KEYS.len());
    for limit in [1, 3] {
        assert_eq!(paged(&files, "", limit).await?, whole, "limit {limit}");
    }
    for prefix in ["a", "a/", ".", "..", "%", "/"] {
        assert_eq!(paged(&files, prefix, 1).await?, keys_of(&files, prefix).await?, "prefix {prefix:?}");
    }
    Ok(())
}

async fn pages_hold_to_their_prefix(world: Box<dyn World>) -> TrialResult {
    let files = world.cloud().bucket("files");
    fill(&files, &["a", "b1", "b2", "b3", "b4", "c"]).await?;
    for limit in [1, 2, 3, 4] {
        assert_eq!(paged(&files, "b", limit).await?, ["b1", "b2", "b3", "b4"], "limit {limit}");
    }
    Ok(())
}

async fn list_pages_return_once_what_was_there_all_the_time(world: Box<dyn World>) -> TrialResult {
    let files = world.cloud().bucket("files");
    fill(&files, &numbered(40)).await?;
    let (mut found, mut list) = (Vec::new(), files.list("dir/").limit(3));
    for step in 0..200 {
        let page = list.page().await?;
        found.extend(page.objects.into_iter().map(|object| object.key));
        let Some(next) = page.next else { break };
        list = list.after(next);
        if step < 10 {
            files.put(format!("dir/0{step:03}-new"), "x").await?;
            files.delete(format!("dir/{:04}", step * 4)).await?;
        }
    }
    assert!(found.is_sorted_by(|before, after| before < after), "not in order, or one twice: {found:?}");
    for key in numbered(40).iter().enumerate().filter(|(number, _)| number % 4 != 0).map(|(_, key)| key) {
        assert!(found.contains(key), "{key} is lost");
    }
    Ok(())
}

async fn pages_of_groups_are_steady_while_others_write(world: Box<dyn World>) -> TrialResult {
    let files = world.cloud().bucket("files");
    let keys: Vec<_> = (0..20).map(|number| format!("g{number:02}/x")).collect();
    fill(&files, &keys).await?;
    let (mut groups, mut list) = (Vec::new(), files.list("").delimited().limit(1));
    for step in 0..200 {
        let page = list.page().await?;
        groups.extend(page.prefixes);
        let Some(next) = page.next else { break };
        list = list.after(next);
        if step < 10 {
            // In the group where the page ended, before it, and the group itself.
            files.put(format!("g{step:02}/y"), "x").await?;
            files.put(format!("f{step:02}/x"), "x").await?;
            files.delete(format!("g{step:02}/x")).await?;
        }
    }
    assert_eq!(groups, (0..20).map(|number| format!("g{number:02}/")).collect::<Vec<_>>());
    Ok(())
}

async fn a_cursor_is_good_when_the_object_at_it_is_gone(world: Box<dyn World>) -> TrialResult {
    let files = world.cloud().bucket("files");
    fill(&files, &["a", "b", "c", "d"]).await?;
    let page = files.list("").limit(2).page().await?;
    files.delete("b").await?;
    files.delete("c").await?;
    files.put("b2", "x").await?;
    let rest = files.list("").after(page.next.unwrap()).all().await?;
    assert_eq!(rest.into_iter().map(|object| object.key).collect::<Vec<_>>(), ["b2", "d"]);
    Ok(())
}

async fn a_list_limit_of_zero_counts_as_one_and_the_largest_takes_all(world: Box<dyn World>) -> TrialResult {
    let files = world.cloud().bucket("files");
    fill(&files, &["a", "b", "c/d"]).await?;
    assert_eq!(paged(&files, "", usize::MAX).await?, ["a", "b", "c/d"]);
    for list in [files.list("").limit(0), files.list("").limit(0).delimited()] {
        let page = list.page().await?;
        assert!(page.objects.len() + page.prefixes.len() <= 1);
    }
    assert_eq!(files.list("").limit(0).all().await?.len(), 3);
    Ok(())
}

async fn all_returns_more_objects_than_a_page_of_the_default_size(world: Box<dyn World>) -> TrialResult {
    let files = world.cloud().bucket("files");
    let keys = numbered(1_005);
    for keys in keys.chunks(16) {
        future::try_join_all(keys.iter().map(|key| files.put(key.clone(), "x"))).await?;
    }
    assert_eq!(keys_of(&files, "").await?, keys);
    assert_eq!(paged(&files, "", 1_000).await?.len(), 1_005);
    Ok(())
}

async fn a_list_cursor_is_text_that_a_url_can_carry(world: Box<dyn World>) -> TrialResult {
    let files = world.cloud().bucket("files");
    fill(&files, STRANGE_KEYS).await?;
    let plain = pages(files.list("").limit(1)).await?;
    let grouped = pages(files.list("").delimited().limit(1)).await?;
    let cursors: Vec<_> = plain.into_iter().chain(grouped).filter_map(|page| page.next).collect();
    assert!(cursors.len() > STRANGE_KEYS.len());
    for cursor in cursors {
        let text = cursor.to_string();
        assert!(text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte)), "{text:?}");
        assert_eq!(text.parse::<ListCursor>()?, cursor);
    }
    Ok(())
}

async fn text_that_is_no_list_cursor_is_invalid_input(_: Box<dyn World>) -> TrialResult {
    for text in ["", "x", "L", "c", "l~", "l~z", "l~zz", "l~ff", "l a", "la/b", "lä", "l~2f", "l%2F", "null", "0", "\0"]
    {
        let error = text.parse::<ListCursor>().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{text:?}");
    }
    Ok(())
}

async fn a_list_cursor_never_leads_out_of_its_prefix(world: Box<dyn World>) -> TrialResult {
    let files = world.cloud().bucket("files");
    fill(&files, &["a1", "b1", "b2/c", "c1"]).await?;
    let foreign = files.list("").limit(1).page().await?.next.unwrap();
    // Clients send cursors back, and may send a cursor that they did not receive.
    for cursor in [foreign.to_string(), "la0".to_owned(), "lb1".to_owned(), "lzzz".to_owned(), "l".to_owned()] {
        let cursor: ListCursor = cursor.parse()?;
        for list in [files.list("b"), files.list("b").delimited()] {
            match list.after(cursor.clone()).page().await {
                Ok(page) => {
                    let objects = page.objects.iter().map(|object| &object.key);
                    assert!(objects.chain(&page.prefixes).all(|key| key.starts_with('b')), "{cursor}: {page:?}");
                }
                Err(error) => assert_eq!(error.kind(), ErrorKind::InvalidInput, "{cursor}"),
            }
        }
    }
    Ok(())
}
