//! Who may do what: today the words of authorisation only, with which every API row states what it asks for.
//!
//! There is no authorizer, so everyone is [`Principal::anonymous`] and everything is allowed, as in Kafka without
//! `authorizer.class.name`. The words are Kafka's: `AclOperation`, `ResourceType`, `KafkaPrincipal`.

mod access;

pub use access::{Access, AccessSummary, Operation, Principal, ResourceType};
