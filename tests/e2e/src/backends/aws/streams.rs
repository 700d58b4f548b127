//! The streams of tables, as Lambda's event source mappings read them.

use isobar::{Error, Result};
use serde_json::{Value, json};

use super::account::{Account, Stream};

/// The most records in a call of the function: the default of an event source mapping.
const BATCH: u64 = 100;

impl Account {
    /// Enables the stream of a table, which has only the writes from then on.
    pub(super) async fn enable_stream(&self, table: &str) -> Result<()> {
        let specification = json!({"StreamEnabled": true, "StreamViewType": "KEYS_ONLY"});
        let input = json!({"TableName": table, "StreamSpecification": specification});
        let output = self.json("DynamoDB_20120810.UpdateTable", &input).await?;
        let arn = output["TableDescription"]["LatestStreamArn"].as_str();
        let arn = arn.ok_or_else(|| Error::internal(format!("the table `{table}` has no stream: {output}")))?;
        self.streams.lock().insert(table.to_owned(), Stream { arn: arn.to_owned(), last: None });
        Ok(())
    }

    /// The next records of a table's stream. The same records are next until they have [passed](Self::pass).
    pub(super) async fn records(&self, table: &str) -> Result<Vec<Value>> {
        let Some(Stream { arn, last }) = self.streams.lock().get(table).cloned() else { return Ok(Vec::new()) };
        let described = self.stream("DescribeStream", &json!({ "StreamArn": arn })).await?;
        // Each emulator has one shard for each stream.
        let shard = &described["StreamDescription"]["Shards"][0]["ShardId"];
        let mut from = json!({"StreamArn": arn, "ShardId": shard, "ShardIteratorType": "TRIM_HORIZON"});
        if let Some(last) = last {
            (from["ShardIteratorType"], from["SequenceNumber"]) = ("AFTER_SEQUENCE_NUMBER".into(), last);
        }
        let iterator = self.stream("GetShardIterator", &from).await?;
        let input = json!({"ShardIterator": iterator["ShardIterator"], "Limit": BATCH});
        let mut output = self.stream("GetRecords", &input).await?;
        let Value::Array(mut records) = output["Records"].take() else { return Ok(Vec::new()) };
        // Lambda adds the ARN.
        records.iter_mut().for_each(|record| record["eventSourceARN"] = arn.as_str().into());
        Ok(records)
    }

    /// Ends the delivery of records that the function has handled.
    pub(super) fn pass(&self, table: &str, records: &[Value]) {
        let last = records.last().map(|record| record["dynamodb"]["SequenceNumber"].clone());
        if let (Some(stream), Some(last)) = (self.streams.lock().get_mut(table), last) {
            stream.last = Some(last);
        }
    }

    async fn stream(&self, operation: &str, input: &Value) -> Result<Value> {
        self.json(&format!("DynamoDBStreams_20120810.{operation}"), input).await
    }
}
