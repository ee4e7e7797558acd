//! Transactions as a producer of Kafka makes them: offsets of a group, or records, and an end.

use anyhow::{Context, Result, ensure};
use kafka_protocol::messages::add_partitions_to_txn_request::AddPartitionsToTxnTopic;
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::txn_offset_commit_request::{
    TxnOffsetCommitRequestPartition, TxnOffsetCommitRequestTopic,
};
use kafka_protocol::messages::{
    AddOffsetsToTxnRequest, AddPartitionsToTxnRequest, EndTxnRequest, FindCoordinatorRequest, GroupId,
    InitProducerIdRequest, ProduceRequest, ProducerId, TransactionalId, TxnOffsetCommitRequest,
};
use ottla::model::{LeaderEpoch, ProducerEpoch, Sequence};
use ottla::protocol::records::RecordBatchBuilder;

use super::state;
use crate::connection::{Connection, text, topic_name};

/// `FindCoordinatorRequest.CoordinatorType.TRANSACTION`.
const TRANSACTION: i8 = 1;

/// A producer with a transactional id.
pub struct Transactor {
    connection: Connection,
    name: TransactionalId,
    id: ProducerId,
    epoch: i16,
}

impl Transactor {
    pub fn new(address: &str, name: &str) -> Result<Transactor> {
        let find = FindCoordinatorRequest::default().with_key_type(TRANSACTION).with_coordinator_keys(vec![text(name)]);
        let name = TransactionalId(text(name));
        let init = InitProducerIdRequest::default()
            .with_transactional_id(Some(name.clone()))
            .with_transaction_timeout_ms(60_000);
        // Its coordinator's topic is made by the first question.
        state::retry(|| {
            let mut connection = Connection::open(address)?;
            connection.ask(4, &find)?;
            let answer = connection.ask(4, &init)?;
            ensure!(answer.error_code == 0, "InitProducerId answers {}", answer.error_code);
            Ok(Transactor { connection, name: name.clone(), id: answer.producer_id, epoch: answer.producer_epoch })
        })
    }

    /// Writes a position of a group, as part of the transaction.
    pub fn commit_offset(&mut self, group: &str, topic: &str, offset: i64) -> Result<()> {
        let add = AddOffsetsToTxnRequest::default()
            .with_transactional_id(self.name.clone())
            .with_producer_id(self.id)
            .with_producer_epoch(self.epoch)
            .with_group_id(GroupId(text(group)));
        let partition = TxnOffsetCommitRequestPartition::default()
            .with_partition_index(0)
            .with_committed_offset(offset)
            .with_committed_metadata(Some(text("in a transaction")));
        let topic =
            TxnOffsetCommitRequestTopic::default().with_name(topic_name(topic)).with_partitions(vec![partition]);
        let commit = TxnOffsetCommitRequest::default()
            .with_transactional_id(self.name.clone())
            .with_group_id(GroupId(text(group)))
            .with_producer_id(self.id)
            .with_producer_epoch(self.epoch)
            .with_topics(vec![topic]);
        state::retry(|| {
            let code = self.connection.ask(3, &add)?.error_code;
            ensure!(code == 0, "AddOffsetsToTxn answers {code}");
            let answer = self.connection.ask(3, &commit)?;
            let code = answer.topics.first().and_then(|topic| topic.partitions.first()).map(|found| found.error_code);
            ensure!(code == Some(0), "TxnOffsetCommit answers {code:?}");
            Ok(())
        })
    }

    /// Writes a record, as part of the transaction.
    pub fn produce(&mut self, topic: &str, sequence: i32) -> Result<()> {
        let partitions = AddPartitionsToTxnTopic::default().with_name(topic_name(topic)).with_partitions(vec![0]);
        let add = AddPartitionsToTxnRequest::default()
            .with_v3_and_below_transactional_id(self.name.clone())
            .with_v3_and_below_producer_id(self.id)
            .with_v3_and_below_producer_epoch(self.epoch)
            .with_v3_and_below_topics(vec![partitions]);
        let batch = RecordBatchBuilder::new(LeaderEpoch(-1), 1_767_225_600_000).transactional();
        let id = ottla::model::ProducerId(self.id.0);
        let mut batch = batch.producer(id, ProducerEpoch(self.epoch), Sequence(sequence));
        batch.append(1_767_225_600_000, None, Some(b"in a transaction"));
        let data = PartitionProduceData::default().with_index(0).with_records(Some(batch.build()));
        let data = TopicProduceData::default().with_name(topic_name(topic)).with_partition_data(vec![data]);
        let request = ProduceRequest::default()
            .with_transactional_id(Some(self.name.clone()))
            .with_acks(-1)
            .with_timeout_ms(20_000)
            .with_topic_data(vec![data]);
        state::retry(|| {
            let answer = self.connection.ask(3, &add)?;
            let added = answer.results_by_topic_v3_and_below.first().context("no topic")?;
            let code = added.results_by_partition.first().map(|found| found.partition_error_code);
            ensure!(code == Some(0), "AddPartitionsToTxn answers {code:?}");
            let answer = self.connection.ask(9, &request)?;
            let code = answer.responses.first().and_then(|topic| topic.partition_responses.first());
            let code = code.map(|found| found.error_code);
            ensure!(code == Some(0), "Produce answers {code:?}");
            Ok(())
        })
    }

    /// Ends the transaction; its markers are written soon after.
    pub fn end(&mut self, is_committed: bool) -> Result<()> {
        let end = EndTxnRequest::default()
            .with_transactional_id(self.name.clone())
            .with_producer_id(self.id)
            .with_producer_epoch(self.epoch)
            .with_committed(is_committed);
        state::retry(|| {
            let code = self.connection.ask(3, &end)?.error_code;
            ensure!(code == 0, "EndTxn answers {code}");
            Ok(())
        })
    }
}
