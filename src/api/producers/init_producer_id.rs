//! InitProducerId (22), v0–5: a producer id for an idempotent producer (KIP-98).
//! v2 flexible · v3 the id and epoch that a producer has (KIP-360) · v4 PRODUCER_FENCED · v5 TRANSACTION_ABORTABLE
//!
//! Source: `TransactionCoordinator.handleInitProducerId`: without a transactional id every request gets a new id at epoch 0.
//! Transactions are not served: a transactional id is answered TRANSACTIONAL_ID_AUTHORIZATION_FAILED, where NOT_COORDINATOR
//! or COORDINATOR_NOT_AVAILABLE would have clients try for ever. Most ask FindCoordinator first and hear the same from it.
//! Seen with each: Java 4.3.1, 3.9.1 and 2.8.2, librdkafka (as FATAL), franz-go, segmentio kafka-go, kafka-python and aiokafka
//! give up at the first answer; kafkajs and sarama, which retry any error, after their own two and five seconds.

use std::ops::RangeInclusive;
use std::sync::Arc;

use crate::api::{Api, Context, Reply};
use crate::model::{ErrorCode, ProducerId};
use crate::protocol::api_key::ApiKey;
use crate::protocol::message::{InitProducerIdRequest, InitProducerIdResponse, WireProducerId};
use crate::security::{Access, Operation, ResourceType};

/// See the head of this file.
pub struct InitProducerId;

impl Api for InitProducerId {
    type Request = InitProducerIdRequest;
    type Response = InitProducerIdResponse;
    const KEY: ApiKey = ApiKey::InitProducerId;
    const VERSIONS: RangeInclusive<i16> = 0..=5;
    const ACCESS: Access<InitProducerIdRequest> = Access::Each(&[
        (Operation::IdempotentWrite, ResourceType::Cluster),
        (Operation::Write, ResourceType::TransactionalId),
    ]);

    fn handle(cx: &Context<'_>, request: InitProducerIdRequest) -> Reply<InitProducerIdResponse> {
        if let Err(code) = check(&request) {
            return Reply::Now(Self::refuse(&request, code));
        }
        if let Some(id) = cx.broker.producer_ids().next_of_block() {
            return Reply::Now(granted(id));
        }
        let broker = Arc::clone(cx.broker);
        Reply::later(async move {
            match broker.producer_ids().next(&broker).await {
                Ok(id) => granted(id),
                Err(code) => Self::refuse(&request, code),
            }
        })
    }

    fn refuse(_: &InitProducerIdRequest, code: ErrorCode) -> InitProducerIdResponse {
        InitProducerIdResponse::default()
            .with_error_code(code.code())
            .with_producer_id(WireProducerId(-1))
            .with_producer_epoch(-1)
    }
}

fn check(request: &InitProducerIdRequest) -> Result<(), ErrorCode> {
    match &request.transactional_id {
        Some(id) if id.is_empty() => Err(ErrorCode::InvalidRequest),
        Some(_) => Err(ErrorCode::TransactionalIdAuthorizationFailed),
        // An id without its epoch, or an epoch without its id.
        None if (request.producer_id.0 == -1) != (request.producer_epoch == -1) => Err(ErrorCode::InvalidRequest),
        None => Ok(()),
    }
}

fn granted(id: ProducerId) -> InitProducerIdResponse {
    InitProducerIdResponse::default().with_producer_id(WireProducerId(id.0)).with_producer_epoch(0)
}
