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
        .stored("Class that may refuse changes of settings."),
    key("authorizer.class.name", String, Some(""), Low)
        .stored("Class that decides who may do what; empty means everyone may do everything."),
    key("config.providers", List, Some(""), Low).cluster_wide()
        .stored("Names of providers that fill in values from elsewhere."),
    key("connection.failed.authentication.delay.ms", Int, Some("100"), Low).at_least(0)
        .stored("Pause before a connection whose login failed is closed, in ms."),
    key("connections.max.reauth.ms", Long, Some("0"), Medium)
        .stored("Longest time before a SASL connection must log in again, in ms; 0 never."),
    key("create.topic.policy.class.name", Class, None, Low)
        .stored("Class that may refuse new topics."),
    key("delegation.token.expiry.check.interval.ms", Long, Some("3600000"), Low).at_least(1)
        .stored("Time between two removals of expired delegation tokens, in ms."),
    key("delegation.token.expiry.time.ms", Long, Some("86400000"), Medium).at_least(1)
        .stored("Time a delegation token is valid before it must be renewed, in ms."),
    key("delegation.token.max.lifetime.ms", Long, Some("604800000"), Medium).at_least(1)
        .stored("Time after which a delegation token cannot be renewed, in ms."),
    key("delegation.token.secret.key", Password, None, Medium)
        .stored("Secret that signs delegation tokens."),
    key("early.start.listeners", List, None, High).list()
        .stored("Listeners that open before the broker is ready."),
    key("principal.builder.class", Class, Some("org.apache.kafka.common.security.authenticator.DefaultKafkaPrincipalBuilder"), Medium).per_broker()
        .stored("Class that names who has connected."),
    key("sasl.client.callback.handler.class", Class, None, Medium)
        .stored("Class that answers SASL callbacks of the broker as a client."),
    key("sasl.enabled.mechanisms", List, Some("GSSAPI"), Medium).list().per_broker()
        .stored("SASL mechanisms clients may log in with."),
    key("sasl.jaas.config", Password, None, Medium).per_broker()
        .stored("Login module and its options, in JAAS's format."),
    key("sasl.kerberos.kinit.cmd", String, Some("/usr/bin/kinit"), Medium).per_broker()
        .stored("Path of Kerberos's kinit."),
    key("sasl.kerberos.min.time.before.relogin", Long, Some("60000"), Medium).per_broker()
        .stored("Shortest time between two Kerberos logins, in ms."),
    key("sasl.kerberos.principal.to.local.rules", List, Some("DEFAULT"), Medium).list().per_broker()
        .stored("Rules from Kerberos principals to short names."),
    key("sasl.kerberos.service.name", String, None, Medium).per_broker()
        .stored("Kerberos name of the service."),
    key("sasl.kerberos.ticket.renew.jitter", Double, Some("0.05"), Medium).per_broker()
        .stored("Random share of the time before a ticket is renewed."),
    key("sasl.kerberos.ticket.renew.window.factor", Double, Some("0.8"), Medium).per_broker()
        .stored("Share of a ticket's life after which it is renewed."),
    key("sasl.login.callback.handler.class", Class, None, Medium)
        .stored("Class that answers callbacks of the login."),
    key("sasl.login.class", Class, None, Medium)
        .stored("Class that logs in."),
    key("sasl.login.connect.timeout.ms", Int, None, Low)
        .stored("Time to connect to the identity provider, in ms."),
    key("sasl.login.read.timeout.ms", Int, None, Low)
        .stored("Time to read from the identity provider, in ms."),
    key("sasl.login.refresh.buffer.seconds", Short, Some("300"), Medium).per_broker()
        .stored("Time before its expiry at which a credential is renewed at the latest, in seconds."),
    key("sasl.login.refresh.min.period.seconds", Short, Some("60"), Medium).per_broker()
        .stored("Shortest time between two renewals of a credential, in seconds."),
    key("sasl.login.refresh.window.factor", Double, Some("0.8"), Medium).per_broker()
        .stored("Share of a credential's life after which it is renewed."),
    key("sasl.login.refresh.window.jitter", Double, Some("0.05"), Medium).per_broker()
        .stored("Random share of the time before a credential is renewed."),
    key("sasl.login.retry.backoff.max.ms", Long, Some("10000"), Low)
        .stored("Longest pause between tries to log in, in ms."),
    key("sasl.login.retry.backoff.ms", Long, Some("100"), Low)
        .stored("First pause between tries to log in, in ms."),
    key("sasl.mechanism.controller.protocol", String, Some("GSSAPI"), High)
        .stored("SASL mechanism towards controllers."),
    key("sasl.mechanism.inter.broker.protocol", String, Some("GSSAPI"), Medium).per_broker()
        .stored("SASL mechanism between brokers."),
    key("sasl.oauthbearer.assertion.algorithm", String, Some("RS256"), Medium).one_of_any_case(&["ES256", "RS256"])
        .stored("Algorithm that signs a client's assertion."),
    key("sasl.oauthbearer.assertion.claim.aud", String, None, Medium)
        .stored("Audience claim of the assertion."),
    key("sasl.oauthbearer.assertion.claim.exp.seconds", Int, Some("300"), Low).between(0, 86400)
        .stored("Life of the assertion, in seconds."),
    key("sasl.oauthbearer.assertion.claim.iss", String, None, Medium)
        .stored("Issuer claim of the assertion."),
    key("sasl.oauthbearer.assertion.claim.jti.include", Boolean, Some("false"), Medium)
        .stored("Whether the assertion carries a unique id."),
    key("sasl.oauthbearer.assertion.claim.nbf.seconds", Int, Some("60"), Low).between(0, 3600)
        .stored("How far the assertion's not-before time lies in the past, in seconds."),
    key("sasl.oauthbearer.assertion.claim.sub", String, None, Medium)
        .stored("Subject claim of the assertion."),
    key("sasl.oauthbearer.assertion.file", String, None, Medium)
        .stored("File that holds a ready assertion."),
    key("sasl.oauthbearer.assertion.private.key.file", String, None, Medium)
        .stored("File of the key that signs the assertion."),
    key("sasl.oauthbearer.assertion.private.key.passphrase", Password, None, Medium)
        .stored("Passphrase of that key."),
    key("sasl.oauthbearer.assertion.template.file", String, None, Medium)
        .stored("File with headers and claims of the assertion."),
    key("sasl.oauthbearer.client.credentials.client.id", String, None, Medium)
        .stored("Client id for OAuth's client credentials."),
    key("sasl.oauthbearer.client.credentials.client.secret", Password, None, Medium)
        .stored("Client secret for OAuth's client credentials."),
    key("sasl.oauthbearer.clock.skew.seconds", Int, Some("30"), Low)
        .stored("Difference of clocks allowed when a token is checked, in seconds."),
    key("sasl.oauthbearer.expected.audience", List, Some(""), High).list()
        .stored("Audiences a token must name one of."),
    key("sasl.oauthbearer.expected.issuer", String, None, High)
        .stored("Issuer a token must come from."),
    key("sasl.oauthbearer.jwks.endpoint.refresh.ms", Long, Some("3600000"), Low)
        .stored("Time between two fetches of the provider's keys, in ms."),
    key("sasl.oauthbearer.jwks.endpoint.retry.backoff.max.ms", Long, Some("10000"), Low)
        .stored("Longest pause between tries to fetch those keys, in ms."),
    key("sasl.oauthbearer.jwks.endpoint.retry.backoff.ms", Long, Some("100"), Low)
        .stored("First pause between tries to fetch those keys, in ms."),
    key("sasl.oauthbearer.jwks.endpoint.url", String, None, Medium)
        .stored("Address of the provider's keys."),
    key("sasl.oauthbearer.jwt.retriever.class", Class, Some("org.apache.kafka.common.security.oauthbearer.DefaultJwtRetriever"), Medium)
        .stored("Class that gets a token."),
    key("sasl.oauthbearer.jwt.validator.class", Class, Some("org.apache.kafka.common.security.oauthbearer.DefaultJwtValidator"), Medium)
        .stored("Class that checks a token."),
    key("sasl.oauthbearer.scope", String, None, Medium)
        .stored("Scope that is asked for with a token."),
    key("sasl.oauthbearer.scope.claim.name", String, Some("scope"), Low)
        .stored("Claim that holds the scope."),
    key("sasl.oauthbearer.sub.claim.name", String, Some("sub"), Low)
        .stored("Claim that holds the subject."),
    key("sasl.oauthbearer.token.endpoint.url", String, None, Medium)
        .stored("Address that hands out tokens."),
    key("sasl.server.callback.handler.class", Class, None, Medium)
        .stored("Class that answers SASL callbacks of the broker as a server."),
    key("sasl.server.max.receive.size", Int, Some("524288"), Medium)
        .stored("Largest SASL message before login, in bytes."),
    key("security.inter.broker.protocol", String, Some("PLAINTEXT"), Medium).one_of(&["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"])
        .effective("What brokers speak among each other, when inter.broker.listener.name does not say."),
    key("security.providers", String, None, Low)
        .stored("Classes that register security providers."),
    key("ssl.allow.dn.changes", Boolean, Some("false"), Low)
        .stored("Whether a new key store may carry another distinguished name."),
    key("ssl.allow.san.changes", Boolean, Some("false"), Low)
        .stored("Whether a new key store may drop alternative names."),
    key("ssl.cipher.suites", List, Some(""), Medium).list().per_broker()
        .stored("TLS cipher suites; empty is the default set."),
    key("ssl.client.auth", String, Some("none"), Medium).one_of(&["required", "requested", "none"]).per_broker()
        .stored("Whether clients must show a certificate."),
    key("ssl.enabled.protocols", List, Some("TLSv1.2,TLSv1.3"), Medium).list().per_broker()
        .stored("TLS versions that are offered."),
    key("ssl.endpoint.identification.algorithm", String, Some("https"), Low).per_broker()
        .stored("How a server's name is checked against its certificate."),
    key("ssl.engine.factory.class", Class, None, Low).per_broker()
        .stored("Class that makes TLS engines."),
    key("ssl.key.password", Password, None, Medium).per_broker()
        .stored("Password of the private key."),
    key("ssl.keymanager.algorithm", String, Some("SunX509"), Medium).per_broker()
        .stored("Algorithm of the key manager."),
    key("ssl.keystore.certificate.chain", Password, None, Medium).per_broker()
        .stored("Certificate chain, as PEM text."),
    key("ssl.keystore.key", Password, None, Medium).per_broker()
        .stored("Private key, as PEM text."),
    key("ssl.keystore.location", String, None, Medium).per_broker()
        .stored("File of the key store."),
    key("ssl.keystore.password", Password, None, Medium).per_broker()
        .stored("Password of the key store."),
    key("ssl.keystore.type", String, Some("JKS"), Medium).per_broker()
        .stored("Format of the key store."),
    key("ssl.principal.mapping.rules", String, Some("DEFAULT"), Low)
        .stored("Rules from certificates' names to principals."),
    key("ssl.protocol", String, Some("TLSv1.3"), Medium).per_broker()
        .stored("TLS version that contexts are made for."),
    key("ssl.provider", String, None, Medium).per_broker()
        .stored("Provider of TLS."),
    key("ssl.secure.random.implementation", String, None, Low).per_broker()
        .stored("Source of randomness for TLS."),
    key("ssl.trustmanager.algorithm", String, Some("PKIX"), Medium).per_broker()
        .stored("Algorithm of the trust manager."),
    key("ssl.truststore.certificates", Password, None, Medium).per_broker()
        .stored("Trusted certificates, as PEM text."),
    key("ssl.truststore.location", String, None, Medium).per_broker()
        .stored("File of the trust store."),
    key("ssl.truststore.password", Password, None, Medium).per_broker()
        .stored("Password of the trust store."),
    key("ssl.truststore.type", String, Some("JKS"), Medium).per_broker()
        .stored("Format of the trust store."),
];
