//! TLS, SASL, delegation tokens, policies: who may connect and do what. Nothing here has effect in this version.
//!
//! Types, defaults, ranges and update modes are those that Apache Kafka 4.3.1 declares; `instead_of` shows Kafka's default where
//! ours differs.

use super::Importance::{High, Low, Medium};
use super::ValueType::{Boolean, Class, Double, Int, List, Long, Password, Short, String};
use super::{Key, key};

// A table: the facts of a setting on one line, its meaning on the next.
#[rustfmt::skip]
pub(super) const SECURITY: &[Key] = &[
    key("alter.config.policy.class.name", Class, None, Low)
        .stored(""),
    key("authorizer.class.name", String, Some(""), Low)
        .stored(""),
    key("config.providers", List, Some(""), Low).list().cluster_wide()
        .stored(""),
    key("connection.failed.authentication.delay.ms", Int, Some("100"), Low).at_least(0)
        .stored(""),
    key("connections.max.reauth.ms", Long, Some("0"), Medium)
        .stored(""),
    key("create.topic.policy.class.name", Class, None, Low)
        .stored(""),
    key("delegation.token.expiry.check.interval.ms", Long, Some("3600000"), Low).at_least(1)
        .stored(""),
    key("delegation.token.expiry.time.ms", Long, Some("86400000"), Medium).at_least(1)
        .stored(""),
    key("delegation.token.max.lifetime.ms", Long, Some("604800000"), Medium).at_least(1)
        .stored(""),
    key("delegation.token.secret.key", Password, None, Medium)
        .stored(""),
    key("early.start.listeners", List, None, High).list()
        .stored(""),
    key("principal.builder.class", Class, Some("org.apache.kafka.common.security.authenticator.DefaultKafkaPrincipalBuilder"), Medium).per_broker()
        .stored(""),
    key("sasl.client.callback.handler.class", Class, None, Medium)
        .stored(""),
    key("sasl.enabled.mechanisms", List, Some("GSSAPI"), Medium).list().per_broker()
        .stored(""),
    key("sasl.jaas.config", Password, None, Medium).per_broker()
        .stored(""),
    key("sasl.kerberos.kinit.cmd", String, Some("/usr/bin/kinit"), Medium).per_broker()
        .stored(""),
    key("sasl.kerberos.min.time.before.relogin", Long, Some("60000"), Medium).per_broker()
        .stored(""),
    key("sasl.kerberos.principal.to.local.rules", List, Some("DEFAULT"), Medium).list().per_broker()
        .stored(""),
    key("sasl.kerberos.service.name", String, None, Medium).per_broker()
        .stored(""),
    key("sasl.kerberos.ticket.renew.jitter", Double, Some("0.05"), Medium).per_broker()
        .stored(""),
    key("sasl.kerberos.ticket.renew.window.factor", Double, Some("0.8"), Medium).per_broker()
        .stored(""),
    key("sasl.login.callback.handler.class", Class, None, Medium)
        .stored(""),
    key("sasl.login.class", Class, None, Medium)
        .stored(""),
    key("sasl.login.connect.timeout.ms", Int, None, Low)
        .stored(""),
    key("sasl.login.read.timeout.ms", Int, None, Low)
        .stored(""),
    key("sasl.login.refresh.buffer.seconds", Short, Some("300"), Medium).per_broker()
        .stored(""),
    key("sasl.login.refresh.min.period.seconds", Short, Some("60"), Medium).per_broker()
        .stored(""),
    key("sasl.login.refresh.window.factor", Double, Some("0.8"), Medium).per_broker()
        .stored(""),
    key("sasl.login.refresh.window.jitter", Double, Some("0.05"), Medium).per_broker()
        .stored(""),
    key("sasl.login.retry.backoff.max.ms", Long, Some("10000"), Low)
        .stored(""),
    key("sasl.login.retry.backoff.ms", Long, Some("100"), Low)
        .stored(""),
    key("sasl.mechanism.controller.protocol", String, Some("GSSAPI"), High)
        .stored(""),
    key("sasl.mechanism.inter.broker.protocol", String, Some("GSSAPI"), Medium).per_broker()
        .stored(""),
    key("sasl.oauthbearer.assertion.algorithm", String, Some("RS256"), Medium).one_of_any_case(&["ES256", "RS256"])
        .stored(""),
    key("sasl.oauthbearer.assertion.claim.aud", String, None, Medium)
        .stored(""),
    key("sasl.oauthbearer.assertion.claim.exp.seconds", Int, Some("300"), Low).between(0, 86400)
        .stored(""),
    key("sasl.oauthbearer.assertion.claim.iss", String, None, Medium)
        .stored(""),
    key("sasl.oauthbearer.assertion.claim.jti.include", Boolean, Some("false"), Medium)
        .stored(""),
    key("sasl.oauthbearer.assertion.claim.nbf.seconds", Int, Some("60"), Low).between(0, 3600)
        .stored(""),
    key("sasl.oauthbearer.assertion.claim.sub", String, None, Medium)
        .stored(""),
    key("sasl.oauthbearer.assertion.file", String, None, Medium)
        .stored(""),
    key("sasl.oauthbearer.assertion.private.key.file", String, None, Medium)
        .stored(""),
    key("sasl.oauthbearer.assertion.private.key.passphrase", Password, None, Medium)
        .stored(""),
    key("sasl.oauthbearer.assertion.template.file", String, None, Medium)
        .stored(""),
    key("sasl.oauthbearer.client.credentials.client.id", String, None, Medium)
        .stored(""),
    key("sasl.oauthbearer.client.credentials.client.secret", Password, None, Medium)
        .stored(""),
    key("sasl.oauthbearer.clock.skew.seconds", Int, Some("30"), Low)
        .stored(""),
    key("sasl.oauthbearer.expected.audience", List, Some(""), High).list()
        .stored(""),
    key("sasl.oauthbearer.expected.issuer", String, None, High)
        .stored(""),
    key("sasl.oauthbearer.jwks.endpoint.refresh.ms", Long, Some("3600000"), Low)
        .stored(""),
    key("sasl.oauthbearer.jwks.endpoint.retry.backoff.max.ms", Long, Some("10000"), Low)
        .stored(""),
    key("sasl.oauthbearer.jwks.endpoint.retry.backoff.ms", Long, Some("100"), Low)
        .stored(""),
    key("sasl.oauthbearer.jwks.endpoint.url", String, None, Medium)
        .stored(""),
    key("sasl.oauthbearer.jwt.retriever.class", Class, Some("org.apache.kafka.common.security.oauthbearer.DefaultJwtRetriever"), Medium)
        .stored(""),
    key("sasl.oauthbearer.jwt.validator.class", Class, Some("org.apache.kafka.common.security.oauthbearer.DefaultJwtValidator"), Medium)
        .stored(""),
    key("sasl.oauthbearer.scope", String, None, Medium)
        .stored(""),
    key("sasl.oauthbearer.scope.claim.name", String, Some("scope"), Low)
        .stored(""),
    key("sasl.oauthbearer.sub.claim.name", String, Some("sub"), Low)
        .stored(""),
    key("sasl.oauthbearer.token.endpoint.url", String, None, Medium)
        .stored(""),
    key("sasl.server.callback.handler.class", Class, None, Medium)
        .stored(""),
    key("sasl.server.max.receive.size", Int, Some("524288"), Medium)
        .stored(""),
    key("security.inter.broker.protocol", String, Some("PLAINTEXT"), Medium).one_of(&["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"])
        .stored(""),
    key("security.providers", String, None, Low)
        .stored(""),
    key("ssl.allow.dn.changes", Boolean, Some("false"), Low)
        .stored(""),
    key("ssl.allow.san.changes", Boolean, Some("false"), Low)
        .stored(""),
    key("ssl.cipher.suites", List, Some(""), Medium).list().per_broker()
        .stored(""),
    key("ssl.client.auth", String, Some("none"), Medium).one_of(&["required", "requested", "none"]).per_broker()
        .stored(""),
    key("ssl.enabled.protocols", List, Some("TLSv1.2,TLSv1.3"), Medium).list().per_broker()
        .stored(""),
    key("ssl.endpoint.identification.algorithm", String, Some("https"), Low).per_broker()
        .stored(""),
    key("ssl.engine.factory.class", Class, None, Low).per_broker()
        .stored(""),
    key("ssl.key.password", Password, None, Medium).per_broker()
        .stored(""),
    key("ssl.keymanager.algorithm", String, Some("SunX509"), Medium).per_broker()
        .stored(""),
    key("ssl.keystore.certificate.chain", Password, None, Medium).per_broker()
        .stored(""),
    key("ssl.keystore.key", Password, None, Medium).per_broker()
        .stored(""),
    key("ssl.keystore.location", String, None, Medium).per_broker()
        .stored(""),
    key("ssl.keystore.password", Password, None, Medium).per_broker()
        .stored(""),
    key("ssl.keystore.type", String, Some("JKS"), Medium).per_broker()
        .stored(""),
    key("ssl.principal.mapping.rules", String, Some("DEFAULT"), Low)
        .stored(""),
    key("ssl.protocol", String, Some("TLSv1.3"), Medium).per_broker()
        .stored(""),
    key("ssl.provider", String, None, Medium).per_broker()
        .stored(""),
    key("ssl.secure.random.implementation", String, None, Low).per_broker()
        .stored(""),
    key("ssl.trustmanager.algorithm", String, Some("PKIX"), Medium).per_broker()
        .stored(""),
    key("ssl.truststore.certificates", Password, None, Medium).per_broker()
        .stored(""),
    key("ssl.truststore.location", String, None, Medium).per_broker()
        .stored(""),
    key("ssl.truststore.password", Password, None, Medium).per_broker()
        .stored(""),
    key("ssl.truststore.type", String, Some("JKS"), Medium).per_broker()
        .stored(""),
];
