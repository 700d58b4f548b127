//! Runs the code of the README and of the guides.

#[doc = include_str!("../README.md")]
struct Readme;

#[doc = include_str!("../docs/the-first-app.md")]
struct TheFirstApp;

#[doc = include_str!("../docs/state-and-errors.md")]
struct StateAndErrors;

#[doc = include_str!("../docs/secrets-and-configuration.md")]
struct SecretsAndConfiguration;

#[doc = include_str!("../docs/modules-and-layers.md")]
struct ModulesAndLayers;

#[doc = include_str!("../docs/triggers.md")]
struct Triggers;

#[doc = include_str!("../docs/files-uploads-and-signed-urls.md")]
struct FilesUploadsAndSignedUrls;

#[doc = include_str!("../docs/lists-and-pagination.md")]
struct ListsAndPagination;

#[doc = include_str!("../docs/a-secondary-index.md")]
struct ASecondaryIndex;

#[doc = include_str!("../docs/bulk-writes.md")]
struct BulkWrites;

#[doc = include_str!("../docs/webhooks.md")]
struct Webhooks;

#[doc = include_str!("../docs/once.md")]
struct Once;

#[doc = include_str!("../docs/testing.md")]
struct Testing;

#[doc = include_str!("../docs/limits.md")]
struct Limits;
