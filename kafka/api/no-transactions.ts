/**
 * Transactional ids are refused until there are transactions. The code is 53,
 * TRANSACTIONAL_ID_AUTHORIZATION_FAILED: the one that Java, librdkafka, kafkajs and franz-go all
 * take as final when they look for the coordinator. librdkafka asks again for ever on any other code
 * (and prints the message beside this one); Java would fail at once on others too.
 */
export const NO_TRANSACTIONS =
  'This broker does not support transactions yet: remove transactional.id from the settings.'
