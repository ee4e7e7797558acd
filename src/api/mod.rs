//! One file per Kafka API: translate, authorise, delegate, answer.
