//! Objects of other programs whose names isobar cannot read.

use std::sync::Arc;

use isobar::driver::blob::{Blob, ListRequest};
use isobar::driver::{Access, Resource, ResourceKind};
use isobar::prelude::*;
use isobar_conformance::TrialResult;

/// Lists the bucket `pages` by the driver, in pages of two names. It must contain the object `readable` and these names, which
/// another program wrote. The portable list must ignore the placeholders of folders only.
pub async fn are_listed(cloud: &Cloud, names: &[&str]) -> TrialResult {
    let pages: Resource<dyn Blob> = cloud.resource(ResourceKind::Bucket, "pages");
    let (mut readable, mut unreadable) = (Vec::new(), Vec::new());
    let mut request = ListRequest::new("", 2);
    loop {
        let list = async |driver: &Arc<dyn Blob>| driver.list(&request).await;
        let page = pages.run("list", Access::Read, list).await?;
        readable.extend(page.objects.into_iter().map(|object| object.location.to_string()));
        unreadable.extend(page.unreadable);
        if page.resume.is_none() {
            break;
        }
        request.after = page.resume;
    }
    unreadable.sort_unstable();
    let mut expected = names.to_vec();
    expected.sort_unstable();
    assert_eq!(
        (readable, unreadable),
        (vec!["readable".to_owned()], expected.iter().map(|it| (*it).to_owned()).collect())
    );
    let named = |error: &Error| expected.iter().any(|name| !name.ends_with('/') && error.message().contains(name));
    let listed = cloud.bucket("pages").list("").all().await;
    assert!(listed.is_err_and(|error| error.kind() == ErrorKind::Internal && named(&error)), "a name was left out");
    for folder in expected.iter().filter(|name| name.ends_with('/')) {
        assert_eq!(cloud.bucket("pages").list(*folder).all().await?, []);
    }
    Ok(())
}
