//! A manifest with one resource and one trigger of each kind.

use isobar_abstraction::driver::{Access, Permission, ResourceKind, RetryPolicy};
use isobar_abstraction::manifest::{
    DeclaredResource, FunctionTrigger, Manifest, MessageTrigger, ObjectTrigger, ScheduleTrigger, Trigger, WriteTrigger,
};

/// The table `links`, the bucket `pages`, the topic `clicks` and another kind with this access, a secret, and a trigger of
/// each kind.
pub fn declared(access: Access) -> Manifest {
    let retry = RetryPolicy::default();
    let resource = DeclaredResource::new;
    Manifest::new("shop")
        .with_resources([
            resource(ResourceKind::Table, "links", access),
            resource(ResourceKind::Bucket, "pages", access),
            resource(ResourceKind::Topic, "clicks", access.intersection(Access::Write)),
            resource(ResourceKind::Secret, "api-token", Access::Read),
            resource(ResourceKind::Other("cache"), "recent", access),
        ])
        .with_triggers([
            Trigger::Http,
            Trigger::Message(MessageTrigger::new("clicks", retry)),
            Trigger::Object(ObjectTrigger::new("pages", retry)),
            Trigger::Write(WriteTrigger::new("links", retry)),
            Trigger::Schedule(ScheduleTrigger::new("sweep", "0 3 * * *")),
            Trigger::Function(FunctionTrigger::new("stats")),
        ])
}

/// What is granted on a resource, in the order of the permissions.
pub fn granted_on(permissions: &[Permission], service: &str, name: &str) -> Vec<&'static str> {
    let on = permissions.iter().filter(|it| (it.on.service, &*it.on.name) == (service, name));
    on.flat_map(|permission| permission.grants.clone()).collect()
}
