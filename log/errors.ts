/**
 * Kafka's error codes, as far as a log gives them: a closed list. The names are Kafka's, so that a
 * reader finds them in its protocol guide.
 */

export const UNKNOWN_SERVER_ERROR = -1
export const NONE = 0
export const OFFSET_OUT_OF_RANGE = 1
export const CORRUPT_MESSAGE = 2
export const MESSAGE_TOO_LARGE = 10
export const RECORD_LIST_TOO_LARGE = 18
export const INVALID_TIMESTAMP = 32
export const OUT_OF_ORDER_SEQUENCE_NUMBER = 45
export const DUPLICATE_SEQUENCE_NUMBER = 46
export const INVALID_PRODUCER_EPOCH = 47
export const INVALID_TXN_STATE = 48
export const TRANSACTION_COORDINATOR_FENCED = 52
export const KAFKA_STORAGE_ERROR = 56
export const UNKNOWN_PRODUCER_ID = 59
export const UNSUPPORTED_COMPRESSION_TYPE = 76
export const INVALID_RECORD = 87
