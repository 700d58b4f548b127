use isobar_abstraction::ErrorKind;
use isobar_abstraction::driver::{Location, ResourceKind, ResourceUrl};

use super::*;

fn of(vars: &[(&str, &str)]) -> Result<AzureConfig> {
    let with_var = |environment: Environment, (name, value): &(&str, &str)| environment.with_var(*name, *value);
    AzureConfig::from_environment(&vars.iter().fold(Environment::default(), with_var))
}

fn place(config: &AzureConfig, kind: ResourceKind, url: &str) -> Result<Placed> {
    config.place(&Location::new(kind, "links").with_url(ResourceUrl::parse(url)?))
}

const STORAGE: &str = "AZURE_STORAGE_CONNECTION_STRING";
const BY_KEY: (&str, &str) =
    (STORAGE, "DefaultEndpointsProtocol=https;AccountName=acc1;AccountKey=aHVzaA==;EndpointSuffix=core.windows.net");
const BY_SAS: (&str, &str) = (
    STORAGE,
    "BlobEndpoint=https://acc2.blob.core.windows.net/;QueueEndpoint=https://acc2.queue.core.windows.net/;SharedAccessSignature=sv=2021-12-02&sig=hush%3D",
);

#[test]
fn a_storage_account_is_read_from_each_of_its_forms() {
    let account = |vars: &[(&str, &str)]| of(vars).unwrap().storage.unwrap();
    let key = account(&[BY_KEY]);
    assert_eq!((key.name.as_str(), key.blob.as_str()), ("acc1", "https://acc1.blob.core.windows.net"));
    assert_eq!(key.access, Access::Key(Secret(b"hush".to_vec())));
    let sas = account(&[BY_SAS]);
    assert_eq!((sas.name.as_str(), sas.table.as_str()), ("acc2", "https://acc2.table.core.windows.net"));
    assert_eq!(sas.access, Access::Sas(Secret(b"sv=2021-12-02&sig=hush%3D".to_vec())));
    let parts = account(&[("AZURE_STORAGE_ACCOUNT", "acc3"), ("AZURE_STORAGE_SAS_TOKEN", "?sig=x")]);
    assert_eq!(parts.access, Access::Sas(Secret(b"sig=x".to_vec())));
    assert_eq!(account(&[("AzureWebJobsStorage__accountName", "acc4")]).access, Access::Identity);
    let azurite = account(&[("AzureWebJobsStorage", "UseDevelopmentStorage=true")]);
    assert_eq!(azurite.queue, "http://127.0.0.1:10001/devstoreaccount1");
    let both = account(&[BY_KEY, ("AzureWebJobsStorage", "UseDevelopmentStorage=true")]);
    assert_eq!(both.name, "acc1", "the app's own account takes precedence over that of Functions");
}

#[test]
fn debug_and_errors_show_no_secret_and_errors_name_the_variable() {
    for vars in [BY_KEY, BY_SAS] {
        let debug = format!("{:?}", of(&[vars]).unwrap());
        assert!(!debug.contains("hush") && !debug.contains("aHVzaA"), "{debug}");
    }
    for (name, value) in [
        (STORAGE, "hush"),
        (STORAGE, "AccountName=acc1;AccountKey=hush!"),
        (STORAGE, "AccountName=acc1"),
        (STORAGE, "AccountName=Acc_1;AccountKey=aHVzaA=="),
        (STORAGE, "BlobEndpoint=https://127.0.0.1;SharedAccessSignature=sig=hush"),
        (STORAGE, "AccountName=acc1;AccountKey=aHVzaA==;BlobEndpoint=ftp://hush"),
        (STORAGE, "AccountName=acc1;SharedAccessSignature=sv=1&xsig=hush"),
        (STORAGE, "AccountName=acc1;SharedAccessSignature=sig=hush#x"),
        ("AZURE_STORAGE_ACCOUNT", "acc-1"),
        ("AZURE_COSMOS_CONNECTION_STRING", "AccountEndpoint=https://a.documents.azure.com"),
        ("AZURE_COSMOS_ENDPOINT", "a.documents.azure.com"),
        ("AZURE_SERVICEBUS_CONNECTION_STRING", "Endpoint=sb://a.servicebus.windows.net/;SharedAccessKey=hush"),
        (
            "AZURE_SERVICEBUS_CONNECTION_STRING",
            "Endpoint=sb://a.servicebus.windows.net/;SharedAccessSignature=hush hush",
        ),
        ("AZURE_SERVICEBUS_NAMESPACE", "a b.c"),
        ("AZURE_SERVICEBUS__fullyQualifiedNamespace", "a b.c"),
        ("AZURE_TENANT_ID", "../x"),
        ("AZURE_CLIENT_ID", "a b"),
        ("ISOBAR_PREFIX", "Dev_"),
        ("FUNCTIONS_CUSTOMHANDLER_PORT", "many"),
    ] {
        let error = of(&[(name, value)]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.message().contains(name) && !error.message().contains("hush"), "{name}={value}: {error}");
    }
}

#[test]
fn cosmos_and_service_bus_are_read_from_each_of_their_forms() {
    let config = of(&[
        ("AZURE_COSMOS_CONNECTION_STRING", "AccountEndpoint=https://a.documents.azure.com:443/;AccountKey=aHVzaA==;"),
        (
            "AZURE_SERVICEBUS_CONNECTION_STRING",
            "Endpoint=sb://n.servicebus.windows.net/;SharedAccessKeyName=Root;SharedAccessKey=hush=",
        ),
    ])
    .unwrap();
    assert_eq!(config.cosmos.unwrap().endpoint, "https://a.documents.azure.com");
    let bus = config.service_bus.unwrap();
    assert_eq!((bus.endpoint.as_str(), bus.policy.as_str()), ("https://n.servicebus.windows.net", "Root"));
    assert_eq!(bus.access, Access::Key(Secret(b"hush=".to_vec())), "a policy's key signs as text");
    let signed = "Endpoint=sb://n.servicebus.windows.net/;SharedAccessSignature=SharedAccessSignature sr=x&sig=hush%3D&se=9&skn=p";
    let signed = of(&[("AZURE_SERVICEBUS_CONNECTION_STRING", signed)]).unwrap();
    assert!(!format!("{signed:?}").contains("hush"));
    assert_eq!(signed.service_bus.unwrap().access, Access::Sas(Secret(b"sr=x&sig=hush%3D&se=9&skn=p".to_vec())));
    for (name, namespace) in [
        ("AZURE_SERVICEBUS_NAMESPACE", "n"),
        ("AZURE_SERVICEBUS_NAMESPACE", "n.servicebus.windows.net"),
        ("AZURE_SERVICEBUS__fullyQualifiedNamespace", "n.servicebus.windows.net"),
    ] {
        let bus = of(&[(name, namespace)]).unwrap().service_bus.unwrap();
        assert_eq!((bus.endpoint.as_str(), &bus.access), ("https://n.servicebus.windows.net", &Access::Identity));
    }
}

#[test]
fn a_url_names_the_place_and_the_account_decides_the_access() {
    let config =
        of(&[BY_KEY, ("AZURE_COSMOS_ENDPOINT", "https://c.documents.azure.com"), ("ISOBAR_PREFIX", "dev-")]).unwrap();
    let here = config.place(&Location::new(ResourceKind::Bucket, "pages")).unwrap();
    assert!(matches!(&here, Placed::Blob { account, container } if account.name == "acc1" && container == "dev-pages"));
    let same = place(&config, ResourceKind::Bucket, "az://other?account=acc1").unwrap();
    assert!(matches!(&same, Placed::Blob { account, .. } if matches!(account.access, Access::Key(_))));
    let foreign = place(&config, ResourceKind::Bucket, "az://other?account=acc9").unwrap();
    assert!(
        matches!(&foreign, Placed::Blob { account, .. } if account.access == Access::Identity && account.name == "acc9")
    );
    let cosmos = place(&config, ResourceKind::Table, "cosmos://t?account=other&database=db").unwrap();
    assert!(
        matches!(&cosmos, Placed::Cosmos { account, .. } if account.endpoint.contains("//other.") && account.database == "db")
    );
    let bus = place(&config, ResourceKind::Topic, "servicebus://t?namespace=name&subscription=s").unwrap();
    assert!(matches!(&bus, Placed::ServiceBus { subscription, .. } if subscription == "s"));
    assert!(matches!(place(&config, ResourceKind::Topic, "azqueue://queue").unwrap(), Placed::Queue { .. }));
    assert!(matches!(place(&config, ResourceKind::Table, "aztable://links").unwrap(), Placed::Table { .. }));
}

#[test]
fn a_url_that_a_service_rejects_is_a_config_error() {
    let config = of(&[BY_KEY]).unwrap();
    use ResourceKind::{Bucket, Table, Topic};
    for (kind, url) in [
        (Bucket, "s3://pages"),
        (Bucket, "aztable://pages"),
        (Bucket, "az://Pages"),
        (Bucket, "az://ab"),
        (Bucket, "az://a--b"),
        (Bucket, "az://ab-"),
        (Bucket, "az://pages?region=x"),
        (Bucket, "az://pages?account=Acc"),
        (Bucket, "az://pages?endpoint=nowhere"),
        (Table, "aztable://1links"),
        (Table, "aztable://li-nks"),
        (Table, "cosmos://links"),
        (Table, "cosmos://links?account=a.example/x"),
        (Topic, "servicebus://clicks"),
        (Topic, "servicebus://clicks?namespace=a.example%2F"),
        (Topic, "azqueue://a--b"),
    ] {
        let error = place(&config, kind, url).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config, "{url}: {error}");
    }
}

#[test]
fn a_token_or_a_shared_access_signature_is_never_sent_in_clear_text_to_a_remote_host() {
    use ResourceKind::{Bucket, Table};
    let identity = of(&[("AZURE_STORAGE_ACCOUNT", "acc1")]).unwrap();
    for (kind, url) in [
        (Bucket, "az://pages?endpoint=http%3A%2F%2Fblob.example"),
        (Table, "cosmos://links?endpoint=http%3A%2F%2Fcosmos.example"),
        (Table, "aztable://links?endpoint=http%3A%2F%2Fblob.example"),
    ] {
        assert!(place(&identity, kind, url).unwrap_err().message().contains("use https://"), "{url}");
        place(&identity, kind, &url.replace("http%3A", "https%3A")).unwrap();
    }
    place(&identity, Bucket, "az://pages?endpoint=http%3A%2F%2F127.0.0.1%3A1").unwrap();
    place(&of(&[BY_KEY]).unwrap(), Bucket, "az://pages?endpoint=http%3A%2F%2Fblob.example").unwrap();
}
