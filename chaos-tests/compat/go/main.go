// franz-go against one node: prints one JSON line a check, writes the shared set of records and
// reads what every other client wrote.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

const crossCount = 20

var (
	bootstrap       = os.Getenv("INTEROP_BOOTSTRAP")
	prefix          = os.Getenv("INTEROP_RUN") + "-franz-go"
	hasTransactions = os.Getenv("INTEROP_TRANSACTIONS") == "supported"
	replicas        = int16(max(1, number(os.Getenv("INTEROP_REPLICAS"))))
	isFast          = os.Getenv("INTEROP_FAST") == "1"
	baseTimestampMs = number(os.Getenv("INTEROP_BASE_TIMESTAMP_MS"))
	codecs          = []string{"none", "gzip", "snappy", "lz4", "zstd"}
)

type source struct {
	Client     string   `json:"client"`
	Topic      string   `json:"topic"`
	Codecs     []string `json:"codecs"`
	Timestamps bool     `json:"timestamps"`
	Headers    bool     `json:"headers"`
}

func number(text string) int64 {
	value, _ := strconv.ParseInt(text, 10, 64)
	return value
}

func say(line map[string]any) {
	text, err := json.Marshal(line)
	if err != nil {
		panic(err)
	}
	fmt.Println(string(text))
}

func check(name string, run func() error) {
	begin := time.Now()
	line := map[string]any{"check": name, "ok": true}
	if err := run(); err != nil {
		line["ok"], line["detail"] = false, err.Error()
	}
	line["ms"] = time.Since(begin).Milliseconds()
	say(line)
}

func expectError(err error, wanted error) error {
	if !errors.Is(err, wanted) {
		return fmt.Errorf("expected %v, got %v", wanted, err)
	}
	return nil
}

func waitFor(limit time.Duration, what func() string, condition func() bool) error {
	until := time.Now().Add(limit)
	for !condition() {
		if time.Now().After(until) {
			return fmt.Errorf("not within %v: %s", limit, what())
		}
		time.Sleep(50 * time.Millisecond)
	}
	return nil
}

func crossRecord(client, codec string, i int) *kgo.Record {
	record := &kgo.Record{
		Partition: int32(slices.Index(codecs, codec)),
		Timestamp: time.UnixMilli(baseTimestampMs + int64(i)*1000),
		Headers: []kgo.RecordHeader{
			{Key: "codec", Value: []byte(codec)}, {Key: "client", Value: []byte(client)},
		},
	}
	if i%5 != 4 {
		record.Key = fmt.Appendf(nil, "key-%d", i)
	}
	if i%7 != 3 {
		record.Value = fmt.Appendf(nil, "value-%s-%d-%s", codec, i, strings.Repeat("x", i*13))
	}
	return record
}

func expectCross(from source) error {
	records, err := read(from.Topic, len(from.Codecs)*crossCount)
	if err != nil {
		return err
	}
	for _, codec := range from.Codecs {
		partition, i := int32(slices.Index(codecs, codec)), 0
		for _, got := range records {
			if got.Partition != partition {
				continue
			}
			want := crossRecord(from.Client, codec, i)
			same := got.Offset == int64(i) && string(got.Key) == string(want.Key) &&
				string(got.Value) == string(want.Value) && (got.Value == nil) == (want.Value == nil) &&
				(got.Key == nil) == (want.Key == nil)
			if from.Timestamps {
				same = same && got.Timestamp.Equal(want.Timestamp)
			}
			if from.Headers {
				same = same && fmt.Sprint(got.Headers) == fmt.Sprint(want.Headers)
			}
			if !same {
				return fmt.Errorf("record %d with %s: got %+v, expected %+v", i, codec, got, want)
			}
			i++
		}
		if i != crossCount {
			return fmt.Errorf("%d records with %s", i, codec)
		}
	}
	return nil
}

func cross(topic string) {
	mine := source{Client: "franz-go", Topic: topic, Codecs: codecs, Timestamps: true, Headers: true}
	say(map[string]any{"produced": mine})
	line, _ := bufio.NewReader(os.Stdin).ReadString('\n')
	var list struct {
		Cross []source `json:"cross"`
	}
	if json.Unmarshal([]byte(line), &list) != nil {
		return
	}
	for _, from := range list.Cross {
		check("reads what "+from.Client+" wrote", func() error { return expectCross(from) })
	}
}

// A group member in its own process; it prints its assignment whenever that changes.
type member struct {
	process  *exec.Cmd
	lock     sync.Mutex
	assigned []int32
}

func startMember(topic, group string) *member {
	m := &member{process: exec.Command(os.Args[0], "member", topic, group)}
	output, err := m.process.StdoutPipe()
	if err == nil {
		err = m.process.Start()
	}
	if err != nil {
		panic(err)
	}
	go func() {
		lines := bufio.NewScanner(output)
		for lines.Scan() {
			var line struct {
				Assigned []int32 `json:"assigned"`
			}
			if json.Unmarshal(lines.Bytes(), &line) == nil {
				m.lock.Lock()
				m.assigned = line.Assigned
				m.lock.Unlock()
			}
		}
	}()
	return m
}

func shared(members []*member, each int) func() bool {
	return func() bool {
		all := map[int32]bool{}
		for _, m := range members {
			m.lock.Lock()
			assigned := m.assigned
			m.lock.Unlock()
			if len(assigned) != each {
				return false
			}
			for _, partition := range assigned {
				all[partition] = true
			}
		}
		return len(all) == 12
	}
}

// Three members share twelve partitions; one leaves, then one dies; the last has them all.
func groupStory(topic, group string) {
	members := []*member{startMember(topic, group), startMember(topic, group), startMember(topic, group)}
	what := func() string {
		return fmt.Sprint(members[0].assigned, members[1].assigned, members[2].assigned)
	}
	check("group of three shares 12 partitions", func() error {
		return waitFor(30*time.Second, what, shared(members, 4))
	})
	members[0].process.Process.Signal(syscall.SIGTERM)
	check("group: a member leaves", func() error {
		return waitFor(20*time.Second, what, shared(members[1:], 6))
	})
	members[1].process.Process.Kill()
	check("group: a member dies", func() error {
		return waitFor(25*time.Second, what, shared(members[2:], 12))
	})
	for _, m := range members {
		m.process.Process.Kill()
		m.process.Wait()
	}
}

func runMember(topic, group string) {
	var lock sync.Mutex
	assigned := map[int32]bool{}
	change := func(isGain bool) func(context.Context, *kgo.Client, map[string][]int32) {
		return func(_ context.Context, _ *kgo.Client, partitions map[string][]int32) {
			lock.Lock()
			defer lock.Unlock()
			for _, partition := range partitions[topic] {
				if isGain {
					assigned[partition] = true
				} else {
					delete(assigned, partition)
				}
			}
			list := []int32{}
			for partition := range assigned {
				list = append(list, partition)
			}
			slices.Sort(list)
			say(map[string]any{"assigned": list})
		}
	}
	client := newClient(kgo.ConsumeTopics(topic), kgo.ConsumerGroup(group),
		kgo.SessionTimeout(6*time.Second), kgo.HeartbeatInterval(500*time.Millisecond),
		kgo.OnPartitionsAssigned(change(true)), kgo.OnPartitionsRevoked(change(false)),
		kgo.OnPartitionsLost(change(false)))
	ended, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	for ended.Err() == nil {
		client.PollFetches(ended)
	}
	client.Close()
}

func main() {
	if len(os.Args) > 1 && os.Args[1] == "member" {
		runMember(os.Args[2], os.Args[3])
		return
	}
	runChecks()
}
