/** Authentication and encryption. */
import {
  bool,
  className,
  double,
  FIXED,
  HIGH,
  int,
  LOW,
  list,
  long,
  MEDIUM,
  PER_BROKER,
  password,
  type Setting,
  short,
  text,
} from '../definition.ts'
import { anyList, atLeast, between, nonNullText, oneOf, oneOfAnyCase } from '../validators.ts'

export const SECURITY_SETTINGS: readonly Setting[] = [
  text('authorizer.class.name', '', nonNullText, LOW, FIXED).hasNoEffect(
    'this release has no access control.',
  ),
  long('delegation.token.expiry.check.interval.ms', 3_600_000, atLeast(1), LOW, FIXED).hasNoEffect(
    'delegation tokens are not supported.',
  ),
  long('delegation.token.expiry.time.ms', 86_400_000, atLeast(1), MEDIUM, FIXED).hasNoEffect(
    'delegation tokens are not supported.',
  ),
  long('delegation.token.max.lifetime.ms', 604_800_000, atLeast(1), MEDIUM, FIXED).hasNoEffect(
    'delegation tokens are not supported.',
  ),
  password('delegation.token.secret.key', null, null, MEDIUM, FIXED).hasNoEffect(
    'delegation tokens are not supported.',
  ),
  className(
    'principal.builder.class',
    'org.apache.kafka.common.security.authenticator.DefaultKafkaPrincipalBuilder',
    null,
    MEDIUM,
    PER_BROKER,
  ).hasNoEffect('classes of the JVM can not be loaded.'),
  className('sasl.client.callback.handler.class', null, null, MEDIUM, FIXED).hasNoEffect(
    'this release does not authenticate clients.',
  ),
  list(
    'sasl.enabled.mechanisms',
    'GSSAPI',
    anyList('null', 'duplicates'),
    MEDIUM,
    PER_BROKER,
  ).hasNoEffect('this release does not authenticate clients.'),
  password('sasl.jaas.config', null, null, MEDIUM, PER_BROKER).hasNoEffect(
    'this release does not authenticate clients.',
  ),
  text('sasl.kerberos.kinit.cmd', '/usr/bin/kinit', null, MEDIUM, PER_BROKER).hasNoEffect(
    'Kerberos is not supported.',
  ),
  long('sasl.kerberos.min.time.before.relogin', 60_000, null, MEDIUM, PER_BROKER).hasNoEffect(
    'Kerberos is not supported.',
  ),
  list(
    'sasl.kerberos.principal.to.local.rules',
    'DEFAULT',
    anyList('null', 'duplicates'),
    MEDIUM,
    PER_BROKER,
  ).hasNoEffect('Kerberos is not supported.'),
  text('sasl.kerberos.service.name', null, null, MEDIUM, PER_BROKER).hasNoEffect(
    'Kerberos is not supported.',
  ),
  double('sasl.kerberos.ticket.renew.jitter', 0.05, null, MEDIUM, PER_BROKER).hasNoEffect(
    'Kerberos is not supported.',
  ),
  double('sasl.kerberos.ticket.renew.window.factor', 0.8, null, MEDIUM, PER_BROKER).hasNoEffect(
    'Kerberos is not supported.',
  ),
  className('sasl.login.callback.handler.class', null, null, MEDIUM, FIXED).hasNoEffect(
    'logins of the JVM are not used.',
  ),
  className('sasl.login.class', null, null, MEDIUM, FIXED).hasNoEffect(
    'logins of the JVM are not used.',
  ),
  int('sasl.login.connect.timeout.ms', null, null, LOW, FIXED).hasNoEffect(
    'logins of the JVM are not used.',
  ),
  int('sasl.login.read.timeout.ms', null, null, LOW, FIXED).hasNoEffect(
    'logins of the JVM are not used.',
  ),
  short('sasl.login.refresh.buffer.seconds', 300, null, MEDIUM, PER_BROKER).hasNoEffect(
    'logins of the JVM are not used.',
  ),
  short('sasl.login.refresh.min.period.seconds', 60, null, MEDIUM, PER_BROKER).hasNoEffect(
    'logins of the JVM are not used.',
  ),
  double('sasl.login.refresh.window.factor', 0.8, null, MEDIUM, PER_BROKER).hasNoEffect(
    'logins of the JVM are not used.',
  ),
  double('sasl.login.refresh.window.jitter', 0.05, null, MEDIUM, PER_BROKER).hasNoEffect(
    'logins of the JVM are not used.',
  ),
  long('sasl.login.retry.backoff.max.ms', 10_000, null, LOW, FIXED).hasNoEffect(
    'logins of the JVM are not used.',
  ),
  long('sasl.login.retry.backoff.ms', 100, null, LOW, FIXED).hasNoEffect(
    'logins of the JVM are not used.',
  ),
  text('sasl.mechanism.controller.protocol', 'GSSAPI', null, HIGH, FIXED).hasNoEffect(
    'this release does not authenticate clients.',
  ),
  text('sasl.mechanism.inter.broker.protocol', 'GSSAPI', null, MEDIUM, PER_BROKER).hasNoEffect(
    'this release does not authenticate clients.',
  ),
  text(
    'sasl.oauthbearer.assertion.algorithm',
    'RS256',
    oneOfAnyCase('ES256', 'RS256'),
    MEDIUM,
    FIXED,
  ).hasNoEffect('OAuth is not supported.'),
  text('sasl.oauthbearer.assertion.claim.aud', null, null, MEDIUM, FIXED).hasNoEffect(
    'OAuth is not supported.',
  ),
  int(
    'sasl.oauthbearer.assertion.claim.exp.seconds',
    300,
    between(0, 86_400),
    LOW,
    FIXED,
  ).hasNoEffect('OAuth is not supported.'),
  text('sasl.oauthbearer.assertion.claim.iss', null, null, MEDIUM, FIXED).hasNoEffect(
    'OAuth is not supported.',
  ),
  bool('sasl.oauthbearer.assertion.claim.jti.include', false, null, MEDIUM, FIXED).hasNoEffect(
    'OAuth is not supported.',
  ),
  int('sasl.oauthbearer.assertion.claim.nbf.seconds', 60, between(0, 3600), LOW, FIXED).hasNoEffect(
    'OAuth is not supported.',
  ),
  text('sasl.oauthbearer.assertion.claim.sub', null, null, MEDIUM, FIXED).hasNoEffect(
    'OAuth is not supported.',
  ),
  text('sasl.oauthbearer.assertion.file', null, null, MEDIUM, FIXED).hasNoEffect(
    'OAuth is not supported.',
  ),
  text('sasl.oauthbearer.assertion.private.key.file', null, null, MEDIUM, FIXED).hasNoEffect(
    'OAuth is not supported.',
  ),
  password(
    'sasl.oauthbearer.assertion.private.key.passphrase',
    null,
    null,
    MEDIUM,
    FIXED,
  ).hasNoEffect('OAuth is not supported.'),
  text('sasl.oauthbearer.assertion.template.file', null, null, MEDIUM, FIXED).hasNoEffect(
    'OAuth is not supported.',
  ),
  text('sasl.oauthbearer.client.credentials.client.id', null, null, MEDIUM, FIXED).hasNoEffect(
    'OAuth is not supported.',
  ),
  password(
    'sasl.oauthbearer.client.credentials.client.secret',
    null,
    null,
    MEDIUM,
    FIXED,
  ).hasNoEffect('OAuth is not supported.'),
  int('sasl.oauthbearer.clock.skew.seconds', 30, null, LOW, FIXED).hasNoEffect(
    'OAuth is not supported.',
  ),
  list(
    'sasl.oauthbearer.expected.audience',
    '',
    anyList('null', 'duplicates'),
    HIGH,
    FIXED,
  ).hasNoEffect('OAuth is not supported.'),
  text('sasl.oauthbearer.expected.issuer', null, null, HIGH, FIXED).hasNoEffect(
    'OAuth is not supported.',
  ),
  long('sasl.oauthbearer.jwks.endpoint.refresh.ms', 3_600_000, null, LOW, FIXED).hasNoEffect(
    'OAuth is not supported.',
  ),
  long('sasl.oauthbearer.jwks.endpoint.retry.backoff.max.ms', 10_000, null, LOW, FIXED).hasNoEffect(
    'OAuth is not supported.',
  ),
  long('sasl.oauthbearer.jwks.endpoint.retry.backoff.ms', 100, null, LOW, FIXED).hasNoEffect(
    'OAuth is not supported.',
  ),
  text('sasl.oauthbearer.jwks.endpoint.url', null, null, MEDIUM, FIXED).hasNoEffect(
    'OAuth is not supported.',
  ),
  className(
    'sasl.oauthbearer.jwt.retriever.class',
    'org.apache.kafka.common.security.oauthbearer.DefaultJwtRetriever',
    null,
    MEDIUM,
    FIXED,
  ).hasNoEffect('OAuth is not supported.'),
  className(
    'sasl.oauthbearer.jwt.validator.class',
    'org.apache.kafka.common.security.oauthbearer.DefaultJwtValidator',
    null,
    MEDIUM,
    FIXED,
  ).hasNoEffect('OAuth is not supported.'),
  text('sasl.oauthbearer.scope', null, null, MEDIUM, FIXED).hasNoEffect('OAuth is not supported.'),
  text('sasl.oauthbearer.scope.claim.name', 'scope', null, LOW, FIXED).hasNoEffect(
    'OAuth is not supported.',
  ),
  text('sasl.oauthbearer.sub.claim.name', 'sub', null, LOW, FIXED).hasNoEffect(
    'OAuth is not supported.',
  ),
  text('sasl.oauthbearer.token.endpoint.url', null, null, MEDIUM, FIXED).hasNoEffect(
    'OAuth is not supported.',
  ),
  className('sasl.server.callback.handler.class', null, null, MEDIUM, FIXED).hasNoEffect(
    'this release does not authenticate clients.',
  ),
  int('sasl.server.max.receive.size', 524_288, null, MEDIUM, FIXED).hasNoEffect(
    'this release does not authenticate clients.',
  ),
  text(
    'security.inter.broker.protocol',
    'PLAINTEXT',
    oneOf('PLAINTEXT', 'SSL', 'SASL_PLAINTEXT', 'SASL_SSL'),
    MEDIUM,
    FIXED,
  ).hasNoEffect('traffic between nodes uses the controller listener.'),
  text('security.providers', null, null, LOW, FIXED).hasNoEffect(
    'classes of the JVM can not be loaded.',
  ),
  bool('ssl.allow.dn.changes', false, null, LOW, FIXED).hasNoEffect(
    'connections of clients are not encrypted in this release.',
  ),
  bool('ssl.allow.san.changes', false, null, LOW, FIXED).hasNoEffect(
    'connections of clients are not encrypted in this release.',
  ),
  list('ssl.cipher.suites', '', anyList('null', 'duplicates'), MEDIUM, PER_BROKER).hasNoEffect(
    'connections of clients are not encrypted in this release.',
  ),
  text(
    'ssl.client.auth',
    'none',
    oneOf('required', 'requested', 'none'),
    MEDIUM,
    PER_BROKER,
  ).hasNoEffect('connections of clients are not encrypted in this release.'),
  list(
    'ssl.enabled.protocols',
    'TLSv1.2,TLSv1.3',
    anyList('null', 'duplicates'),
    MEDIUM,
    PER_BROKER,
  ).hasNoEffect('connections of clients are not encrypted in this release.'),
  text('ssl.endpoint.identification.algorithm', 'https', null, LOW, PER_BROKER).hasNoEffect(
    'connections of clients are not encrypted in this release.',
  ),
  className('ssl.engine.factory.class', null, null, LOW, PER_BROKER).hasNoEffect(
    'connections of clients are not encrypted in this release.',
  ),
  password('ssl.key.password', null, null, MEDIUM, PER_BROKER).is(
    'Between nodes: what the private key is encrypted with, if it is.',
  ),
  text('ssl.keymanager.algorithm', 'SunX509', null, MEDIUM, PER_BROKER).hasNoEffect(
    'connections of clients are not encrypted in this release.',
  ),
  password('ssl.keystore.certificate.chain', null, null, MEDIUM, PER_BROKER).is(
    'Between nodes: the certificate of this node and those between it and an authority, as PEM. It ' +
      'names the node: odradek://CLUSTER-ID/nodes/NODE-ID.',
  ),
  password('ssl.keystore.key', null, null, MEDIUM, PER_BROKER).is(
    'Between nodes: the private key of this node, as PEM.',
  ),
  text('ssl.keystore.location', null, null, MEDIUM, PER_BROKER).is(
    'Between nodes: a file with the private key and the certificate of this node, as PEM.',
  ),
  password('ssl.keystore.password', null, null, MEDIUM, PER_BROKER).hasNoEffect(
    'connections of clients are not encrypted in this release.',
  ),
  text('ssl.keystore.type', 'JKS', null, MEDIUM, PER_BROKER).is(
    'Has to be PEM where the controller listener speaks SSL.',
  ),
  text('ssl.principal.mapping.rules', 'DEFAULT', null, LOW, FIXED).hasNoEffect(
    'connections of clients are not encrypted in this release.',
  ),
  text('ssl.protocol', 'TLSv1.3', null, MEDIUM, PER_BROKER).hasNoEffect(
    'connections of clients are not encrypted in this release.',
  ),
  text('ssl.provider', null, null, MEDIUM, PER_BROKER).hasNoEffect(
    'connections of clients are not encrypted in this release.',
  ),
  text('ssl.secure.random.implementation', null, null, LOW, PER_BROKER).hasNoEffect(
    'connections of clients are not encrypted in this release.',
  ),
  text('ssl.trustmanager.algorithm', 'PKIX', null, MEDIUM, PER_BROKER).hasNoEffect(
    'connections of clients are not encrypted in this release.',
  ),
  password('ssl.truststore.certificates', null, null, MEDIUM, PER_BROKER).is(
    'Between nodes: the certificates of the authorities that are trusted, as PEM.',
  ),
  text('ssl.truststore.location', null, null, MEDIUM, PER_BROKER).is(
    'Between nodes: a file with the certificates of the authorities that are trusted, as PEM.',
  ),
  password('ssl.truststore.password', null, null, MEDIUM, PER_BROKER).hasNoEffect(
    'connections of clients are not encrypted in this release.',
  ),
  text('ssl.truststore.type', 'JKS', null, MEDIUM, PER_BROKER).is(
    'Has to be PEM where the controller listener speaks SSL.',
  ),
]
