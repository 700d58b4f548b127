//! What the one store makes of the requests of a service.

use futures_util::TryStreamExt;
use object_store::{CopyMode, CopyOptions, ObjectStoreExt, RenameOptions};

use super::*;

/// A bucket that takes all writes; each `HEAD` finds an object.
async fn taking() -> (Double, Arc<dyn ObjectStore>) {
    let double =
        Double::start(vec![always(say(format!("HTTP/1.1 200 OK\r\n{OBJECT}content-length: 0\r\n\r\n")))]).await;
    let store = Bucket::at(&double.url("/"), |_| ()).store();
    (double, store)
}

/// Its requests, as `GET /a`.
fn requests(double: &Double) -> Vec<String> {
    let line = |head: &str| head.split(" HTTP").next().unwrap_or_default().to_owned();
    double.heard().iter().map(|heard| line(&heard.head)).collect()
}

#[tokio::test]
async fn a_copy_to_itself_changes_nothing_and_a_rename_is_a_copy_and_a_delete() {
    let (double, store) = taking().await;
    let (a, b, create) = (Path::from("a"), Path::from("b"), CopyOptions::new().with_mode(CopyMode::Create));
    store.rename_opts(&a, &a, RenameOptions::default()).await.unwrap();
    let error = Error::from(store.copy_opts(&a, &a, create).await.unwrap_err());
    assert_eq!((error.kind(), requests(&double)), (ErrorKind::AlreadyExists, vec!["HEAD /".to_owned(); 2]));
    store.rename_if_not_exists(&a, &b).await.unwrap();
    assert_eq!(requests(&double)[2..], ["GET /copy?a&b&true", "GET /delete?a"]);
}

#[tokio::test]
async fn a_list_goes_on_page_by_page_over_those_without_a_name() {
    let (double, store) = taking().await;
    let names = |list: Vec<ObjectMeta>| list.into_iter().map(|meta| meta.location.to_string()).collect::<Vec<_>>();
    assert_eq!(names(store.list(None).try_collect().await.unwrap()), ["a", "b", "c"]);
    assert_eq!(requests(&double), ["GET /list?&", "GET /list?a&", "GET /list?a&behind", "GET /list?b&"]);
    assert_eq!(names(store.list_with_offset(None, &Path::from("a")).try_collect().await.unwrap()), ["b", "c"]);
    assert_eq!(store.list_with_delimiter(None).await.unwrap().objects.len(), 3);
    let error = store.list(Some(&Path::from("empty"))).try_collect::<Vec<_>>().await.unwrap_err();
    assert!(Error::from(error).message().contains("the same empty page twice"));
}

#[tokio::test]
async fn an_upload_ends_with_its_parts_in_order_and_only_where_all_were_sent() {
    let (double, store) = taking().await;
    let mut upload = store.put_multipart(&Path::from("a")).await.unwrap();
    let (first, second) = (upload.put_part("one".into()), upload.put_part("two".into()));
    second.await.unwrap();
    assert_eq!(Error::from(upload.complete().await.unwrap_err()).kind(), ErrorKind::InvalidInput);
    first.await.unwrap();
    upload.complete().await.unwrap();
    assert!(upload.complete().await.is_err(), "it has ended");
    assert_eq!(requests(&double), ["GET /part?1", "GET /part?0", "GET /end?0,1"]);
    let mut upload = store.put_multipart(&Path::from("a")).await.unwrap();
    for _ in 0..3 {
        upload.put_part("x".into()).await.unwrap();
    }
    let error = Error::from(upload.put_part("x".into()).await.unwrap_err());
    assert_eq!((error.kind(), error.limit()), (ErrorKind::TooLarge, Some(3)));
}

#[tokio::test]
async fn a_write_has_a_type_and_what_no_header_can_hold_is_not_sent() {
    let (double, store) = taking().await;
    store.put(&Path::from("a"), "x".into()).await.unwrap();
    let mut options = PutOptions::default();
    options.attributes.insert(Attribute::ContentType, "text/plain\r\nx: y".into());
    let error = store.put_opts(&Path::from("a"), "x".into(), options).await.unwrap_err();
    assert_eq!(Error::from(error).kind(), ErrorKind::InvalidInput);
    assert_eq!(requests(&double), ["GET /put?a&binary/octet-stream"]);
}
