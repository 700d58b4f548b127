//! `get` and `put` of 1 KB in DynamoDB: ours compared with aws-sdk-dynamodb's, against the same server.
//!
//! `benches/aws.sh` builds what is compared, and runs this.

use std::path::Path;
use std::sync::Arc;

use isobar::Cloud;
use isobar::aws::{AwsConfig, AwsProvider};
use isobar::driver::Environment;
use isobar_benches::bootstrap::environment;
use isobar_benches::dynamo::Dynamo;
use isobar_benches::latency::{Peer, compare};

fn main() {
    for dynamo in [Some(Dynamo::double()), Dynamo::dynalite()].into_iter().flatten() {
        let variables = environment(dynamo.address).into_iter().map(|(name, value)| (name.to_owned(), value));
        let config = AwsConfig::from_environment(&Environment::new(variables, [])).unwrap();
        let table = Cloud::new(Arc::new(AwsProvider::new(config))).table("links");
        let mut sdk = Peer::start(Path::new("target/peers/aws-sdk/lambda/kv-bench"), environment(dynamo.address));
        compare(&table, &mut sdk, dynamo.name, "aws-sdk-dynamodb");
    }
}
