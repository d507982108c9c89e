package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

var admin *kadm.Client

func newClient(options ...kgo.Opt) *kgo.Client {
	all := append([]kgo.Opt{
		kgo.SeedBrokers(strings.Split(bootstrap, ",")...), kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.RetryTimeout(15 * time.Second),
		kgo.FetchMaxWait(300 * time.Millisecond),
	}, options...)
	client, err := kgo.NewClient(all...)
	if err != nil {
		panic(err)
	}
	return client
}

func limited() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), 20*time.Second)
}

func create(name string, partitions int32) (string, error) {
	ctx, cancel := limited()
	defer cancel()
	topic := prefix + "-" + name
	_, err := admin.CreateTopic(ctx, partitions, replicas, nil, topic)
	if err != nil {
		return topic, err
	}
	return topic, waitFor(10*time.Second, func() string { return topic + " appears" }, func() bool {
		topics, err := admin.ListTopics(ctx, topic)
		return err == nil && topics.Has(topic) && topics[topic].Err == nil
	})
}

func send(topic string, records []*kgo.Record, options ...kgo.Opt) error {
	client := newClient(append(options, kgo.DefaultProduceTopic(topic))...)
	defer client.Close()
	ctx, cancel := limited()
	defer cancel()
	return client.ProduceSync(ctx, records...).FirstErr()
}

func read(topic string, count int, options ...kgo.Opt) ([]*kgo.Record, error) {
	client := newClient(append(options, kgo.ConsumeTopics(topic))...)
	defer client.Close()
	ctx, cancel := limited()
	defer cancel()
	var records []*kgo.Record
	for len(records) < count {
		fetches := client.PollFetches(ctx)
		if ctx.Err() != nil {
			return nil, fmt.Errorf("read %d of %d records of %s", len(records), count, topic)
		}
		if errs := fetches.Errors(); len(errs) > 0 {
			return nil, errs[0].Err
		}
		records = append(records, fetches.Records()...)
	}
	return records, nil
}

func numbers(from, to int) []*kgo.Record {
	var records []*kgo.Record
	for i := from; i < to; i++ {
		records = append(records, &kgo.Record{Value: fmt.Appendf(nil, "%d", i)})
	}
	return records
}

func expectNumbers(records []*kgo.Record, from, to int) error {
	if len(records) != to-from {
		return fmt.Errorf("%d records, expected %d", len(records), to-from)
	}
	for i, record := range records {
		if string(record.Value) != fmt.Sprint(from+i) {
			return fmt.Errorf("record %d is %q", i, record.Value)
		}
	}
	return nil
}

func compression(codec string) kgo.Opt {
	return kgo.ProducerBatchCompression(map[string]kgo.CompressionCodec{
		"none": kgo.NoCompression(), "gzip": kgo.GzipCompression(), "snappy": kgo.SnappyCompression(),
		"lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression(),
	}[codec])
}

// Sends numbers to a new topic and reads them again.
func roundTrip(name string, count int, options ...kgo.Opt) error {
	topic, err := create(name, 1)
	if err != nil {
		return err
	}
	if err := send(topic, numbers(0, count), options...); err != nil {
		return err
	}
	records, err := read(topic, count)
	if err != nil {
		return err
	}
	return expectNumbers(records, 0, count)
}

func shapes() error {
	topic, err := create("shapes", 1)
	if err != nil {
		return err
	}
	sent := []*kgo.Record{
		{Key: []byte("k"), Value: []byte("v"), Headers: []kgo.RecordHeader{
			{Key: "h", Value: []byte("1")}, {Key: "h", Value: []byte{}}, {Key: "null"}}},
		{Value: []byte("no key")}, {Key: []byte("tombstone")}, {Key: []byte{}, Value: []byte{}}, {},
	}
	if err := send(topic, sent); err != nil {
		return err
	}
	found, err := read(topic, len(sent))
	if err != nil {
		return err
	}
	for i, want := range sent {
		got := found[i]
		if fmt.Sprintf("%#v %#v %v", got.Key, got.Value, got.Headers) !=
			fmt.Sprintf("%#v %#v %v", want.Key, want.Value, want.Headers) {
			return fmt.Errorf("record %d: got %+v, expected %+v", i, got, want)
		}
	}
	return nil
}

func big() error {
	topic, err := create("big", 1)
	if err != nil {
		return err
	}
	value := bytes.Repeat([]byte("0123456789"), 100_000)
	limit := kgo.ProducerBatchMaxBytes(3_000_000)
	plain := kgo.ProducerBatchCompression(kgo.NoCompression())
	if err := send(topic, []*kgo.Record{{Value: value}}, limit, plain); err != nil {
		return err
	}
	records, err := read(topic, 1)
	if err != nil {
		return err
	}
	if !bytes.Equal(records[0].Value, value) {
		return errors.New("another value came back")
	}
	err = send(topic, []*kgo.Record{{Value: make([]byte, 1_500_000)}}, limit, plain)
	return expectError(err, kerr.MessageTooLarge)
}

func timestamps() error {
	topic, err := create("timestamps", 1)
	if err != nil {
		return err
	}
	records := numbers(0, 10)
	for i, record := range records {
		record.Timestamp = time.UnixMilli(baseTimestampMs + int64(i)*1000)
	}
	if err := send(topic, records); err != nil {
		return err
	}
	ctx, cancel := limited()
	defer cancel()
	after, err := admin.ListOffsetsAfterMilli(ctx, baseTimestampMs+4500, topic)
	if err != nil {
		return err
	}
	end, err := admin.ListEndOffsets(ctx, topic)
	if err != nil {
		return err
	}
	start, err := admin.ListStartOffsets(ctx, topic)
	if err != nil {
		return err
	}
	got := []int64{after[topic][0].Offset, end[topic][0].Offset, start[topic][0].Offset}
	if fmt.Sprint(got) != "[5 10 0]" {
		return fmt.Errorf("offsets by time, end, start: %v", got)
	}
	return nil
}

func take(topic string, count int) ([]*kgo.Record, error) {
	client := newClient(kgo.ConsumeTopics(topic), kgo.ConsumerGroup(topic), kgo.DisableAutoCommit(),
		kgo.SessionTimeout(6*time.Second))
	defer client.Close()
	ctx, cancel := limited()
	defer cancel()
	var records []*kgo.Record
	for len(records) < count {
		fetches := client.PollRecords(ctx, count-len(records))
		if ctx.Err() != nil {
			return nil, fmt.Errorf("took %d of %d", len(records), count)
		}
		records = append(records, fetches.Records()...)
	}
	return records, client.CommitRecords(ctx, records...)
}

func commitResume() error {
	topic, err := create("resume", 1)
	if err != nil {
		return err
	}
	if err := send(topic, numbers(0, 20)); err != nil {
		return err
	}
	expect := func(from, to int) error {
		records, err := take(topic, to-from)
		if err != nil {
			return err
		}
		return expectNumbers(records, from, to)
	}
	if err := expect(0, 7); err != nil {
		return err
	}
	if err := expect(7, 20); err != nil {
		return err
	}
	ctx, cancel := limited()
	defer cancel()
	var offsets kadm.Offsets
	offsets.AddOffset(topic, 0, 5, -1)
	if err := admin.CommitAllOffsets(ctx, topic, offsets); err != nil {
		return err
	}
	return expect(5, 7)
}

func adminTopics() error {
	topic, err := create("admin", 2)
	if err != nil {
		return err
	}
	ctx, cancel := limited()
	defer cancel()
	change := []kadm.AlterConfig{{Op: kadm.SetConfig, Name: "retention.ms", Value: kadm.StringPtr("120000")}}
	altered, err := admin.AlterTopicConfigs(ctx, change, topic)
	if err != nil {
		return err
	}
	if altered[0].Err != nil {
		return altered[0].Err
	}
	retention := func() string {
		configs, err := admin.DescribeTopicConfigs(ctx, topic)
		if err != nil || configs[0].Err != nil {
			return fmt.Sprint(err, configs)
		}
		for _, config := range configs[0].Configs {
			if config.Key == "retention.ms" {
				return config.MaybeValue()
			}
		}
		return "absent"
	}
	// A broker of Kafka answers from metadata that lag behind the controller's.
	if err := waitFor(5*time.Second, retention, func() bool { return retention() == "120000" }); err != nil {
		return err
	}
	grown, err := admin.UpdatePartitions(ctx, 5, topic)
	if err != nil || grown[topic].Err != nil {
		return errors.Join(err, grown[topic].Err)
	}
	topics, err := admin.ListTopics(ctx, topic)
	if err != nil || len(topics[topic].Partitions) != 5 {
		return fmt.Errorf("%d partitions, %v", len(topics[topic].Partitions), err)
	}
	shrunk, _ := admin.UpdatePartitions(ctx, 3, topic)
	if err := expectError(shrunk[topic].Err, kerr.InvalidPartitions); err != nil {
		return err
	}
	if _, err := create("admin", 1); !errors.Is(err, kerr.TopicAlreadyExists) {
		return fmt.Errorf("a second creation: %v", err)
	}
	if _, err := create("bad name!", 1); !errors.Is(err, kerr.InvalidTopicException) {
		return fmt.Errorf("a bad name: %v", err)
	}
	if _, err := admin.DeleteTopic(ctx, topic); err != nil {
		return err
	}
	_, err = admin.DeleteTopic(ctx, topic)
	return expectError(err, kerr.UnknownTopicOrPartition)
}

func adminRecords() error {
	topic, err := create("records", 1)
	if err != nil {
		return err
	}
	if err := send(topic, numbers(0, 10)); err != nil {
		return err
	}
	ctx, cancel := limited()
	defer cancel()
	var offsets kadm.Offsets
	offsets.AddOffset(topic, 0, 4, -1)
	if _, err := admin.DeleteRecords(ctx, offsets); err != nil {
		return err
	}
	records, err := read(topic, 6)
	if err != nil {
		return err
	}
	return expectNumbers(records, 4, 10)
}

func adminGroups() error {
	group := prefix + "-resume"
	ctx, cancel := limited()
	defer cancel()
	listed, err := admin.ListGroups(ctx)
	if err != nil {
		return err
	}
	if _, isListed := listed[group]; !isListed {
		return errors.New("the group is not listed")
	}
	described, err := admin.DescribeGroups(ctx, group)
	if err != nil || described[group].State != "Empty" {
		return fmt.Errorf("state %q, %v", described[group].State, err)
	}
	lags, err := admin.Lag(ctx, group)
	if err != nil {
		return err
	}
	of := lags[group]
	if err := of.Error(); err != nil {
		return err
	}
	if lag := of.Lag.Total(); lag != 13 {
		return fmt.Errorf("lag %d, expected 13", lag)
	}
	if _, err := admin.DeleteGroup(ctx, group); err != nil {
		return err
	}
	_, err = admin.DeleteGroup(ctx, group)
	return expectError(err, kerr.GroupIDNotFound)
}

func refusals() error {
	ctx, cancel := limited()
	defer cancel()
	topic := prefix + "-no-such-topic"
	topics, err := admin.ListTopics(ctx, topic)
	if err != nil {
		return err
	}
	return expectError(topics[topic].Err, kerr.UnknownTopicOrPartition)
}

func transactions() error {
	client := newClient(kgo.TransactionalID(prefix+"-tx"), kgo.RecordRetries(2))
	defer client.Close()
	ctx, cancel := limited()
	defer cancel()
	topic, err := create("transactions", 1)
	if err != nil {
		return err
	}
	produce := func(value string, outcome kgo.TransactionEndTry) error {
		if err := client.BeginTransaction(); err != nil {
			return err
		}
		record := &kgo.Record{Topic: topic, Value: []byte(value)}
		if err := client.ProduceSync(ctx, record).FirstErr(); err != nil {
			return err
		}
		return client.EndTransaction(ctx, outcome)
	}
	err = produce("abort", kgo.TryAbort)
	if !hasTransactions {
		if err == nil {
			return errors.New("a transactional id was taken")
		}
		if ctx.Err() != nil {
			return fmt.Errorf("a time-out instead of an error: %w", err)
		}
		return nil
	}
	if err != nil {
		return err
	}
	if err := produce("commit", kgo.TryCommit); err != nil {
		return err
	}
	records, err := read(topic, 1, kgo.FetchIsolationLevel(kgo.ReadCommitted()))
	if err != nil {
		return err
	}
	if string(records[0].Value) != "commit" {
		return fmt.Errorf("read %q", records[0].Value)
	}
	return nil
}

func crossWrite() error {
	topic, err := create("cross", int32(len(codecs)))
	if err != nil {
		return err
	}
	for _, codec := range codecs {
		var records []*kgo.Record
		for i := range crossCount {
			records = append(records, crossRecord("franz-go", codec, i))
		}
		if err := send(topic, records, compression(codec)); err != nil {
			return err
		}
	}
	return nil
}

func runChecks() {
	client := newClient()
	defer client.Close()
	admin = kadm.NewClient(client)
	for _, codec := range codecs {
		check("produce and consume: "+codec, func() error {
			return roundTrip("codec-"+codec, 500, compression(codec))
		})
	}
	check("keys, headers, null values", shapes)
	check("1 MB record; a larger one is refused", big)
	check("idempotent producer", func() error { return roundTrip("idempotent", 2000) })
	check("producer without idempotence, acks=1", func() error {
		return roundTrip("acks-1", 500, kgo.DisableIdempotentWrite(), kgo.RequiredAcks(kgo.LeaderAck()))
	})
	check("timestamps and offsets for times", timestamps)
	if !isFast {
		topic, err := create("group", 12)
		if err != nil {
			panic(err)
		}
		groupStory(topic, prefix+"-group")
	}
	check("commit, resume, reset", commitResume)
	check("admin: topics and configs", adminTopics)
	check("admin: delete records", adminRecords)
	check("admin: groups", adminGroups)
	check("unknown topic", refusals)
	check("transactional id", transactions)
	check("writes for the others", crossWrite)
	cross(prefix + "-cross")
}
